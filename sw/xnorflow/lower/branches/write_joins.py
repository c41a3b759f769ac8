"""Layers that join operands, and the values that they make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.lower.branches.branch_pending import Value
from xnorflow.lower.branches.common_unit import common_unit, exact_unit
from xnorflow.lower.branches.operand import (
    Operand,
    no_common_unit,
    rounded,
    too_large,
    whole,
)
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.pending import MAX_MULTIPLE, sources, squeeze
from xnorflow.lower.rounding import MANTISSA, check_range, sum_error

Doubles = NDArray[np.float64]


def total(operands: Sequence[Operand], signs: Sequence[int], op: g.Op, unit: float | None) -> Value:
    """Write the sum of operands, each added or subtracted.

    Parameters
    ----------
    operands : sequence of Operand
        What is added.
    signs : sequence of int
        +1 or -1 for each of them.
    op : Op
        The join, for errors.
    unit : float, optional
        Unit to which fixed point rounds; None without fixed point.

    Raises
    ------
    UnsupportedModel
        If there is no common unit, without fixed point.
    """
    operands = list(operands)
    found = multiples_of(operands, signs)
    if found is None:
        operands = rounded_all(operands, unit, op)
        found = multiples_of(operands, signs)
        if found is None:
            raise too_large(op)
    common, multiples = found
    channels = max(o.channels for o in operands)
    offset = np.zeros(channels)
    for o, sign in zip(operands, signs, strict=True):
        offset = offset + sign * o.offset
    exact = all(o.exact for o in operands) and _sums_are_exact(operands, multiples, common)
    error = sum((o.error for o in operands), np.zeros(channels))
    was_rounded = any(o.p.rounded for o in operands)
    largest = _largest(operands, multiples)
    check_range(np.array(common), largest, op)
    error = error + sum_error(
        np.array(common),
        largest + np.ceil(np.abs(offset) / common).astype(np.int64),
        len(operands),
        exact=exact,
    )
    reach = _summed(operands, multiples)
    names, features, merged = _distinct(operands, multiples)
    if len(names) == 1 and (merged[0] == merged[0].flat[0]).all() and merged[0].flat[0] > 0:
        # The same integers, in another unit.
        factor = int(merged[0].flat[0])
        first = operands[0].p.reach
        return Value(
            names[0],
            features[0],
            first,
            np.array(common * factor),
            plus_constants(offset, op),
            exact,
            error,
            was_rounded,
            0,
        )
    layer = ir.Add(operands[0].p.name("add"), _matrix(merged), sources=sources(op), inputs=names)
    operands[0].p.written.layers.append(layer)
    return Value(
        layer.name,
        layer.output(*features),
        reach,
        np.array(common),
        plus_constants(offset, op),
        exact,
        error,
        was_rounded,
        0,
    )


def multiples_of(
    operands: Sequence[Operand], signs: Sequence[int], *, added: bool = True
) -> tuple[float, list[ir.Ints]] | None:
    """Return the common unit and the signed multiples; None if there is none that is possible.

    Where they are not `added`, only each by itself has to be small enough, and the operands may
    have different numbers of channels.
    """
    found = common_unit([s * o.factor for o, s in zip(operands, signs, strict=True)])
    if found is None:
        return None
    common, multiples = found
    fixed = any(o.p.rounded for o in operands)
    if fixed and max(int(abs(m).max()) for m in multiples) > MAX_MULTIPLE:
        return None
    bits = ir.MAX_BITS - 2 if fixed else MANTISSA
    if added:
        largest = int(_largest(operands, multiples).max())
    else:
        pairs = zip(operands, multiples, strict=True)
        largest = max(int((np.abs(m) * o.largest).max()) for o, m in pairs)
    return found if largest < 1 << bits else None


def _largest(operands: Sequence[Operand], multiples: Sequence[ir.Ints]) -> ir.Ints:
    """Return the greatest sum of magnitudes in each channel."""
    parts = [np.abs(m) * o.largest for o, m in zip(operands, multiples, strict=True)]
    return np.asarray(sum(np.broadcast_arrays(*parts)), np.int64)


def _sums_are_exact(operands: Sequence[Operand], multiples: Sequence[ir.Ints], unit: float) -> bool:
    """Return whether float32 holds every partial sum, constants included."""
    offsets = np.concatenate([o.offset for o in operands])
    finest = exact_unit(np.append(offsets, unit))
    if finest is None:
        return False
    most = float(_largest(operands, multiples).max()) * unit
    most += sum(float(np.abs(o.offset).max()) for o in operands)
    return most / finest < 1 << MANTISSA


def _summed(operands: Sequence[Operand], multiples: Sequence[ir.Ints]) -> Reach:
    low, high, steps = [], [], [0]
    for o, m in zip(operands, multiples, strict=True):
        ends = m * o.p.reach.lo, m * o.p.reach.hi
        low.append(np.minimum(*ends))
        high.append(np.maximum(*ends))
        steps += [int(n) * o.p.reach.step for n in np.unique(m[o.p.reach.lo != o.p.reach.hi])]
    return Reach(
        np.asarray(sum(np.broadcast_arrays(*low)), np.int64),
        np.asarray(sum(np.broadcast_arrays(*high)), np.int64),
        max(1, int(np.gcd.reduce(steps))),
    )


def _distinct(
    operands: Sequence[Operand], multiples: Sequence[ir.Ints]
) -> tuple[tuple[str, ...], list[ir.Features], list[ir.Ints]]:
    """Write the operands out; return each layer once, its map, and the sum of its multiples."""
    names: list[str] = []
    features: list[ir.Features] = []
    merged: list[ir.Ints] = []
    for o, m in zip(operands, multiples, strict=True):
        name, made = o.p.flush()
        if name in names:
            at = names.index(name)
            merged[at] = merged[at] + m
        else:
            names.append(name)
            features.append(made)
            merged.append(m)
    return tuple(names), features, merged


def _matrix(multiples: Sequence[ir.Ints]) -> ir.Ints:
    """Return the factors of an `Add` or a `Maximum`: per channel only where they differ."""
    rows = np.stack(np.broadcast_arrays(*multiples)).astype(np.int64)
    return rows[:, :1].copy() if (rows == rows[:, :1]).all() else rows


def plus_constants(offset: Doubles, op: g.Op) -> tuple[g.Elementwise, ...]:
    """Return the operation that adds constants; none if they are 0."""
    if not offset.any():
        return ()
    return (g.AddOp(squeeze(offset).astype(np.float32), node=op.node, op=op.op),)


def rounded_all(operands: Sequence[Operand], unit: float | None, op: g.Op) -> list[Operand]:
    """Round operands to the unit of fixed point; UnsupportedModel without one."""
    if unit is None:
        raise no_common_unit(op)
    return [rounded(o, unit, op, signed=True) for o in operands]


def same_unit(
    operands: Sequence[Operand], op: g.Op, unit: float | None
) -> tuple[list[Operand], float, list[ir.Ints], Doubles]:
    """Bring operands to one unit and one offset.

    Returns
    -------
    operands : list of Operand
        The operands, with further layers.
    unit : float
        The unit.
    multiples : list of int64 array
        Multiples of it by which their integers still have to be multiplied.
    offset : float64 array [channels]
        Offset that they share.
    """
    operands = list(operands)
    ones = [1] * len(operands)
    channels = max(o.channels for o in operands)
    offsets = [np.broadcast_to(o.offset, channels) for o in operands]
    shared = all((o == offsets[0]).all() for o in offsets)
    found = multiples_of(operands, ones)
    if shared and found is not None:
        return operands, found[0], found[1], offsets[0]
    common = exact_unit(np.concatenate([v for o in operands for v in (o.factor, o.offset)]))
    if common is not None:
        made = [whole(o, common) for o in operands]
        if all(made):
            return operands, common, [np.ones(1, np.int64) for _ in operands], np.zeros(channels)
    operands = rounded_all(operands, unit, op)
    if any(o.offset.any() for o in operands):
        operands = [_without_offset(o, unit, op) for o in operands]
    assert unit is not None
    signs = [np.rint(o.factor / unit).astype(np.int64) for o in operands]
    return operands, unit, signs, np.zeros(channels)


def _without_offset(o: Operand, unit: float | None, op: g.Op) -> Operand:
    """Round the offset of an operand whose factors are the unit already."""
    if not o.offset.any():
        return o
    assert unit is not None, op
    o.offset = np.rint(o.offset / unit) * unit
    if not whole(o, unit):
        raise too_large(op)
    return o


def greatest(operands: Sequence[Operand], op: g.Op, unit: float | None, *, minimum: bool) -> Value:
    """Write the greatest, or the least, of operands; the parameters are those of `total`."""
    operands, common, multiples, offset = same_unit(operands, op, unit)
    least = np.minimum if minimum else np.maximum
    low, high, starts, steps = [], [], [], [0]
    for o, m in zip(operands, multiples, strict=True):
        ends = m * o.p.reach.lo, m * o.p.reach.hi
        low.append(np.minimum(*ends))
        high.append(np.maximum(*ends))
        steps += [int(n) * o.p.reach.step for n in np.unique(m)]
    low, high = list(np.broadcast_arrays(*low)), list(np.broadcast_arrays(*high))
    starts = [int(d) for part in low for d in np.unique(part - low[0])]
    step = max(1, int(np.gcd.reduce([*steps, *starts])))
    exact, error = all(o.exact for o in operands), np.zeros(len(low[0]))
    for o in operands:
        error = np.maximum(error, o.error)
    was_rounded = any(o.p.rounded for o in operands)
    p = operands[0].p
    written = [o.p.flush() for o in operands]
    layer = ir.Maximum(
        p.name("minimum" if minimum else "maximum"),
        _matrix([np.broadcast_to(m, o.channels) for m, o in zip(multiples, operands, strict=True)]),
        minimum,
        sources=sources(op),
        inputs=tuple(name for name, _ in written),
    )
    p.written.layers.append(layer)
    return Value(
        layer.name,
        layer.output(*(features for _, features in written)),
        Reach(least.reduce(low), least.reduce(high), step),
        np.array(common),
        plus_constants(offset, op),
        exact,
        error,
        was_rounded,
        0,
    )


def product(operands: Sequence[Operand], op: g.Op) -> Value:
    """Write the product of two operands without offsets."""
    a, b = operands
    factor = a.factor * b.factor
    ends = np.stack(
        np.broadcast_arrays(
            *(x * y for x in (a.p.reach.lo, a.p.reach.hi) for y in (b.p.reach.lo, b.p.reach.hi))
        )
    )
    parts = np.concatenate(
        [a.p.reach.lo * b.p.reach.step, b.p.reach.lo * a.p.reach.step]
        + [np.array([a.p.reach.step * b.p.reach.step])]
    )
    first = a.p.reach.lo * b.p.reach.lo
    step = int(np.gcd.reduce(np.append(parts, (first - ends.min(0)).ravel())))
    reach = Reach(ends.min(0), ends.max(0), max(1, step))
    largest = a.largest * b.largest
    bits = ir.MAX_BITS - 2 if a.p.rounded or b.p.rounded else MANTISSA
    if largest.max() >= 1 << bits:
        raise UnsupportedModel(
            f"its products take more than {bits} bits.",
            node=op.node,
            op=op.op,
            hint="a quantiser before it.",
        )
    magnitude = np.abs(a.factor) * a.largest, np.abs(b.factor) * b.largest
    exact = a.exact and b.exact
    error = a.error * magnitude[1] + b.error * magnitude[0] + a.error * b.error
    unit = np.abs(factor)
    unit = np.where(unit == 0, 1.0, unit)
    check_range(unit, largest, op)
    error = error + sum_error(unit, largest, 1, exact=exact)
    was_rounded = a.p.rounded or b.p.rounded
    ops: tuple[g.Elementwise, ...] = ()
    if (factor <= 0).any():
        ops = (g.MultiplyOp(np.sign(factor).astype(np.float32), node=op.node, op=op.op),)
    p = a.p
    written = [o.p.flush() for o in operands]
    layer = ir.Multiply(
        p.name("multiply"),
        sources=sources(op),
        inputs=tuple(name for name, _ in written),
    )
    p.written.layers.append(layer)
    return Value(
        layer.name,
        layer.output(*(features for _, features in written)),
        reach,
        squeeze(unit),
        ops,
        exact and not error.any(),
        error,
        was_rounded,
        0,
    )
