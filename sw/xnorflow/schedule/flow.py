"""Predict every transfer of an accelerator to the cycle, without simulating it.

Each component obeys rules of the form "event i happens no earlier than event j plus a constant"
(``docs/hardware.md``, section 4). If the source always offers data and the sink always accepts
them, the hardware does everything at the earliest times that satisfy all rules. These times are the
least fixed point of monotone maps over (max, +). They are found by sweeping from source to sink
until no time changes; a rule ``t[i] >= t[i-1] + 1`` over a whole array is one running maximum.

Where several streams have one source, each sink takes a beat at a time of its own. The source has
sent the beat when the last of them has taken it, and offers the next one from the cycle after.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule.bounds import elements_per_frame
from xnorflow.schedule.issues import in_order, stage_times
from xnorflow.schedule.regrouping import NEVER, GearboxTimes
from xnorflow_hw.spec import AcceleratorSpec, StageSpec, StreamSpec

MAX_SWEEPS = 20_000
"""Sweeps after which `Flow.solve` gives up; far more than any design is known to need."""

_STATE = ("_stages", "_into", "_out", "_arrived", "_issues", "_linked", "_issued", "_taken")


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
        self._stages = [stage_times(s, frames) for s in spec.stages]
        self._boxes = [
            GearboxTimes(stream.box, elements * frames) if stream.box.needed else None
            for stream, elements in zip(spec.streams, elements_per_frame(spec), strict=True)
        ]
        streams, parts = len(spec.streams), len(spec.stages) + 1
        self._from = [
            [s for s in range(streams) if spec.streams[s].source == k] for k in range(parts)
        ]
        self._to = [[s for s in range(streams) if spec.streams[s].sink == k] for k in range(parts)]
        # Transfers into each gearbox (or, without one, into what follows), out of it, and into the
        # sink, which are others than those out of the gearbox where there is a queue between.
        self._into: list[Ints | None] = [None] * streams
        self._out: list[Ints | None] = [None] * streams
        self._arrived: list[Ints | None] = [None] * streams
        self._issues: list[Ints | None] = [None] * len(spec.stages)
        # When each part has sent its beats to all who read them.
        self._taken: list[Ints | None] = [None] * parts
        # The arrays that these were last computed from, to see whether any has changed.
        self._linked: list[tuple[Ints | None, ...]] = [()] * streams
        self._issued: list[tuple[Ints | None, ...]] = [()] * len(spec.stages)

    @property
    def sent(self) -> Ints:
        """Times of the transfers on ``m_axis``, in cycles: int64 array [beats]."""
        last = self._arrived[-1]
        assert last is not None
        # A unit that computes scores only delays them while the sink accepts them.
        return last if self.spec.scores is None else last + self.spec.scores.latency

    def brought(self, s: int) -> Ints:
        """Return when the beats of stream `s` leave its gearbox, in cycles: int64 array [beats]."""
        times = self._out[s]
        assert times is not None
        return times

    def taken(self, s: int) -> Ints:
        """Return when the sink of stream `s` takes its beats, in cycles: int64 array [beats]."""
        times = self._arrived[s]
        assert times is not None
        return times

    def issues(self, k: int) -> tuple[Ints, Ints]:
        """Return beats of the array of stage `k`, counted across frames, and their cycles.

        Among them are, for every frame, the first beat that waits for an input and the last beat.
        Both are int64 arrays [issues].
        """
        times = self._issues[k]
        assert times is not None
        return self._stages[k].beats, times

    def with_stage(self, k: int, spec: StageSpec) -> Flow:
        """Return the flow in which stage `k` is replaced by one that has no more space.

        Less space makes nothing earlier, so the known times are lower bounds to start from.
        """
        stages = (*self.spec.stages[:k], spec, *self.spec.stages[k + 1 :])
        other = self._like(replace(self.spec, stages=stages))
        other._stages[k] = stage_times(spec, self.frames)
        other._issued[k] = ()
        for s in self._to[k]:
            other._linked[s] = ()
        return other

    def with_stream(self, s: int, spec: StreamSpec) -> Flow:
        """Return the flow in which stream `s` is replaced by one whose queue has no more space.

        Both have a queue.
        """
        streams = (*self.spec.streams[:s], spec, *self.spec.streams[s + 1 :])
        other = self._like(replace(self.spec, streams=streams))
        other._linked[s] = ()
        return other

    def _like(self, spec: AcceleratorSpec) -> Flow:
        other = copy(self)
        other.spec = spec
        for name in _STATE:
            setattr(other, name, list(getattr(self, name)))
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
        for sweep in range(MAX_SWEEPS):
            if not (self._backward() if sweep % 2 else self._forward()):
                return True
            if latest is not None and (self.sent > latest).any():
                return False
        raise RuntimeError(
            f"the schedule of {self.spec.name} found no fixed point in {MAX_SWEEPS} sweeps"
        )

    def _forward(self) -> bool:
        """Recompute all times from source to sink; return whether any changed."""
        moved = False
        for k, streams in enumerate(self._to):
            for s in streams:
                moved |= self._link(s)
            if k < len(self._stages):
                moved |= self._stage(k)
        return moved

    def _backward(self) -> bool:
        """Recompute them from sink to source: what holds back reaches everything before at once."""
        moved = False
        for k, streams in reversed(list(enumerate(self._to))):
            if k < len(self._stages):
                moved |= self._stage(k)
            for s in reversed(streams):
                moved |= self._link(s)
        return moved

    def _link(self, s: int) -> bool:
        """Compute the transfers of stream `s`; return whether any changed."""
        stream = self.spec.streams[s]
        k, sink = stream.source, stream.sink
        given = self._issues[k - 1] if k else self._taken[0]
        taken = self._issues[sink] if sink < len(self._stages) else None
        siblings = tuple(self._into[t] for t in self._from[k]) if len(self._from[k]) > 1 else ()
        popped = self._arrived[s] if stream.queue else None
        seen = (given, taken, popped, *siblings)
        if _same(self._linked[s], seen):
            return False
        self._linked[s] = seen
        if k:
            assert given is not None
            offered = self._stages[k - 1].offered(given)
        else:
            offered = self._accept(given)
        if siblings and (others := self._all(k)) is not None:
            # A beat is there for all sinks at once, after each of them has taken the one before.
            offered = offered.copy()
            offered[1:] = np.maximum(offered[1:], others[:-1] + 1)
        if sink < len(self._stages):
            blocked = self._stages[sink].space(stream.port, taken)
        else:
            blocked = np.full(self.spec.output_beats * self.frames, NEVER)
        ready = blocked if not stream.queue else _space(stream.queue, popped, len(blocked))
        box = self._boxes[s]
        if box is None:
            accepts = emits = in_order(np.maximum(offered, ready))
        else:
            accepts, emits = box.solve(offered, ready)
        moved = _update(self._into, s, accepts) | _update(self._out, s, emits)
        if moved:
            self._taken[k] = self._all(k)
        if stream.queue:
            emits = in_order(np.maximum(emits + 1, blocked))
        return moved | _update(self._arrived, s, emits)

    def _all(self, k: int) -> Ints | None:
        """Return when each beat of part `k` has been taken by all, as far as that is known."""
        times = None
        for s in self._from[k]:
            into = self._into[s]
            if into is not None:
                times = into if times is None else np.maximum(times, into)
        return times

    def _accept(self, after: Ints | None) -> Ints:
        """Compute the transfers on ``s_axis`` and return when the input register offers each.

        `after` are the transfers behind the register, as far as they are known.
        """
        earliest = np.zeros(self.spec.input.beats * self.frames, np.int64)
        if after is not None:
            earliest[1:] = np.maximum(earliest[1:], after[:-1])
        self.accepts = in_order(earliest)
        return self.accepts + 1

    def _stage(self, k: int) -> bool:
        """Compute the issues of stage `k`; return whether any changed."""
        pops = self._taken[k + 1]
        writes = [self._arrived[s] for s in self._to[k]]
        seen = (pops, *writes)
        if _same(self._issued[k], seen):
            return False
        self._issued[k] = seen
        known = [w for w in writes if w is not None]
        assert len(known) == len(writes)
        return _update(self._issues, k, self._stages[k].issues(known, pops))


def _space(queue: int, popped: Ints | None, beats: int) -> Ints:
    """Return when a queue has space for each beat, given when beats leave it."""
    ready = np.full(beats, NEVER)
    if popped is not None:
        ready[queue:] = popped[:-queue] + 1
    return ready


def _same(before: tuple[Ints | None, ...], now: tuple[Ints | None, ...]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _update(times: list[Ints | None], k: int, new: Ints) -> bool:
    """Store the new times of part `k`, and return whether they differ from the old ones."""
    old = times[k]
    if old is not None and np.array_equal(old, new):
        return False
    times[k] = new
    return True
