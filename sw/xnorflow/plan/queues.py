"""Choose the depths of the queues in front of joins, where one way from a fork is the longer one.

A join waits for the beats of its longest way. What comes over the others waits in queues until
then. The longest way needs no queue, and so it still holds back whatever is before it; were there
queues on all ways, a part before a slow one would run ahead and fill them.

Depths are read off the exact schedule with more room than anything needs. With room for just as
many beats as a queue holds there, the same schedule keeps to all rules; and hardware that does
everything as early as it can is never later.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule import bounds, timing
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec, JoinSpec, StreamSpec

ROUNDS = 6
"""Most times that depths are doubled, should the interval not reach its bound."""


def with_queues(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Compute the depth of every queue in front of a join.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose buffers and results have their depths. Queues of streams are ignored.

    Returns
    -------
    AcceleratorSpec
        The same hardware with queues, and with deeper buffers if they are what it takes to reach
        the bound of the interval.
    """
    joined = [_joined(spec, stream) for stream in spec.streams]
    if not any(joined):
        return spec
    roomy = [
        replace(stream, queue=_most(spec, stream) if join else 0)
        for stream, join in zip(spec.streams, joined, strict=True)
    ]
    streams = _without_longest(replace(spec, streams=tuple(roomy)))
    limit = bounds.bound(spec)[0]
    for _ in range(ROUNDS):
        flow = _steady(replace(spec, streams=streams), limit)
        if _interval(flow) <= limit:
            break
        spec = _deeper(spec)
    return replace(spec, streams=tuple(_measured(flow, s) for s in range(len(streams))))


def _joined(spec: AcceleratorSpec, stream: StreamSpec) -> bool:
    """Return whether a stream leads to a join of several."""
    if stream.sink == len(spec.stages):
        return False
    front = spec.stages[stream.sink].buffer
    return isinstance(front, JoinSpec) and len(front.ports) > 1


def _front(spec: AcceleratorSpec, stream: StreamSpec) -> JoinSpec:
    front = spec.stages[stream.sink].buffer
    assert isinstance(front, JoinSpec)
    return front


def _most(spec: AcceleratorSpec, stream: StreamSpec) -> int:
    """Return more beats than a queue ever has to hold: two frames of them."""
    return 2 * _front(spec, stream).port_beats(stream.port)


def _without_longest(spec: AcceleratorSpec) -> tuple[StreamSpec, ...]:
    """Return the streams, with no more than a turn's room on the longest way to each join."""
    flow = Flow(spec, 1)
    flow.solve()
    streams = list(spec.streams)
    for k, stage in enumerate(spec.stages):
        into = [s for s, stream in enumerate(streams) if stream.sink == k and stream.queue]
        if not into:
            continue
        longest = max(into, key=lambda s: _lateness(flow, s))
        front = stage.buffer
        assert isinstance(front, JoinSpec)
        # In turn, beats also wait while the other ports have theirs.
        room = front.turns[streams[longest].port] if front.turns else 0
        streams[longest] = replace(streams[longest], queue=room)
    return tuple(streams)


def _lateness(flow: Flow, s: int) -> float:
    """Return the time, in cycles, at which a stream has brought what an issue needs, on average."""
    stream = flow.spec.streams[s]
    front = _front(flow.spec, stream)
    taken = front.takes(stream.port)
    if front.turns:
        return float(flow.brought(s).mean())
    latest = np.searchsorted(taken, np.arange(front.cycles), side="right") - 1
    return float(flow.brought(s)[latest].mean())


def _steady(spec: AcceleratorSpec, limit: int) -> Flow:
    """Return the solved schedule of as many frames as it takes to become steady."""
    flow = Flow(spec, 4 + ceil(timing.latency(spec) / limit))
    flow.solve()
    return flow


def _interval(flow: Flow) -> int:
    beats = flow.spec.output_beats
    return int(flow.sent[-1] - flow.sent[-1 - beats])


def _deeper(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Return an accelerator in which everything that is held back has more room."""
    stages = []
    for stage in spec.stages:
        b = stage.buffer
        if not isinstance(b, JoinSpec):
            b = replace(b, depth=b.depth * 2)
        stages.append(replace(stage, buffer=b, queue_depth=stage.queue_depth * 2))
    return replace(spec, stages=tuple(stages))


def _measured(flow: Flow, s: int) -> StreamSpec:
    """Return a stream whose queue has room for the most beats that it ever holds."""
    stream = flow.spec.streams[s]
    if not stream.queue:
        return stream
    entered, left = flow.brought(s), flow.taken(s)
    return replace(stream, queue=most_held(entered, left))


def most_held(entered: Ints, left: Ints) -> int:
    """Return the room, in beats, with which a queue is never full when a beat enters.

    The room of a beat that leaves counts from the next cycle on.
    """
    held = np.arange(len(entered)) + 1 - np.searchsorted(left, entered, side="left")
    return max(1, int(held.max()))
