"""The walk along the pieces of a branching graph that writes the integer layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.join_ops import (
    AddMapOp,
    ConcatOp,
    MaximumOp,
    OrderOp,
    ProductOp,
    StretchOp,
    SumOp,
)
from xnorflow.lower.branches import write_concat, write_joins, write_order, write_stretches
from xnorflow.lower.branches.branch_pending import BranchPending, Value, Written
from xnorflow.lower.branches.common_unit import exact_unit
from xnorflow.lower.branches.operand import Operand, no_common_unit, rounded, whole
from xnorflow.lower.branches.segments import Piece, cut
from xnorflow.lower.branches.settle_operands import Branch, operand
from xnorflow.lower.branches.streams import units
from xnorflow.lower.branches.tidying import Layers
from xnorflow.lower.branches.write_outputs import write_outputs
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.fixed_point import FixedPoint
from xnorflow.lower.pending import Mark
from xnorflow.lower.write_layers import write_chain


def walk(
    graph: g.Graph, *, centred: bool = False, fixed: FixedPoint | None = None
) -> tuple[ir.IntegerNetwork, tuple[Mark, ...]]:
    """Write the layers of a tidy graph that branches; see `xnorflow.lower.write_layers.walk`."""
    walker = _Walker(graph, centred, fixed)
    for piece in walker.whole.pieces:
        walker.step(piece)
    return walker.finish()


class _Walker:
    """The values that are written already, and those whose only reader is to come."""

    def __init__(self, graph: g.Graph, centred: bool, fixed: FixedPoint | None) -> None:
        self.graph, self.whole = graph, cut(graph)
        self.written = Written(graph, centred, fixed, notes=list(graph.notes))
        self.readers, self.shapes = self.whole.readers, self.whole.shapes()
        self.places = {ir.FRAME: 0} | {p.value: p.place for p in self.whole.pieces}
        self.units: dict[str, float] = {}
        if fixed is not None:
            self.units = units(self.whole, fixed, self.places)
        self.values: dict[str, Value] = {ir.FRAME: self._frame()}
        self.open: dict[str, BranchPending] = {}
        self.made_by = {p.value: p for p in self.whole.pieces}

    def _frame(self) -> Value:
        graph, a = self.graph, self.graph.samples.alphabet
        channels = graph.shape[2]
        scale = graph.input_scale
        divided = (g.DivideOp(np.array(scale.divisor, np.float32)),) if scale.divisor else ()
        return Value(
            ir.FRAME,
            ir.Features(*graph.shape, a),
            Reach(np.full(channels, a.lo), np.full(channels, a.hi), a.step),
            np.array(1.0 if scale.divisor else np.float32(scale.factor), np.float64),
            divided,
            True,
            np.zeros(channels),
            False,
            0,
        )

    def _begin(self, value: str) -> BranchPending:
        """Return what goes on from a value."""
        found = self.open.pop(value, None)
        return Branch(self.written, self.values[value]) if found is None else found

    def step(self, piece: Piece) -> None:
        """Write a piece."""
        place = self.places[piece.value]
        op = piece.between
        if op is not None:
            made = self._between(piece, op)
            self.values[piece.value] = replace(made, at=place)
            return
        p = self._begin(piece.sources[0])
        entered = self.places[piece.sources[0]]
        first = place - len(piece.ops)
        places = [entered, *(first + k for k in range(1, len(piece.ops)))]
        write_chain(p, piece.ops, self.shapes[piece.sources[0]], places)
        p.at = place
        if self.readers[piece.value] > 1:
            self.values[piece.value] = p.close(place)
        else:
            self.open[piece.value] = p

    def _between(self, piece: Piece, op: g.Op) -> Value:
        """Write a join or a stretch."""
        given = [self.units.get(s) for s in piece.sources]
        made = self.units.get(piece.value)
        begun = [self._begin(s) for s in piece.sources]
        match op:
            case StretchOp():
                return write_stretches.stretch(begun[0], op, made)
            case OrderOp():
                return write_order.order(begun[0], op)
            case AddMapOp():
                return write_stretches.add_map(begun[0], op, made)
            case SumOp():
                return write_joins.total([operand(p, op, made) for p in begun], op.signs, op, made)
            case MaximumOp():
                read = [operand(p, op, made) for p in begun]
                return write_joins.greatest(read, op, made, minimum=op.minimum)
            case ConcatOp():
                read = [operand(p, op, made) for p in begun]
                return write_concat.side_by_side(read, op.axis, op, made)
            case ProductOp():
                read = [
                    _pure(operand(p, op, unit), op, unit)
                    for p, unit in zip(begun, given, strict=True)
                ]
                return write_joins.product(read, op)
        raise UnsupportedModel(
            "there is no integer form of this operation.", node=op.node, op=op.op
        )

    def finish(self) -> tuple[ir.IntegerNetwork, tuple[Mark, ...]]:
        """Write the scores."""
        graph = self.graph
        ends = []
        for end in self.whole.ends:
            piece = self.made_by[end]
            ops = piece.ops if piece.between is None else ()
            ends.append((self._begin(end), ops, self.places[end]))
        outputs = write_outputs(self.written, graph, ends)
        if not any(isinstance(layer, ir.Conv) for layer in self.written.layers):
            raise UnsupportedModel(
                "it has no convolution or dense layer.",
                node=graph.name,
                hint="a network with at least one of them.",
            )
        made = Layers(self.written.layers, self.written.marks)
        made.merge_equal()
        made.drop_unread()
        made.merge_sums(graph.shape, graph.samples)
        made.separate_tails()
        layers, marks = made.finished()
        notes = tuple(dict.fromkeys(self.written.notes))
        net = ir.IntegerNetwork(
            graph.name,
            graph.shape,
            layers,
            graph.classes,
            notes,
            graph.order,
            graph.samples,
            outputs,
        )
        return net, marks


def _pure(found: Operand, op: g.Op, unit: float | None) -> Operand:
    """Return an operand of a product, which has no offset."""
    if not found.offset.any():
        return found
    common = exact_unit(np.append(found.factor, found.offset))
    if common is not None and found.exact and whole(found, common):
        return found
    if unit is None:
        raise no_common_unit(op)
    return rounded(found, unit, op)
