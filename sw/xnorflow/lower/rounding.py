"""How far a framework's own float32 sum may lie from the correctly rounded one.

A sum of products is exact, in whatever order, if every partial sum is a small enough multiple of
one float. Else the framework's result depends on its order of summation, and all that can be said
is a bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph.function_ops import nudged
from xnorflow.graph.ops import Op
from xnorflow.ir import Ints
from xnorflow.lower.evaluate import Expression, Steps

MANTISSA = 24
"""Bits of a float32 mantissa."""

ORDER_OF_SUMMATION = "are not exact in every order of summation"
"""What a network's notes say of sums that a framework may round otherwise."""

_SMALLEST, _LARGEST = 2.0**-149, 2.0**127

Floats64 = NDArray[np.float64]


def significand(value: float) -> int:
    """Return the odd integer m with ``value = m * 2**e``, for a positive float."""
    m = value.as_integer_ratio()[0]
    return m // (m & -m)


def check_range(unit: Floats64, total: Ints, where: Op) -> None:
    """Refuse sums that float32 may not hold: whether they overflow depends on their order.

    Parameters
    ----------
    unit, total
        As for `sum_error`.
    where : Op
        Named in the error.
    """
    largest = float((total * unit).max())
    if largest >= float(np.finfo(np.float32).max):
        raise UnsupportedModel(
            f"its sums may reach {largest:.3g}, which overflows float32.",
            node=where.node,
            op=where.op,
            hint="smaller scales.",
        )


def sum_error(unit: Floats64, total: Ints, terms: Ints | int, *, exact: bool) -> Floats64:
    """Bound the error of float32 sums of ``integer * unit``.

    Parameters
    ----------
    unit : float64 array, [] or [channels]
        Value of the integer 1.
    total : int64 array [channels]
        Largest sum of the terms' magnitudes, as integers.
    terms : int or int64 array [channels]
        Number of terms of a sum.
    exact : bool
        The terms are exact multiples of the unit.

    Returns
    -------
    float64 array [channels]
        0 where the sum is exact in any order.
    """
    units = np.broadcast_to(unit, total.shape)
    m = np.array([significand(float(u)) for u in np.unique(units)], dtype=object)
    odd = m[np.searchsorted(np.unique(units), units)]
    low = np.array([u / float(o) for u, o in zip(units, odd, strict=True)])
    small = np.array([int(t) * o < 1 << MANTISSA for t, o in zip(total, odd, strict=True)], bool)
    in_range = (low >= _SMALLEST) & (total * units < _LARGEST)
    bound = (terms + 4) * (2.0**-MANTISSA * total * units + _SMALLEST)
    return np.where(small & in_range & exact, 0.0, bound)


def uncertain_channels(expression: Expression, steps: Steps, step: int, error: Floats64) -> int:
    """Count the channels of which a step lies within `error` of being elsewhere."""
    picked = np.flatnonzero(error[steps.channel] > 0)
    if not len(picked):
        return 0
    channel, at = steps.channel[picked], steps.at[picked]
    part = expression.select(channel)
    moved = np.zeros(len(picked), bool)
    for integers, value in ((at, steps.after[picked]), (at - step, steps.before[picked])):
        x = part.start(integers)
        for sign in (-1, 1):
            moved |= part.apply((x + sign * error[channel]).astype(np.float32)) != value
    return len(np.unique(channel[moved]))


def approximated_channels(expression: Expression, steps: Steps, step: int) -> int:
    """Count the channels of which a step hangs on how an executor approximates a function."""
    if not len(steps.at):
        return 0
    part = expression.select(steps.channel)
    moved = np.zeros(len(steps.at), bool)
    for by in (-1.0, 1.0):
        other = Expression(part.unit, nudged(part.ops, by))
        moved |= other(steps.at) != steps.after
        moved |= other(steps.at - step) != steps.before
    return len(np.unique(steps.channel[moved]))
