"""The layers that make an affine function of integers of each value that a join reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.lower.branches import affine_form, exact_integers
from xnorflow.lower.branches.branch_pending import BranchPending
from xnorflow.lower.branches.exact_integers import clip, first_bend
from xnorflow.lower.branches.operand import Operand, round_to, rounded
from xnorflow.lower.branches.streams import stream_unit
from xnorflow.lower.branches.write_joins import greatest
from xnorflow.lower.common_scale import MAX_CODE_BITS
from xnorflow.lower.fixed_point import MOST_TABLE_BITS, affine, quantiser


class Branch(BranchPending):
    """A `BranchPending` that makes affine values of bends before it rounds."""

    def _round(self, consumer: g.Op, zero: bool) -> None:
        """Round the value that enters the present operation to fixed point."""
        assert self.fixed is not None
        bent = affine(self.ops) is None and _slope(self.ops[first_bend(self)]) is not None
        summed = isinstance(consumer, g.SumPoolOp) and not zero
        if not bent and not summed:
            super()._round(consumer, zero)
            return
        seen = self.fixed.ranges[self.at]
        unit = stream_unit(max(-seen.lo, seen.hi), self.fixed.bits)
        found = operand(self, consumer, unit)
        if found.p is not self:
            self.__dict__.update(found.p.__dict__)
            found.p = self
        if summed:
            rounded(found, unit, consumer)
            return
        narrow = affine(self.ops) is not None and self.alphabet().bits <= MAX_CODE_BITS
        if not narrow or not self._absorb(zero, uniform=True):
            super()._round(consumer, zero)


def operand(p: BranchPending, consumer: g.Op, unit: float | None) -> Operand:
    """Write layers until the value is an affine function of the last one's integers.

    Parameters
    ----------
    p : BranchPending
        The value.
    consumer : Op
        The join, for errors.
    unit : float, optional
        Unit to which fixed point rounds.

    Raises
    ------
    UnsupportedModel
        If there is no exact form, and fixed point is not asked for.
    """
    p.plain(consumer)
    while True:
        form = affine_form.find(p.expression(), p.reach)
        if form is not None:
            error = np.abs(form.factor) * p.error / p.unit + form.error
            return Operand(p, form.factor, form.offset, p.exact and form.exact, error)
        at = first_bend(p)
        kink = p.ops[at]
        slope = _slope(kink)
        if slope is not None:
            p = _two_sides(p, at, slope, consumer, unit)
            continue
        if unit is not None and affine(p.ops) is not None:
            if not exact_integers.settle(p, zero=False):
                round_to(p, unit, consumer)
            continue
        if isinstance(kink, g.ClipOp) and clip(p, at, kink):
            continue
        if unit is None or p.fixed is None:
            # Every value becomes a code.
            p.settle(consumer, uniform=False)
            continue
        scale, alphabet = p.fixed.grid(p.at, most_bits=MOST_TABLE_BITS)
        p.rounded = True
        p.ops.append(quantiser(scale, alphabet, consumer.node))
        p.plain(consumer)


def _slope(op: g.Op) -> NDArray[np.float32] | None:
    """Return the slope below 0 of a function with a bend there, and slope 1 above; else None."""
    match op:
        case FunctionOp(function="Abs", operands=((),)):
            return np.array(-1, np.float32)
        case FunctionOp(function="LeakyRelu", operands=((), np.ndarray() as slope)):
            return np.asarray(slope, np.float32)
    return None


def _two_sides(
    p: BranchPending, at: int, slope: NDArray[np.float32], consumer: g.Op, unit: float | None
) -> BranchPending:
    """Write a function with a bend as the greater of two affine functions.

    Where the slope is above 1, or a negative factor follows, the signs are turned: the least is the
    negated greatest of the negated values.
    """
    kink, suffix = p.ops[at], tuple(p.ops[at + 1 :])
    tail: list[g.Elementwise] = []
    behind = np.array(1.0)
    for op in suffix:
        value = affine([*tail, op])
        if value is None or value.clips:
            break
        tail.append(op)
        behind = value.factor
    channels = len(p.reach.lo)
    factor = np.broadcast_to(behind, channels)
    least = (np.broadcast_to(slope, channels) > 1) ^ (factor < 0)
    turned = np.where(least, -1, 1).astype(np.float32)
    turn = [g.MultiplyOp(turned, node=kink.node, op=kink.op)] if least.any() else []
    before, rest = p.ops[:at], suffix[len(tail) :]
    p.ops = []
    held = p.close(p.at)
    sides, marks = [], list(p.written.marks)
    for by in (np.array(1, np.float32), slope):
        side = Branch(p.written, held)
        scale = [g.MultiplyOp(by, node=kink.node, op=kink.op)] if (by != 1).any() else []
        side.ops = [*before, *scale, *tail, *turn]
        sides.append(operand(side, consumer, unit))
    made = greatest(sides, kink, unit, minimum=False)
    # Neither side stands for a value of the graph.
    p.written.marks[:] = marks
    joined = Branch(p.written, replace(made, at=p.at))
    joined.ops = [*made.ops, *turn, *rest]
    return joined
