"""QONNX quantisers in float32, operation by operation in the order of their specification.

Lowering finds integer thresholds by evaluating these functions, so each rounds exactly where the
reference implementation in the ``qonnx`` package rounds; the tests compare every bit. The old
``onnx.brevitas`` domain defines the same operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HALF = np.float32(0.5)

ROUNDINGS: dict[str, Callable[[Floats], Floats]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda y: np.sign(y) * np.ceil(np.abs(y)),
    "DOWN": np.trunc,
    "HALF_UP": lambda y: np.sign(y) * np.floor(np.abs(y) + HALF),
    "HALF_DOWN": lambda y: np.sign(y) * np.ceil(np.abs(y) - HALF),
}
"""Rounding of a float32 array by its QONNX name; ROUND and HALF_EVEN are the same."""


def integer_range(bits: float, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the least and greatest integer of a QONNX Quant.

    Parameters
    ----------
    bits : float
        Width of an integer in bits, a whole number.
    signed : bool
        Whether there are negative integers.
    narrow : bool
        Whether to leave out the least integer of a signed range or the greatest of an unsigned one.
    """
    half = 2 ** (int(bits) - 1)
    if signed:
        return -half + int(narrow), half - 1
    return 0, 2 * half - 1 - int(narrow)


def quant_codes(
    x: Floats,
    *,
    scale: Floats,
    zero_point: Floats,
    bits: float,
    signed: bool,
    narrow: bool,
    rounding: str,
) -> Floats:
    """Compute the integers of QONNX Quant, before the zero point is subtracted.

    Parameters
    ----------
    x : float32 or float64 array
        What is quantised; `scale` and `zero_point` broadcast against it.
    scale, zero_point : float32 array
        The affine grid.
    bits : float
        Width of an integer in bits.
    signed, narrow : bool
        Range of the integers; see `integer_range`.
    rounding : str
        Name in `ROUNDINGS`, in upper or lower case.

    Returns
    -------
    float32 array
        Whole numbers, in the shape of `x`.

    Raises
    ------
    KeyError
        If `rounding` is not one of `ROUNDINGS`.
    """
    one = np.float32(1)
    y: NDArray[Any] = x / scale + zero_point
    if x.dtype != np.float64:
        y = np.asarray(y, np.float32)
    if signed and bits == 1:  # Brevitas exports binary weights so, and means bipolar ones.
        return np.where(y >= 0, one, -one)
    lo, hi = (np.float32(end) for end in integer_range(bits, signed, narrow))
    y = np.where(y > hi, hi, y)
    y = np.where(y < lo, lo, y)
    return ROUNDINGS[rounding.upper()](y)
