"""Dense XNOR popcount for ECP5: carry chains that XOR, add and pass carries between sums.

A position of a chain takes two products and a carry and is a full adder of them, XORs included.
One more position puts the carry out and injects a third product as the next carry: three products
become two bits in two LUTs, and two counts and a product one longer count in a LUT per bit and one
more. Many such sums share a chain, whose end costs a position or two.

An adding position can absorb XOR, not XNOR, so a full sum of 2^k - 1 lanes counts those that
differ; that is the complement of the number of lanes that agree. Other sums, and the last one,
count those that agree, of operands of either kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from .pipeline import registered_levels
from .primitives import Ccu2cPosition, Netlist, ccu2c_chain, ccu2c_inject

CHAIN = 48
"""Positions of a chain at most: timing analysis sees a path through all of them."""
_ADD_PRODUCTS = 0x6996
_Pins = tuple[str, str, str, str]
_DIFFERENT = ("1'b1", "1'b0")


@dataclass(frozen=True)
class _Sum:
    """A sum's place in a chain: injected carry, the adding positions, and where its carry goes."""

    level: int
    inject: Ccu2cPosition
    adds: tuple[Ccu2cPosition, ...]
    carry: str


@dataclass(frozen=True)
class _Count:
    """Bits of a count, lowest first, and after how many registers they are valid.

    `differ` says that it is complemented: a count of the lanes that differ, among 2^bits - 1.
    """

    bits: tuple[str, ...]
    differ: bool
    cycles: int


class _Tree:
    def __init__(self, simd: int, latency: int) -> None:
        self.net, self.sums = Netlist(), list[_Sum]()
        self.simd, self.levels, self.lane = simd, simd.bit_length() - 1, 0
        self.registered = registered_levels(self.levels, min(latency, self.levels))

    def cycles(self, level: int) -> int:
        """Registers on the way to a level's inputs."""
        return sum(r < level for r in self.registered)

    def product(self, level: int) -> tuple[str, str]:
        """Take the next lane, as late as the level needs it."""
        lane, self.lane = self.lane, self.lane + 1
        delay = self.cycles(level)
        return self.net.register(f"x[{lane}]", delay), self.net.register(f"w[{lane}]", delay)

    def count(self, lanes: int) -> _Count:
        """Count the next lanes."""
        level = lanes.bit_length() - 1
        if lanes == 1:
            agree = self.net.wire()
            x, w = self.product(1)
            self.net.line(f"assign {agree} = ~({x} ^ {w});")
            return _Count((agree,), False, 0)
        if lanes <= 3:
            products = self.product(level), self.product(level)
            third = self.product(level) if lanes == 3 else _DIFFERENT
            pins = (*products[0], *products[1])
            return self._sum(level, ccu2c_inject(*third), [(pins, _ADD_PRODUCTS)], True)
        full = lanes == (2 << level) - 1 and level < self.levels
        some = (1 << level) - 1
        a = self.count(some)
        b = self.count(lanes - 1 - some) if lanes - 1 > some else _Count((), False, 0)
        pairs = zip_longest(self._aligned(a, level), self._aligned(b, level), fillvalue="1'b0")
        adds = [
            _add(p, q, a.differ and not full, b.differ and not full and q != "1'b0")
            for p, q in pairs
        ]
        inject = ccu2c_inject(*self.product(level), agree=not full)
        return self._sum(level, inject, adds, full)

    def _sum(
        self, level: int, inject: Ccu2cPosition, adds: list[tuple[_Pins, int]], differ: bool
    ) -> _Count:
        bits = [self.net.wire() for _ in range(len(adds) + 1)]
        positions = [
            Ccu2cPosition(pins, init, bit) for (pins, init), bit in zip(adds, bits, strict=False)
        ]
        self.sums.append(_Sum(level, inject, tuple(positions), bits[-1]))
        late = level in self.registered
        if late:
            bits = [self.net.register(bit) for bit in bits]
        return _Count(tuple(bits), differ, self.cycles(level) + late)

    def _aligned(self, count: _Count, level: int) -> tuple[str, ...]:
        late = self.cycles(level) - count.cycles
        return tuple(self.net.register(bit, late) for bit in count.bits)

    def chains(self) -> None:
        """Write the sums, those of levels that are as far from a register before them in chains."""
        phases: dict[int, list[_Sum]] = {}
        for one in self.sums:
            before = max((r for r in self.registered if r < one.level), default=0)
            phases.setdefault(one.level - before, []).append(one)
        for _, sums in sorted(phases.items()):
            self._phase(sums)

    def _phase(self, sums: list[_Sum]) -> None:
        total = sum(1 + len(one.adds) for one in sums)
        chains = -(-total // (CHAIN - 1))
        most = -(-total // chains)
        positions: list[Ccu2cPosition] = []
        carry = ""
        for one in sums:
            if len(positions) + 1 + len(one.adds) > CHAIN - 1 or len(positions) >= most:
                ccu2c_chain(self.net, [*positions, ccu2c_inject(sum=carry)])
                positions, carry = [], ""
            inject = one.inject
            positions += [Ccu2cPosition(inject.pins, inject.init, carry), *one.adds]
            carry = one.carry
        ccu2c_chain(self.net, [*positions, ccu2c_inject(sum=carry)])


def _add(a: str, b: str, complement_a: bool, complement_b: bool) -> tuple[_Pins, int]:
    """Add two bits or complements; D = 1 separates the LUT from what it generates, which is A."""
    total = 0x9999 if complement_a != complement_b else 0x6666
    return (a, b, "1'b0", "1'b1"), (total & 0xFFF0) | (0x5 if complement_a else 0xA)


def latency_for(simd: int) -> int:
    """Clock cycles with a register after every level."""
    return simd.bit_length() - 1


def body(simd: int, latency: int) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    if simd < 3:
        net = Netlist()
        agree = [f"~(x[{lane}] ^ w[{lane}])" for lane in range(simd)]
        if simd == 2:
            agree = [f"{agree[0]} ^ {agree[1]}", f"{agree[0]} & {agree[1]}"]
        named = []
        for bit in agree:
            name = net.wire()
            net.line(f"assign {name} = {bit};")
            named.append(net.register(name, latency))
        return [*net.lines, f"  assign n = {{{', '.join(reversed(named))}}};"]
    tree = _Tree(simd, latency)
    count = tree.count(simd)
    tree.chains()
    bits = count.bits[: simd.bit_length()]
    late = ", ".join(tree.net.register(bit, latency - count.cycles) for bit in reversed(bits))
    return [*tree.net.lines, f"  assign n = {'~' if count.differ else ''}{{{late}}};"]
