"""Compute the latest times of all transfers at which no output comes later.

Rules of the form "event i happens no earlier than event j plus a constant" bound j from above, too:
it happens no later than i minus the constant. With the outputs at given times, the greatest times
that keep all rules are found as the least ones in `xnorflow.schedule.flow`, from sink to source.

They tell how little space a memory can have. With a place less, some event waits for one that has
not happened before; if even the earliest time of that one is after the latest of the first, an
output is late. If no event has to wait so, only a new schedule tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule.flow import Flow
from xnorflow.schedule.issues import StoredTimes, in_order_before
from xnorflow.schedule.regrouping import ALWAYS

EVENTS = 4_000_000
"""About how many latest times are computed at most: of as many of the last frames, two at least.

In the steady state all frames are alike. What is held of those before only adds to the space that
is wanted, so without them less of it is ruled out, and more has to be tried.
"""


class Latest:
    """Latest times of all transfers of the last frames of a flow.

    Parameters
    ----------
    flow : Flow
        Solved schedule. Its memories have all the space that is to be asked for.
    sent : int64 array [beats]
        Times on ``m_axis``, in cycles, that no output may exceed; the flow keeps to them.
    """

    def __init__(self, flow: Flow, sent: Ints) -> None:
        spec, streams, frames = flow.spec, range(len(flow.spec.streams)), flow.frames
        self.spec, self._all = spec, flow.stages
        self._from, self._to = flow.streams_from, flow.streams_to
        events = sum(len(flow.left(s)) for s in streams) + sum(len(s.beats) for s in flow.stages)
        self._frames = min(frames, max(2, EVENTS * frames // events))
        self._into = [np.full(len(flow.left(s)) // frames, ALWAYS) for s in streams]
        self._out = [np.full(len(flow.brought(s)) // frames, ALWAYS) for s in streams]
        self._arrived = list(self._out)
        self._issues = [np.full(len(stage.beats) // frames, ALWAYS) for stage in flow.stages]
        taken = sent - (spec.scores.latency if spec.scores is not None else 0)
        sizes = [self._frames]
        while sizes[-1] > 1:
            sizes.append(sizes[-1] - sizes[-1] // 2)
        known = 1
        for size in reversed(sizes):
            structure = flow if size == frames else Flow(spec, size)
            self.stages, self._boxes = structure.stages, structure.boxes
            self._extend(known, size, taken[-size * spec.output_beats :])
            known = size

    def _extend(self, known: int, frames: int, taken: Ints) -> None:
        """Compute the times of more of the last frames, of which those of half are known.

        The known ones depend on no frame before. Moved by what the outputs of the others are
        earlier at least, they bound the times of the others, and are mostly reached.

        Parameters
        ----------
        known, frames : int
            Number of frames whose times are known, and are to be computed.
        taken : int64 array [beats]
            Times at which the outputs are taken, without the latency of a unit for scores.
        """
        if frames > known:
            after = (frames - known) * self.spec.output_beats
            earlier = int((taken[after:] - taken[:-after]).min())

            def extended(times: Ints) -> Ints:
                before = times[: len(times) // known * (frames - known)] - earlier
                return np.concatenate([before, times])

            self._into, self._out, self._arrived, self._issues = (
                [extended(times) for times in each]
                for each in (self._into, self._out, self._arrived, self._issues)
            )
        self._arrived[-1] = taken
        self._links_due = [True] * len(self.spec.streams)
        self._stages_due = [True] * len(self.stages)
        self._solve()

    @property
    def issues(self) -> Sequence[Ints]:
        """The times of each stage's issues, in cycles: int64 arrays [issues of these frames]."""
        return self._issues

    def with_less(self, flow: Flow) -> Latest:
        """Return the latest times of a flow that has less space, but all the queues of this one.

        Less space makes nothing later, so the known times are upper bounds to start from.
        """
        other = copy(self)
        other.spec, other._all = flow.spec, flow.stages
        for name in ("stages", "_into", "_out", "_arrived", "_issues"):
            setattr(other, name, list(getattr(self, name)))
        pairs = zip(self.spec.streams, flow.spec.streams, strict=True)
        other._links_due = [before is not now for before, now in pairs]
        for k, (before, now) in enumerate(zip(self._all, flow.stages, strict=True)):
            other._stages_due[k] = before is not now
            if before is not now:
                other.stages[k] = self.stages[k].with_space(now.spec)
                for s in self._from[k + 1]:
                    other._links_due[s] = True
        other._solve()
        return other

    def _solve(self) -> None:
        forwards = False
        while any(self._links_due) or any(self._stages_due):
            self._sweep(forwards=forwards)
            forwards = not forwards

    def _sweep(self, *, forwards: bool) -> None:
        """Recompute the times that are due."""
        parts = range(len(self._to))
        for k in parts if forwards else reversed(parts):
            for s in self._to[k]:
                if self._links_due[s] and forwards:
                    self._link(s)
            if k < len(self.stages) and self._stages_due[k]:
                self._stage(k)
            for s in self._to[k]:
                if self._links_due[s] and not forwards:
                    self._link(s)

    def _link(self, s: int) -> None:
        """Compute the times of stream `s`."""
        self._links_due[s] = False
        stream = self.spec.streams[s]
        k, sink = stream.source, stream.sink
        taken = self._arrived[s]
        if sink < len(self.stages):
            taken = np.minimum(taken, self.stages[sink].wanted(stream.port, self._issues[sink]))
        out = self._out[s]
        if stream.queue:
            # A beat leaves in time for the one that needs its place.
            taken[: -stream.queue] = np.minimum(taken[: -stream.queue], out[stream.queue :] - 1)
        taken = in_order_before(taken)
        out = np.minimum(out, taken - 1 if stream.queue else taken)
        into = self._into[s].copy()
        if k:
            into = np.minimum(into, self.stages[k - 1].popped(self._issues[k - 1]))
        for t in self._from[k]:
            if t != s:
                # No other reader can take a beat before all have taken the one before.
                into[:-1] = np.minimum(into[:-1], self._into[t][1:] - 1)
        box = self._boxes[s]
        if box is None:
            into = out = in_order_before(np.minimum(into, out))
        else:
            into, out = box.latest(into, out)
        if not stream.queue:
            taken = out
        if (taken != self._arrived[s]).any():
            self._arrived[s] = taken
            if sink < len(self.stages):
                self._stages_due[sink] = True
        if (out != self._out[s]).any():
            self._out[s] = out
            self._links_due[s] |= stream.queue > 0
        if (into != self._into[s]).any():
            self._into[s] = into
            for t in self._from[k]:
                self._links_due[t] |= t != s
            if k:
                self._stages_due[k - 1] = True

    def _stage(self, k: int) -> None:
        """Compute the times of the issues of stage `k`."""
        self._stages_due[k] = False
        stage = self.stages[k]
        issues = stage.latest([self._into[s] for s in self._from[k + 1]])
        for s in self._to[k]:
            stage.freed(issues, self.spec.streams[s].port, self._arrived[s])
        issues = stage.ordered_before(issues)
        if (issues != self._issues[k]).any():
            self._issues[k] = issues
            for s in (*self._to[k], *self._from[k + 1]):
                self._links_due[s] = True

    def queue_room(self, flow: Flow, s: int) -> int:
        """Return the least depth of the queue of stream `s`, in beats, that is not ruled out.

        Parameters
        ----------
        flow : Flow
            Solved schedule with no more space than that of which these are the latest times.
        s : int
            Number of the stream.
        """
        return most_held(self._out[s], self._last(flow, flow.taken(s)))

    def results_room(self, flow: Flow, k: int) -> int:
        """Return the least depth of the queue of stage `k` that is not ruled out."""
        stage = self.stages[k]
        return most_held(
            self._issues[k][stage.last], self._last(flow, flow.popped(k))[stage.freeing]
        )

    def buffer_room(self, flow: Flow, k: int) -> int:
        """Return the least depth of the memory of stage `k`, in words, that is not ruled out."""
        (s,), stage = self._to[k], self.stages[k]
        if not isinstance(stage, StoredTimes):
            raise TypeError(f"stage {k} has no memory in front of it")
        return stage.room(self._arrived[s], self._last(flow, flow.issued(k)))

    def _last(self, flow: Flow, times: Ints) -> Ints:
        """Return those of some times of a flow that are of the frames whose latest are known."""
        return times[len(times) // flow.frames * (flow.frames - self._frames) :]


def most_held(entered: Ints, left: Ints) -> int:
    """Return the room, in beats, with which a queue is never full when a beat enters.

    The room of a beat that leaves counts from the next cycle on.

    Parameters
    ----------
    entered, left : int64 arrays [beats]
        Times, in cycles, in ascending order.
    """
    held = np.arange(len(entered)) + 1 - np.searchsorted(left, entered, side="left")
    return max(1, int(held.max()))
