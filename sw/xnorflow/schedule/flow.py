"""Predict every transfer of an accelerator to the cycle, without simulating it.

Each component obeys rules of the form "event i happens no earlier than event j plus a constant"
(``docs/hardware.md``, section 4). If the source always offers data and the sink always accepts
them, the hardware does everything at the earliest times that satisfy all rules. These times are the
least fixed point of monotone maps over (max, +). They are found by sweeping from source to sink
until no time changes; a rule ``t[i] >= t[i-1] + 1`` over a whole array is one running maximum.
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
"""Sweeps after which `Flow.solve` gives up; far more than any design is known to need."""


def _in_order(earliest: Ints, ramp: Ints | None = None) -> Ints:
    """Compute the earliest times at which events can happen one after the other.

    Parameters
    ----------
    earliest : int64 array [events]
        Cycle before which each event cannot happen.
    ramp : int64 array [events], optional
        Any two events are at least as many cycles apart as their entries here; by default
        consecutive events are one cycle apart.
    """
    if ramp is None:
        ramp = np.arange(len(earliest))
    return np.maximum.accumulate(earliest - ramp) + ramp


class _Stage:
    """Issues of a stage that anything can hold back.

    These are the first issue that waits for each word and the last issue of each reduction. Between
    two of them there is one issue per cycle, so the others need not be computed.

    Parameters
    ----------
    spec : StageSpec
        Stage whose issues are computed.
    frames : int
        Number of frames.
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
        # A word can go to place p once an output row has ended that frees more than p - capacity
        # places.
        place = places(b, np.arange(frames * b.frame_words))
        capacity = b.depth // b.place_words
        row = np.searchsorted(freed, place - capacity, side="right")
        self.blocker = np.where(place < capacity, -1, ends[np.minimum(row, len(ends) - 1)])

    def space(self, issues: Ints | None) -> Ints:
        """Return the earliest time at which the buffer has space for each word, in cycles."""
        if issues is None:
            return np.full(len(self.blocker), NEVER)
        return np.where(self.blocker < 0, NEVER, issues[self.blocker] + 1)

    def issues(self, writes: Ints, pops: Ints | None) -> Ints:
        """Compute the times of the issues from those of words written and results popped."""
        earliest = np.full(len(self.beats), NEVER)
        earliest[self.read] = writes[self.word] + 1
        earliest[0] = max(earliest[0], self.beats[0])
        if pops is not None:
            gated = self.last[self.spec.queue_depth :]
            freed = pops[self.freeing[: len(gated)]]
            earliest[gated] = np.maximum(earliest[gated], freed + 1)
        return _in_order(earliest, self.beats)

    def offered(self, issues: Ints) -> Ints:
        """Return when each result would reach the end of the queue if no other were before it."""
        times: Ints = issues[self.last[self.reduction]] + self.latency + 1
        return times


class Flow:
    """All transfers of several frames that are sent back to back at full speed.

    A sweep recomputes only the times that depend on times that have changed.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware to predict.
    frames : int
        Number of frames.

    Attributes
    ----------
    accepts, sent : int64 array [beats]
        Times, in cycles, of the transfers on ``s_axis`` and on ``m_axis``; cycle 0 is that of the
        first transfer on ``s_axis``.
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
        # The arrays that these were last computed from, to see whether any has changed.
        self._linked: list[tuple[Ints | None, ...]] = [()] * links
        self._issued: list[tuple[Ints | None, ...]] = [()] * stages

    @property
    def sent(self) -> Ints:
        """Times of the transfers on ``m_axis``, in cycles: int64 array [beats]."""
        last = self._out[-1]
        assert last is not None
        # A unit that computes scores only delays them while the sink accepts them.
        return last if self.spec.scores is None else last + self.spec.scores.latency

    def with_stage(self, k: int, spec: StageSpec) -> Flow:
        """Return the flow in which stage `k` is replaced by one that has no more space.

        Less space makes nothing earlier, so the known times are lower bounds to start from.
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
        """Compute all times.

        Parameters
        ----------
        latest : int64 array [beats], optional
            Times on ``m_axis``, in cycles. The computation stops as soon as one is exceeded.

        Returns
        -------
        bool
            Whether the times are complete and none exceeds `latest`.

        Raises
        ------
        RuntimeError
            If there is no fixed point after `MAX_SWEEPS` sweeps.
        """
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
        """Compute the transfers into and out of gearbox `k`; return whether any changed."""
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
        """Compute the transfers on ``s_axis`` and return when the input register offers each.

        `after` are the transfers behind the register, as far as they are known.
        """
        earliest = np.zeros(self.spec.input.beats * self.frames, np.int64)
        if after is not None:
            earliest[1:] = np.maximum(earliest[1:], after[:-1])
        self.accepts = _in_order(earliest)
        return self.accepts + 1

    def _stage(self, k: int) -> bool:
        """Compute the issues of stage `k`, if there is one; return whether any changed."""
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
    """Store the new times of part `k`, and return whether they differ from the old ones."""
    old = times[k]
    if old is not None and np.array_equal(old, new):
        return False
    times[k] = new
    return True
