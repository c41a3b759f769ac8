"""Pieces of a branching graph: chains of operations, and the joins between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.join_ops import AddMapOp, JoinOp, OrderOp, StretchOp
from xnorflow.ir import FRAME, Features
from xnorflow.ir.alphabet import UINT8
from xnorflow.lower.fixed_point import FixedPoint, Range, quantiser
from xnorflow.lower.host_quantiser import quantise_on_host
from xnorflow.lower.passes import Shape, output_shape

BETWEEN = (JoinOp, AddMapOp, OrderOp, StretchOp)
"""Operations that stand between two chains."""


def branches(graph: g.Graph) -> bool:
    """Return whether a graph is more than one chain of operations."""
    return not graph.chain or any(isinstance(op, BETWEEN) for op in graph.ops)


@dataclass(frozen=True, eq=False)
class Piece:
    """A chain of operations, or a single one of `BETWEEN`.

    Parameters
    ----------
    ops : tuple of Op
        Without names and inputs.
    sources : tuple of str
        Values that it reads; `FRAME` is the input.
    value : str
        Name of the value that it makes.
    place : int
        Place of the value among those of the graph; 0 is the graph's input.
    """

    ops: tuple[g.Op, ...]
    sources: tuple[str, ...]
    value: str
    place: int

    @property
    def between(self) -> g.Op | None:
        """The operation that stands between two chains; None for a chain."""
        return self.ops[0] if len(self.ops) == 1 and isinstance(self.ops[0], BETWEEN) else None


@dataclass(frozen=True, eq=False)
class Pieces:
    """A branching graph in pieces.

    Parameters
    ----------
    graph : Graph
        All but its operations counts.
    pieces : tuple of Piece
        In order of execution.
    ends : tuple of str
        Value of each of the graph's outputs, or of the only one.
    """

    graph: g.Graph
    pieces: tuple[Piece, ...]
    ends: tuple[str, ...]

    @property
    def readers(self) -> Counter[str]:
        """How many pieces and outputs read each value."""
        return Counter([s for p in self.pieces for s in p.sources] + list(self.ends))

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of every value.

        Raises
        ------
        UnsupportedModel
            If maps that are joined do not fit.
        """
        found: dict[str, Shape] = {FRAME: self.graph.shape}
        for piece in self.pieces:
            shapes = [found[s] for s in piece.sources]
            if piece.between is not None:
                found[piece.value] = shape_between(piece.between, *shapes)
                continue
            shape = shapes[0]
            for op in piece.ops:
                shape = output_shape(op, shape)
            found[piece.value] = shape
        return found

    def chain(self, piece: Piece, shape: Shape) -> g.Graph:
        """Return a piece as a graph of its own, which reads a map of `shape`."""
        scale = self.graph.input_scale if piece.sources[0] == FRAME else InputScale()
        return replace(
            self.graph, shape=shape, ops=piece.ops, outputs=(), notes=(), input_scale=scale
        )

    def assembled(self) -> g.Graph:
        """Return the graph of all pieces."""
        ops: list[g.Op] = []
        renamed = {FRAME: FRAME}
        for piece in self.pieces:
            inputs = tuple(renamed[s] for s in piece.sources)
            if not piece.ops:
                renamed[piece.value] = inputs[0]
                continue
            renamed[piece.value] = piece.value
            own = list(piece.ops)
            own[0] = replace(own[0], inputs=inputs)
            own[-1] = replace(own[-1], name=piece.value)
            ops += own
        outputs = tuple(
            replace(o, value=renamed[v])
            for o, v in zip(self.graph.outputs, self.ends, strict=bool(self.graph.outputs))
        )
        if any(renamed[end] == FRAME for end in self.ends):
            raise UnsupportedModel(
                "one of its outputs is its input.", node=self.graph.name, hint="other outputs."
            )
        if not outputs and ops[-1].name != renamed[self.ends[0]]:
            # The output is what the last operation makes.
            last = next(k for k, op in enumerate(ops) if op.name == renamed[self.ends[0]])
            ops = ops[: last + 1]
        return replace(self.graph, ops=tuple(ops), outputs=outputs)


def shape_between(op: g.Op, *shapes: Shape) -> Shape:
    """Return the shape of what one of `BETWEEN` makes."""
    try:
        match op:
            case JoinOp():
                return op.output_shape(*shapes)
            case AddMapOp():
                found: Shape = np.broadcast_shapes(shapes[0], op.value.shape)
                if found != shapes[0]:
                    raise ValueError(f"a constant of {op.value.shape} does not fit {shapes[0]}")
                return found
            case OrderOp():
                return shapes[0]
            case StretchOp():
                return op.layer.output(Features(*shapes[0], UINT8)).shape
    except ValueError as e:
        raise UnsupportedModel(
            f"its inputs of {', '.join(map(str, shapes))} do not fit: {e}.",
            node=op.node,
            op=op.op,
            hint="maps of the same size, of one pixel, or of one channel.",
        ) from e
    raise UnsupportedModel("there is no integer form of this operation.", node=op.node, op=op.op)


