"""Sum of XNORs of whole codes, which replaces one popcount per bit plane for wide activations.

``sum over planes a of 2^a popcount(xnor(u_a, w))`` is the sum over the lanes of their codes,
complemented where the weight bit is 0. A tree of adders computes that. Placed by hand, the
complements go into the LUTs of the adders.

A masked sum takes a bit `m` more per lane, and lanes where it is 0 add nothing. An adder takes one
masked operand into its LUTs; of two, LUTs of their own decide one.

For each size there is a flat module, whose text `verilog_module` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value
from amaranth.utils import ceil_log2

from xnorflow_hw.base.pipeline import delay, registered_levels
from xnorflow_hw.fabric.primitives import (
    Netlist,
    Position,
    carry4_chain,
    ccu2c_chain,
    ccu2c_inject,
    lut6,
    lut6_2,
    lut_init,
)
from xnorflow_hw.spec.kinds import FABRICS, Fabric
from xnorflow_hw.spec.latency import xnor_sum_latency

_XOR4, _ZERO = 0x6996, "1'b0"
_ADD_MASKED = lut_init(lambda a, b, m, flip: a ^ (m & (b ^ flip)), 4)


def width_for(simd: int, bits: int) -> int:
    """Return the width of the sum in bits."""
    return (simd * ((1 << bits) - 1)).bit_length()


@cache
def adder_bits(simd: int, bits: int) -> int:
    """Return the number of bits of all adders of the tree."""
    return sum(a.total.width for a in _tree(simd, bits) if a.b.width)


def module_name(simd: int, bits: int, *, fabric: Fabric = "generic", masked: bool = False) -> str:
    """Return the name of the Verilog module."""
    return f"xnorflow_{'masked' if masked else 'xnor'}_sum_{fabric}_{simd}_{bits}"


@dataclass(frozen=True)
class _Term:
    """An operand: bits [low, low + width) of a vector.

    It is complemented where the net `flip` is 1, and then 0 where the net `mask`, if any, is 0.
    """

    name: str
    width: int
    low: int = 0
    flip: str = ""
    mask: str = ""

    def bit(self, i: int) -> tuple[str, str]:
        """Return bit `i` and the net that complements it."""
        if i >= self.width:
            return _ZERO, _ZERO
        return f"{self.name}[{self.low + i}]", self.flip or _ZERO

    @property
    def text(self) -> str:
        """The operand in plain Verilog."""
        own = f"{self.name}[{self.low + self.width - 1}:{self.low}]"
        own = f"({own} ^ {{{self.width}{{{self.flip}}}}})" if self.flip else own
        return f"({own} & {{{self.width}{{{self.mask}}}}})" if self.mask else own


@dataclass(frozen=True)
class _Adder:
    """A node of the tree, whose sum may be registered."""

    a: _Term
    b: _Term
    total: _Term
    level: int
    registered: bool


def _tree(simd: int, bits: int, masked: bool = False) -> list[_Adder]:
    """Return the adders of the tree, operands first."""
    depth = ceil_log2(simd)
    registered = registered_levels(depth, xnor_sum_latency(simd))
    adders: list[_Adder] = []

    def total(low: int, number: int) -> tuple[_Term, int]:
        if number == 1:
            return _lane(bits, low, masked), 0
        half = number // 2
        long, level = total(low, number - half)
        short, other = total(low + number - half, half)
        if other < level and level in registered:
            # The halves differ by one lane at most, so their levels differ by one at most. An adder
            # without a second operand is a register.
            kept = _Term(f"k{low}_{number}", short.width)
            adders.append(_Adder(short, _Term("", 0), kept, level, True))
            short = kept
        level += 1
        both = _Term(f"s{low}_{number}", width_for(number, bits))
        adders.append(_Adder(long, short, both, level, level in registered))
        return both, level

    total(0, simd)
    return adders


def _lane(bits: int, lane: int, masked: bool) -> _Term:
    """Return the operand of a lane."""
    return _Term("x", bits, lane * bits, f"flip[{lane}]", f"m[{lane}]" if masked else "")


def verilog_module(
    simd: int, bits: int, *, fabric: Fabric = "generic", masked: bool = False
) -> str:
    """Write the module; it needs `primitives.PROLOGUE` before it.

    Its ports are ``clk`` (only if there are registers), ``x`` [simd*bits-1:0], the codes, lane 0
    lowest, ``flip`` [simd-1:0], 1 where a code is complemented, of a masked sum ``m`` [simd-1:0], 1
    where a code counts, and ``n``, the sum, `xnor_sum_latency` clock cycles later.

    Parameters
    ----------
    simd : int
        Number of lanes.
    bits : int
        Width of a code in bits.
    fabric : Fabric
        The logic cells of the placed body.
    masked : bool
        Whether codes count only where ``m`` is 1.

    Raises
    ------
    ValueError
        If the fabric is unknown.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric is {fabric!r}; known are {', '.join(FABRICS)}")
    adders = _tree(simd, bits, masked)
    lines = [
        f"module {module_name(simd, bits, fabric=fabric, masked=masked)} (",
        *(["  input wire clk,"] if xnor_sum_latency(simd) else []),
        f"  input wire [{simd * bits - 1}:0] x,",
        f"  input wire [{simd - 1}:0] flip,",
        *([f"  input wire [{simd - 1}:0] m,"] if masked else []),
        f"  output wire [{width_for(simd, bits) - 1}:0] n",
        ");",
    ]
    for adder in adders:
        name, bus = adder.total.name, f"[{adder.total.width - 1}:0]"
        if adder.registered:
            lines += [
                f"  wire {bus} {name}_d;",
                f"  reg {bus} {name};",
                f"  always @(posedge clk) {name} <= {name}_d;",
            ]
        else:
            lines.append(f"  wire {bus} {name};")
    plain = [f"  assign {_sum(a)} = {_plain(a)};" for a in adders]
    if adders and fabric in _PLACED:
        net = Netlist()
        _PLACED[fabric](net, adders)
        lines += ["`ifdef XNORFLOW_PRIMITIVES", *net.lines, "`else", *plain, "`endif"]
    else:
        lines += plain
    result = adders[-1].total if adders else _lane(bits, 0, masked)
    return "\n".join([*lines, f"  assign n = {result.text};", "endmodule", ""])


