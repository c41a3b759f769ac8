"""QONNX quantisers in float32, operation by operation in the order of their specification.

Lowering finds integer decisions by evaluating these functions, so each rounds exactly where the
reference implementation in the ``qonnx`` package rounds; the tests compare every bit. The old
``onnx.brevitas`` domain defines the same operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from xnorflow.graph.ops import Floats, Quant

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
    """Give the least and greatest integer of a QONNX Quant.

    `narrow` takes away the least value of a signed range and the greatest of an unsigned one.
    """
    half = 2 ** (int(bits) - 1)
    if signed:
        return -half + int(narrow), half - 1
    return 0, 2 * half - 1 - int(narrow)


def quant_codes(q: Quant, x: Floats) -> Floats:
    """Give the integers, as float32 and before the zero point is taken away, of QONNX Quant.

    Parameters
    ----------
    q : xnorflow.graph.ops.Quant
        Its scale and zero point broadcast against `x`.
    x : float32 array

    Raises
    ------
    KeyError
        If ``q.rounding`` is not one of `ROUNDINGS`.
    """
    one = np.float32(1)
    y = np.asarray(x / q.scale + q.zero_point, np.float32)
    if q.signed and q.bits == 1:  # Brevitas exports binary weights so, and means bipolar ones.
        return np.where(y >= 0, one, -one)
    lo, hi = (np.float32(end) for end in integer_range(q.bits, q.signed, q.narrow))
    y = np.where(y > hi, hi, y)
    y = np.where(y < lo, lo, y)
    return ROUNDINGS[q.rounding.upper()](y)


def quant(q: Quant, x: Floats) -> Floats:
    """Give the float32 output of QONNX Quant for the float32 array `x`; see `quant_codes`."""
    out: NDArray[np.float32] = (quant_codes(q, x) - q.zero_point) * q.scale
    return out
