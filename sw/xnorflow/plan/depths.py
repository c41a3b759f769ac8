"""Choose the depths of buffers and queues, so that no engine ever waits for space.

`with_depths` computes depths in closed form that are large enough. `shrunk` then uses the exact
schedule (`xnorflow.schedule.flow`) to reduce them until one place less anywhere would cost time.

How the closed form is derived:

Let T be a number of cycles in which a producer, the gearbox after it and the engine that reads from
them can each process one frame. Spread the producer's results and the engine's beats evenly over T,
and let the gearbox move elements as soon as it can. Every rule of the components
(``docs/hardware.md``, section 4) has the form "this event happens no earlier than that one plus a
constant". If the engine starts at some offset behind the producer, the schedule therefore satisfies
all rules as soon as

* every word is written at least one cycle before its first read, which sets the least offset;
* every word finds space that the end of an output row has freed, which sets the buffer's depth;
* every result finds a place in the queue of its stage, which sets the queue's depth.

Hardware that does everything as early as it can is never later than a schedule that satisfies the
rules. Rounding all times down violates no rule, because the constants are whole numbers. A larger
T, which a slower engine elsewhere imposes, only makes the constants matter less. With these depths
the initiation interval therefore reaches its bound (`xnorflow.schedule.bounds.bound`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.plan.queues import with_queues
from xnorflow.schedule import bounds, buffer_order, regrouping, stretch_order, timing
from xnorflow.schedule.flow import Flow
from xnorflow.schedule.latest import Latest
from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    FrontSpec,
    GearboxSpec,
    JoinSpec,
    StageSpec,
    StretchSpec,
)
from xnorflow_hw.spec.stage_latency import stage_latency

SLACK = 1e-6
"""Cycles of tolerance against floating-point rounding; distinct times differ by at least 1 / T."""


MOST_WITHOUT = 1
"""Deepest queue, in beats, for which the search tries whether it can do without."""


@dataclass(frozen=True, eq=False)
class _Link:
    """Transfers of one frame from a producer through a gearbox, in the fewest possible cycles.

    Parameters
    ----------
    cycles : int
        Cycles per frame: T in the derivation above.
    wait : float
        Longest time, in cycles, that a result waits for the gearbox.
    emits : float64 array [words]
        Time in cycles at which each word of a frame leaves the gearbox, counted from the moment at
        which the first result is offered.
    """

    cycles: int
    wait: float
    emits: NDArray[Any]

    def words_before(self, time: NDArray[Any]) -> ir.Ints:
        """Return how many words, of this and of other frames, leave before each `time`."""
        frame = np.floor((time - self.emits[0]) / self.cycles)
        within = np.searchsorted(self.emits, time - frame * self.cycles - SLACK)
        words: ir.Ints = (frame * len(self.emits)).astype(np.int64) + within
        return words


def _link(box: GearboxSpec, elements: int, cycles: int, results: int) -> _Link:
    """Compute the transfers through a gearbox after a producer of `results` results per frame.

    A frame has `elements` elements and takes `cycles` cycles.
    """
    offered = np.arange(2 * results) * (cycles / results)
    if not box.needed:
        return _Link(cycles, 0.0, offered[:results])
    # The second of two frames: it also meets what the first one left in the gearbox.
    accepts, emits = regrouping.GearboxTimes(box, 2 * elements).solve(offered, None)
    second = emits[len(emits) // 2 :] - cycles
    return _Link(cycles, float((accepts - offered).max()), second)


def buffer_depth(b: BufferSpec, link: _Link) -> int:
    """Compute how many words a buffer, or each of its banks, needs behind a link."""
    per_beat = link.cycles / b.cycles
    beat = buffer_order.first_reads(b)
    read = beat >= 0
    start = (link.emits[read] + 1 - beat[read] * per_beat).max()
    row_end, freed = buffer_order.row_ends(b)
    free_from = start + row_end * per_beat + 1
    before = np.concatenate([[0], freed[:-1]])
    last = buffer_order.places(b, link.words_before(free_from) - 1)
    return max(1, int((last + 1 - before).max())) * b.place_words


def stretch_depth(b: StretchSpec, link: _Link) -> int:
    """Compute how many words the buffer of a stretch needs behind a link."""
    per_beat = link.cycles / b.cycles
    kept = replace(link, emits=link.emits[b.kept()])
    first, freed = stretch_order.first_and_last_reads(b)
    start = (kept.emits + 1 - first * per_beat).max()
    there = kept.words_before(start + freed * per_beat + 1)
    return max(b.minimum_depth, int((there - np.arange(len(freed))).max()))


def queue_depth(b: FrontSpec, latency: int, link: _Link) -> int:
    """Compute how many places the queue of a stage needs before a link.

    A reduction occupies a place from its last issue until one cycle after its last result has left.

    Parameters
    ----------
    b : BufferSpec or JoinSpec or StretchSpec
        What delivers the beats of the stage.
    latency : int
        Latency of the stage in cycles.
    link : _Link
        Transfers from the stage to what follows.
    """
    per_reduction, per_result = link.cycles / b.reductions, link.cycles / b.results
    if not isinstance(b, BufferSpec):
        # Every beat is a result.
        return max(2, ceil((latency + 2 + link.wait) / per_reduction - SLACK))
    reduction, freeing = buffer_order.result_order(b)
    result = np.arange(b.results) * per_result
    # Results leave evenly, starting late enough that each is there when its turn comes.
    delay = (reduction * per_reduction - result).max()
    held = delay + result[freeing] - np.arange(b.reductions) * per_reduction
    least = float(latency + 2 + link.wait + held.max()) / per_reduction
    return max(2, b.repeat if b.pixels > 1 else 0, ceil(least - SLACK))


def with_depths(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Compute the depth of every buffer and of every queue.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose depths are ignored.

    Returns
    -------
    AcceleratorSpec
        The same hardware with depths at which the initiation interval reaches its bound.
    """
    elements = bounds.elements_per_frame(spec)
    stages = list(spec.stages)
    queues = [1] * len(stages)
    for stream, passed in zip(spec.streams, elements, strict=True):
        k, box = stream.source, stream.box
        source = spec.stages[k - 1].buffer if k else None
        busy = source.cycles if source else spec.input.beats
        results = source.results if source else spec.input.beats
        busy = max(busy, regrouping.gearbox_cycles(box, passed))
        if k:
            before = stages[k - 1]
            latency = stage_latency(before.array, before.tails)
            depth = queue_depth(before.buffer, latency, _link(box, passed, busy, results))
            queues[k - 1] = max(queues[k - 1], depth)
        if stream.sink < len(stages):
            stage = stages[stream.sink]
            link = _link(box, passed, max(busy, stage.buffer.cycles), results)
            stages[stream.sink] = replace(stage, buffer=_deep(stage.buffer, link))
    stages = [replace(s, queue_depth=q) for s, q in zip(stages, queues, strict=True)]
    return with_queues(replace(spec, stages=tuple(stages)))


