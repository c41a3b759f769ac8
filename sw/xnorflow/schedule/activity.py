"""Compute when each stage of an accelerator works on each frame, for pictures of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec


@dataclass(frozen=True)
class Activity:
    """The time that a stage spends on a frame, in cycles from the first input beat of all frames.

    Parameters
    ----------
    stage : str
        Name of the stage.
    frame : int
        Number of the frame, counted from 0.
    fills : int
        Cycle in which its first input beat arrives.
    begins, ends : int
        Cycles of the first beat of its array that reads an input, and of the last one.
    """

    stage: str
    frame: int
    fills: int
    begins: int
    ends: int


def activities(spec: AcceleratorSpec, frames: int) -> tuple[Activity, ...]:
    """Compute when each stage works on each of some frames that come without a pause.

    Parameters
    ----------
    spec : AcceleratorSpec
        Complete hardware.
    frames : int
        Number of frames.

    Returns
    -------
    tuple of Activity
        Stage by stage in the order of the network, within each frame by frame.
    """
    flow = Flow(spec, frames)
    flow.solve()
    found = []
    for k, stage in enumerate(spec.stages):
        beats, times = flow.issues(k)
        arrivals = [
            flow.taken(s).reshape(frames, -1)[:, 0]
            for s, stream in enumerate(spec.streams)
            if stream.sink == k
        ]
        frame_of = beats // stage.buffer.cycles
        for frame in range(frames):
            own = times[frame_of == frame]
            found.append(
                Activity(
                    stage.name,
                    frame,
                    int(min(arrived[frame] for arrived in arrivals)),
                    int(own[0]),
                    int(own[-1]),
                )
            )
    return tuple(found)
