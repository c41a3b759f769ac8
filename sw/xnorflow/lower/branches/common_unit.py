"""One unit for several operands, whose factors are whole multiples of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints
from xnorflow.lower.common_scale import find
from xnorflow.lower.pending import MAX_MULTIPLE
from xnorflow.lower.rounding import MANTISSA

Doubles = NDArray[np.float64]


def exact_unit(values: Doubles) -> float | None:
    """Return the greatest common divisor of floats.

    None if one of them is more than ``2**24`` times as large. It is 1 where all values are 0.
    """
    ratios = [float(v).as_integer_ratio() for v in np.unique(np.abs(values)) if v]
    if not ratios:
        return 1.0
    denominator = max(d for _, d in ratios)
    numerators = [n * (denominator // d) for n, d in ratios]
    common = gcd(*numerators)
    if max(numerators) // common >= 1 << MANTISSA:
        return None
    return common / denominator


def common_unit(factors: Sequence[Doubles]) -> tuple[float, list[Ints]] | None:
    """Find a unit of which all factors are whole multiples, exactly or within float32's rounding.

    Parameters
    ----------
    factors : sequence of float64 array
        Factors of each operand, by channel.

    Returns
    -------
    unit : float
        Greater than 0.
    multiples : list of int64 array
        Of the unit.
    None instead if there is no such unit, or a multiple is large without being exact.
    """
    values = np.concatenate([np.ravel(f) for f in factors])
    unit = exact_unit(values)
    if unit is None:
        grid = find(np.abs(values).astype(np.float32))
        if grid is None or grid.alphabet.hi > MAX_MULTIPLE:
            return None
        unit = grid.scale
    return unit, [np.rint(f / unit).astype(np.int64) for f in factors]
