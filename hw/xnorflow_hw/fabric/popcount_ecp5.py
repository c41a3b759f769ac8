"""Dense XNOR popcount for ECP5: carry chains that XOR, add and pass carries between sums.

A position of a chain takes two products and a carry and is a full adder of them, XORs included. A
leaf of three lanes, whose third lane is injected as the carry-in, takes two LUTs, and a sum of k
bits takes k + 1.

An adding position can absorb XOR but not XNOR, so a full sum of 2^k - 1 lanes counts the lanes that
differ, which is the complement of the number of lanes that agree. Sums that are not full, and the
last sum, count the lanes that agree; they take operands of either kind.

A masked product has three inputs. A position takes one of them beside a lane that a LUT of its own
has decided: with mask and weight 0 the product is 0, so what the position generates is that lane.
All masked sums count the lanes that agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from xnorflow_hw.fabric.carry_chains import Count, Tree
from xnorflow_hw.fabric.primitives import Position, ccu2c_chain, ccu2c_inject, lut_init

CHAIN = 32
"""Largest number of positions of a chain.

With 64 positions, 16 popcounts of 127 lanes take 3 % fewer LUTs, but run at 132 instead of 157 MHz.
"""
_ADD_PRODUCTS = 0x6996
_ADD_MASKED = lut_init(lambda a, x, m, w: a ^ (m & ~(x ^ w)), 4)
_DIFFERENT = ("1'b1", "1'b0")
_ZERO = "1'b0"


class _Ecp5(Tree):
    """Builds a popcount out of chains of CCU2C."""

    nothing = ccu2c_inject()

    def leaf(self, lanes: int, level: int) -> Count:
        if self.simd == 2:
            a, b = self.agree(level), self.agree(level)
            return self.end([f"({a} ^ {b})", f"({a} & {b})"], level)
        if self.masked:
            position = Position((self.agree(level), *self.masked_product()), _ADD_MASKED)
            inject = ccu2c_inject(self.agree(level) if lanes == 3 else _ZERO)
            return self.chained(inject, [position], level)
        pins = (*self.product(level), *self.product(level))
        third = self.product(level) if lanes == 3 else _DIFFERENT
        return self.chained(
            ccu2c_inject(*third), [Position(pins, _ADD_PRODUCTS)], level, differ=True
        )

    def node(self, a: Count, b: Count, level: int, full: bool) -> Count:
        full = full and level < self.levels and not self.masked
        adds = [
            _add(p, q, a.differ and not full, b.differ and not full and q != _ZERO)
            for p, q in zip_longest(a.bits, b.bits, fillvalue=_ZERO)
        ]
        if self.masked:
            inject = ccu2c_inject(self.agree(level))
        else:
            inject = ccu2c_inject(*self.product(level), agree=not full)
        return self.chained(inject, adds, level, differ=full)

    def write(self, positions: Sequence[Position]) -> None:
        ccu2c_chain(self.net, positions)


def _add(a: str, b: str, complement_a: bool, complement_b: bool) -> Position:
    """Return a position that adds two bits or their complements.

    D = 1 separates the LUT's sum from what the position generates, which is A.
    """
    total = 0x9999 if complement_a != complement_b else 0x6666
    return Position((a, b, _ZERO, "1'b1"), (total & 0xFFF0) | (0x5 if complement_a else 0xA))


def body(simd: int, latency: int, *, masked: bool = False) -> list[str]:
    """Write the statements of the module: inputs ``x``, ``w``, output ``n``; see `popcount`."""
    return _Ecp5(simd, latency, limit=CHAIN, masked=masked).body()
