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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.plan.queues import with_queues
from xnorflow.schedule import bounds, buffer_order, regrouping, stretch_order, timing
from xnorflow.schedule.flow import Flow
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


MOST_WORK = 1 << 24
"""Largest search for the least depths of a network that branches, as `_work` counts."""
MOST_WITHOUT = 4
"""Deepest queue for which the search tries whether it can do without."""


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

    Less space never makes any transfer earlier, so each depth has a least value, which a binary
    search finds. The stages are searched one after the other; afterwards, reducing any single depth
    would make the accelerator slower.

    Large networks that branch keep their depths: their schedules take too long to search.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware with depths that are large enough.

    Returns
    -------
    AcceleratorSpec
        The same hardware with the least depths.
    """
    frames = 4 + ceil(timing.latency(spec) / bounds.bound(spec)[0])
    if any(stream.queue for stream in spec.streams) and _work(spec, frames) > MOST_WORK:
        return spec
    flow = Flow(spec, frames)
    flow.solve()
    wanted = flow.sent
    for k in range(len(spec.stages)):
        stage = flow.spec.stages[k]
        flow = _least(flow, k, buffer_depths(stage.buffer), _with_buffer, wanted)
        flow = _least(flow, k, queue_depths(stage), _with_queue, wanted)
    for s in range(len(spec.streams)):
        flow = _least_queue(flow, s, wanted)
    return flow.spec


def _work(spec: AcceleratorSpec, frames: int) -> int:
    """Return how much a search for the least depths has to compute, roughly: depths times beats."""
    depths = 2 * len(spec.stages) + sum(stream.queue > 0 for stream in spec.streams)
    beats = sum(s.buffer.results + s.buffer.height * s.buffer.width for s in spec.stages)
    return depths * beats * frames


def _with_buffer(stage: StageSpec, depth: int) -> StageSpec:
    front = stage.buffer
    assert not isinstance(front, JoinSpec)
    return replace(stage, buffer=replace(front, depth=depth))


def _with_queue(stage: StageSpec, depth: int) -> StageSpec:
    return replace(stage, queue_depth=depth)


def _least_queue(flow: Flow, s: int, wanted: NDArray[Any]) -> Flow:
    """Return the flow in which the queue of stream `s` has the least depth that delays no output.

    The parameters are those of `_least`.
    """
    queue = flow.spec.streams[s].queue
    if queue and queue <= MOST_WITHOUT:
        without = Flow(_with_stream(flow.spec, s, 0), flow.frames)
        if without.solve(wanted):
            return without
    low = 1
    while low < queue:
        middle = (low + queue) // 2
        tried = flow.with_stream(s, replace(flow.spec.streams[s], queue=middle))
        if tried.solve(wanted):
            flow, queue = tried, middle
        else:
            low = middle + 1
    return flow


def _with_stream(spec: AcceleratorSpec, s: int, queue: int) -> AcceleratorSpec:
    changed = replace(spec.streams[s], queue=queue)
    return replace(spec, streams=(*spec.streams[:s], changed, *spec.streams[s + 1 :]))


def _least(
    flow: Flow,
    k: int,
    depths: Sequence[int],
    changed: Callable[[StageSpec, int], StageSpec],
    wanted: NDArray[Any],
) -> Flow:
    """Return the flow in which stage `k` has the least of `depths` that delays no output.

    Parameters
    ----------
    flow : Flow
        Solved schedule, in which the stage has the last of `depths`.
    k : int
        Index of the stage.
    depths : sequence of int
        Depths to choose from, ascending.
    changed : callable
        Returns a stage with another depth.
    wanted : int64 array [beats]
        Times of the output beats, in cycles, that must not become later.
    """
    low, high = 0, len(depths) - 1
    tries = [high - 1, low]
    while low < high:
        # The largest depth but one and the least decide most searches at once.
        at = tries.pop(0) if tries and low <= tries[0] < high else (low + high) // 2
        tried = flow.with_stage(k, changed(flow.spec.stages[k], depths[at]))
        if tried.solve(wanted):
            flow, high = tried, at
        else:
            low = at + 1
    return flow
