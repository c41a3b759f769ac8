"""Describes what a read-only memory is built of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xnorflow_hw.spec.kinds import Storage


@dataclass(frozen=True)
class Tile:
    """Part of a memory: from word `first` on `depth` words, of these `width` bits from `low` on."""

    first: int
    depth: int
    low: int
    width: int


def segments(tiles: Sequence[Tile]) -> list[tuple[int, int, list[int]]]:
    """Cut a memory's bits where tiles begin or end.

    Returns
    -------
    list of (first bit, bit past the last, indices of the tiles there)
    """
    cuts = sorted({t.low for t in tiles} | {t.low + t.width for t in tiles})
    found: list[list[int]] = [[] for _ in cuts]
    for index, t in enumerate(tiles):
        for k in range(bisect_left(cuts, t.low), bisect_left(cuts, t.low + t.width)):
            found[k].append(index)
    return [(low, end, found[k]) for k, (low, end) in enumerate(pairwise(cuts))]


@dataclass(frozen=True)
class RomSpec:
    """What a read-only memory is built of.

    Parameters
    ----------
    storage : Storage
        "block", "constants", "distributed" or "logic"; see `Rom`. Weights also "spram"; see
        `SpramRom`.
    tiles : tuple of Tile
        How block RAM is cut; one tile if empty.
    registers : bool
        Whether every tile ends in a register of its own, if there is one at all.
    far : bool
        Whether tiles with registers are too many to lie beside each other; see `rom.Rom`.
    """

    storage: Storage = "block"
    tiles: tuple[Tile, ...] = ()
    registers: bool = False
    far: bool = False

    @property
    def extra(self) -> int:
        """Clock cycles more that far tiles take: one of the address and one of the words."""
        return FAR_CYCLES * (self.far and self.registers and len(self.tiles) > 1)

    @property
    def cycles(self) -> int:
        """Clock cycles of the registers between the blocks and the last register, if there is."""
        return self.registers + self.extra


NEAR = 8
"""Tiles that lie beside each other and share a copy of the address; twice as many reach far."""
FAR_CYCLES = 2
"""Clock cycles that wires to and from far tiles take."""
IN_BLOCKS = RomSpec()
"""Block RAM, cut by the synthesis tool."""
