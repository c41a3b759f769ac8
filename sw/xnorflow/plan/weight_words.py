"""Convert integer weights to bit planes, in the order in which the ROM holds them."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.plan.reductions import Fold

Bits = NDArray[np.uint8]


def weight_planes(weights: ir.Ints) -> tuple[Bits, tuple[int, ...], int]:
    """Convert integer weights to bipolar planes, or to signs and a mask if they are -1, 0 and 1.

    Parameters
    ----------
    weights : int64 array [...]
        Weights, of any shape and sign.

    Returns
    -------
    bits : uint8 array [planes, ...]
        1 where the plane is +1, 0 where it is -1. Of two planes with one coefficient the second is
        the mask, 0 where a weight is 0; the sign of such a weight is 1.
    coefficients : tuple of int
        Factor of each plane but the mask.
    denominator : int
        Common denominator: ``weights == sum(coefficients * (2 * bits - 1)) / denominator``, or
        with a mask ``(2 * bits[0] - 1) * bits[1]``.
    """
    if np.isin(weights, (-1, 1)).all():
        return (weights > 0).astype(np.uint8)[None], (1,), 1
    if np.isin(weights, (-1, 0, 1)).all():
        return np.stack([weights >= 0, weights != 0]).astype(np.uint8), (1,), 1
    exponent = max(0, int(np.abs(weights).max()) - 1).bit_length()
    top = 1 << exponent
    first = (weights > -top).astype(np.int64)
    code = (2 * weights - (2 * first - 1) + 2 * top - 1) // 2
    planes = [first, *((code >> j) & 1 for j in range(exponent + 1))]
    coefficients = (1, *(1 << j for j in range(exponent + 1)))
    return np.stack(planes).astype(np.uint8), coefficients, 2


def signed_bits(least: int, most: int) -> int:
    """Return the bits of a two's complement integer that goes from `least` to `most`."""
    return 1 + max(most.bit_length(), (-1 - least).bit_length() if least < 0 else 0)


def weight_bits(weights: ir.Ints) -> int:
    """Return the width in two's complement of the widest weight, 2 bits or more."""
    return max(2, signed_bits(int(weights.min()), int(weights.max())))


def padded_to(a: NDArray[Any], axis: int, size: int, value: int) -> NDArray[Any]:
    """Return an array with one axis extended at its end to `size` entries, filled with `value`."""
    widths = [(0, 0)] * a.ndim
    widths[axis] = (0, size - a.shape[axis])
    return np.pad(a, widths, constant_values=value)


def per_lane(a: NDArray[Any], lanes: int, value: int = 0) -> NDArray[Any]:
    """Reshape [channels, ...] to [ceil(channels / lanes), lanes, ...], padded with `value`."""
    groups = ceil(len(a) / lanes)
    return padded_to(a, 0, groups * lanes, value).reshape(groups, lanes, *a.shape[1:])


def rom_words(bits: NDArray[Any], fold: Fold, blocks: int = 1) -> NDArray[Any]:
    """Return the words of a weight ROM, in the order in which an engine reads them.

    With several pixels at once an engine walks through the kernel column by column, otherwise row
    by row. Unused SIMD lanes get bits of 1, which never match their activations of code 0. Unused
    PEs repeat the last real one, so that their sums are no higher; those of unused groups have
    lanes of their own, which are unused, too.

    Parameters
    ----------
    bits : int array [planes, out, rows, cols, in]
        Weight bits, or whole weights as a single plane; `in` are the inputs of a group.
    fold : Fold
        Folding of the engine.
    blocks : int
        Groups at once.

    Returns
    -------
    int array [repeat * beats, planes, pe, simd / blocks]
        Words, of the same type; `repeat` is the number of passes over the output channels, `beats`
        the beats of each.
    """
    planes, _, rows, cols, _ = bits.shape
    lanes = fold.simd // blocks
    repeat, words = ceil(bits.shape[1] / fold.pe), ceil(bits.shape[4] / lanes)
    if blocks > 1:
        bits = padded_to(bits, 1, repeat * fold.pe, 1)
    else:
        more = repeat * fold.pe - bits.shape[1]
        bits = np.pad(bits, [(0, 0), (0, more), *[(0, 0)] * 3], mode="edge")
    bits = padded_to(bits, 4, words * lanes, 1)
    bits = bits.reshape(planes, repeat, fold.pe, rows, cols, words, lanes)
    if fold.pixels > 1:
        bits = bits.swapaxes(3, 4)
    return bits.transpose(1, 3, 4, 5, 0, 2, 6).reshape(-1, planes, fold.pe, lanes)
