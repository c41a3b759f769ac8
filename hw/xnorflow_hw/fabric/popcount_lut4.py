"""Dense XNOR popcounts for Gowin and iCE40: leaves of LUTs, and sums that share carry chains.

On neither fabric can a position of a chain count two products. A leaf of three lanes takes four
LUTs: two for whether the first two lanes agree, and two for the sum and the carry of these and the
third lane.

Gowin's ALU adds a bit and a product, so the lowest position of a sum absorbs its lane, and the
lowest bit of the second count is injected as the carry-in instead. iCE40's carry takes plain bits
only.

A leaf of recoded lanes (`recode`) takes three LUTs. One of masked lanes takes five; elsewhere a
mask takes a LUT on Gowin, and nothing on iCE40.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from xnorflow_hw.fabric.carry_chains import Count, Tree
from xnorflow_hw.fabric.primitives import Position

GOWIN_CHAIN, ICE40_CHAIN = 48, 24
"""Largest numbers of positions of a chain.

iCE40's carry is slow, and nextpnr sees a path through all positions.
"""
_ZERO, _ONE = "1'b0", "1'b1"


class _Lut4(Tree):
    """Builds the leaves of a popcount out of LUTs; subclasses add counts in chains."""

    recoded = False

    def leaf(self, lanes: int, level: int) -> Count:
        if self.recoded and lanes == 3:
            return self._recoded_leaf(level)
        a, b = self.agree(level), self.agree(level)
        c = self.agree(level) if lanes == 3 else _ZERO
        total, carry = self.net.wire(), self.net.wire()
        self.net.line(f"assign {total} = {a} ^ {b} ^ {c};")
        self.net.line(f"assign {carry} = ({a} & {b}) | ({c} & ({a} | {b}));")
        return self.end([total, carry], level)

    def _recoded_leaf(self, level: int) -> Count:
        """Count the next three lanes, which are recoded."""
        (dx, dw), (ex, ew), (x, w) = (self.product(level) for _ in range(3))
        same, total, carry = self.net.wire(), self.net.wire(), self.net.wire()
        self.net.line(f"assign {same} = ~({dx} ^ {dw}) & ~({ex} ^ {ew});")
        self.net.line(f"assign {total} = ~({x} ^ {w});")
        self.net.line(f"assign {carry} = {same} ^ {x} ^ {w};")
        return self.end([total, carry], level)


class _Gowin(_Lut4):
    """Builds a popcount out of LUTs and chains of ALU."""

    nothing = Position((_ZERO, _ZERO, _ONE), 2)

    def node(self, a: Count, b: Count, level: int, full: bool) -> Count:
        pairs = list(zip_longest(a.bits, b.bits, fillvalue=_ZERO))
        low, injected = pairs[0]
        lane = (self.agree(level), _ONE) if self.masked else self.product(level)
        adds = [Position((low, *lane), 2)]
        adds += [Position((p, q, _ONE), 2) for p, q in pairs[1:]]
        return self.chained(Position((injected, injected, _ONE), 2), adds, level)

    def write(self, positions: Sequence[Position]) -> None:
        carry = _ZERO
        for position in positions:
            pins = dict(zip(("I0", "I1", "I3"), position.pins, strict=True))
            out = self.net.wire("c")
            pins |= {"CIN": carry, "COUT": out}
            if position.sum:
                pins["SUM"] = position.sum
            self.net.cell("ALU", {"ALU_MODE": str(position.init)}, pins)
            carry = out


class _Ice40(_Lut4):
    """Builds a popcount out of LUTs and chains of SB_CARRY."""

    nothing = Position((_ZERO, _ZERO), 0xFF00)

    def node(self, a: Count, b: Count, level: int, full: bool) -> Count:
        pairs = zip_longest(a.bits, b.bits, fillvalue=_ZERO)
        lane = self.agree(level)
        adds = [Position(pair, 0xC33C) for pair in pairs]
        return self.chained(Position((lane, lane), 0xFF00), adds, level)

    def write(self, positions: Sequence[Position]) -> None:
        carry = _ZERO
        for position in positions:
            a, b = position.pins
            out = self.net.wire("c")
            self.net.line(
                f"SB_CARRY {self.net.new('u')} (.I0({a}), .I1({b}), .CI({carry}), .CO({out}));"
            )
            if position.sum:
                self.net.cell(
                    "SB_LUT4",
                    {"LUT_INIT": f"16'h{position.init:04x}"},
                    {
                        "I0": _ZERO,
                        "I1": a,
                        "I2": b,
                        "I3": carry,
                        "O": position.sum,
                    },
                )
            carry = out


class _RecodedGowin(_Gowin):
    """The same for recoded lanes."""

    recoded = True


class _RecodedIce40(_Ice40):
    """The same for recoded lanes."""

    recoded = True


def gowin(simd: int, latency: int, *, recoded: bool = False, masked: bool = False) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    tree = _RecodedGowin if recoded else _Gowin
    return tree(simd, latency, limit=GOWIN_CHAIN, masked=masked).body()


def ice40(simd: int, latency: int, *, recoded: bool = False, masked: bool = False) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    tree = _RecodedIce40 if recoded else _Ice40
    return tree(simd, latency, limit=ICE40_CHAIN, masked=masked).body()
