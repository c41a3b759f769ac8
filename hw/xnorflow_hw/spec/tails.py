"""Describes the tails: what becomes of an array's values before they leave the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.latency import OFFSET_LATENCY, TABLE_LATENCY, threshold_latency
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec


@dataclass(frozen=True, eq=False)
class ThresholdSpec:
    """Threshold tail: int array [rows, lanes, levels - 1], ascending, and the codes' width."""

    thresholds: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return threshold_latency(bits=self.out_bits)


@dataclass(frozen=True, eq=False)
class OffsetSpec:
    """Offset tail: ``(P * multiply + offset[row, lane]) >> shift``."""

    multiply: int
    offset: NDArray[Any]
    shift: int
    out_bits: int
    rom: RomSpec = IN_BLOCKS

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return OFFSET_LATENCY


@dataclass(frozen=True, eq=False)
class TableSpec:
    """Table tail: ``table[row, lane, P]``, int array."""

    table: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS

    @property
    def latency(self) -> int:
        """Clock cycles."""
        return TABLE_LATENCY


TailSpec = ThresholdSpec | OffsetSpec | TableSpec
"""All tails there are."""