def _deep(front: FrontSpec, link: _Link) -> FrontSpec:
    """Return what delivers the beats of a stage, with the depth that it needs behind a link."""
    match front:
        case BufferSpec() as b:
            depth = buffer_depth(b, link)
            if b.pixels > 1:
                # The address counters of banks wrap by overflow, which needs a power of two.
                depth = 1 << (depth - 1).bit_length()
            return replace(b, depth=depth)
        case StretchSpec() as b:
            return replace(b, depth=stretch_depth(b, link))
        case JoinSpec():
            return front
        case other:
            raise TypeError(f"a front of type {type(other).__name__} has no depth")


def buffer_depths(b: FrontSpec) -> Sequence[int]:
    """Return the possible depths of a buffer, ascending, up to its present depth."""
    if isinstance(b, JoinSpec):
        return [0]
    if isinstance(b, StretchSpec) or b.pixels == 1:
        return range(b.minimum_depth, b.depth + 1)
    # The address counters of banks wrap by overflow, which needs a power of two.
    first, last = (b.minimum_depth - 1).bit_length(), (b.depth - 1).bit_length()
    return [1 << n for n in range(first, last + 1)]


def queue_depths(stage: StageSpec) -> Sequence[int]:
    """Return the possible depths of a stage's queue, ascending, up to its present depth."""
    b = stage.buffer
    least = max(2, b.repeat) if isinstance(b, BufferSpec) and b.pixels > 1 else 1
    return range(least, stage.queue_depth + 1)


