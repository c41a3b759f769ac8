"""Specs of the arrays, which reduce a window's beats to one value per lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Fabric, SumForm
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec


@dataclass(frozen=True, eq=False)
class DotSpec:
    """Spec of an XNOR-popcount array of PE x SIMD.

    Parameters
    ----------
    pe : int
        Number of output channels computed at once.
    simd : int
        Number of inputs per beat.
    bits : int
        Width of an activation code in bits.
    coefficients : tuple of int
        Integer factor of each weight plane.
    weights : uint8 array [repeat * beats, planes, pe, simd]
        Weight bits, in the order in which the array reads them.
    acc_bits : int
        Width in bits of the accumulated sum P.
    pixels : int
        Number of windows computed at once. Each has a lane of its own, which reads one bank of the
        buffer; all of them see the same weights.
    turn : int
        Number of lanes, modulo `pixels`, by which a window's sum moves with each kernel column.
    lanes : tuple of int, length `pixels`
        The lane in which each window's sum ends.
    form : SumForm
        How the products of a beat are summed; see `BeatSum`.
    fabric : Fabric
        The logic cells that sum them.
    rom : RomSpec
        What the memory of the weights is built of.
    """

    pe: int
    simd: int
    bits: int
    coefficients: tuple[int, ...]
    weights: NDArray[Any]
    acc_bits: int
    pixels: int = 1
    turn: int = 0
    lanes: tuple[int, ...] = (0,)
    form: SumForm = "tree"
    fabric: Fabric = "generic"
    rom: RomSpec = IN_BLOCKS

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.pe

    @property
    def out_bits(self) -> int:
        """Width of a value in bits."""
        return self.acc_bits


@dataclass(frozen=True, eq=False)
class MaxSpec:
    """Spec of an array that takes the maximum, or in some lanes the minimum.

    Parameters
    ----------
    lanes : int
        Number of channels computed at once.
    bits : int
        Width of an activation code in bits.
    minimum : bool array [repeat, lanes]
        Whether a lane takes the minimum, for each repeat.
    """

    lanes: int
    bits: int
    minimum: NDArray[Any]

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.lanes

    @property
    def out_bits(self) -> int:
        """Width of a value in bits."""
        return self.bits


@dataclass(frozen=True)
class SumSpec:
    """Spec of an array that sums codes.

    Parameters
    ----------
    lanes : int
        Number of channels computed at once.
    bits : int
        Width of an activation code in bits.
    out_bits : int
        Width of the sum in bits.
    """

    lanes: int
    bits: int
    out_bits: int

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.lanes


ArraySpec = DotSpec | MaxSpec | SumSpec
