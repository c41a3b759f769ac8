"""Accumulators by fabric: ``q <= (first ? t : turn ? from : q) + n``, a LUT per bit where possible.

What Yosys makes of the expression is a multiplexer and an adder, two LUTs per bit. Placed by hand,
the multiplexer goes into the LUT before the carry: the carry is the addend where the sum of the
LUT's two operands is even, and the addend needs no multiplexer.

Each is a flat module, text from `verilog_module`, that `instance` instantiates.
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
    """Name of the Verilog module."""
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
    """Give an instance of the module that fits the values' widths.

    Parameters
    ----------
    en : Value
        Clock enable.
    first : Value
        Whether to start from `t` instead of `q`.
    t : Value [width]
        What a sum starts with; may be a constant.
    n : Value [step]
        What is added, unsigned; extend it to `width` bits where it is signed. `step` is at most
        `width`.
    q : Value [width]
        The sum, modulo ``2 ** width``; not reset.
    fabric : str
        One of `FABRICS`.
    turn : pair of Value, optional
        Whether to go on from the second, [width], instead of `q`, unless `first`.
    lane : pair of Value, optional
        A lane more: where the two bits agree, one more is added, in the carry's place. A popcount
        of ``2 ** k - 1`` lanes and this one are cheaper than one of ``2 ** k``.
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
    """Write the module of one width of sum and addend; needs `primitives.PROLOGUE` before it.

    Ports: ``clk``, ``en``, ``first``, ``t`` [width-1:0], ``n`` [step-1:0], with `turn` also
    ``turn`` and ``from`` [width-1:0], with `lane` also ``x`` and ``w``, and ``q`` [width-1:0]; see
    `instance`.

    Raises
    ------
    ValueError
        If the fabric is unknown or the addend wider than the sum.
    """
    if fabric not in FABRICS:
        raise ValueError(f"fabric is {fabric!r}; known are {', '.join(FABRICS)}")
    if not 1 <= step <= width:
        raise ValueError(f"an addend of {step} bits for a sum of {width}")
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
    return f"{{{to - width}'d0, {bits}}}" if to > width else bits


def _addend(i: int, step: int) -> str:
    return f"n[{i}]" if i < step else "1'b0"


def _ecp5(width: int, step: int, turn: bool, lane: bool) -> list[str]:
    """Make the sum and the multiplexer in one LUT; the position below bit 0 clears the carry."""
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
    """Make the sum and both multiplexers in one LUT6; the addend goes round it into the carry."""

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
