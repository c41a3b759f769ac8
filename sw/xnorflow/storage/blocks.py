"""Compute what a memory takes, and choose its storage at a given price of a block of RAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, inf

from xnorflow.devices.tables import Family
from xnorflow.storage.cut import Ram, cut, cut_cost, join_luts
from xnorflow_hw.spec import NEAR, RomSpec

LARGE = 1 << 18
"""Most bits of contents that a tool should have to build of logic while blocks are left."""


def rom_luts(depth: int, width: int, lut_inputs: int) -> float:
    """Return the LUTs of a ROM without block RAM, as measured with Yosys 0.70 on random words.

    With few words many columns of bits are equal and need only one LUT.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    lut_inputs : int
        Inputs of a LUT.
    """
    whole = 1 << lut_inputs
    if depth <= whole:
        return min(width, 1 << depth)
    if lut_inputs < 6:
        return width * max(3.0, depth / 8)
    # Multiplexers that join two or four LUTs cost no LUT.
    return width * (1 << (ceil(depth / whole) - 1).bit_length()) * (1 if depth <= 256 else 1.5)


def ram_luts(depth: int, width: int, family: Family) -> float:
    """Return the LUTs of a memory with a write and a read port without block RAM.

    It is infinite if LUTs of the family cannot be memory.
    """
    found = inf
    for native, bits in family.lutram_shapes:
        parts, inputs = ceil(depth / native), family.lut_inputs
        # Joining two parts takes two data inputs and an address bit; F7 and F8 cost no LUT.
        joined = ceil((parts - 1) / 3) if inputs == 6 else ceil(2 * (parts - 1) / 3)
        stored = parts * ceil(width / bits) * family.lutram_luts.use()
        found = min(found, stored + width * joined + (parts if parts > 1 else 0))
    return found


SPRAM_LUTS = 15
"""LUTs of a ROM in SPRAM: the multiplexer for the address while it is loaded, and its control."""


def spram_number(depth: int, width: int, family: Family) -> int:
    """Return the number of SPRAMs that a ROM takes; 0 if the family has none."""
    if family.spram_shape is None:
        return 0
    native, bits = family.spram_shape
    return ceil(depth / native) * ceil(width / bits)


@cache
def ram_blocks(depth: int, width: int, shapes: tuple[tuple[int, int], ...]) -> int:
    """Compute the fewest blocks of RAM for a memory that is cut into columns.

    Every column consists of blocks of one native shape, as many as the depth needs.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    shapes : tuple of (int, int)
        Native depth and width of a block.
    """
    columns: list[tuple[int, int]] = []
    for d, w in sorted(shapes, key=lambda shape: -shape[1]):
        if not columns or ceil(depth / d) < columns[-1][0]:
            columns.append((ceil(depth / d), w))
    number, bits = min(columns, key=lambda c: c[0] / c[1])
    # Let n be the width of the best column. Among any n columns of other shapes, the widths of some
    # add up to a multiple of n, so best columns can replace them at no more blocks. Other shapes
    # therefore matter only for a limited width, and best columns make up the rest.
    whole = max(0, -(-(width - bits * columns[0][1]) // bits))
    return whole * number + _fewest_blocks(tuple(columns))[width - whole * bits]


@cache
def _fewest_blocks(columns: tuple[tuple[int, int], ...]) -> list[int]:
    """Compute the fewest blocks for each width up to the square of the widest column.

    Each of `columns` is (blocks, bits).
    """
    fewest = [0]
    for width in range(1, columns[0][1] ** 2 + 1):
        fewest.append(min(n + fewest[max(0, width - w)] for n, w in columns))
    return fewest


@dataclass(frozen=True)
class StorageChoice:
    """Choice of the storage of memories on a family, at a price of a block of RAM.

    Parameters
    ----------
    family : Family
        FPGA family.
    wanted : float, optional
        Price of a block in LUTs; by default what a block is worth on the family.
    """

    family: Family
    wanted: float | None = None

    @cached_property
    def price(self) -> float:
        """Price of a block in LUTs."""
        return self.family.block_luts.use() if self.wanted is None else self.wanted

    @cached_property
    def _ram(self) -> Ram:
        return Ram.of(self.family)

    def rom(self, depth: int, width: int) -> RomSpec:
        """Choose the storage of a ROM of `depth` words of `width` bits."""
        if depth == 1:
            return RomSpec("constants")
        if self._cheapest(depth, width)[0] == "block":
            tiles = cut(depth, width, self._ram, self.price)
            registers = self._ram.registers
            return RomSpec("block", tiles, registers, far=registers and len(tiles) > 2 * NEAR)
        return RomSpec("logic" if depth <= self.family.lut_inputs else "distributed")

    def far_registers(self, depth: int, width: int, rom: RomSpec | None) -> tuple[int, int]:
        """Return the extra flip-flops that far tiles of a ROM need, and the extra cycles."""
        if rom is None:
            # The cut, which is expensive to compute, matters only for ROMs with far tiles.
            if not self._ram.registers or self.takes(depth, width, rom)[1] <= 2 * NEAR:
                return 0, 0
            rom = _chosen(self, depth, width)
        if not rom.extra:
            return 0, 0
        deepest = max(t.depth for t in rom.tiles)
        address = ceil(len(rom.tiles) / NEAR) * (deepest - 1).bit_length()
        return sum(t.width for t in rom.tiles) + address, rom.extra

    def _cheapest(self, depth: int, width: int) -> tuple[str, float, int]:
        """Return the cheapest storage of a ROM of more than one word, its LUTs and its blocks."""
        luts = rom_luts(depth, width, self.family.lut_inputs)
        joined, blocks = cut_cost(depth, width, self._ram, self.price)
        # Yosys 0.70 took 15 GB for 2.9 Mbit of 128 words, and three times the LUTs.
        trouble = 2 if depth * width > LARGE else 1
        if luts * trouble < blocks * self.price + joined:
            return "distributed", luts, 0
        return "block", joined, blocks

    def takes(self, depth: int, width: int, rom: RomSpec | None) -> tuple[float, int]:
        """Compute the LUTs and the blocks of a ROM.

        Parameters
        ----------
        depth, width : int
            Words, and bits per word.
        rom : RomSpec or None
            Storage of the ROM; with None the cheapest is taken.
        """
        if depth == 1:
            return 0, 0
        spram = rom is not None and rom.storage == "spram"
        if rom is None or (spram and self.family.spram_shape is None):
            return self._cheapest(depth, width)[1:]
        if spram:
            return SPRAM_LUTS, 0
        if rom.storage != "block":
            return rom_luts(depth, width, self.family.lut_inputs), 0
        if not rom.tiles:
            return cut_cost(depth, width, self._ram, self.price)
        return join_luts(rom.tiles, self._ram), sum(self._ram.blocks(t) for t in rom.tiles)

    def ram_of(self, depth: int, width: int, kind: str) -> str:
        """Return the storage of a memory with a write and a read port, if `kind` is wanted.

        With "auto", or if LUTs of the family cannot be memory, the cheapest possible is taken.
        """
        if kind == "auto" or not self.family.lutram_shapes:
            return self.ram(depth, width)
        return kind

    def ram(self, depth: int, width: int) -> str:
        """Choose the storage of a memory with a write and a read port."""
        blocks = ram_blocks(depth, width, self.family.ram_shapes)
        cheaper = ram_luts(depth, width, self.family) <= blocks * self.price
        return "distributed" if cheaper else "block"


@cache
def _chosen(choice: StorageChoice, depth: int, width: int) -> RomSpec:
    return choice.rom(depth, width)
