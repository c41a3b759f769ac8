"""Predicts every transfer of an accelerator to the cycle, without simulating it.

Each component obeys rules of the form "event i not before event j plus a constant"
(``docs/hardware.md``, section 4). With a source that always offers and a sink that always takes,
the earliest times that satisfy all rules are what the hardware does. They are the least fixed point
of monotone maps over (max, +), found here by sweeping from source to sink until nothing moves; a
rule ``t[i] >= t[i-1] + 1`` over a whole array is one running maximum.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule.bounds import elements_per_frame
from xnorflow.schedule.buffer_order import first_reads, places, result_order, row_ends
from xnorflow.schedule.regrouping import NEVER, GearboxTimes
from xnorflow_hw.spec import AcceleratorSpec, StageSpec
from xnorflow_hw.spec.stage_latency import stage_latency

MAX_SWEEPS = 20_000


def _in_order(earliest: Ints, ramp: Ints | None = None) -> Ints:
    """Give the earliest times at which events in order can happen.

    Two of them are at least so many cycles apart as their entries in `ramp`; by default one.
    """
    if ramp is None:
        ramp = np.arange(len(earliest))
    return np.maximum.accumulate(earliest - ramp) + ramp


class _Stage:
    """Issues of a stage, of which only those matter that anything can hold back.

    These are the first to wait for each word and the last of each reduction; between two of them
    there is one issue per cycle.
    """

    def __init__(self, spec: StageSpec, frames: int) -> None:
        self.spec, b = spec, spec.buffer
        self.latency = stage_latency(spec.array, spec.tails)
        per_frame = np.arange(frames)[:, None]
        first = first_reads(b)
        read = np.flatnonzero(first >= 0)
        self.word = (read + per_frame * b.frame_words).ravel()
        reads = (first[read] + per_frame * b.cycles).ravel()
        lasts = np.arange(b.beats_per_reduction - 1, frames * b.cycles, b.beats_per_reduction)
        self.beats = np.union1d(reads, lasts)
        self.read, self.last = (np.searchsorted(self.beats, x) for x in (reads, lasts))
        reduction, freeing = result_order(b)
        self.reduction = (reduction + per_frame * b.reductions).ravel()
        self.freeing = (freeing + per_frame * b.results).ravel()
        row_end, freed = row_ends(b)
        ends = np.searchsorted(self.beats, (row_end + per_frame * b.cycles).ravel())
        freed = (freed + per_frame * b.height * b.row_places).ravel()
        # A word in place p needs the row end after which more than p - capacity places are freed.
        place = places(b, np.arange(frames * b.frame_words))
        capacity = b.depth // b.place_words
        row = np.searchsorted(freed, place - capacity, side="right")
        self.blocker = np.where(place < capacity, -1, ends[np.minimum(row, len(ends) - 1)])

    def space(self, issues: Ints | None) -> Ints:
        """Give the earliest time at which the buffer takes each word."""
        if issues is None:
            return np.full(len(self.blocker), NEVER)
        return np.where(self.blocker < 0, NEVER, issues[self.blocker] + 1)

    def issues(self, writes: Ints, pops: Ints | None) -> Ints:
        """Give the times of these issues, from the words' writes and the results' pops."""
        earliest = np.full(len(self.beats), NEVER)
        earliest[self.read] = writes[self.word] + 1
        earliest[0] = max(earliest[0], self.beats[0])
        if pops is not None:
            gated = self.last[self.spec.queue_depth :]
            freed = pops[self.freeing[: len(gated)]]
            earliest[gated] = np.maximum(earliest[gated], freed + 1)
        return _in_order(earliest, self.beats)

    def offered(self, issues: Ints) -> Ints:
        """Give when each result can be offered at the queue's end, were it alone there."""
        return issues[self.last[self.reduction]] + self.latency + 1


