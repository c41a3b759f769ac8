"""Report in a few lines what each pass did, from the imported network to the hardware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import ndiff
from typing import NamedTuple

from xnorflow import ir
from xnorflow.graph.ops import Graph, Op
from xnorflow.lower import lowering_steps
from xnorflow.lower.fixed_point import FixedPoint
from xnorflow_hw.spec import AcceleratorSpec, MacSpec, StageSpec


class PassReport(NamedTuple):
    """Report of a pass.

    Parameters
    ----------
    name : str
        Name of the pass.
    what : str
        Purpose of the pass, or the size of its result.
    changes : tuple of str
        A line for each change; before an operation, "+" means that it is new and "-" that it is
        gone.
    """

    name: str
    what: str
    changes: tuple[str, ...]


def lowering_passes(graph: Graph, fixed: FixedPoint | None = None) -> Iterator[PassReport]:
    """Lower an imported network, and yield a report of every step.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the network has no exact integer form.
    """
    before: list[str] = []
    for name, made in lowering_steps(graph, fixed):
        if isinstance(made, Graph):
            lines = [_operation(op) for op in made.ops]
            yield PassReport(name, f"{len(lines)} operations", _changes(before, lines))
        else:
            lines = [_layer(*step) for step in made]
            yield PassReport(name, f"{len(lines)} integer layers", tuple(f"+ {x}" for x in lines))
        before = lines


class HardwareWatch:
    """Collector of reports of the passes of `xnorflow.plan.hardware_passes.accelerator`.

    Attributes
    ----------
    reports : list of PassReport
        Reports so far, in the order of the passes.
    """

    def __init__(self) -> None:
        self.reports: list[PassReport] = []

    def __call__(
        self, name: str, decides: str, before: AcceleratorSpec | None, after: AcceleratorSpec
    ) -> None:
        """Add the report of a pass; the accelerator calls this after each one."""
        changes = []
        for k, stage in enumerate(after.stages):
            new = _stage(stage)
            old = {} if before is None else _stage(before.stages[k])
            changed = [
                f"{what} {old[what]} -> {value}" if what in old else f"{what} {value}"
                for what, value in new.items()
                if old.get(what) != value
            ]
            if changed:
                changes.append(f"{stage.name}: {', '.join(changed)}")
        self.reports.append(PassReport(name, decides, tuple(changes)))


def _changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in ndiff(before, after) if line[0] in "+-")


def _operation(op: Op) -> str:
    name = type(op).__name__.removesuffix("Op")
    return f"{name} of {op.op} {op.node}" if op.node else name


def _layer(layer: ir.Layer, inp: ir.Features, out: ir.Features) -> str:
    shape = " x ".join(map(str, out.shape))
    return f"{layer.name}: {layer.kind}, {shape} of {out.alphabet}"


def _stage(stage: StageSpec) -> dict[str, str]:
    """Return, by name, everything about a stage that passes decide, as text."""
    a, b = stage.array, stage.buffer
    found = {"array": a.size}
    if a.form is not None:
        found["sums"] = a.form
    if isinstance(a, MacSpec):
        found["products"] = a.multiplier
    if a.rom is not None:
        tiles = f" in {len(a.rom.tiles)} tiles" if len(a.rom.tiles) > 1 else ""
        found[f"weights {a.weight_words} x {a.word_bits}"] = f"{a.rom.storage}{tiles}"
    found["buffer"] = f"{b.depth} x {b.word_bits} {b.ram}"
    found["queue"] = str(stage.queue_depth)
    for k, tail in enumerate(stage.tails):
        found[f"tail {k + 1}" if k else "tail"] = tail.rom.storage
    return found
