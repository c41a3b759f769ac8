"""Integers of 2 and 4 bits: their element types, and how a file packs them into bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto


@dataclass(frozen=True)
class Narrow:
    """An integer type that is narrower than a byte.

    Parameters
    ----------
    dtype : dtype
        Its type in NumPy, which knows no arithmetic of it that a file could mean.
    bits : int
        Of one integer; several share a byte, the first in its lowest bits.
    """

    dtype: np.dtype[Any]
    bits: int

    def bytes_of(self, count: int) -> int:
        """Return how many bytes so many integers take."""
        return -(-count * self.bits // 8)

    def unpack(self, packed: NDArray[np.uint8], count: int) -> NDArray[Any]:
        """Return the first `count` integers of packed bytes, as an array [count] of the type."""
        shifts = np.arange(0, 8, self.bits, dtype=np.uint8)
        codes = (packed[:, None] >> shifts & ((1 << self.bits) - 1)).ravel()[:count]
        # The type keeps the lowest bits of a byte, and takes its sign from them.
        return codes.astype(np.uint8).view(self.dtype)


_NAMED = {
    "INT2": Narrow(np.dtype(ml_dtypes.int2), 2),
    "UINT2": Narrow(np.dtype(ml_dtypes.uint2), 2),
    "INT4": Narrow(np.dtype(ml_dtypes.int4), 4),
    "UINT4": Narrow(np.dtype(ml_dtypes.uint4), 4),
}
NARROW = {number: _NAMED[name] for name, number in TensorProto.DataType.items() if name in _NAMED}
"""By their numbers in ONNX, as far as the installed package knows them."""
_DTYPES = frozenset(narrow.dtype for narrow in NARROW.values())


def is_narrow(dtype: np.dtype[Any]) -> bool:
    """Return whether an element type is an integer of 2 or 4 bits."""
    return dtype in _DTYPES


def is_integer(dtype: np.dtype[Any]) -> bool:
    """Return whether an element type is an integer, of whatever width."""
    return dtype.kind in "iu" or is_narrow(dtype)


def widened(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers of 2 or 4 bits as int8, which holds them all; others as they are."""
    return values.astype(np.int8) if is_narrow(values.dtype) else values
