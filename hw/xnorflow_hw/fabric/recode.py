"""Lanes recoded by threes, so that counting three of them takes one LUT less per PE.

For three lanes a popcount needs the parity of the lanes that agree, and whether two or three agree.
Let d be 1 where a lane differs, ``D = d0 ^ d1``, ``E = d1 ^ d2`` and ``T = d0 ^ d1 ^ d2``. If D and
E are 0, all three lanes are alike, and they agree if T is 0. Otherwise one or two lanes agree, and
it is two if T is 1. So at least two lanes agree if ``(D == E == 0) ^ T`` is 1. This takes two LUTs
of four inputs, and the parity takes one. D, E and T are XORs of the same function of the
activations and of the weights: that of the activations is computed once for all PEs, and that of
the weights stands in the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Value
from numpy.typing import NDArray


def triples(simd: int) -> list[int]:
    """Return the first lane of each leaf of three lanes in a `carry_chains.Tree`.

    Parameters
    ----------
    simd : int
        Number of lanes of the tree.

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
    """Return the 0/1 array [..., lanes] with its first `simd` lanes recoded."""
    out = bits.copy()
    first = np.array(triples(simd), int)
    a, b, c = (bits[..., first + k] for k in range(3))
    out[..., first], out[..., first + 1], out[..., first + 2] = a ^ b, b ^ c, a ^ b ^ c
    return out


def recoded_value(bits: Value, simd: int) -> Value:
    """Return a value of one bit per lane, lane 0 lowest, with its first `simd` lanes recoded."""
    out = [bits[k] for k in range(len(bits))]
    for k in triples(simd):
        a, b, c = bits[k], bits[k + 1], bits[k + 2]
        out[k : k + 3] = a ^ b, b ^ c, a ^ b ^ c
    return Cat(out)


def masks(simd: int) -> tuple[int, int]:
    """Return masks of what the lanes hold once they are recoded, lane 0 in the lowest bit.

    Parameters
    ----------
    simd : int
        Number of lanes.

    Returns
    -------
    parities : int
        Lanes that hold a T, the parity of three.
    singles : int
        Lanes that hold a T or, outside all triples, what they held before: those of weight 1 in the
        count. The others hold a D or an E.

    Examples
    --------
    >>> [f"{mask:07b}" for mask in masks(7)]
    ['0100100', '1100100']
    """
    first = triples(simd)
    parities = sum(4 << k for k in first)
    return parities, ((1 << simd) - 1) & ~sum(3 << k for k in first)
