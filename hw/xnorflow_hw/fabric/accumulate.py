"""Accumulators: ``q <= (first ? t : turn ? from : q) + n``, with one LUT per bit where possible.

Yosys turns the expression into a multiplexer and an adder, two LUTs per bit. Placed by hand, the
multiplexer goes into the LUT in front of the carry. Where the two operands of a position are equal,
its carry out is either of them, so `n` is taken, which needs no multiplexer.

Each accumulator is an instance of a flat module, whose text `verilog_module` writes.
"""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import ClockSignal, Instance, Value

from xnorflow_hw.fabric.primitives import (
    Netlist,
    Position,
    carry4_chain,
    ccu2c_chain,
    ccu2c_inject,
    lut6,
    lut_init,
)
from xnorflow_hw.spec.kinds import FABRICS, Fabric


def module_name(
    width: int, step: int, *, fabric: Fabric = "generic", turn: bool = False, lane: bool = False
) -> str:
    """Return the name of the Verilog module."""
    options = ("_turn" if turn else "") + ("_lane" if lane else "")
    return f"xnorflow_accumulate_{fabric}_{width}_{step}{options}"


def instance(
    *,
    en: Value,
    first: Value,
    t: Value,
    n: Value,
    q: Value,
    fabric: Fabric = "generic",
    turn: tuple[Value, Value] | None = None,
    lane: tuple[Value, Value] | None = None,
) -> Instance:
    """Build an instance of the module that fits the widths of the values.

    Parameters
    ----------
    en : Value [1]
        Clock enable.
    first : Value [1]
        Whether to start from `t` instead of `q`.
    t : Value [width]
        What a sum starts with; may be a constant.
    n : Value [step]
        What is added, unsigned; `step` is at most `width`. A signed value has to be extended to
        `width` bits.
    q : Value [width]
        The sum, modulo ``2 ** width``; not reset.
    fabric : Fabric
        The logic cells it is built of.
    turn : pair of Value, optional
        Whether to continue from the second value, of `width` bits, instead of `q`, unless `first`.
    lane : pair of Value, optional
        One more lane: where the two bits agree, 1 is added through the carry input. A popcount of
        ``2 ** k - 1`` lanes and this one cost less than a popcount of ``2 ** k``.
    """
    ports = {"i_en": en, "i_first": first, "i_t": t, "i_n": n, "o_q": q}
    if turn is not None:
        ports |= {"i_turn": turn[0], "i_from": turn[1]}
    if lane is not None:
        ports |= {"i_x": lane[0], "i_w": lane[1]}
    name = module_name(len(q), len(n), fabric=fabric, turn=turn is not None, lane=lane is not None)
    return Instance(name, i_clk=ClockSignal(), **ports)


def verilog_module(
    width: int, step: int, *, fabric: Fabric = "generic", turn: bool = False, lane: bool = False
) -> str:
    """Write the module for the widths of sum and addend; it needs `primitives.PROLOGUE`.

    Its ports are ``clk``, ``en``, ``first``, ``t`` [width-1:0], ``n`` [step-1:0] and ``q``
    [width-1:0], with `turn` also ``turn`` and ``from`` [width-1:0], and with `lane` also ``x`` and
    ``w``; see `instance`.

    Parameters
    ----------
    width : int
        Width of the sum in bits.
    step : int
        Width of the addend in bits, at most `width`.
    fabric : Fabric
        The logic cells of the placed body.
    turn, lane : bool
        Whether the module has the ports of these options.

    Raises
    ------
    ValueError
        If the fabric is unknown or the addend is wider than the sum.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric is {fabric!r}; known are {', '.join(FABRICS)}")
    if not 1 <= step <= width:
        raise ValueError(
            f"step is {step} and width is {width}; the addend has to have 1 bit or more, and no"
            " more than the sum"
        )
    bus = f"[{width - 1}:0]"
    ports = ["clk", "en", "first", f"{bus} t", f"[{step - 1}:0] n"]
    ports += ["turn", f"{bus} from"] if turn else []
    ports += ["x", "w"] if lane else []
    before = "first ? t : turn ? from : q" if turn else "first ? t : q"
    terms = [f"({before})", _extended("n", step, width)]
    terms += [_extended("~(x ^ w)", 1, width)] if lane else []
    plain = [f"  wire {bus} sum = {' + '.join(terms)};"]
    body = _BODIES.get(fabric)
    if body is not None:
        placed = body(width, step, turn, lane)
        plain = [
            "`ifdef XNORFLOW_PRIMITIVES",
            f"  wire {bus} sum;",
            *placed,
            "`else",
            *plain,
            "`endif",
        ]
    return "\n".join(
        [
            f"module {module_name(width, step, fabric=fabric, turn=turn, lane=lane)} (",
            *(f"  input wire {port}," for port in ports),
            f"  output reg {bus} q",
            ");",
            *plain,
            "  always @(posedge clk) if (en) q <= sum;",
            "endmodule",
            "",
        ]
    )


def _extended(bits: str, width: int, to: int) -> str:
    """Write bits extended with zeros to a width."""
    return f"{{{to - width}'d0, {bits}}}" if to > width else bits


def _addend(i: int, step: int) -> str:
    """Write bit `i` of the addend."""
    return f"n[{i}]" if i < step else "1'b0"


def _ecp5(width: int, step: int, turn: bool, lane: bool) -> list[str]:
    """Write sum and multiplexer in one LUT per bit; a position below bit 0 sets the carry."""
    net = Netlist()
    if turn:
        net.line(f"wire [{width - 1}:0] old = turn ? from : q;")
    init = lut_init(lambda n, first, t, old: n ^ (t if first else old), 4)
    old = "old" if turn else "q"
    positions = [ccu2c_inject("x", "w", agree=True) if lane else ccu2c_inject()]
    for i in range(width):
        pins = (_addend(i, step), "first", f"t[{i}]", f"{old}[{i}]")
        positions.append(Position(pins, init, f"sum[{i}]"))
    ccu2c_chain(net, positions)
    return net.lines


def _xilinx7(width: int, step: int, turn: bool, lane: bool) -> list[str]:
    """Write sum and both multiplexers in one LUT6 per bit; the addend enters the carry directly."""

    def function(n: int, first: int, t: int, q: int, turn: int = 0, other: int = 0) -> int:
        return n ^ (t if first else other if turn else q)

    net = Netlist()
    addends = [_addend(i, step) for i in range(width)]
    propagate = []
    for i, addend in enumerate(addends):
        pins = [addend, "first", f"t[{i}]", f"q[{i}]"]
        pins += ["turn", f"from[{i}]"] if turn else []
        propagate.append(lut6(net, pins, lut_init(function, len(pins))))
    sums = [f"sum[{i}]" for i in range(width)]
    carry4_chain(net, propagate, addends, sums, "~(x ^ w)" if lane else "1'b0")
    return net.lines


_BODIES: dict[str, Callable[[int, int, bool, bool], list[str]]] = {
    "ecp5": _ecp5,
    "xilinx7": _xilinx7,
}
