"""Choose how a read-only memory is cut into blocks of RAM.

Every tile is one block, or a pair of blocks that the device joins, in one of its native shapes.
Tiles that hold different words of the same bits have to be joined by an OR or a multiplexer, which
costs LUTs; see `xnorflow_hw.memory.rom`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from math import ceil

from xnorflow.devices.tables import Family
from xnorflow_hw.spec import Tile, segments


@dataclass(frozen=True)
class NativeShape:
    """Native shape of a block of RAM, or of a pair of blocks.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    blocks : int
        Blocks that it takes.
    """

    depth: int
    width: int
    blocks: int


@dataclass(frozen=True)
class Ram:
    """Block RAM of a family.

    Parameters
    ----------
    shapes : tuple of NativeShape
        Native shapes.
    lut_inputs : int
        Inputs of a LUT.
    zeroes : bool
        Whether the output of a block that is not addressed is zero.
    registers : bool
        Whether a block has an output register of its own. If so, LUTs have to select the tile.
    """

    shapes: tuple[NativeShape, ...]
    lut_inputs: int
    zeroes: bool
    registers: bool

    @classmethod
    @cache
    def of(cls, family: Family) -> Ram:
        """Return the block RAM of a family."""
        single = [NativeShape(d, w, 1) for d, w in family.ram_shapes]
        pairs = [NativeShape(d, w, 2) for d, w in family.ram_pair_shapes]
        return cls(
            tuple(single + pairs), family.lut_inputs, family.ram_zeroes, family.ram_registers
        )

    def __hash__(self) -> int:
        """Return a hash without that of every shape: a search looks up very many memories."""
        return hash((self.lut_inputs, self.zeroes, self.registers, len(self.shapes)))

    def blocks(self, tile: Tile) -> int:
        """Return the blocks that a tile takes, even if it fits none of the native shapes."""
        whole = [s.blocks for s in self.shapes if s.depth >= tile.depth and s.width >= tile.width]
        return min(whole) if whole else cut_cost(tile.depth, tile.width, self, 1e3)[1]

    def join(self, tiles: int) -> float:
        """Return the approximate LUTs per bit that join `tiles` tiles with the same bits."""
        inputs = tiles if self.zeroes or tiles == 1 else 2 * tiles
        return (inputs - 1) / (self.lut_inputs - 1)


def join_luts(tiles: tuple[Tile, ...], ram: Ram) -> int:
    """Return the LUTs that join tiles to whole words, with those that decode which tile to take."""
    rows = [(end - low, len(there)) for low, end, there in segments(tiles)]
    firsts = len({t.first for t in tiles})
    return (firsts if firsts > 1 else 0) + sum(
        bits * ceil(ram.join(number)) for bits, number in rows
    )


@dataclass(frozen=True)
class Columns:
    """Cheapest columns of a memory of a given depth; each column has tiles of one shape.

    Parameters
    ----------
    numbers : tuple of int
        Tiles in a column of each native shape. Memories of different depths that need the same
        numbers share this object.
    ram : Ram
        Block RAM of the family.
    price : float
        Price of a block in LUTs.
    """

    numbers: tuple[int, ...]
    ram: Ram
    price: float

    @cached_property
    def _costs(self) -> dict[NativeShape, tuple[float, float]]:
        """Cost of a column and cost per bit used, in LUTs, for each shape that can be the best."""
        costs: dict[NativeShape, tuple[float, float]] = {}
        for number, s in sorted(
            zip(self.numbers, self.ram.shapes, strict=True),
            key=lambda found: (-found[1].width, found[0]),
        ):
            cost = number * s.blocks * self.price, self.ram.join(number)
            if all(cost[0] < other[0] or cost[1] < other[1] for other in costs.values()):
                costs[s] = cost
        return costs

    def cost(self, s: NativeShape, bits: int) -> float:
        """Return the cost in LUTs of a column of which `bits` bits are used."""
        column, bit = self._costs[s]
        return column + bits * bit

    @cached_property
    def best(self) -> NativeShape:
        """Shape that costs least per bit."""
        return min(self._costs, key=lambda s: self.cost(s, s.width) / s.width)

    @cached_property
    def _limit(self) -> int:
        """Widest memory whose columns are searched.

        Let n be the width of the best shape. Among any n columns of other shapes, the widths of
        some add up to a multiple of n, so best columns can replace them at no higher cost. In wider
        memories, best columns make up the rest.
        """
        return self.best.width * max(s.width for s in self._costs)

    @cached_property
    def _known(self) -> list[tuple[float, NativeShape]]:
        """Least cost of each width, and the shape of the last column, as far as they are known."""
        return [(0.0, self.best)]

    def _cheapest(self, width: int) -> tuple[float, NativeShape]:
        """Return the least cost of a width up to the limit, and the shape of the last column."""
        found = self._known
        for bits in range(len(found), width + 1):
            found.append(
                min(
                    (
                        (found[max(0, bits - s.width)][0] + self.cost(s, min(bits, s.width)), s)
                        for s in self._costs
                    ),
                    key=lambda choice: choice[0],
                )
            )
        return found[width]

    def _whole(self, width: int) -> int:
        """Return how many best columns a memory has beyond the limit."""
        return max(0, -(-(width - self._limit) // self.best.width))

    def widths(self, width: int) -> list[tuple[NativeShape, int]]:
        """Return shape and used bits of each column of a memory, from its highest bits down."""
        whole = self._whole(width)
        found = [(self.best, self.best.width)] * whole
        width -= whole * self.best.width
        while width:
            s = self._cheapest(width)[1]
            found.append((s, min(s.width, width)))
            width -= found[-1][1]
        return found

    def total(self, width: int) -> float:
        """Return the cost in LUTs of a memory of `width` bits per word."""
        whole = self._whole(width)
        best = self.cost(self.best, self.best.width)
        return whole * best + self._cheapest(width - whole * self.best.width)[0]


_shared = cache(Columns)


def _columns(depth: int, ram: Ram, price: float) -> Columns:
    return _shared(tuple(ceil(depth / s.depth) for s in ram.shapes), ram, price)


@cache
def _plan(
    depth: int, width: int, ram: Ram, price: float
) -> tuple[float, tuple[tuple[int, Columns], ...]]:
    """Choose the cheapest way to divide a memory by words; return its cost and the parts.

    Each part is its number of words and its columns.
    """
    whole = _columns(depth, ram, price)
    best: tuple[float, tuple[tuple[int, Columns], ...]] = whole.total(width), ((depth, whole),)
    for at in sorted({depth // s.depth * s.depth for s in ram.shapes} - {0, depth}):
        # As many whole tiles of one shape as fit, and the remaining words in other shapes.
        low = _columns(at, ram, price)
        cost, high = _plan(depth - at, width, ram, price)
        cost += low.total(width) + width * (ram.join(2) - ram.join(1))
        best = min(best, (cost, ((at, low), *high)), key=lambda plan: plan[0])
    return best


@lru_cache(1 << 16)
def cut_cost(depth: int, width: int, ram: Ram, price: float) -> tuple[float, int]:
    """Compute the approximate LUTs, and the blocks, of a memory that is cut at the least cost."""
    cost, parts = _plan(depth, width, ram, price)
    blocks = sum(
        ceil(rows / s.depth) * s.blocks for rows, columns in parts for s, _ in columns.widths(width)
    )
    return cost - blocks * price, blocks


def cut(depth: int, width: int, ram: Ram, price: float) -> tuple[Tile, ...]:
    """Choose the tiles of a memory that cost least.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    ram : Ram
        Block RAM of the family.
    price : float
        Price of a block in LUTs.

    Returns
    -------
    tuple of Tile
        Tiles that together cover the memory, ordered by their first word and lowest bit.
    """
    tiles, first = [], 0
    for rows, columns in _plan(depth, width, ram, price)[1]:
        low = width
        for s, bits in columns.widths(width):
            low -= bits
            for at in range(0, rows, s.depth):
                tiles += _whole(s, Tile(first + at, min(s.depth, rows - at), low, bits))
        first += rows
    return tuple(sorted(tiles, key=lambda t: (t.first, t.low)))


def _whole(s: NativeShape, tile: Tile) -> list[Tile]:
    """Return a tile, or its two halves if Yosys would build the tile of one block, not a pair."""
    if s.blocks == 1 or tile.depth <= 512 or tile.depth * tile.width > s.depth * s.width // 2:
        return [tile]
    half = ceil(tile.width / 2)
    return [
        Tile(tile.first, tile.depth, tile.low, half),
        Tile(tile.first, tile.depth, tile.low + half, tile.width - half),
    ]