def _sum(adder: _Adder) -> str:
    """Return the net that gets an adder's sum."""
    return f"{adder.total.name}_d" if adder.registered else adder.total.name


def _plain(adder: _Adder) -> str:
    """Return a sum in plain Verilog, with operands of equal width."""
    terms = []
    for term in (adder.a, adder.b):
        extra = adder.total.width - term.width
        if term.width:
            terms.append(f"{{{extra}'d0, {term.text}}}" if extra else term.text)
    return " + ".join(terms)


def _decided(net: Netlist, term: _Term) -> _Term:
    """Return an operand, written as a wire of its own if it is masked."""
    if not term.mask:
        return term
    name = net.new("d")
    net.line(f"wire [{term.width - 1}:0] {name} = {term.text};")
    return _Term(name, term.width)


def _ecp5(net: Netlist, adders: Sequence[_Adder]) -> None:
    """Write one chain per adder, with XORs and sum in one LUT per bit.

    The last position delivers the carry. With a mask and a complement of 0 a masked operand is 0,
    so that what a position generates is the other operand.
    """
    for adder in adders:
        width = max(adder.a.width, adder.b.width)
        positions = [ccu2c_inject()]
        first = _decided(net, adder.a) if adder.b.mask else adder.a
        for i in range(width):
            pins, table = (*first.bit(i), *adder.b.bit(i)), _XOR4
            if adder.b.mask:
                bit, flip = adder.b.bit(i)
                pins, table = (first.bit(i)[0], bit, adder.b.mask, flip), _ADD_MASKED
            positions.append(Position(pins, table, f"{_sum(adder)}[{i}]"))
        if adder.total.width > width:
            positions.append(ccu2c_inject(sum=f"{_sum(adder)}[{width}]"))
        if adder.b.width:
            ccu2c_chain(net, positions)
        else:
            net.line(f"assign {_sum(adder)} = {_plain(adder)};")


def _xilinx7(net: Netlist, adders: Sequence[_Adder]) -> None:
    """Write XORs and sum in one LUT, whose O5 is the operand that goes into the carry."""
    for adder in adders:
        if not adder.b.width:
            net.line(f"assign {_sum(adder)} = {_plain(adder)};")
            continue
        width = max(adder.a.width, adder.b.width)
        propagate, generate = [], []
        first = _decided(net, adder.a) if adder.b.mask else adder.a
        for i in range(width):
            pins = (*first.bit(i), *adder.b.bit(i))
            if adder.b.mask:
                bit, flip = adder.b.bit(i)
                generate.append(first.bit(i)[0])
                masked = (first.bit(i)[0], bit, adder.b.mask, flip)
                propagate.append(lut6(net, masked, _ADD_MASKED))
            elif pins[1] == _ZERO:
                generate.append(pins[0])
                propagate.append(lut6(net, pins, _XOR4))
            else:
                own = lut_init(lambda a, f, b, g, _: a ^ f, 5)
                both = lut_init(lambda a, f, b, g, _: a ^ f ^ b ^ g, 5)
                low, high = lut6_2(net, [*pins, _ZERO], own, both)
                generate.append(low)
                propagate.append(high)
        sums = [f"{_sum(adder)}[{i}]" for i in range(width)]
        carry = carry4_chain(net, propagate, generate, sums)
        if adder.total.width > width:
            net.line(f"assign {_sum(adder)}[{width}] = {carry};")


_PLACED: dict[str, Callable[[Netlist, Sequence[_Adder]], None]] = {
    "ecp5": _ecp5,
    "xilinx7": _xilinx7,
}


def instance(
    *,
    simd: int,
    bits: int,
    x: Value,
    flip: Value,
    n: Value,
    mask: Value | None = None,
    fabric: Fabric = "generic",
) -> Instance:
    """Build an instance of the Verilog module between values of the right widths.

    Parameters
    ----------
    simd, bits, fabric
        As those of `verilog_module`.
    x : Value [simd * bits]
        Codes, lane 0 lowest.
    flip : Value [simd]
        Whether each code is complemented.
    n : Value
        The sum.
    mask : Value [simd], optional
        Whether each code counts, of a masked sum.
    """
    ports = {"i_clk": ClockSignal()} if xnor_sum_latency(simd) else {}
    if mask is not None:
        ports["i_m"] = mask
    name = module_name(simd, bits, fabric=fabric, masked=mask is not None)
    return Instance(name, **ports, i_x=x, i_flip=flip, o_n=n)


def plain(
    m: Module,
    *,
    simd: int,
    bits: int,
    x: Value,
    flip: Value,
    n: Signal,
    mask: Value | None = None,
) -> None:
    """Build in Amaranth, for its simulator, what the module computes."""
    codes = [x.word_select(lane, bits) ^ flip[lane].replicate(bits) for lane in range(simd)]
    if mask is not None:
        codes = [code & mask[lane].replicate(bits) for lane, code in enumerate(codes)]
    while len(codes) > 1:
        codes = [sum(codes[i + 1 : i + 2], codes[i]) for i in range(0, len(codes), 2)]
    m.d.comb += n.eq(delay(m, codes[0], xnor_sum_latency(simd), name=f"{n.name}_sum"))
