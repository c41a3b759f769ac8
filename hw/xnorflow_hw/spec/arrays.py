"""Describes the arrays: what reduces a window's beats to one value per lane.

Every array answers the same questions (`ArraySpec` names the classes): how many values and bits
leave it, how long it takes, and what its weights are if it has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Fabric, Multiplier, SumForm
from xnorflow_hw.spec.latency import (
    JOINED_LATENCY,
    MAX_LATENCY,
    SUM_LATENCY,
    baked_latency,
    dot_latency,
    mac_latency,
)
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec

JoinedOp = Literal["sum", "product", "maximum", "minimum", "copy"]
"""How an array combines the values of its ports."""


class Weighted:
    """The answers that all arrays with weights give alike."""

    pe: int
    simd: int
    weights: NDArray[Any]
    acc_bits: int
    blocks: int

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.pe

    @property
    def block_lanes(self) -> int:
        """Number of inputs per beat of an output channel."""
        return self.simd // self.blocks

    @property
    def out_bits(self) -> int:
        """Width of a value in bits."""
        return self.acc_bits

    @property
    def weight_words(self) -> int:
        """Words of the weights' memory."""
        return len(self.weights)

    @property
    def size(self) -> str:
        """Its size in words."""
        blocks = f" in {self.blocks} blocks" if self.blocks > 1 else ""
        return f"PE {self.pe}, SIMD {self.simd}{blocks}"


@dataclass(frozen=True, eq=False)
class DotSpec(Weighted):
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
    weights : uint8 array [repeat * beats, planes, pe, simd / blocks]
        Weight bits, in the order in which the array reads them. The last plane is the mask, if
        there is one.
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
    blocks : int
        Equal parts, in order, of the inputs and of the output channels; an output channel sums only
        the inputs of its own part.
    masked : bool
        Whether weights have a further plane, a mask, and inputs add nothing where it is 0.
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
    blocks: int = 1
    masked: bool = False

    @property
    def word_bits(self) -> int:
        """Bits of a word of the weights' memory."""
        return int(self.weights[0].size)

    @property
    def weight_planes(self) -> int:
        """Planes of a weight, the mask among them."""
        return len(self.coefficients) + self.masked

    @property
    def sums(self) -> str:
        """How the products of a beat are summed, in words."""
        return f"{'masked ' if self.masked else ''}{self.form}"

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result, a code if the array compares."""
        if self.form == "baked":
            return baked_latency(self.simd, threshold=compares)
        return dot_latency(
            simd=self.block_lanes,
            bits=self.bits,
            coefficients=self.coefficients,
            depth=self.weight_words,
            form=self.form,
            fabric=self.fabric,
            rom=self.rom,
        )


@dataclass(frozen=True, eq=False)
class MacSpec(Weighted):
    """Spec of an array of PE x SIMD multipliers, for codes and weights of several bits.

    Parameters
    ----------
    pe : int
        Number of output channels computed at once.
    simd : int
        Number of inputs per beat.
    bits : int
        Width of an activation code in bits.
    weight_bits : int
        Width of a weight in bits, in two's complement.
    weights : int array [repeat * beats, pe, simd / blocks]
        Weights, in the order in which the array reads them: that of a `DotSpec`.
    acc_bits : int
        Width in bits of the accumulated sum. A result is the sum plus ``2 ** (acc_bits - 1)``.
    pixels, turn, lanes, rom, blocks
        As those of a `DotSpec`.
    multiplier : {"dsp", "logic"}
        What the products are built of.
    """

    pe: int
    simd: int
    bits: int
    weight_bits: int
    weights: NDArray[Any]
    acc_bits: int
    pixels: int = 1
    turn: int = 0
    lanes: tuple[int, ...] = (0,)
    multiplier: Multiplier = "logic"
    rom: RomSpec = IN_BLOCKS
    blocks: int = 1

    weight_planes: ClassVar[int] = 1
    form: ClassVar[SumForm | None] = None

    @property
    def word_bits(self) -> int:
        """Bits of a word of the weights' memory."""
        return int(self.weights[0].size) * self.weight_bits

    @property
    def products(self) -> int:
        """Number of multipliers."""
        return self.pe * self.block_lanes * self.pixels

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return mac_latency(
            lanes=self.block_lanes,
            bits=self.bits,
            weight_bits=self.weight_bits,
            multiplier=self.multiplier,
            depth=self.weight_words,
            rom=self.rom,
        )


class Weightless:
    """The answers of an array of lanes that has no weights."""

    lanes: int
    simd: ClassVar[int] = 1
    blocks: ClassVar[int] = 1
    pixels: ClassVar[int] = 1
    weight_words: ClassVar[int] = 0
    word_bits: ClassVar[int] = 0
    weight_planes: ClassVar[int] = 1
    rom: ClassVar[RomSpec | None] = None
    form: ClassVar[SumForm | None] = None

    @property
    def acc_bits(self) -> int:
        """Width in bits of the accumulated sum, 0 if nothing is summed."""
        return 0

    @property
    def lanes_out(self) -> int:
        """Number of values per result."""
        return self.lanes

    @property
    def size(self) -> str:
        """Its size in words."""
        return f"{self.lanes} lanes"


@dataclass(frozen=True, eq=False)
class MaxSpec(Weightless):
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
    def out_bits(self) -> int:
        """Width of a value in bits."""
        return self.bits

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return MAX_LATENCY


@dataclass(frozen=True)
class SumSpec(Weightless):
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
    def acc_bits(self) -> int:
        """Width in bits of the accumulated sum."""
        return self.out_bits

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from the last beat to the result; this array never compares."""
        return SUM_LATENCY


@dataclass(frozen=True, eq=False)
class JoinedSpec(Weightless):
    """Spec of an array that computes each value from the codes of one or more ports.

    Port k contributes ``v_k = factors[k] * code_k + offsets[k]``. The result is the sum, product,
    maximum or minimum of all v_k, or "copy", the v_k of the port whose turn it is; it is a code, so
    it is not negative.

    Parameters
    ----------
    op : JoinedOp
        See above.
    bits : tuple of int
        Width in bits of the codes of each port.
    factors : int64 array [rows, ports, lanes]
        Factor of each port's codes. A single row serves all beats; otherwise there is one for every
        beat of a pixel, or one for every beat of a frame.
    offsets : int64 array [rows, ports, lanes]
        What is added to each product; the number of rows may be another than that of `factors`.
    out_bits : int
        Width of a result in bits.
    held : tuple of bool
        Whether all lanes of a port read its single code.
    """

    op: JoinedOp
    bits: tuple[int, ...]
    factors: NDArray[Any]
    offsets: NDArray[Any]
    out_bits: int
    held: tuple[bool, ...]

    @property
    def lanes(self) -> int:  # type: ignore[override]
        """Number of values per result."""
        return int(self.factors.shape[2])

    def latency(self, *, compares: bool = False) -> int:
        """Return the cycles from a beat to its result; this array never compares."""
        return JOINED_LATENCY


ArraySpec = DotSpec | MacSpec | MaxSpec | SumSpec | JoinedSpec
"""All arrays there are."""
