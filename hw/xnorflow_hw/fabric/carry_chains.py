"""What dense popcounts out of carry chains share: the tree, its registers, and sums in chains.

Three lanes make a leaf of two bits; two counts and a lane make the next sum. A sum of k bits is k
adding positions of a chain after one that injects its carry-in, and puts out the carry of the sum
before it in the chain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xnorflow_hw.base.pipeline import registered_levels
from xnorflow_hw.fabric.primitives import Netlist, Position


@dataclass(frozen=True)
class _Sum:
    """A sum's level, its positions, the injecting one first, and the wire that gets its carry."""

    level: int
    positions: tuple[Position, ...]
    carry: str


@dataclass(frozen=True)
class Count:
    """Bits of a count, lowest first, and after how many registers they are valid.

    `differ` says that it is complemented: a count of the lanes that differ, among 2^bits - 1.
    """

    bits: tuple[str, ...] = ()
    cycles: int = 0
    differ: bool = False


class Tree(ABC):
    """Builds a popcount of ``x`` and ``w`` into `net`.

    Parameters
    ----------
    simd, latency : int
        Lanes and clock cycles.
    limit : int
        Positions of a chain at most: timing analysis sees a path through all of them.
    """

    def __init__(self, simd: int, latency: int, *, limit: int) -> None:
        """Start with nothing."""
        self.net, self.sums = Netlist(), list[_Sum]()
        self.simd, self.levels, self.lane = simd, simd.bit_length() - 1, 0
        self.latency, self.limit = latency, limit
        self.registered = registered_levels(self.levels, min(latency, self.levels))

    def cycles(self, level: int) -> int:
        """Registers on the way to a level's inputs."""
        return sum(r < level for r in self.registered)

    def product(self, level: int) -> tuple[str, str]:
        """Take the next lane, as late as the level needs it."""
        lane, self.lane = self.lane, self.lane + 1
        delay = self.cycles(level)
        return self.net.register(f"x[{lane}]", delay), self.net.register(f"w[{lane}]", delay)

    def agree(self, level: int) -> str:
        """Take the next lane as one bit, as late as the level needs it."""
        bit = self.net.wire()
        lane, self.lane = self.lane, self.lane + 1
        self.net.line(f"assign {bit} = ~(x[{lane}] ^ w[{lane}]);")
        return self.net.register(bit, self.cycles(level))

    def count(self, lanes: int) -> Count:
        """Count the next lanes."""
        level = lanes.bit_length() - 1
        if lanes == 1:
            return Count((self.agree(1),))
        if lanes <= 3:
            return self.leaf(lanes, level)
        some = (1 << level) - 1
        a = self.count(some)
        b = self.count(lanes - 1 - some) if lanes - 1 > some else Count()
        full = lanes == (2 << level) - 1
        return self.node(self._aligned(a, level), self._aligned(b, level), level, full)

    def _aligned(self, count: Count, level: int) -> Count:
        late = self.cycles(level) - count.cycles
        bits = tuple(self.net.register(bit, late) for bit in count.bits)
        return Count(bits, self.cycles(level), count.differ)

    def end(self, bits: Sequence[str], level: int, *, differ: bool = False) -> Count:
        """Register the result of a level, if it is one that ends in a register."""
        late = level in self.registered
        return Count(
            tuple(self.net.register(bit, late) for bit in bits), self.cycles(level) + late, differ
        )

    def chained(
        self, inject: Position, adds: Sequence[Position], level: int, *, differ: bool = False
    ) -> Count:
        """Give the sum that an injecting and adding positions make."""
        bits = [self.net.wire() for _ in range(len(adds) + 1)]
        positions = [replace(add, sum=bit) for add, bit in zip(adds, bits, strict=False)]
        self.sums.append(_Sum(level, (inject, *positions), bits[-1]))
        return self.end(bits, level, differ=differ)

    def body(self) -> list[str]:
        """Build all; give the module's statements."""
        count = self.count(self.simd)
        # Sums as far from the register before them share chains: none waits for its own chain.
        phases: dict[int, list[_Sum]] = {}
        for one in self.sums:
            before = max((r for r in self.registered if r < one.level), default=0)
            phases.setdefault(one.level - before, []).append(one)
        for _, sums in sorted(phases.items()):
            self._phase(sums)
        bits = count.bits[: self.simd.bit_length()]
        late = ", ".join(
            self.net.register(bit, self.latency - count.cycles) for bit in reversed(bits)
        )
        return [*self.net.lines, f"  assign n = {'~' if count.differ else ''}{{{late}}};"]

    def _phase(self, sums: Sequence[_Sum]) -> None:
        total = sum(len(one.positions) for one in sums)
        most = -(-total // -(-total // (self.limit - 1)))
        positions: list[Position] = []
        carry = ""
        for one in sums:
            if len(positions) >= most or len(positions) + len(one.positions) >= self.limit:
                self.write([*positions, replace(self.nothing, sum=carry)])
                positions, carry = [], ""
            positions += [replace(one.positions[0], sum=carry), *one.positions[1:]]
            carry = one.carry
        self.write([*positions, replace(self.nothing, sum=carry)])

    nothing: Position
    """Injects a zero."""

    @abstractmethod
    def leaf(self, lanes: int, level: int) -> Count:
        """Count the next two or three lanes."""

    @abstractmethod
    def node(self, a: Count, b: Count, level: int, full: bool) -> Count:
        """Add two counts, of which `b` may have fewer bits or none, and the next lane."""

    @abstractmethod
    def write(self, positions: Sequence[Position]) -> None:
        """Write a chain."""
