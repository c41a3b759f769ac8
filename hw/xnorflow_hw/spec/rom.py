"""Spec of a read-only memory: what it is built of and how it is cut into tiles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xnorflow_hw.spec.kinds import Storage


@dataclass(frozen=True)
class Tile:
    """A rectangular part of a memory, for example what one block RAM holds.

    Parameters
    ----------
    first : int
        First word.
    depth : int
        Number of words.
    low : int
        Lowest bit of a word.
    width : int
        Number of bits of a word.
    """

    first: int
    depth: int
    low: int
    width: int


def segments(tiles: Sequence[Tile]) -> list[tuple[int, int, list[int]]]:
    """Return the ranges of a word's bits between which tiles begin or end.

    Parameters
    ----------
    tiles : sequence of Tile
        Parts of one memory.

    Returns
    -------
    list of (int, int, list of int)
        First bit of a range, first bit past it, and the indices of the tiles that hold these bits.
    """
    cuts = sorted({t.low for t in tiles} | {t.low + t.width for t in tiles})
    found: list[list[int]] = [[] for _ in cuts]
    for index, t in enumerate(tiles):
        for k in range(bisect_left(cuts, t.low), bisect_left(cuts, t.low + t.width)):
            found[k].append(index)
    return [(low, end, found[k]) for k, (low, end) in enumerate(pairwise(cuts))]


@dataclass(frozen=True)
class RomSpec:
    """Spec of what a read-only memory is built of.

    Parameters
    ----------
    storage : Storage
        "block", "constants", "distributed" or "logic"; see `Rom`. For weights also "spram"; see
        `SpramRom`.
    tiles : tuple of Tile
        The parts into which block RAM is cut; one that holds everything if empty.
    registers : bool
        Whether every tile ends in a register of its own, if the memory has an output register.
    far : bool
        Whether there are too many tiles with registers to lie close together; see `Rom`.
    """

    storage: Storage = "block"
    tiles: tuple[Tile, ...] = ()
    registers: bool = False
    far: bool = False

    @property
    def extra(self) -> int:
        """Additional clock cycles of far tiles: one for the address and one for the words."""
        return FAR_CYCLES * (self.far and self.registers and len(self.tiles) > 1)

    @property
    def cycles(self) -> int:
        """Clock cycles of the registers between the blocks and the output register."""
        return self.registers + self.extra


NEAR = 8
"""Number of tiles that share a copy of the address.

More than twice as many tiles cannot lie close together.
"""
FAR_CYCLES = 2
"""Clock cycles of the long wires to and from far tiles."""
IN_BLOCKS = RomSpec()
"""Block RAM that the synthesis tool cuts."""
IN_SPRAM = RomSpec("spram")
"""Single-port RAM that is loaded after power-up."""
