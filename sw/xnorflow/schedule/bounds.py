"""Compute the lower bound of the initiation interval."""

from __future__ import annotations

from xnorflow.schedule.regrouping import gearbox_cycles
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, JoinSpec, StreamSpec, StretchSpec


def bound(spec: AcceleratorSpec) -> tuple[int, str]:
    """Compute the lower bound of the initiation interval.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose depths are ignored.

    Returns
    -------
    cycles : int
        Cycles per frame that the busiest part needs.
    part : str
        That part: a stage, a stage's input, "input" or "output".
    """
    candidates = [(spec.input.beats, "input"), (spec.output_beats, "output")]
    candidates += [(s.buffer.cycles, s.name) for s in spec.stages]
    for stream, elements in zip(spec.streams, elements_per_frame(spec), strict=True):
        candidates.append((gearbox_cycles(stream.box, elements), stream_name(spec, stream)))
    return max(candidates, key=lambda c: c[0])


def stream_name(spec: AcceleratorSpec, stream: StreamSpec) -> str:
    """Return the name of a stream: that of the input or of the output that it leads to."""
    if stream.sink == len(spec.stages):
        return "output"
    number = f" {stream.port}" if stream.port else ""
    return f"{spec.stages[stream.sink].name} input{number}"


def elements_per_frame(spec: AcceleratorSpec) -> list[int]:
    """Return the number of elements per frame that pass the gearbox of each stream."""
    return [_pixels(spec, stream) * stream.box.group_out for stream in spec.streams]


def _pixels(spec: AcceleratorSpec, stream: StreamSpec) -> int:
    """Return the groups per frame that arrive at the sink of a stream."""
    if stream.sink == len(spec.stages):
        return spec.classes // stream.box.group_out
    match spec.stages[stream.sink].buffer:
        case BufferSpec() | StretchSpec() as b:
            return b.height * b.width
        case JoinSpec() as join:
            return join.port_beats(stream.port) // join.ports[stream.port].words
        case other:
            raise TypeError(f"no elements for a front of type {type(other).__name__}")
