"""Predict initiation interval and latency."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xnorflow.schedule.bounds import bound
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec


@dataclass(frozen=True)
class Timing:
    """Predicted times, in cycles.

    Parameters
    ----------
    ii : int
        Initiation interval: cycles between the last output beats of two frames in steady state.
    bound : int
        Lower bound of the interval: beats of the busiest stage, or of the input or output stream.
    latency : int
        From a frame's first input beat to its last output beat, pipeline empty before.
    last_out : tuple of int
        Cycle of each frame's last output beat, counted from the first input beat.
    busiest : str
        What sets the bound.
    """

    ii: int
    bound: int
    latency: int
    last_out: tuple[int, ...]
    busiest: str


def latency(spec: AcceleratorSpec) -> int:
    """Predict the cycles from a frame's first input beat to its last output beat, alone."""
    return _last_minus_first(Flow(spec, 1))


def _last_minus_first(flow: Flow) -> int:
    flow.solve()
    return int(flow.sent[-1] - flow.accepts[0])


def predict(spec: AcceleratorSpec, frames: int = 5) -> Timing:
    """Predict interval and latency, from `frames` frames back to back at full speed."""
    limit, busiest = bound(spec)
    flow = Flow(spec, frames)
    flow.solve()
    ends = flow.sent[spec.output_beats - 1 :: spec.output_beats]
    return Timing(
        ii=int(ends[-1] - ends[-2]),
        bound=limit,
        latency=latency(spec),
        last_out=tuple(int(e) for e in ends),
        busiest=busiest,
    )


def latency_bound(spec: AcceleratorSpec) -> tuple[int, int]:
    """Give what a frame's latency is made of, in cycles: its data, and pipelines.

    The first is when the last score could be there if every engine answered at once and had all
    the space that it wants: the chain of the last input that each output needs. The second is the
    depth of all pipelines; a chain passes each of them at most once, so the sum bounds the latency
    of a design in which nothing waits for space.
    """
    ample = tuple(
        replace(
            s,
            buffer=replace(
                s.buffer, depth=2 * s.buffer.height * s.buffer.row_places * s.buffer.place_words
            ),
            queue_depth=s.buffer.results,
        )
        for s in spec.stages
    )
    flow = Flow(replace(spec, stages=ample), 1)
    pipelines = sum(stage.latency for stage in flow._stages)
    for stage in flow._stages:
        stage.latency = 0
    return _last_minus_first(flow), pipelines
