"""Specs of the tails, which work on an array's values before they leave the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.latency import OFFSET_LATENCY, TABLE_LATENCY, threshold_latency
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec


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
    """

    thresholds: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS

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


TailSpec = ThresholdSpec | OffsetSpec | TableSpec
"""All tails there are."""