def cut(graph: g.Graph) -> Pieces:
    """Cut a graph into pieces; what no output depends on is left out."""
    made = {op.name: k for k, op in enumerate(graph.ops) if op.name}
    ends = [made[o.value] for o in graph.outputs] or [len(graph.ops) - 1]
    needed, waiting = set(ends), list(ends)
    while waiting:
        for at in graph.reads[waiting.pop()]:
            if at >= 0 and at not in needed:
                needed.add(at)
                waiting.append(at)
    readers = Counter([at for k in needed for at in graph.reads[k]] + ends)
    names = [FRAME] * (len(graph.ops) + 1)  # The input's comes last, at -1.
    taken = set(made)
    for k, op in enumerate(graph.ops):
        name = op.name or f"value{k}"
        while not op.name and name in taken:
            name += "_"
        taken.add(name)
        names[k] = name
    found: list[list[g.Op]] = []
    sources: list[tuple[str, ...]] = []
    last: list[int] = []
    of: dict[int, int] = {}
    for k in sorted(needed):
        op = replace(graph.ops[k], name="", inputs=())
        reads = graph.reads[k]
        before = reads[0]
        follows = before in of and readers[before] == 1
        if not isinstance(op, BETWEEN) and follows:
            at = of[before]
            if not isinstance(found[at][0], BETWEEN):
                found[at].append(op)
                last[at], of[k] = k, at
                continue
        of[k] = len(found)
        found.append([op])
        sources.append(tuple(names[at] for at in reads))
        last.append(k)
    pieces = tuple(
        Piece(tuple(ops), reads, names[k], k + 1)
        for ops, reads, k in zip(found, sources, last, strict=True)
    )
    return Pieces(graph, pieces, tuple(names[k] for k in ends))


def lifted(step: Callable[[g.Graph], g.Graph]) -> Callable[[g.Graph], g.Graph]:
    """Return a pass over chains as one over all graphs, which acts on each chain of a graph."""

    def whole(graph: g.Graph) -> g.Graph:
        if not branches(graph):
            return step(graph)
        whole = cut(graph)
        shapes = whole.shapes()
        pieces = [
            p
            if p.between is not None
            else replace(p, ops=step(whole.chain(p, shapes[p.sources[0]])).ops)
            for p in whole.pieces
        ]
        for piece in pieces:
            if isinstance(piece.between, AddMapOp) and not np.isfinite(piece.between.value).all():
                raise UnsupportedModel(
                    "its constant holds NaN or infinity.",
                    node=piece.between.node,
                    op=piece.between.op,
                    hint="finite parameters.",
                )
        return replace(whole, pieces=tuple(pieces)).assembled()

    whole.__name__ = getattr(step, "__name__", "")
    return whole


def host_quantised(graph: g.Graph) -> g.Graph:
    """Move the input's quantiser of a branching graph to the host, if it takes float samples.

    Raises
    ------
    UnsupportedModel
        As `quantise_on_host`, or if several operations read the input.
    """
    if not graph.takes_floats:
        return graph
    whole = cut(graph)
    at = [k for k, p in enumerate(whole.pieces) if FRAME in p.sources]
    first = whole.pieces[at[0]]
    if len(at) > 1 or first.between is not None:
        raise UnsupportedModel(
            "several operations read the network's float input, which no quantiser precedes.",
            node=first.ops[0].node,
            op=first.ops[0].op,
            hint="a quantiser as the first layer, or integer samples.",
        )
    made = quantise_on_host(whole.chain(first, graph.shape))
    pieces = list(whole.pieces)
    pieces[at[0]] = replace(first, ops=made.ops)
    graph = replace(
        graph, input_scale=made.input_scale, samples=made.samples, takes_floats=made.takes_floats
    )
    return replace(whole, graph=graph, pieces=tuple(pieces)).assembled()


def quantise_input(graph: g.Graph, bits: int, seen: Range) -> g.Graph:
    """Let the host round float samples that the network does not quantise itself."""
    scale, alphabet = FixedPoint(bits, (seen,)).grid(0)
    return behind_input(graph, quantiser(scale, alphabet, graph.name))


def behind_input(graph: g.Graph, op: g.Op) -> g.Graph:
    """Return a graph in which `op` stands between the input and all that reads it."""
    if not branches(graph):
        return replace(graph, ops=(op, *graph.ops))
    name = _unused(graph)
    ops = tuple(_redirected(graph, name))
    return replace(graph, ops=(replace(op, name=name, inputs=(FRAME,)), *ops))


def _unused(graph: g.Graph) -> str:
    name, taken = "input", {op.name for op in graph.ops}
    while name in taken:
        name += "_"
    return name


def _redirected(graph: g.Graph, name: str) -> Iterator[g.Op]:
    for k, op in enumerate(graph.ops):
        reads = op.inputs or ((FRAME,) if k == 0 else ())
        yield replace(op, inputs=tuple(name if r == FRAME else r for r in reads))
