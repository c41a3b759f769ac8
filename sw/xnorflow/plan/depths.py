"""Depths of buffers and queues with which no engine ever waits for space, and the least ones.

`with_depths` gives depths in closed form, which are enough; `shrunk` takes off what the exact
schedule (`xnorflow.schedule.flow`) shows is not needed, until one less anywhere would cost time.

The closed form:

Take an interval of T cycles in which a producer, the gearbox after it and the engine that reads
them can each do a frame's work. Spread the producer's results and the engine's beats evenly over T,
and let the gearbox move elements as soon as it can. Every rule of the components
(``docs/hardware.md``, section 4) says that one event is not before another plus a constant, so this
schedule is possible if, at the engine's offset behind the producer,

* every word is written the cycle before its first tap or earlier: that gives the least offset;
* every word finds space, an output row's end having freed it: that gives the buffer's depth;
* every result finds a place in the queue of its stage: that gives the queue's.

Hardware that always does what it can is never later than a possible schedule. Rounding all times
down keeps every rule, for their constants are whole; and a larger T, set by a slower engine
elsewhere, only makes the constants weigh less. So the interval reaches its bound
(`xnorflow.schedule.flow.bound`) with these depths.
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
"""Against rounding; real times differ by 1 / T or more."""


@dataclass(frozen=True, eq=False)
class _Link:
    """What passes from a producer through a gearbox in T cycles, T being as small as can be.

    Parameters
    ----------
    cycles : int
        T.
    wait : float
        Longest time, in cycles, that a result waits for the gearbox.
    emits : float64 array [words]
        When a frame's words leave the gearbox, the first result being offered at 0.
    """

    cycles: int
    wait: float
    emits: NDArray[Any]

    def words_before(self, time: NDArray[Any]) -> ir.Ints:
        """Count the words, of this and other frames, that leave before `time`."""
        frame = np.floor((time - self.emits[0]) / self.cycles)
        within = np.searchsorted(self.emits, time - frame * self.cycles - SLACK)
        return (frame * len(self.emits)).astype(np.int64) + within


def _link(box: GearboxSpec, elements: int, cycles: int, results: int) -> _Link:
    """Describe the link after a producer of so many `results` per frame."""
    offered = np.arange(2 * results) * (cycles / results)
    if not box.needed:
        return _Link(cycles, 0.0, offered[:results])
    # In the second of two frames, what is left over from the one before is there.
    accepts, emits = regrouping.GearboxTimes(box, 2 * elements).solve(offered, None)
    second = emits[len(emits) // 2 :] - cycles
    return _Link(cycles, float((accepts - offered).max()), second)


def buffer_depth(b: BufferSpec, link: _Link) -> int:
    """Give the words of a buffer, or of each of its banks, behind a link."""
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
    """Give the places of a stage's queue before a link; `latency` is the stage's.

    A reduction takes a place with its last issue and gives it back a cycle after its last result
    has left.
    """
    reduction, freeing = buffer_order.result_order(b)
    per_reduction, per_result = link.cycles / b.reductions, link.cycles / b.results
    result = np.arange(b.results) * per_result
    # Results leave evenly, so late that none leaves before it is there.
    delay = (reduction * per_reduction - result).max()
    held = delay + result[freeing] - np.arange(b.reductions) * per_reduction
    least = (latency + 2 + link.wait + held.max()) / per_reduction
    return max(2, b.repeat if b.pixels > 1 else 0, ceil(least - SLACK))


def with_depths(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Give every buffer and every queue its depth."""
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
                # Addresses of banks wrap by themselves.
                depth = 1 << (depth - 1).bit_length()
            stages[k] = replace(stages[k], buffer=replace(b, depth=depth))
            busy, results = b.cycles, b.results
    return replace(spec, stages=tuple(stages))


def buffer_depths(b: BufferSpec) -> Sequence[int]:
    """Give the depths, ascending, that a buffer can have up to the one it has."""
    if b.pixels == 1:
        return range(b.minimum_depth, b.depth + 1)
    # Addresses of banks wrap by themselves.
    first, last = (b.minimum_depth - 1).bit_length(), (b.depth - 1).bit_length()
    return [1 << n for n in range(first, last + 1)]


def queue_depths(stage: StageSpec) -> Sequence[int]:
    """Give the depths, ascending, that a queue can have up to the one it has."""
    b = stage.buffer
    return range(max(2, b.repeat) if b.pixels > 1 else 1, stage.queue_depth + 1)


def shrunk(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Make every buffer and queue as shallow as it can be with no frame coming out later.

    Less space never makes anything earlier, so of each depth there is a least one; they are found
    stage by stage, and less of any would then be slower.
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
    """Return the flow with the least of these depths that still sends as `wanted`.

    The last of the depths is the one that the stage has.
    """
    low, high = 0, len(depths) - 1
    tries = [high - 1, low]
    while low < high:
        # Often nothing can be spared, or everything.
        at = tries.pop(0) if tries and low <= tries[0] < high else (low + high) // 2
        tried = flow.with_stage(k, changed(flow.spec.stages[k], depths[at]))
        if tried.solve(wanted):
            flow, high = tried, at
        else:
            low = at + 1
    return flow
