"""Predict the initiation interval and the latency of an accelerator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule.bounds import bound, elements_per_frame
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, FrontSpec, JoinSpec, StretchSpec

WINDOW = 4
"""Most intervals between answers that are looked at."""
PATIENCE = 2
"""Times that frames may take what they take at full speed, before their schedule is given up."""


@dataclass(frozen=True)
class Timing:
    """Predicted times of an accelerator.

    Parameters
    ----------
    ii : int
        Initiation interval: cycles between the last output beats of two frames in steady state.
    bound : int
        Lower bound of the interval in cycles, set by the busiest stage, gearbox or stream.
    latency : int
        Cycles from a frame's first input beat to its last output beat, if the pipeline was empty.
    last_out : tuple of int
        Cycle of each frame's last output beat, counted from the first input beat of all.
    busiest : str
        Name of the part that sets the bound.
    """

    ii: int
    bound: int
    latency: int
    last_out: tuple[int, ...]
    busiest: str


def latency(spec: AcceleratorSpec) -> int:
    """Predict the latency of a single frame: cycles from its first input to its last output beat.

    Parameters
    ----------
    spec : AcceleratorSpec
        Complete hardware.
    """
    return _last_minus_first(Flow(spec, 1))


def _last_minus_first(flow: Flow) -> int:
    flow.solve()
    return int(flow.sent[-1] - flow.accepts[0])


def predict(spec: AcceleratorSpec, frames: int = 5) -> Timing:
    """Predict, to the cycle, when an accelerator answers frames that come without a pause.

    Parameters
    ----------
    spec : AcceleratorSpec
        Complete hardware.
    frames : int
        Number of frames, at least 2, that are sent back to back to a receiver that never stalls.
        The interval is the mean of those between the last answers, or, should they differ or be
        shorter than the bound, between later ones; it is rounded up.

    Returns
    -------
    Timing
        Interval, latency, and the cycle of every answer.
    """
    limit, busiest = bound(spec)
    flow = steady(spec, frames)
    ends = flow.sent[spec.output_beats - 1 :: spec.output_beats].tolist()
    return Timing(
        ii=interval(flow),
        bound=limit,
        latency=latency(spec),
        last_out=tuple(ends[:frames]),
        busiest=busiest,
    )


def filling_frames(spec: AcceleratorSpec, latency: int) -> int:
    """Return how many frames fill an accelerator of this latency, in cycles, and four more."""
    return 4 + ceil(latency / bound(spec)[0])


def steady(spec: AcceleratorSpec, frames: int) -> Flow:
    """Return the solved schedule of so many frames, or of more until the interval is steady.

    Frames that have waited inside may follow each other faster than the busiest part can go on; so
    intervals that are shorter than their bound will not last. Should the last intervals differ, the
    schedule of twice as many frames shows whether they go on like this.
    """
    flow = _steady(spec, frames, None)
    assert flow is not None  # Nothing limits its times.
    return flow


def steady_within(spec: AcceleratorSpec, frames: int, alone: int) -> Flow | None:
    """Return the schedule as `steady` does, or nothing if it takes far too long or locks up.

    The times of an accelerator that locks up grow without end; they are not computed beyond
    `PATIENCE` times what the frames take at full speed.

    Parameters
    ----------
    spec : AcceleratorSpec
        Complete hardware.
    frames : int
        Number of frames, at least 2.
    alone : int
        Cycles until the answer to a frame alone.
    """
    return _steady(spec, frames, alone)


def _steady(spec: AcceleratorSpec, frames: int, alone: int | None) -> Flow | None:
    """Return the schedule of `steady`, or of `steady_within` if `alone` is given."""
    more, latest = frames, None
    while True:
        flow = Flow(spec, more)
        if alone is not None:
            most = PATIENCE * (alone + more * bound(spec)[0])
            latest = np.full(spec.output_beats * more, most)
        if not flow.solve(latest):
            return None
        more = _frames_wanted(flow, frames)
        if more == flow.frames:
            return flow


def interval(flow: Flow) -> int:
    """Return the cycles from one answer to the next, the mean of the last ones rounded up."""
    last = _intervals(flow)
    return -(-int(last.sum()) // len(last))


def _intervals(flow: Flow) -> Ints:
    """Return the last intervals between answers, up to `WINDOW` of them."""
    return np.diff(flow.sent[:: -flow.spec.output_beats][WINDOW::-1])


def _frames_wanted(flow: Flow, frames: int) -> int:
    """Return how many frames it takes, given a schedule, until the interval is steady.

    `frames` are those that were asked for.
    """
    last = _intervals(flow)
    vary = flow.frames == frames and bool((last != last[-1]).any())
    fast = bool(last.mean() < bound(flow.spec)[0])
    return 2 * flow.frames if vary or fast else flow.frames


def ample(spec: AcceleratorSpec, frames: int) -> AcceleratorSpec:
    """Return an accelerator with all the space that so many frames can want.

    Streams without a queue get none.
    """
    stages = tuple(
        replace(s, buffer=_ample(s.buffer, frames), queue_depth=frames * s.buffer.results)
        for s in spec.stages
    )
    streams = tuple(
        replace(stream, queue=frames * elements) if stream.queue else stream
        for stream, elements in zip(spec.streams, elements_per_frame(spec), strict=True)
    )
    return replace(spec, stages=stages, streams=streams)


def _ample(front: FrontSpec, frames: int) -> FrontSpec:
    match front:
        case BufferSpec() as b:
            return replace(b, depth=(frames + 1) * b.height * b.row_places * b.place_words)
        case StretchSpec() as b:
            return replace(b, depth=(frames + 1) * b.frame_words)
        case JoinSpec():
            return front
        case other:
            raise TypeError(f"a front of type {type(other).__name__} has no depth")


def latency_bound(spec: AcceleratorSpec) -> tuple[int, int]:
    """Compute the two parts that a frame's latency is made of.

    Their sum bounds the latency of a design in which nothing waits for space, because the chain of
    events that leads to the last score passes each pipeline at most once.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose depths are ignored.

    Returns
    -------
    data : int
        Cycles until the last score if every engine answered at once and had all the space it
        wants: each output waits only for the last input that it needs.
    pipelines : int
        Cycles through the pipelines of all stages.
    """
    flow = Flow(replace(ample(spec, 1), scores=None), 1)
    pipelines = sum(stage.latency for stage in flow.stages)
    pipelines += sum(stream.queue > 0 for stream in spec.streams)
    if spec.scores is not None:
        pipelines += spec.scores.latency
    for stage in flow.stages:
        stage.latency = 0
    return _last_minus_first(flow), pipelines
