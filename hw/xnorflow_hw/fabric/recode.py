"""Lanes recoded by threes, so that a count of three takes a LUT less per PE.

Of three lanes a popcount of LUTs needs the parity of what agrees, and whether two or three do. With
``D = d0 ^ d1``, ``E = d1 ^ d2`` and ``T = d0 ^ d1 ^ d2``, where d is 1 where a lane differs, all
three lanes are equal if D and E are 0, and at least two agree if that is so just when T is 1 not:
``(D == E == 0) ^ T``. So two LUTs of four inputs are enough for that, and one for the parity. D, E
and T are sums of activations and the same sums of weights: those of activations are made once for
all PEs, those of weights stand in the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Value
from numpy.typing import NDArray


def triples(simd: int) -> list[int]:
    """Give the first lane of each leaf of three in a `popcount_chains.Tree`, whose lanes follow.

    Examples
    --------
    >>> triples(7), triples(9)
    ([0, 3], [0, 3])
    """

    def leaves(low: int, lanes: int) -> list[int]:
        if lanes <= 3:
            return [low] * (lanes == 3)
        some = (1 << (lanes.bit_length() - 1)) - 1
        return leaves(low, some) + leaves(low + some, lanes - 1 - some)

    return leaves(0, simd)


def recoded(bits: NDArray[Any], simd: int) -> NDArray[Any]:
    """Recode the first `simd` lanes of the 0/1 array [..., lanes]; the others stay as they are."""
    out = bits.copy()
    first = np.array(triples(simd), int)
    a, b, c = (bits[..., first + k] for k in range(3))
    out[..., first], out[..., first + 1], out[..., first + 2] = a ^ b, b ^ c, a ^ b ^ c
    return out


def recoded_value(bits: Value, simd: int) -> Value:
    """Recode the first `simd` lanes of a value of a bit each, lane 0 lowest."""
    out = [bits[k] for k in range(len(bits))]
    for k in triples(simd):
        a, b, c = bits[k], bits[k + 1], bits[k + 2]
        out[k : k + 3] = a ^ b, b ^ c, a ^ b ^ c
    return Cat(out)


def masks(simd: int) -> tuple[int, int]:
    """Give the lanes that hold a parity T, and those that hold a lane or a parity, as bits."""
    first = triples(simd)
    parities = sum(4 << k for k in first)
    return parities, ((1 << simd) - 1) & ~sum(3 << k for k in first)
