"""Compute the lower bound of the initiation interval."""

from __future__ import annotations

from xnorflow.schedule.regrouping import gearbox_cycles
from xnorflow_hw.spec import AcceleratorSpec


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
    names = [*(f"{s.name} input" for s in spec.stages), "output"]
    for name, box, elements in zip(names, spec.gearboxes, elements_per_frame(spec), strict=True):
        candidates.append((gearbox_cycles(box, elements), name))
    return max(candidates, key=lambda c: c[0])


def elements_per_frame(spec: AcceleratorSpec) -> list[int]:
    """Return the number of elements per frame that pass each gearbox."""
    passed = [
        s.buffer.height * s.buffer.width * g.group_out
        for s, g in zip(spec.stages, spec.gearboxes, strict=False)
    ]
    return [*passed, spec.classes]
