"""Report in a few lines what each pass did, from the imported network to the hardware."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import ndiff
from typing import NamedTuple, assert_never

from xnorflow import ir
from xnorflow.graph.ops import Graph, Op
from xnorflow.lower import lowering_steps
from xnorflow.lower.fixed_point import FixedPoint
from xnorflow.merge.merging import merging_steps
from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    DotSpec,
    EdgeSpec,
    JoinSpec,
    MacSpec,
    StageSpec,
    StreamSpec,
    StretchSpec,
)


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


def lowering_passes(
    graph: Graph, fixed: FixedPoint | None = None, *, merge: bool = True
) -> Iterator[PassReport]:
    """Lower an imported network and merge its layers, and yield a report of every step.

    Parameters
    ----------
    graph : Graph
        As the frontend read it.
    fixed : FixedPoint, optional
        Fixed point for what has no exact integer form.
    merge : bool
        Whether layers are merged.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the network has no exact integer form.
    """
    before: list[str] = []
    for name, made in lowering_steps(graph, fixed):
        if isinstance(made, Graph):
            lines = [_operation(op, made) for op in made.ops]
            yield PassReport(name, f"{len(lines)} operations", _changes(before, lines))
        else:
            lines = _layers(made)
            yield PassReport(name, _count(made), tuple(f"+ {x}" for x in lines))
            if merge:
                yield from merging_passes(made)
        before = lines


def merging_passes(net: ir.IntegerNetwork) -> Iterator[PassReport]:
    """Merge the layers of a network that was lowered, and yield a report of every pass."""
    before = _layers(net)
    for step, made in merging_steps(net):
        lines = _layers(made)
        yield PassReport(step.name, f"{step.does}; {_count(made)}", _changes(before, lines))
        before = lines


def _count(net: ir.LayerGraph) -> str:
    return f"{len(net.layers)} integer layers"


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
        changes += _queues(before, after)
        self.reports.append(PassReport(name, decides, tuple(changes)))


def _queues(before: AcceleratorSpec | None, after: AcceleratorSpec) -> list[str]:
    """Return a line for each stream whose queue a pass has changed."""
    names = ["input", *(stage.name for stage in after.stages), "output"]
    changes = []
    for k, stream in enumerate(after.streams):
        old = "none" if before is None else _queue(before.streams[k])
        new = _queue(stream)
        if new != old:
            changed = f"queue {new}" if old == "none" else f"queue {old} -> {new}"
            changes.append(f"{names[stream.source]} -> {names[stream.sink + 1]}: {changed}")
    return changes


def _queue(stream: StreamSpec) -> str:
    if not stream.queue:
        return "none"
    return f"{stream.queue} x {stream.box.bits * stream.box.lanes_out} {stream.ram}"


def _changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in ndiff(before, after) if line[0] in "+-")


def _operation(op: Op, graph: Graph) -> str:
    name = type(op).__name__.removesuffix("Op")
    text = f"{name} of {op.op} {op.node}" if op.node else name
    if op.inputs and not graph.chain:
        text += f" reads {', '.join(read or 'the frame' for read in op.inputs)}"
    return f"{op.name}: {text}" if op.name and not graph.chain else text


def _reads(net: ir.LayerGraph) -> list[str]:
    """Return, for each layer, what it reads in words; empty where it reads the map before it."""
    names = ["the frame", *(layer.name for layer in net.layers)]
    return [
        "" if maps == (k,) else f", reads {', '.join(names[at] for at in maps)}"
        for k, maps in enumerate(net.reads)
    ]


def _layers(net: ir.LayerGraph) -> list[str]:
    """Return a line for each layer."""
    return [_layer(*step) + read for step, read in zip(net, _reads(net), strict=True)]


def _layer(layer: ir.Layer, inp: ir.Features, out: ir.Features) -> str:
    shape = " x ".join(map(str, out.shape))
    return f"{layer.name}: {layer.kind}, {shape} of {out.alphabet}"


def _stage(stage: StageSpec) -> dict[str, str]:
    """Return, by name, everything about a stage that passes decide, as text."""
    a, b = stage.array, stage.buffer
    found = {"array": a.size}
    if isinstance(a, DotSpec):
        found["sums"] = a.sums
    if isinstance(a, MacSpec):
        found["products"] = a.multiplier
    if isinstance(a, EdgeSpec):
        found["edges"] = f"{a.edges}, {a.parts} factors of {a.factor_bits} bits each"
    if a.rom is not None:
        tiles = f" in {len(a.rom.tiles)} tiles" if len(a.rom.tiles) > 1 else ""
        found[f"weights {a.weight_words} x {a.word_bits}"] = f"{a.rom.storage}{tiles}"
    match b:
        case BufferSpec() | StretchSpec():
            found["buffer"] = f"{b.depth} x {b.word_bits} {b.ram}"
        case JoinSpec():
            if len(b.ports) > 1:
                found["joins"] = f"{len(b.ports)} maps {'in turn' if b.turns else 'together'}"
        case _:
            assert_never(b)
    found["queue"] = str(stage.queue_depth)
    for k, tail in enumerate(stage.tails):
        found[f"tail {k + 1}" if k else "tail"] = tail.rom.storage
    return found
