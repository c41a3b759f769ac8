"""Vendor primitives as Verilog text: carry chains whose LUTs do more than add.

A carry position of every family computes ``sum = P ^ carry in`` and ``carry out = P ? carry in :
G``. The families differ in what P (propagate) and G (generate) can be.
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
"""Text that has to stand once before the modules and selects their bodies.

Synthesis reads vendor primitives, Verilator reads `$countones`, and other tools read plain Verilog.
"""


def lut_init(function: Callable[..., int], inputs: int) -> int:
    """Return the truth table of a LUT whose lowest input is the function's first argument.

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
    """The lines of a module's body, and unique names for its nets.

    Attributes
    ----------
    lines : list of str
        Statements.
    names : int
        Number of names that were handed out.
    """

    lines: list[str] = field(default_factory=list)
    names: int = 0

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append(f"  {text}")

    def new(self, prefix: str) -> str:
        """Return a name that no other call returns."""
        self.names += 1
        return f"{prefix}{self.names}"

    def wire(self, prefix: str = "s") -> str:
        """Declare a wire; return its name."""
        name = self.new(prefix)
        self.line(f"wire {name};")
        return name

    def register(self, source: str, cycles: int = 1) -> str:
        """Delay a net by `cycles` clock cycles; return the delayed net, or a constant as it is."""
        for _ in range(0 if "'" in source else cycles):
            name = self.new("r")
            self.line(f"reg {name};")
            self.line(f"always @(posedge clk) {name} <= {source};")
            source = name
        return source

    def cell(self, kind: str, parameters: dict[str, str], ports: dict[str, str]) -> None:
        """Append an instance of a primitive."""
        values = ", ".join(f".{name}({value})" for name, value in parameters.items())
        pins = ", ".join(f".{name}({value})" for name, value in ports.items())
        self.line(f"{kind} #({values}) {self.new('u')} ({pins});")


@dataclass(frozen=True)
class Position:
    """A position of a carry chain.

    Parameters
    ----------
    pins : tuple of str
        Nets that it reads, in the order of the pins of the fabric's cell.
    init : int
        Truth table of P, or the parameter that the cell has instead.
    sum : str
        Wire that gets the sum, or "" for none.
    """

    pins: tuple[str, ...]
    init: int
    sum: str = ""


def ccu2c_inject(
    a: str = "1'b0", b: str = "1'b0", *, agree: bool = False, sum: str = ""
) -> Position:
    """Return a position that delivers the carry as its sum and starts a new carry of ``a ^ b``.

    With `agree` the new carry is the complement. C = D = 1 makes P zero for any A and B.
    """
    return Position((a, b, "1'b1", "1'b1"), 0x0009 if agree else 0x0006, sum)


def ccu2c_chain(net: Netlist, positions: Sequence[Position]) -> None:
    """Write a chain of ECP5's CCU2C, which holds two positions with the pins A, B, C and D.

    P is a LUT4 of the pins; G is the value of that LUT for C = D = 0, so a LUT2 of A and B. The
    first position has no carry-in, so its P has to be zero.
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

    Parameters
    ----------
    net : Netlist
        Netlist that gets the chain.
    propagate : sequence of str
        Nets of P, each the output of a LUT.
    generate : sequence of str
        Nets of G, each an input that bypasses the LUT, or its output O5.
    sums : sequence of str
        Wires that get the sums.
    carry : str
        Carry into the first position.

    Returns
    -------
    str
        Net of the last carry out.
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
    """Write a Xilinx LUT with as many inputs as there are pins; return the net of its output."""
    out = net.wire("p")
    ports = {f"I{i}": pin for i, pin in enumerate(pins)} | {"O": out}
    size = 1 << len(pins)
    net.cell(f"LUT{len(pins)}", {"INIT": f"{size}'h{init:0{max(1, size // 4)}x}"}, ports)
    return out


def lut6_2(net: Netlist, pins: Sequence[str], o5: int, o6: int) -> tuple[str, str]:
    """Write a Xilinx LUT with two functions of the same five inputs; return nets O5 and O6."""
    low, high = net.wire("g"), net.wire("p")
    ports = {f"I{i}": pin for i, pin in enumerate([*pins, "1'b1"])} | {"O5": low, "O6": high}
    net.cell("LUT6_2", {"INIT": f"64'h{o6:08x}{o5:08x}"}, ports)
    return low, high
