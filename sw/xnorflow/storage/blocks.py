"""What one memory takes, and what it is best built of at a price of a block of RAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from math import ceil, inf

from xnorflow.devices.tables import Family
from xnorflow.storage.cut import Ram, cut, cut_cost, join_luts
from xnorflow_hw.spec import NEAR, RomSpec

LARGE = 1 << 18
"""Bits of contents that no tool should have to make logic of while blocks are left."""


def rom_luts(depth: int, width: int, lut_inputs: int) -> float:
    """Give the LUTs of a ROM without block RAM.

    Measured with Yosys 0.70 on random words. Of few words, many bits are equal.
    """
    whole = 1 << lut_inputs
    if depth <= whole:
        return min(width, 1 << depth)
    if lut_inputs < 6:
        return width * max(3.0, depth / 8)
    # Multiplexers of two and of four LUTs are free.
    return width * (1 << (ceil(depth / whole) - 1).bit_length()) * (1 if depth <= 256 else 1.5)


def ram_luts(depth: int, width: int, family: Family) -> float:
    """Give the LUTs of a memory with a write and a read port without block RAM."""
    found = inf
    for native, bits in family.lutram_shapes:
        parts, inputs = ceil(depth / native), family.lut_inputs
        # A multiplexer of two takes two inputs and an address bit each; F7 and F8 are free.
        joined = ceil((parts - 1) / 3) if inputs == 6 else ceil(2 * (parts - 1) / 3)
        stored = parts * ceil(width / bits) * family.lutram_luts.use()
        found = min(found, stored + width * joined + (parts if parts > 1 else 0))
    return found


SPRAM_LUTS = 15
"""LUTs of a ROM of SPRAM: a multiplexer for the address that is loaded, and what selects it."""


def spram_number(depth: int, width: int, family: Family) -> int:
    """Give the large single-port RAMs of a ROM; 0 where the family has none."""
    if family.spram_shape is None:
        return 0
    native, bits = family.spram_shape
    return ceil(depth / native) * ceil(width / bits)


@cache
def ram_blocks(depth: int, width: int, shapes: tuple[tuple[int, int], ...]) -> int:
    """Give the fewest RAM blocks for `depth` words of `width` bits, cut into columns.

    Every column is made of blocks of one native shape (depth, width), as many as its depth needs.
    """
    columns: list[tuple[int, int]] = []
    for d, w in sorted(shapes, key=lambda shape: -shape[1]):
        if not columns or ceil(depth / d) < columns[-1][0]:
            columns.append((ceil(depth / d), w))
    number, bits = min(columns, key=lambda c: c[0] / c[1])
    # Among as many others as the best column has bits, some add up to a multiple of it: they can
    # as well be that. So all beyond the others' width is made of the best one.
    whole = max(0, -(-(width - bits * columns[0][1]) // bits))
    return whole * number + _fewest_blocks(tuple(columns))[width - whole * bits]


@cache
def _fewest_blocks(columns: tuple[tuple[int, int], ...]) -> list[int]:
    """Give the fewest blocks for widths up to the square of the widest of (blocks, bits)."""
    fewest = [0]
    for width in range(1, columns[0][1] ** 2 + 1):
        fewest.append(min(n + fewest[max(0, width - w)] for n, w in columns))
    return fewest


@dataclass(frozen=True)
class StorageChoice:
    """Chooses for a family at a price of a block, in LUTs; without one, at what it is worth."""

    family: Family
    wanted: float | None = None

    @cached_property
    def price(self) -> float:
        """LUTs."""
        return self.family.block_luts.use() if self.wanted is None else self.wanted

    @cached_property
    def _ram(self) -> Ram:
        return Ram.of(self.family)

    def rom(self, depth: int, width: int) -> RomSpec:
        """Choose what a ROM of so many words and bits is built of."""
        if depth == 1:
            return RomSpec("constants")
        if self._cheapest(depth, width)[0] == "block":
            tiles = cut(depth, width, self._ram, self.price)
            registers = self._ram.registers
            return RomSpec("block", tiles, registers, far=registers and len(tiles) > 2 * NEAR)
        return RomSpec("logic" if depth <= self.family.lut_inputs else "distributed")

    def far_registers(self, depth: int, width: int, rom: RomSpec | None) -> tuple[int, int]:
        """Give the flip-flops that far tiles of a memory take beyond others, and the cycles."""
        if rom is None:
            # Memories are cut only where they may be far.
            if not self._ram.registers or self.takes(depth, width, rom)[1] <= 2 * NEAR:
                return 0, 0
            rom = _chosen(self, depth, width)
        if not rom.extra:
            return 0, 0
        deepest = max(t.depth for t in rom.tiles)
        address = ceil(len(rom.tiles) / NEAR) * (deepest - 1).bit_length()
        return sum(t.width for t in rom.tiles) + address, rom.extra

    def _cheapest(self, depth: int, width: int) -> tuple[str, float, int]:
        """Give kind, LUTs and blocks of a ROM of more than one word."""
        luts = rom_luts(depth, width, self.family.lut_inputs)
        joined, blocks = cut_cost(depth, width, self._ram, self.price)
        # Yosys 0.70 took 15 GB for 2.9 Mbit of 128 words, and three times the LUTs.
        trouble = 2 if depth * width > LARGE else 1
        if luts * trouble < blocks * self.price + joined:
            return "distributed", luts, 0
        return "block", joined, blocks

    def takes(self, depth: int, width: int, rom: RomSpec | None) -> tuple[float, int]:
        """Give the LUTs and the blocks of a ROM that is built of `rom`, or of what is cheapest."""
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
        """Give what a memory with a write and a read port is built of that is to be of `kind`."""
        if kind == "auto" or not self.family.lutram_shapes:
            return self.ram(depth, width)
        return kind

    def ram(self, depth: int, width: int) -> str:
        """Choose what a memory with a write and a read port is built of."""
        blocks = ram_blocks(depth, width, self.family.ram_shapes)
        cheaper = ram_luts(depth, width, self.family) <= blocks * self.price
        return "distributed" if cheaper else "block"


@cache
def _chosen(choice: StorageChoice, depth: int, width: int) -> RomSpec:
    return choice.rom(depth, width)
