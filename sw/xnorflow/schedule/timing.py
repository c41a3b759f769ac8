"""Predict the initiation interval and the latency of an accelerator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from xnorflow.schedule.bounds import bound, elements_per_frame
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, FrontSpec, JoinSpec, StretchSpec

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
        The interval is the one between the answers to the last two, or, should that be shorter
        than its bound, between later ones.

    Returns
    -------
    Timing
        Interval, latency, and the cycle of every answer.
    """
    limit, busiest = bound(spec)
    flow = steady(spec, frames)
    ends = flow.sent[spec.output_beats - 1 :: spec.output_beats].tolist()
    return Timing(
        ii=ends[-1] - ends[-2],
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
    an interval that is shorter than its bound will not last.
    """
    flow = Flow(spec, frames)
    flow.solve()
    return flow if _lasts(flow) else steady(spec, 2 * frames)


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
    flow = Flow(spec, frames)
    most = PATIENCE * (alone + frames * bound(spec)[0])
    if not flow.solve(np.full(spec.output_beats * frames, most)):
        return None
    return flow if _lasts(flow) else steady_within(spec, 2 * frames, alone)


def _lasts(flow: Flow) -> bool:
    """Return whether the last interval is no shorter than its bound."""
    apart = flow.sent[-1] - flow.sent[-1 - flow.spec.output_beats]
    return bool(apart >= bound(flow.spec)[0])


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
