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
from xnorflow.schedule import bounds, buffer_order, regrouping, timing
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, GearboxSpec, StageSpec
from xnorflow_hw.spec.stage_latency import stage_latency

SLACK = 1e-6
"""Cycles of tolerance against floating-point rounding; distinct times differ by at least 1 / T."""


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


def queue_depth(b: BufferSpec, latency: int, link: _Link) -> int:
    """Compute how many places the queue of a stage needs before a link.

    A reduction occupies a place from its last issue until one cycle after its last result has left.

    Parameters
    ----------
    b : BufferSpec
        Feature buffer of the stage.
    latency : int
        Latency of the stage in cycles.
    link : _Link
        Transfers from the stage to what follows.
    """
    reduction, freeing = buffer_order.result_order(b)
    per_reduction, per_result = link.cycles / b.reductions, link.cycles / b.results
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
    busy, results = spec.input.beats, spec.input.beats
    stages = list(spec.stages)
    for k, box in enumerate(spec.gearboxes):
        busy = max(busy, regrouping.gearbox_cycles(box, elements[k]))
        if k:
            before = stages[k - 1]
            link = _link(box, elements[k], busy, results)
            latency = stage_latency(before.array, before.tails)
            depth = queue_depth(before.buffer, latency, link)
            stages[k - 1] = replace(before, queue_depth=depth)
        if k < len(stages):
            b = stages[k].buffer
            link = _link(box, elements[k], max(busy, b.cycles), results)
            depth = buffer_depth(b, link)
            if b.pixels > 1:
                # The address counters of banks wrap by overflow, which needs a power of two.
                depth = 1 << (depth - 1).bit_length()
            stages[k] = replace(stages[k], buffer=replace(b, depth=depth))
            busy, results = b.cycles, b.results
    return replace(spec, stages=tuple(stages))


def buffer_depths(b: BufferSpec) -> Sequence[int]:
    """Return the possible depths of a buffer, ascending, up to its present depth."""
    if b.pixels == 1:
        return range(b.minimum_depth, b.depth + 1)
    # The address counters of banks wrap by overflow, which needs a power of two.
    first, last = (b.minimum_depth - 1).bit_length(), (b.depth - 1).bit_length()
    return [1 << n for n in range(first, last + 1)]


def queue_depths(stage: StageSpec) -> Sequence[int]:
    """Return the possible depths of a stage's queue, ascending, up to its present depth."""
    b = stage.buffer
    return range(max(2, b.repeat) if b.pixels > 1 else 1, stage.queue_depth + 1)


def shrunk(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Choose the least depth of every buffer and queue at which no frame comes out later.

    Less space never makes any transfer earlier, so each depth has a least value, which a binary
    search finds. The stages are searched one after the other; afterwards, reducing any single depth
    would make the accelerator slower.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware with depths that are large enough.

    Returns
    -------
    AcceleratorSpec
        The same hardware with the least depths.
    """
    flow = Flow(spec, 4 + ceil(timing.latency(spec) / bounds.bound(spec)[0]))
    flow.solve()
    wanted = flow.sent
    for k in range(len(spec.stages)):
        stage = flow.spec.stages[k]
        flow = _least(flow, k, buffer_depths(stage.buffer), _with_buffer, wanted)
        flow = _least(flow, k, queue_depths(stage), _with_queue, wanted)
    return flow.spec


def _with_buffer(stage: StageSpec, depth: int) -> StageSpec:
    return replace(stage, buffer=replace(stage.buffer, depth=depth))


def _with_queue(stage: StageSpec, depth: int) -> StageSpec:
    return replace(stage, queue_depth=depth)


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
