"""Describes the arrays: what reduces a window's beats to one value per lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Fabric, SumForm
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec


@dataclass(frozen=True, eq=False)
class DotSpec:
    """XNOR-popcount PE x SIMD array.

    Parameters
    ----------
    pe, simd, bits : int
        Output channels at once, inputs at once, planes of an activation.
    coefficients : tuple of int
        One per weight plane.
    weights : uint8 array [repeat * beats, planes, pe, simd]
        Weight bits in ROM order.
    acc_bits : int
        Width of the accumulated P.
    pixels : int
        Windows at once, each in a lane of its own that reads one bank of the buffer; all of them
        see the same weights.
    turn : int
        How many lanes further, modulo `pixels`, a window's sum goes with each kernel column.
    lanes : tuple of int, length `pixels`
        The lane in which each window's sum ends.
    form, fabric : str
        How a beat's products are summed, and of what; see `beat.BeatSum`.
    rom : RomSpec
        What the weights are stored in.
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
        """Values per pulse."""
        return self.pe

    @property
    def out_bits(self) -> int:
        """Bits of a value."""
        return self.acc_bits


@dataclass(frozen=True, eq=False)
class MaxSpec:
    """Maximum array; `minimum` is bool [repeat, lanes]."""

    lanes: int
    bits: int
    minimum: NDArray[Any]

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.lanes

    @property
    def out_bits(self) -> int:
        """Bits of a value."""
        return self.bits


@dataclass(frozen=True)
class SumSpec:
    """Sum array."""

    lanes: int
    bits: int
    out_bits: int

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.lanes


ArraySpec = DotSpec | MaxSpec | SumSpec
