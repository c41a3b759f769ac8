"""Specs of the tails, which work on an array's values before they leave the stage.

The lanes of their constants are those of one window, or of a set for each kind of window where
several windows of different border classes are computed at once (`spec.borders`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.kinds import Multiplier
from xnorflow_hw.spec.latency import (
    OFFSET_LATENCY,
    TABLE_LATENCY,
    affine_latency,
    threshold_latency,
)
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec


@dataclass(frozen=True, eq=False)
class AffineSpec:
    """Spec of an affine tail, which computes uniform codes instead of searching for them.

    The code of P is ``clip((P * multiply + offset) >> shift, 0, levels - 1)`` with the constants of
    the row and lane. Two corrections make it what a float32 quantiser gives. `ties`: where the
    dropped bits are all 0, a code of the wrong parity is one less. `late`: where they are below
    ``step * multiply``, so that P is the first value with the code, a marked code is one less.

    Parameters
    ----------
    multiply : int array [rows, lanes]
        Factors, at least 0.
    offset : int array [rows, lanes]
        What is added to the product.
    shift : int
        Number of low bits that are dropped.
    levels : int
        Number of codes.
    out_bits : int
        Width of a code in bits.
    acc_bits : int
        Width of P in bits.
    ties : int array [rows, lanes]
        0 where ties go up, 1 where they go to even codes, 2 where they go to odd ones.
    late : bool array [rows, lanes, levels], optional
        Codes that begin one value later; then there are no ties.
    least, most : int array [rows, lanes], optional
        Bounds of the codes, in place of 0 and ``levels - 1``; then there are no late codes.
    bounded : bool
        Whether a code may be beyond its bounds before it is limited.
    step : int
        Distance of neighbouring values of P, a power of two.
    multiplier : {"dsp", "logic"}
        What the products are built of.
    rom, late_rom : RomSpec
        What the memory of the constants, and each lane's memory of late codes, are built of.
    """

    multiply: NDArray[Any]
    offset: NDArray[Any]
    shift: int
    levels: int
    out_bits: int
    acc_bits: int
    ties: NDArray[Any]
    late: NDArray[Any] | None = None
    least: NDArray[Any] | None = None
    most: NDArray[Any] | None = None
    bounded: bool = True
    step: int = 1
    multiplier: Multiplier = "logic"
    rom: RomSpec = IN_BLOCKS
    late_rom: RomSpec = IN_BLOCKS

    @property
    def rows(self) -> int:
        """Number of rows of constants."""
        return len(self.multiply)

    @property
    def factor_bits(self) -> int:
        """Width of a factor in bits."""
        return max(1, int(self.multiply.max()).bit_length())

    @property
    def offset_bits(self) -> int:
        """Width of an offset in bits, in two's complement."""
        low, high = int(self.offset.min()), int(self.offset.max())
        return max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + 1

    @property
    def word_bits(self) -> int:
        """Width of a word of constants in bits: those of each lane."""
        lane = self.factor_bits + self.offset_bits + self.tie_bits + self.bound_bits
        return int(self.multiply.shape[1] * lane)

    @property
    def bound_bits(self) -> int:
        """Bits of a lane that hold the bounds of its codes: 0 if all lanes have the same."""
        return 0 if self.least is None else 2 * self.out_bits

    @property
    def tie_bits(self) -> int:
        """Bits of a lane that tell how ties are broken: 0 if the same holds for all, or 2."""
        return 0 if (self.ties == self.ties.flat[0]).all() else 2

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return affine_latency(
            bits=min(self.acc_bits, self.factor_bits),
            multiplier=self.multiplier,
            ties=bool(self.ties.any()),
            late=self.late is not None,
        )


@dataclass(frozen=True, eq=False)
class ThresholdSpec:
    """Spec of a threshold tail: the code of a value P is the number of thresholds that it reaches.

    Parameters
    ----------
    thresholds : int array [rows, lanes, levels - 1]
        Thresholds, ascending along the last axis.
    out_bits : int
        Width of a code in bits.
    rom : RomSpec
        What the memory of the thresholds is built of.
    affine : AffineSpec, optional
        Tail that gives the same codes, if there is one; the compiler takes one of the two.
    """

    thresholds: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS
    affine: AffineSpec | None = None

    @property
    def rows(self) -> int:
        """Number of rows of constants."""
        return len(self.thresholds)

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return threshold_latency(bits=self.out_bits)


@dataclass(frozen=True, eq=False)
class OffsetSpec:
    """Spec of an offset tail, which returns ``(P * multiply + offset[row, lane]) >> shift``.

    Parameters
    ----------
    multiply : int
        Factor of P.
    offset : int array [rows, lanes]
        What is added to the product.
    shift : int
        Number of low bits that are dropped.
    out_bits : int
        Width of a result in bits.
    rom : RomSpec
        What the memory of the offsets is built of.
    """

    multiply: int
    offset: NDArray[Any]
    shift: int
    out_bits: int
    rom: RomSpec = IN_BLOCKS

    @property
    def rows(self) -> int:
        """Number of rows of constants."""
        return len(self.offset)

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return OFFSET_LATENCY


@dataclass(frozen=True, eq=False)
class TableSpec:
    """Spec of a table tail, which returns ``table[row, lane, P]``.

    Parameters
    ----------
    table : int array [rows, lanes, values]
        Result for every value of P.
    out_bits : int
        Width of a result in bits.
    rom : RomSpec
        What the memory of the table is built of.
    """

    table: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS

    @property
    def rows(self) -> int:
        """Number of rows of constants."""
        return len(self.table)

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return TABLE_LATENCY


TailSpec = ThresholdSpec | AffineSpec | OffsetSpec | TableSpec
"""All tails there are."""
