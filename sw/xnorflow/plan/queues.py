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

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule import bounds, timing
from xnorflow.schedule.flow import Flow
from xnorflow.schedule.latest import most_held
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
        return _roomy(spec, joined, 0)
    one = Flow(_roomy(spec, joined, 1), 1)
    one.solve()
    limit, alone = bounds.bound(spec)[0], int(one.sent[-1])
    # As many frames as it takes to become steady; none of their beats finds a queue full.
    frames = timing.filling_frames(spec, alone)
    roomy = _roomy(spec, joined, frames).streams
    streams, longest = _without_longest(one, roomy)
    for attempt in range(ROUNDS):
        # Too little room on the longest ways may also lock the accelerator up.
        flow = timing.steady_within(replace(spec, streams=streams), frames, alone)
        if flow is not None and timing.interval(flow) <= limit:
            break
        streams = tuple(
            replace(stream, queue=max(2, 2 * stream.queue)) if s in longest else stream
            for s, stream in enumerate(streams)
        )
        if attempt:
            spec = _deeper(spec)
    else:
        flow = timing.steady(replace(spec, streams=roomy), frames)
    stages = flow.spec.stages
    return replace(
        spec, stages=stages, streams=tuple(_measured(flow, s) for s in range(len(streams)))
    )


def _roomy(spec: AcceleratorSpec, joined: list[bool], frames: int) -> AcceleratorSpec:
    """Return the hardware with queues that hold so many frames where `joined` says so."""
    streams = [
        replace(stream, queue=frames * _front(spec, stream).port_beats(stream.port) if join else 0)
        for stream, join in zip(spec.streams, joined, strict=True)
    ]
    return replace(spec, streams=tuple(streams))


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


def _without_longest(
    flow: Flow, roomy: tuple[StreamSpec, ...]
) -> tuple[tuple[StreamSpec, ...], set[int]]:
    """Return streams with little room on the longest way to each join, and which these are.

    If several ways are equally long, none of them needs a queue.

    Parameters
    ----------
    flow : Flow
        Solved schedule of one frame.
    roomy : tuple of StreamSpec
        Streams with more room than any needs.
    """
    streams, found = list(roomy), set[int]()
    for k, stage in enumerate(flow.spec.stages):
        into = [s for s, stream in enumerate(streams) if stream.sink == k and stream.queue]
        if not into:
            continue
        front = stage.buffer
        assert isinstance(front, JoinSpec)
        late = {s: _needed(flow, s) for s in into}
        last = max(into, key=lambda s: float(late[s].mean()))
        if front.turns:
            # In turn, beats also wait while the other ports have theirs.
            streams[last] = replace(streams[last], queue=max(2, front.turns[streams[last].port]))
            found.add(last)
            continue
        for s in into:
            if np.array_equal(late[s], late[last]):
                streams[s] = replace(streams[s], queue=0)
                found.add(s)
    return tuple(streams), found


def _needed(flow: Flow, s: int) -> Ints:
    """Return the times, in cycles, at which a stream has brought what each issue needs.

    In turn, they are those of its own beats.
    """
    stream = flow.spec.streams[s]
    front = _front(flow.spec, stream)
    if front.turns:
        return flow.brought(s)
    latest = np.searchsorted(front.takes(stream.port), np.arange(front.cycles), side="right") - 1
    return flow.brought(s)[latest]


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
