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

from collections.abc import Iterable, Sequence
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

_STATE = ("stages", "_into", "_out", "_arrived", "_issues", "_taken", "_links_due", "_stages_due")


class Flow:
    """All transfers of several frames that are sent back to back at full speed.

    A sweep recomputes only the times that depend on times that have changed, which are *due*.

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
    stages, boxes : list
        What computes the issues of each stage, and the times of each stream's gearbox, if any.
    streams_from, streams_to : list of list of int
        Numbers of the streams from each source, and to each sink.
    """

    def __init__(self, spec: AcceleratorSpec, frames: int) -> None:
        self.spec, self.frames = spec, frames
        self.stages = [stage_times(s, frames) for s in spec.stages]
        self.boxes = [
            GearboxTimes(stream.box, elements * frames) if stream.box.needed else None
            for stream, elements in zip(spec.streams, elements_per_frame(spec), strict=True)
        ]
        streams, parts = len(spec.streams), len(spec.stages) + 1
        self.streams_from = [
            [s for s in range(streams) if spec.streams[s].source == k] for k in range(parts)
        ]
        self.streams_to = [
            [s for s in range(streams) if spec.streams[s].sink == k] for k in range(parts)
        ]
        self._forget()

    def _forget(self) -> None:
        """Let no time be known yet."""
        streams, parts = len(self.spec.streams), len(self.spec.stages) + 1
        # Transfers into each gearbox (or, without one, into what follows), out of it, and into the
        # sink, which are others than those out of the gearbox where there is a queue between.
        self._into: list[Ints | None] = [None] * streams
        self._out: list[Ints | None] = [None] * streams
        self._arrived: list[Ints | None] = [None] * streams
        self._issues: list[Ints | None] = [None] * (parts - 1)
        # When each part has sent its beats to all who read them.
        self._taken: list[Ints | None] = [None] * parts
        self._links_due = [True] * streams
        self._stages_due = [True] * (parts - 1)

    @property
    def sent(self) -> Ints:
        """Times of the transfers on ``m_axis``, in cycles: int64 array [beats]."""
        last = self._arrived[-1]
        assert last is not None
        # A unit that computes scores only delays them while the sink accepts them.
        return last if self.spec.scores is None else last + self.spec.scores.latency

    def left(self, s: int) -> Ints:
        """Return when stream `s` takes the beats of its source, in cycles: int64 array [beats]."""
        times = self._into[s]
        assert times is not None
        return times

    def issued(self, k: int) -> Ints:
        """Return when stage `k` issues the beats that it names, in cycles: int64 array [issues]."""
        times = self._issues[k]
        assert times is not None
        return times

    def popped(self, k: int) -> Ints:
        """Return when the results of stage `k` leave its queue: int64 array [results]."""
        times = self._taken[k + 1]
        assert times is not None
        return times

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
        return self.stages[k].beats, self.issued(k)

    def with_stage(self, k: int, spec: StageSpec) -> Flow:
        """Return the flow in which stage `k` differs in its depths, which are no greater.

        Less space makes nothing earlier, so the known times are lower bounds to start from.
        """
        stages = (*self.spec.stages[:k], spec, *self.spec.stages[k + 1 :])
        other = self._like(replace(self.spec, stages=stages))
        other.stages[k] = self.stages[k].with_space(spec)
        other._stages_due[k] = True
        other._due(self.streams_to[k])
        return other

    def with_stream(self, s: int, spec: StreamSpec) -> Flow:
        """Return the flow in which stream `s` is replaced by one whose queue has no more space.

        Both have a queue.
        """
        streams = (*self.spec.streams[:s], spec, *self.spec.streams[s + 1 :])
        other = self._like(replace(self.spec, streams=streams))
        other._due([s])
        return other

    def with_streams(self, streams: Sequence[StreamSpec]) -> Flow:
        """Return the flow, to be solved from the start, whose streams differ in their queues."""
        other = self._like(replace(self.spec, streams=tuple(streams)))
        other._forget()
        return other

    def _like(self, spec: AcceleratorSpec) -> Flow:
        other = copy(self)
        other.spec = spec
        for name in _STATE:
            setattr(other, name, list(getattr(self, name)))
        return other

    def solve(self, latest: Ints | None = None, issues: Sequence[Ints] = ()) -> bool:
        """Compute all times.

        Parameters
        ----------
        latest : int64 array [beats], optional
            Times on ``m_axis``, in cycles. The computation stops as soon as one is exceeded.
        issues : sequence of int64 array, optional
            For each stage the latest times of its last issues, which make it stop as well.

        Returns
        -------
        bool
            Whether the times are complete and none exceeds those given.

        Raises
        ------
        RuntimeError
            If there is no fixed point after `MAX_SWEEPS` sweeps.
        """
        self._limits, self._late = issues, False
        for sweep in range(MAX_SWEEPS):
            if not (any(self._links_due) or any(self._stages_due)):
                return True
            if sweep % 2:
                self._backward()
            else:
                self._forward()
            if self._late or latest is not None and (self.sent > latest).any():
                return False
        raise RuntimeError(
            f"the schedule of {self.spec.name} found no fixed point in {MAX_SWEEPS} sweeps"
        )

    def _due(self, streams: Iterable[int]) -> None:
        """Let the transfers of streams be computed again."""
        for s in streams:
            self._links_due[s] = True

    def _forward(self) -> None:
        """Recompute all times that are due, from source to sink."""
        for k, streams in enumerate(self.streams_to):
            if self._late:
                return
            for s in streams:
                if self._links_due[s]:
                    self._link(s)
            if k < len(self.stages) and self._stages_due[k]:
                self._stage(k)

    def _backward(self) -> None:
        """Recompute them from sink to source: what holds back reaches everything before at once."""
        for k in reversed(range(len(self.streams_to))):
            if self._late:
                return
            if k < len(self.stages) and self._stages_due[k]:
                self._stage(k)
            for s in reversed(self.streams_to[k]):
                if self._links_due[s]:
                    self._link(s)

    def _link(self, s: int) -> None:
        """Compute the transfers of stream `s`; what depends on those that have changed is due."""
        stream = self.spec.streams[s]
        k, sink = stream.source, stream.sink
        given = self._issues[k - 1] if k else self._taken[0]
        taken = self._issues[sink] if sink < len(self.stages) else None
        popped = self._arrived[s] if stream.queue else None
        self._links_due[s] = False
        if k:
            assert given is not None
            offered = self.stages[k - 1].offered(given)
        else:
            offered = self._accept(given)
        if len(self.streams_from[k]) > 1 and (others := self._all(k)) is not None:
            # A beat is there for all sinks at once, after each of them has taken the one before.
            offered = offered.copy()
            offered[1:] = np.maximum(offered[1:], others[:-1] + 1)
        if sink < len(self.stages):
            blocked = self.stages[sink].space(stream.port, taken)
        else:
            blocked = np.full(self.spec.output_beats * self.frames, NEVER)
        ready = blocked if not stream.queue else _space(stream.queue, popped, len(blocked))
        box = self.boxes[s]
        if box is None:
            accepts = emits = in_order(np.maximum(offered, ready))
        else:
            accepts, emits = box.solve(offered, ready)
        _update(self._out, s, emits)
        if _update(self._into, s, accepts):
            self._taken[k] = self._all(k)
            self._due(t for t in self.streams_from[k] if t != s or not k)
            if k:
                self._stages_due[k - 1] = True
        if stream.queue:
            emits = in_order(np.maximum(emits + 1, blocked))
        if _update(self._arrived, s, emits):
            if stream.queue:
                self._links_due[s] = True
            if sink < len(self.stages):
                self._stages_due[sink] = True

    def _all(self, k: int) -> Ints | None:
        """Return when each beat of part `k` has been taken by all, as far as that is known."""
        times = None
        for s in self.streams_from[k]:
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

    def _stage(self, k: int) -> None:
        """Compute the issues of stage `k`; what depends on them is due if any has changed."""
        pops = self._taken[k + 1]
        writes = [times for s in self.streams_to[k] if (times := self._arrived[s]) is not None]
        assert len(writes) == len(self.streams_to[k])
        self._stages_due[k] = False
        issues = self.stages[k].issues(writes, pops)
        if _update(self._issues, k, issues):
            if self._limits:
                limit = self._limits[k]
                self._late |= bool((issues[-len(limit) :] > limit).any())
            self._due(self.streams_to[k])
            self._due(self.streams_from[k + 1])


def _space(queue: int, popped: Ints | None, beats: int) -> Ints:
    """Return when a queue has space for each beat, given when beats leave it."""
    ready = np.full(beats, NEVER)
    if popped is not None:
        ready[queue:] = popped[:-queue] + 1
    return ready


def _update(times: list[Ints | None], k: int, new: Ints) -> bool:
    """Store the new times of part `k`, and return whether they differ from the old ones."""
    old = times[k]
    if old is not None and bool((old == new).all()):
        return False
    times[k] = new
    return True
