"""What dense popcounts in carry chains share: the tree, its registers, and chains of several sums.

Three lanes form a leaf of two bits; two counts and one more lane form the next sum. A sum of k bits
takes k adding positions of a chain, behind one position that injects its carry-in. That position
also delivers the carry out of the sum before it in the chain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xnorflow_hw.base.pipeline import registered_levels
from xnorflow_hw.fabric.primitives import Netlist, Position


@dataclass(frozen=True)
class _Sum:
    """A sum in a chain.

    Parameters
    ----------
    level : int
        Level of the tree.
    positions : tuple of Position
        The injecting position, then the adding ones.
    carry : str
        Wire that gets the carry out.
    """

    level: int
    positions: tuple[Position, ...]
    carry: str


@dataclass(frozen=True)
class Count:
    """A count of lanes.

    Parameters
    ----------
    bits : tuple of str
        Nets, the lowest bit first.
    cycles : int
        Number of registers before the nets.
    differ : bool
        Whether the count is complemented: it is then the number of lanes that differ, and the
        number of lanes that agree is 2^bits - 1 minus it.
    """

    bits: tuple[str, ...] = ()
    cycles: int = 0
    differ: bool = False


class Tree(ABC):
    """Builds a popcount of the nets ``x`` and ``w``, and ``m`` if `masked`, into `net`.

    Parameters
    ----------
    simd : int
        Number of lanes.
    latency : int
        Clock cycles.
    limit : int
        Largest number of positions of a chain: timing analysis sees a path through all of them.
    masked : bool
        Whether lanes agree only where ``m`` is 1.
    """

    def __init__(self, simd: int, latency: int, *, limit: int, masked: bool = False) -> None:
        """Start without any sums."""
        self.net, self.sums, self.masked = Netlist(), list[_Sum](), masked
        self.simd, self.levels, self.lane = simd, simd.bit_length() - 1, 0
        self.latency, self.limit = latency, limit
        self.registered = registered_levels(self.levels, min(latency, self.levels))

    def cycles(self, level: int) -> int:
        """Return the number of registers on the way to the inputs of a level."""
        return sum(r < level for r in self.registered)

    def product(self, level: int) -> tuple[str, str]:
        """Take the next lane; return its two bits, delayed to the level's inputs."""
        lane, self.lane = self.lane, self.lane + 1
        delay = self.cycles(level)
        return self.net.register(f"x[{lane}]", delay), self.net.register(f"w[{lane}]", delay)

    def masked_product(self) -> tuple[str, str, str]:
        """Take the next lane of a leaf; return its bits of ``x``, ``m`` and ``w``."""
        lane, self.lane = self.lane, self.lane + 1
        return f"x[{lane}]", f"m[{lane}]", f"w[{lane}]"

    def agree(self, level: int) -> str:
        """Take the next lane; return whether its bits agree, delayed to the level's inputs."""
        bit = self.net.wire()
        lane, self.lane = self.lane, self.lane + 1
        mask = f" & m[{lane}]" if self.masked else ""
        self.net.line(f"assign {bit} = ~(x[{lane}] ^ w[{lane}]){mask};")
        return self.net.register(bit, self.cycles(level))

    def count(self, lanes: int) -> Count:
        """Count the next `lanes` lanes."""
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
        """Delay a count to the inputs of a level."""
        late = self.cycles(level) - count.cycles
        bits = tuple(self.net.register(bit, late) for bit in count.bits)
        return Count(bits, self.cycles(level), count.differ)

    def end(self, bits: Sequence[str], level: int, *, differ: bool = False) -> Count:
        """Return the result of a level, with registers if the level ends in registers."""
        late = level in self.registered
        return Count(
            tuple(self.net.register(bit, late) for bit in bits), self.cycles(level) + late, differ
        )

    def chained(
        self, inject: Position, adds: Sequence[Position], level: int, *, differ: bool = False
    ) -> Count:
        """Add a sum of an injecting and adding positions to the chains; return its count."""
        bits = [self.net.wire() for _ in range(len(adds) + 1)]
        positions = [replace(add, sum=bit) for add, bit in zip(adds, bits, strict=False)]
        self.sums.append(_Sum(level, (inject, *positions), bits[-1]))
        return self.end(bits, level, differ=differ)

    def body(self) -> list[str]:
        """Build everything and return the statements of the module."""
        count = self.count(self.simd)
        # Sums with the same number of levels behind the last register share chains, so that no sum
        # in a chain waits for another one in it.
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
        """Write the chains of sums that can share chains, of about equal length."""
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
    """A position that injects a zero."""

    @abstractmethod
    def leaf(self, lanes: int, level: int) -> Count:
        """Count the next two or three lanes."""

    @abstractmethod
    def node(self, a: Count, b: Count, level: int, full: bool) -> Count:
        """Add the next lane and two counts, of which `b` may have fewer bits or none."""

    @abstractmethod
    def write(self, positions: Sequence[Position]) -> None:
        """Write a chain."""