class Flow:
    """All transfers of some frames, sent back to back at full speed.

    Only what depends on something that has moved is worked out again.

    Parameters
    ----------
    spec : AcceleratorSpec
        Whose.
    frames : int
        How many.

    Attributes
    ----------
    accepts, sent : int64 array [beats]
        Times of the transfers on s_axis and m_axis; cycle 0 is that of the first one's first beat.
    """

    def __init__(self, spec: AcceleratorSpec, frames: int) -> None:
        self.spec, self.frames = spec, frames
        self._stages = [_Stage(s, frames) for s in spec.stages]
        self._boxes = [
            GearboxTimes(g, elements * frames) if g.needed else None
            for g, elements in zip(spec.gearboxes, elements_per_frame(spec), strict=True)
        ]
        links, stages = len(self._boxes), len(self._stages)
        # Transfers into each gearbox (or, without one, into what follows) and out of it.
        self._into: list[Ints | None] = [None] * links
        self._out: list[Ints | None] = [None] * links
        self._issues: list[Ints | None] = [None] * stages
        # From which arrays they were last worked out.
        self._linked: list[tuple[Ints | None, ...]] = [()] * links
        self._issued: list[tuple[Ints | None, ...]] = [()] * stages

    @property
    def sent(self) -> Ints:
        """Times of the transfers on m_axis."""
        last = self._out[-1]
        assert last is not None
        return last

    def with_stage(self, k: int, spec: StageSpec) -> Flow:
        """Give the flow with a stage that has no more space than the one in its place.

        Nothing of it is earlier, so it begins with the times that are known.
        """
        other = copy(self)
        stages = (*self.spec.stages[:k], spec, *self.spec.stages[k + 1 :])
        other.spec = replace(self.spec, stages=stages)
        for name in ("_stages", "_into", "_out", "_issues", "_linked", "_issued"):
            setattr(other, name, list(getattr(self, name)))
        other._stages[k] = _Stage(spec, self.frames)
        other._linked[k] = other._issued[k] = ()
        return other

    def solve(self, latest: Ints | None = None) -> bool:
        """Find all times; give up, and tell so, if what is sent comes later than `latest`."""
        for _ in range(MAX_SWEEPS):
            moved = [self._link(k) | self._stage(k) for k in range(len(self._boxes))]
            if not any(moved):
                return True
            if latest is not None and (self.sent > latest).any():
                return False
        raise RuntimeError(
            f"the schedule of {self.spec.name} found no fixed point in {MAX_SWEEPS} sweeps"
        )

    def _link(self, k: int) -> bool:
        """Work out the transfers around gearbox k; tell whether they moved."""
        given = self._issues[k - 1] if k else self._into[0]
        taken = self._issues[k] if k < len(self._stages) else None
        if _same(self._linked[k], (given, taken)):
            return False
        self._linked[k] = given, taken
        if k:
            assert given is not None
            offered = self._stages[k - 1].offered(given)
        else:
            offered = self._accept(given)
        if k < len(self._stages):
            blocked = self._stages[k].space(taken)
        else:
            blocked = np.full(self.spec.output_beats * self.frames, NEVER)
        box = self._boxes[k]
        if box is None:
            accepts = emits = _in_order(np.maximum(offered, blocked))
        else:
            accepts, emits = box.solve(offered, blocked)
        return _update(self._into, k, accepts) | _update(self._out, k, emits)

    def _accept(self, after: Ints | None) -> Ints:
        """Work out the transfers on s_axis; give when, a register later, each is offered.

        `after` are the transfers so far known behind the register.
        """
        earliest = np.zeros(self.spec.input.beats * self.frames, np.int64)
        if after is not None:
            earliest[1:] = np.maximum(earliest[1:], after[:-1])
        self.accepts = _in_order(earliest)
        return self.accepts + 1

    def _stage(self, k: int) -> bool:
        """Work out the issues of stage k, if there is one; tell whether they moved."""
        if k == len(self._stages):
            return False
        writes, pops = self._out[k], self._into[k + 1]
        if _same(self._issued[k], (writes, pops)):
            return False
        self._issued[k] = writes, pops
        assert writes is not None
        return _update(self._issues, k, self._stages[k].issues(writes, pops))


def _same(before: tuple[Ints | None, ...], now: tuple[Ints | None, ...]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _update(times: list[Ints | None], k: int, new: Ints) -> bool:
    """Replace an array unless it is the same; tell whether."""
    old = times[k]
    if old is not None and np.array_equal(old, new):
        return False
    times[k] = new
    return True
