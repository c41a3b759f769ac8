"""What each pass did, from the imported network to the hardware: a few lines a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import ndiff
from typing import NamedTuple

from xnorflow import ir
from xnorflow.graph.ops import Graph, Op
from xnorflow.lower import lowering_steps
from xnorflow_hw.spec import AcceleratorSpec, StageSpec


class PassReport(NamedTuple):
    """What a pass did.

    Parameters
    ----------
    name : str
        The pass.
    what : str
        What it is for, or how much it made.
    changes : tuple of str
        What it changed, a line each; of operations, "+" marks new ones and "-" those that are gone.
    """

    name: str
    what: str
    changes: tuple[str, ...]


def lowering_passes(graph: Graph) -> Iterator[PassReport]:
    """Lower an imported network and report every step.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the network has no exact integer form.
    """
    before: list[str] = []
    for name, made in lowering_steps(graph):
        if isinstance(made, Graph):
            lines = [_operation(op) for op in made.ops]
            yield PassReport(name, f"{len(lines)} operations", _changes(before, lines))
        else:
            lines = [_layer(*step) for step in made]
            yield PassReport(name, f"{len(lines)} integer layers", tuple(f"+ {x}" for x in lines))
        before = lines


class HardwareWatch:
    """Collects reports of the passes of `xnorflow.plan.hardware_passes.accelerator`."""

    def __init__(self) -> None:
        self.reports: list[PassReport] = []

    def __call__(
        self, name: str, decides: str, before: AcceleratorSpec | None, after: AcceleratorSpec
    ) -> None:
        """Report one pass."""
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
    """Describe what passes decide of a stage."""
    a, b = stage.array, stage.buffer
    found = {"array": a.size}
    if a.form is not None:
        found["sums"] = a.form
    if a.rom is not None:
        tiles = f" in {len(a.rom.tiles)} tiles" if len(a.rom.tiles) > 1 else ""
        found[f"weights {a.weight_words} x {a.word_bits}"] = f"{a.rom.storage}{tiles}"
    found["buffer"] = f"{b.depth} x {b.word_bits} {b.ram}"
    found["queue"] = str(stage.queue_depth)
    for k, tail in enumerate(stage.tails):
        found[f"tail {k + 1}" if k else "tail"] = tail.rom.storage
    return found
