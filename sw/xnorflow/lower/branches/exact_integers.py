"""Layers that make integers of affine values and bounds without rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.graph import ops as g
from xnorflow.lower.branches import affine_form
from xnorflow.lower.branches.common_unit import exact_unit
from xnorflow.lower.evaluate import Expression, Reach
from xnorflow.lower.fixed_point import affine
from xnorflow.lower.negate import rising
from xnorflow.lower.pending import Pending, sources
from xnorflow.lower.rounding import MANTISSA

Doubles = NDArray[np.float64]


def settle(p: Pending, *, zero: bool) -> bool:
    """Write layers until the value is one unit times the last layer's integers, if that is exact.

    Parameters
    ----------
    p : Pending
        The value; it is changed only if it can be written.
    zero : bool
        Whether the alphabet has to contain 0.

    Returns
    -------
    bool
        Whether it was written.
    """
    before = list(p.layers), list(p.ops), p.reach, p.unit, p.error
    if _settle(p) and not (zero and p.alphabet().code_of(0) is None):
        return True
    p.layers[:], p.ops, p.reach, p.unit, p.error = before
    return False


def _settle(p: Pending) -> bool:
    while p.ops:
        form = affine_form.find(p.expression(), p.reach)
        if form is not None:
            unit = exact_unit(np.concatenate([form.factor, form.offset])) if form.exact else None
            ends = -np.inf, np.inf
            return unit is not None and write(p, form.factor, form.offset, unit, ends, MANTISSA)
        at = first_bend(p)
        op = p.ops[at]
        if not isinstance(op, g.ClipOp) or not clip(p, at, op):
            return False
    return True


def first_bend(p: Pending) -> int:
    """Return the first of the waiting operations with which they are not affine.

    Constants that nearly cancel each other leave more rounding than `affine_form` allows, so what
    is affine by the kinds of its operations counts, too.
    """
    for count in range(1, len(p.ops) + 1):
        value = affine(p.ops[:count])
        if value is not None and not value.clips:
            continue
        if affine_form.find(Expression(p.unit, tuple(p.ops[:count])), p.reach) is None:
            return count - 1
    return len(p.ops) - 1


def clip(p: Pending, at: int, op: g.ClipOp) -> bool:
    """Write the bounds of an affine value exactly, if that is possible; return whether it was."""
    form = affine_form.find(Expression(p.unit, tuple(p.ops[:at])), p.reach)
    if form is None or not form.exact:
        return False
    bounds = np.array([b for b in (op.lo, op.hi) if np.isfinite(b)])
    unit = exact_unit(np.concatenate([form.factor, form.offset, bounds]))
    if unit is None:
        return False
    suffix = p.ops[at + 1 :]
    p.ops = p.ops[:at]
    written = write(p, form.factor, form.offset, unit, (op.lo, op.hi), MANTISSA)
    p.ops = suffix if written else [*p.ops, op, *suffix]
    return written


def write(
    p: Pending,
    factor: Doubles,
    offset: Doubles,
    unit: float,
    bounds: tuple[float, float],
    bits: int,
) -> bool:
    """Write ``clip(factor * integer + offset)`` as integers times `unit`, without rounding.

    Returns
    -------
    bool
        False if the constants are no multiples of the unit, or the integers take too many bits.
    """
    multiply, add = np.rint(factor / unit), np.rint(offset / unit)
    limits = [round(b / unit) for b in bounds if np.isfinite(b)]
    exact = (multiply * unit == factor).all() and (add * unit == offset).all()
    exact = exact and [n * unit for n in limits] == [b for b in bounds if np.isfinite(b)]
    reach, sources_of = p.reach, sources(*p.ops)
    total = np.abs(multiply) * np.maximum(np.abs(reach.lo), np.abs(reach.hi)) + np.abs(add)
    if not exact or total.max() >= 1 << bits:
        return False
    m, b = multiply.astype(np.int64), add.astype(np.int64)
    p.error = p.error * np.abs(factor) / p.unit
    p.unit, p.ops = np.array(unit), []
    if (m == 1).all() and not b.any() and not limits:
        return True
    p.carry_tail()
    m, b, lo, hi = rising(p.layers, p.given, m, b, reach.lo, reach.hi)
    floor, ceiling = (b if np.isinf(b) else round(b / unit) for b in bounds)
    alphabet = p.alphabet()

    def clipped(x: ir.Ints | int) -> ir.Ints:
        return np.clip((m * x + b).astype(np.float64), floor, ceiling).astype(np.int64)

    ends = np.concatenate([clipped(alphabet.lo), clipped(alphabet.hi)])
    least, most = int(ends.min()), int(ends.max())
    spaced = np.concatenate([m * alphabet.step, m * alphabet.lo + b - least, ends - least])
    step = int(np.gcd.reduce(spaced)) or 1
    step &= -step
    p.layers.append(
        ir.Rescale(
            p.name(f"{p.layers[-1].name}_scaled", numbered=False),
            m,
            b - least,
            np.zeros(len(m), np.int64),
            np.full(len(m), (most - least) // step),
            step.bit_length() - 1,
            ir.Alphabet(least, step, (most - least) // step + 1),
            sources=sources_of,
        )
    )
    low, high = clipped(lo), clipped(hi)
    own = np.concatenate([m * reach.step, m * lo + b - low, high - low])
    p.reach = Reach(low, high, max(1, int(np.gcd.reduce(own))))
    return True
