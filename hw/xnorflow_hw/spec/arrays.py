"""Describes the arrays: what reduces a window's beats to one value per lane.

Every array answers the same questions (`ArraySpec` names the classes): how many values and bits
leave it, how long it takes, and what its weights are if it has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Fabric, SumForm
from xnorflow_hw.spec.latency import MAX_LATENCY, SUM_LATENCY, baked_latency, dot_latency
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

    @property
    def weight_words(self) -> int:
        """Words of the weights' memory."""
        return len(self.weights)

    @property
    def word_bits(self) -> int:
        """Bits of such a word."""
        return int(self.weights[0].size)

    @property
    def weight_planes(self) -> int:
        """Bipolar planes of a weight."""
        return len(self.coefficients)

    @property
    def size(self) -> str:
        """Its size in words."""
        return f"PE {self.pe}, SIMD {self.simd}"

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result, a code if the array compares."""
        if self.form == "baked":
            return baked_latency(self.simd, threshold=compares)
        return dot_latency(
            simd=self.simd,
            bits=self.bits,
            coefficients=self.coefficients,
            depth=self.weight_words,
            form=self.form,
            fabric=self.fabric,
            rom=self.rom,
        )


class Weightless:
    """The answers of an array that has no weights."""

    simd: ClassVar[int] = 1
    pixels: ClassVar[int] = 1
    weight_words: ClassVar[int] = 0
    word_bits: ClassVar[int] = 0
    weight_planes: ClassVar[int] = 1
    acc_bits: ClassVar[int] = 0
    rom: ClassVar[RomSpec | None] = None
    form: ClassVar[SumForm | None] = None


@dataclass(frozen=True, eq=False)
class MaxSpec(Weightless):
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

    @property
    def size(self) -> str:
        """Its size in words."""
        return f"{self.lanes} lanes"

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return MAX_LATENCY


@dataclass(frozen=True)
class SumSpec(Weightless):
    """Sum array."""

    lanes: int
    bits: int
    out_bits: int

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.lanes

    @property
    def size(self) -> str:
        """Its size in words."""
        return f"{self.lanes} lanes"

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return SUM_LATENCY


ArraySpec = DotSpec | MaxSpec | SumSpec
"""All arrays there are."""
