"""Bounds of the difference between a framework's float32 sum and the correctly rounded sum.

A sum of products is exact in every order of summation if each partial sum is a multiple of one
float, and small enough for a float32 mantissa. Otherwise the framework's result depends on its
order of summation, and only a bound of its error is known.
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
"""Words by which a network's notes name sums that a framework may round differently."""

_SMALLEST, _LARGEST = 2.0**-149, 2.0**127

Floats64 = NDArray[np.float64]


def significand(value: float) -> int:
    """Return the odd integer m with ``value = m * 2**e``, for a positive float."""
    m = value.as_integer_ratio()[0]
    return m // (m & -m)


def check_range(unit: Floats64, total: Ints, where: Op) -> None:
    """Check that sums cannot overflow float32, in any order of summation.

    Parameters
    ----------
    unit, total
        As for `sum_error`.
    where : Op
        Operation that the error names.

    Raises
    ------
    UnsupportedModel
        If a sum might overflow.
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
    """Compute a bound of the error of float32 sums of terms ``integer * unit``.

    Parameters
    ----------
    unit : float64 array, [] or [channels]
        Float value of the integer 1.
    total : int64 array [channels]
        Largest sum of the terms' magnitudes, in integers.
    terms : int or int64 array [channels]
        Number of terms in a sum.
    exact : bool
        Whether the terms are exact multiples of the unit.

    Returns
    -------
    float64 array [channels]
        The bound; 0 where the sum is exact in every order of summation.
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
    """Count the channels in which an error of up to `error` could move a step.

    Parameters
    ----------
    expression : Expression
        The function that has the steps.
    steps : Steps
        Its steps.
    step : int
        Difference of neighbouring integers.
    error : float64 array [channels]
        Bound of the error of the float value before the expression's operations.
    """
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
    """Count the channels in which a step depends on how an executor approximates a function.

    Parameters are those of `uncertain_channels`.
    """
    if not len(steps.at):
        return 0
    part = expression.select(steps.channel)
    moved = np.zeros(len(steps.at), bool)
    for by in (-1.0, 1.0):
        other = Expression(part.unit, nudged(part.ops, by))
        moved |= other(steps.at) != steps.after
        moved |= other(steps.at - step) != steps.before
    return len(np.unique(steps.channel[moved]))


def close_decisions(close: int, channels: int, errors: str) -> str:
    """Return words on how many channels have a decision that a framework's errors could change.

    Parameters
    ----------
    close, channels : int
        Channels with a decision within the bound of the errors, and all channels.
    errors : str
        Word for the errors.
    """
    if not close:
        return f"no decision lies within the bound of their {errors}, so none depends on them"
    return f"in {close} of {channels} channels a decision lies within the bound of their {errors}"
