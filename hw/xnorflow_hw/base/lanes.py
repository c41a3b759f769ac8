"""Lanes of arrays: checks of their sizes, and the window that each lane holds at each beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_sizes(**sizes: int) -> None:
    """Raise ValueError, with the name, if a size is not positive."""
    for what, size in sizes.items():
        if size < 1:
            raise ValueError(f"{what} is {size}; it has to be 1 or more")


def check_blocks(blocks: int, pe: int, simd: int) -> None:
    """Raise ValueError if an array cannot be split into so many equal parts."""
    if pe % blocks or simd % blocks:
        raise ValueError(
            f"blocks is {blocks}; it has to divide pe, which is {pe}, and simd, which is {simd}"
        )


def check_bits(weights: NDArray[Any]) -> None:
    """Raise ValueError if an array of weight bits has other values than 0 and 1."""
    if weights.size and (weights.min() < 0 or weights.max() > 1):
        raise ValueError(
            f"weights go from {weights.min()} to {weights.max()}; weight bits are 0 or 1"
        )


def check_lanes(lanes: Sequence[int], pixels: int) -> None:
    """Raise ValueError if windows do not each end in a lane of their own."""
    if sorted(lanes) != list(range(pixels)):
        raise ValueError(
            f"lanes are {tuple(lanes)}; with {pixels} pixels they have to be a permutation of"
            f" {tuple(range(pixels))}"
        )


def window_codes(
    by_lane: NDArray[Any], *, lanes: Sequence[int], turn: int, turns: Sequence[int]
) -> NDArray[Any]:
    """Return the codes that each window sees at each beat.

    Parameters
    ----------
    by_lane : array [reductions, beats, pixels, ...]
        Codes of each lane.
    lanes : sequence of int, length `pixels`
        The lane in which each window's sum ends.
    turn : int
        Number of lanes by which sums move.
    turns : sequence of int
        Indices of a reduction's beats before which they move.

    Returns
    -------
    array [reductions, beats, pixels, ...]
        The same codes, by window.
    """
    turned = np.isin(np.arange(by_lane.shape[1]), turns).astype(int)
    left = turned.sum() - turned.cumsum()
    lane = (np.array(lanes) - turn * left[:, None]) % len(lanes)
    rest = (1,) * (by_lane.ndim - 3)
    return np.take_along_axis(by_lane, lane.reshape(1, *lane.shape, *rest), 2)
