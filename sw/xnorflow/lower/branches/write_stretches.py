"""Layers that stretch or crop a map, or add a constant one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.graph import ops as g
from xnorflow.graph.join_ops import AddMapOp, StretchOp
from xnorflow.lower.branches.branch_pending import BranchPending, Value
from xnorflow.lower.branches.common_unit import exact_unit
from xnorflow.lower.branches.operand import Operand, no_common_unit, rounded, whole
from xnorflow.lower.branches.settle_operands import operand
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.pending import sources, squeeze
from xnorflow.lower.rounding import sum_error


def stretch(p: BranchPending, op: StretchOp, unit: float | None) -> Value:
    """Write a stretched map; operations that wait are kept where each pixel is only copied."""
    p.plain(op)
    layer = replace(op.layer, name=p.name("stretch"), sources=sources(op))
    if op.fill == "repeat" or op.factors == (1, 1):
        p.layers.append(layer)
        return p.close(0)
    cells = op.factors[0] * op.factors[1]
    found = operand(p, op, unit)
    factor, offset = found.factor, found.offset
    if op.fill == "zeros":
        moved = bool(offset.any())
    else:
        parts = (v.reshape(cells, -1) for v in (factor, offset))
        moved = any((v != v[0]).any() for v in parts)
    if moved or (factor <= 0).any():
        found = _pure(found, op, unit)
    p, reach = found.p, found.p.reach
    p.ops = []
    p.layers.append(layer)
    if op.fill == "zeros":
        p.reach = Reach(
            np.minimum(reach.lo, 0),
            np.maximum(reach.hi, 0),
            max(1, int(np.gcd.reduce(np.append(reach.lo, reach.step)))),
        )
        p.unit = squeeze(found.factor)
    else:
        lo, hi = reach.lo.reshape(cells, -1), reach.hi.reshape(cells, -1)
        low = lo.min(0)
        step = int(np.gcd.reduce(np.append((lo - low).ravel(), reach.step)))
        p.reach = Reach(low, hi.max(0), max(1, step))
        width = len(low)
        p.unit = squeeze(found.factor[:width])
        if found.offset.any():
            constant = squeeze(found.offset[:width]).astype(np.float32)
            p.ops = [g.AddOp(constant, node=op.node, op=op.op)]
        found.error = found.error.reshape(cells, -1).max(0)
    p.exact, p.error = found.exact, found.error
    return p.close(0)


def _pure(found: Operand, op: g.Op, unit: float | None) -> Operand:
    """Bring an operand to one unit, without offset."""
    common = exact_unit(np.append(found.factor, found.offset))
    if common is not None and whole(found, common):
        return found
    if unit is None:
        raise no_common_unit(op)
    return rounded(found, unit, op)


def add_map(p: BranchPending, op: AddMapOp, unit: float | None) -> Value:
    """Write the sum with a constant map.

    Raises
    ------
    UnsupportedModel
        If the constants are no multiples of a unit of the values, without fixed point.
    """
    found = operand(p, op, unit)
    channels = found.channels
    constants = op.value.astype(np.float64)
    common = exact_unit(np.concatenate([found.factor, found.offset, constants.ravel()]))
    if common is None or not (found.exact or found.p.rounded) or not whole(found, common):
        if unit is None:
            raise no_common_unit(op)
        found, common = rounded(found, unit, op), unit
        constants = constants + found.offset
        found.offset = np.zeros(channels)
    p = found.p
    values = np.rint(constants / common).astype(np.int64)
    p.ops = []
    p.layers.append(ir.AddMap(p.name("add_map"), values, sources=sources(op)))
    reach = p.reach
    low = np.broadcast_to(values.min((0, 1)), channels)
    high = np.broadcast_to(values.max((0, 1)), channels)
    steps = np.append((values - values.min((0, 1))).ravel(), reach.step)
    p.reach = Reach(reach.lo + low, reach.hi + high, max(1, int(np.gcd.reduce(steps))))
    p.unit, p.exact = np.array(common), found.exact
    largest = np.maximum(np.abs(p.reach.lo), np.abs(p.reach.hi))
    p.error = found.error + sum_error(p.unit, largest, 2, exact=p.exact)
    return p.close(0)
