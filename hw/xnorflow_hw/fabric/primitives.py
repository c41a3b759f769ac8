"""Vendor primitives as Verilog text: carry chains whose LUTs do more than add.

A carry position of every family is ``sum = P ^ carry in``, ``carry out = P ? carry in : G``. What P
and G may be is what the families differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

PROLOGUE = """\
`ifdef VERILATOR
`ifndef XNORFLOW_STRUCTURAL
`define XNORFLOW_COUNTONES
`endif
`endif
`ifdef SYNTHESIS
`define XNORFLOW_PRIMITIVES
`endif
"""
"""Goes once before the modules: which body they have.

Vendor primitives are for synthesis, `$countones` for Verilator, plain Verilog for the rest.
"""


def lut_init(function: Callable[..., int], inputs: int) -> int:
    """Give the truth table of a LUT; the function's first argument is its lowest input.

    Examples
    --------
    >>> hex(lut_init(lambda a, b: a & b, 2)), hex(lut_init(lambda a, b: a, 2))
    ('0x8', '0xa')
    """
    table = 0
    for index, values in enumerate(product((0, 1), repeat=inputs)):
        table |= (function(*reversed(values)) & 1) << index
    return table


@dataclass
class Netlist:
    """Lines of a module's body, and names for its wires."""

    lines: list[str] = field(default_factory=list)
    names: int = 0

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append(f"  {text}")

    def new(self, prefix: str) -> str:
        """Give a name that no other call gives."""
        self.names += 1
        return f"{prefix}{self.names}"

    def wire(self, prefix: str = "s") -> str:
        """Declare a wire."""
        name = self.new(prefix)
        self.line(f"wire {name};")
        return name

    def register(self, source: str, cycles: int = 1) -> str:
        """Give a bit so many cycles later; constants need no register."""
        for _ in range(0 if "'" in source else cycles):
            name = self.new("r")
            self.line(f"reg {name};")
            self.line(f"always @(posedge clk) {name} <= {source};")
            source = name
        return source

    def cell(self, kind: str, parameters: dict[str, str], ports: dict[str, str]) -> None:
        """Instantiate a primitive."""
        values = ", ".join(f".{name}({value})" for name, value in parameters.items())
        pins = ", ".join(f".{name}({value})" for name, value in ports.items())
        self.line(f"{kind} #({values}) {self.new('u')} ({pins});")


@dataclass(frozen=True)
class Position:
    """A position of a carry chain.

    Parameters
    ----------
    pins : tuple of str
        What it reads, in the order of the fabric's cell.
    init : int
        Truth table of P, or whatever the cell has.
    sum : str
        Wire that gets the sum, or "".
    """

    pins: tuple[str, ...]
    init: int
    sum: str = ""


def ccu2c_inject(
    a: str = "1'b0", b: str = "1'b0", *, agree: bool = False, sum: str = ""
) -> Position:
    """Put the carry out as the sum, and go on with a carry of ``a ^ b``, or its complement.

    C = D = 1 makes P zero whatever G is.
    """
    return Position((a, b, "1'b1", "1'b1"), 0x0009 if agree else 0x0006, sum)


def ccu2c_chain(net: Netlist, positions: Sequence[Position]) -> None:
    """Write a chain of ECP5's CCU2C, which holds two positions with the pins A, B, C, D.

    P is a LUT4 of them, G the LUT2 of A and B that P is for C = D = 0. The first position has to
    make its carry by itself: its P is zero.
    """
    positions = list(positions)
    if len(positions) % 2:
        positions.append(ccu2c_inject())
    carry = ""
    for i in range(0, len(positions), 2):
        ports: dict[str, str] = {"CIN": carry} if carry else {}
        parameters: dict[str, str] = {}
        for half, position in enumerate(positions[i : i + 2]):
            parameters[f"INIT{half}"] = f"16'h{position.init:04x}"
            parameters[f"INJECT1_{half}"] = '"NO"'
            ports |= {f"{pin}{half}": name for pin, name in zip("ABCD", position.pins, strict=True)}
            if position.sum:
                ports[f"S{half}"] = position.sum
        if i + 2 < len(positions):
            carry = net.wire("c")
            ports["COUT"] = carry
        net.cell("CCU2C", parameters, ports)


def carry4_chain(
    net: Netlist,
    propagate: Sequence[str],
    generate: Sequence[str],
    sums: Sequence[str],
    carry: str = "1'b0",
) -> str:
    """Write a chain of Xilinx's CARRY4 over any number of positions.

    P and G are wires. P has to be a LUT's output; G then goes round the LUT, or is its O5.

    Parameters
    ----------
    carry : str
        Carry into the first position.

    Returns
    -------
    str
        The last carry out.
    """
    for low in range(0, len(propagate), 4):
        some = slice(low, low + 4)
        out = net.new("c")
        net.line(f"wire [3:0] {out};")
        total = net.new("s")
        net.line(f"wire [3:0] {total};")
        p, g = list(propagate[some]), list(generate[some])
        missing = 4 - len(p)
        ports = {
            "CI": carry if low else "1'b0",
            "CYINIT": "1'b0" if low else carry,
            "S": _bus(p + ["1'b0"] * missing),
            "DI": _bus(g + ["1'b0"] * missing),
            "O": total,
            "CO": out,
        }
        pins = ", ".join(f".{name}({value})" for name, value in ports.items())
        net.line(f"CARRY4 {net.new('u')} ({pins});")
        for i, name in enumerate(sums[some]):
            net.line(f"assign {name} = {total}[{i}];")
        carry = f"{out}[{len(p) - 1}]"
    return carry


def _bus(bits: Sequence[str]) -> str:
    return "{" + ", ".join(reversed(bits)) + "}"


def lut6(net: Netlist, pins: Sequence[str], init: int) -> str:
    """Write a Xilinx LUT of as many inputs as there are pins; return its output."""
    out = net.wire("p")
    ports = {f"I{i}": pin for i, pin in enumerate(pins)} | {"O": out}
    size = 1 << len(pins)
    net.cell(f"LUT{len(pins)}", {"INIT": f"{size}'h{init:0{max(1, size // 4)}x}"}, ports)
    return out


def lut6_2(net: Netlist, pins: Sequence[str], o5: int, o6: int) -> tuple[str, str]:
    """Write a Xilinx LUT of two functions of the same five inputs; return O5 and O6."""
    low, high = net.wire("g"), net.wire("p")
    ports = {f"I{i}": pin for i, pin in enumerate([*pins, "1'b1"])} | {"O5": low, "O6": high}
    net.cell("LUT6_2", {"INIT": f"64'h{o6:08x}{o5:08x}"}, ports)
    return low, high