def shrunk(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Choose the least depth of every buffer and queue at which no frame comes out later.

    Less space never makes any transfer earlier, so each depth has a least value. They are searched
    one after the other; afterwards, reducing any single depth would make the accelerator slower.
    Short queues may also be left out. Beats then arrive a cycle earlier, so that all depths are
    searched again.

    Most depths are read off two schedules, that of the earliest times and that of the latest at
    which no output is late (`xnorflow.schedule.latest`); a new schedule decides about the others.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware with depths that are large enough.

    Returns
    -------
    AcceleratorSpec
        The same hardware with the least depths.
    """
    search = _Search(spec)
    # Now, with room everywhere else, a schedule is found soonest.
    search.leave_out()
    search.less()
    while search.leave_out():
        search.less()
    return search.flow.spec


class _Search:
    """A search for the least depths.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware with depths that are large enough.
    """

    def __init__(self, spec: AcceleratorSpec) -> None:
        frames = timing.filling_frames(spec, timing.latency(spec))
        self.flow = timing.steady(spec, frames)
        self.sent = self.flow.sent
        self.latest: Latest | None = None
        self.known = self.flow
        """The schedule that `latest` was computed of."""

    def less(self) -> None:
        """Find the least of all depths."""
        for k, stage in enumerate(self.flow.spec.stages):
            if not isinstance(stage.buffer, JoinSpec):
                self.buffer(k)
            self.results(k)
        for s, stream in enumerate(self.flow.spec.streams):
            if stream.queue:
                self.queue(s)

    def leave_out(self) -> bool:
        """Leave out short queues, where that delays nothing; return whether there were any."""
        begun = self.flow
        if self.latest is None:
            # Most can be told without the latest times, which would have to be computed again.
            self._without_queues({s: t.queue for s, t in enumerate(begun.spec.streams)})
        before, latest = self.flow, self.latest_times()
        queued = [s for s, stream in enumerate(before.spec.streams) if stream.queue]
        self._without_queues({s: latest.queue_room(before, s) for s in queued})
        if self.flow is not before:
            # Beats come a cycle earlier, so what was the latest may no longer be.
            self.latest = None
        return self.flow is not begun

    def _without_queues(self, rooms: Mapping[int, int]) -> None:
        """Leave out queues with little room, if that delays nothing; `rooms` is that of each."""
        self.without([s for s, room in rooms.items() if 0 < room <= MOST_WITHOUT])

    def latest_times(self) -> Latest:
        """Return latest times that no schedule with less space exceeds."""
        if self.latest is None:
            self.latest, self.known = Latest(self.flow, self.sent), self.flow
        return self.latest

    def buffer(self, k: int) -> None:
        """Find the least depth of the buffer of stage `k`."""
        front = self.flow.spec.stages[k].buffer
        assert not isinstance(front, JoinSpec)
        words = front.place_words
        self._least(
            buffer_depths(front),
            lambda: self.latest_times().buffer_room(self.flow, k) * words,
            lambda depth: self._with_stage(k, buffer=replace(front, depth=depth)),
        )

    def results(self, k: int) -> None:
        """Find the least depth of the queue of stage `k`."""
        self._least(
            queue_depths(self.flow.spec.stages[k]),
            lambda: self.latest_times().results_room(self.flow, k),
            lambda depth: self._with_stage(k, queue_depth=depth),
        )

    def queue(self, s: int) -> None:
        """Find the least depth of the queue of stream `s`."""
        stream = self.flow.spec.streams[s]
        self._least(
            range(1, stream.queue + 1),
            lambda: self.latest_times().queue_room(self.flow, s),
            lambda depth: self.flow.with_stream(s, replace(stream, queue=depth)),
        )

    def without(self, queues: Sequence[int]) -> None:
        """Leave out the queues of these streams, or some of them, if that delays nothing."""
        if not queues:
            return
        streams = list(self.flow.spec.streams)
        for s in queues:
            streams[s] = replace(streams[s], queue=0)
        flow = self.flow.with_streams(streams)
        if flow.solve(self.sent):
            self.flow = flow
        elif len(queues) > 1:
            # Mostly all can be left out together, or all but a few.
            half = len(queues) // 2
            self.without(queues[:half])
            self.without(queues[half:])

    def _with_stage(self, k: int, **changed: Any) -> Flow:
        return self.flow.with_stage(k, replace(self.flow.spec.stages[k], **changed))

    def _least(
        self, depths: Sequence[int], room: Callable[[], int], with_depth: Callable[[int], Flow]
    ) -> None:
        """Take the least of `depths` that delays no output.

        Parameters
        ----------
        depths : sequence of int
            Depths to choose from, ascending. The flow has the last of them.
        room : callable
            Returns a depth below which some output is known to be late.
        with_depth : callable
            Returns the flow with another depth.
        """
        high = len(depths) - 1
        low = bisect_left(depths, room(), hi=high)
        if low < high and self.known is not self.flow:
            self.latest, self.known = self.latest_times().with_less(self.flow), self.flow
            low = bisect_left(depths, room(), hi=high)
        at = low  # It is often this one.
        while low < high:
            tried = with_depth(depths[at])
            if tried.solve(self.sent, self.latest_times().issues):
                self.flow, high = tried, at
            else:
                low = at + 1
            at = (low + high) // 2
