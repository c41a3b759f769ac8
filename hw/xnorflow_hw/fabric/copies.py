"""Copies of a register, each for some of the many places that read it.

Activations go to every PE. A single register in the middle of hundreds of popcounts is far from
most of them, and four fifths of the time of the slowest paths is spent on wires. A copy for each
group of PEs can lie close to its group. Synthesis would merge equal registers again, so the copies
are primitives.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value

from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.spec.kinds import Fabric

LANES = {"ecp5": 512}
"""Number of one-bit products that read one copy; fabrics that are not listed have no copies."""

_ECP5 = """\
  genvar i;
  generate for (i = 0; i < {width}; i = i + 1) begin : bits
    (* keep *) TRELLIS_FF #(
      .GSR("DISABLED"), .CEMUX("1"), .CLKMUX("CLK"), .LSRMUX("LSR"), .REGSET("RESET")
    ) register (.CLK(clk), .LSR(1'b0), .DI(d[i]), .Q(q[i]));
  end endgenerate"""


def group(pe: int, bits: int, fabric: Fabric) -> int:
    """Return the number of PEs that read one copy, of `bits` bits of activations each."""
    lanes = LANES.get(fabric)
    return pe if lanes is None else min(pe, max(1, lanes // bits))


def module_name(width: int, fabric: Fabric) -> str:
    """Return the name of the module of a copy of `width` bits."""
    return f"xnorflow_copy_{width}_{fabric}"


def verilog_module(width: int, fabric: Fabric) -> str:
    """Write the module of a copy; it needs `primitives.PROLOGUE` before it.

    Its ports are ``clk``, ``d`` and ``q`` [width-1:0].

    Raises
    ------
    ValueError
        If the fabric has no copies.
    """
    if fabric not in LANES:
        raise ValueError(f"fabric is {fabric!r}; only {', '.join(LANES)} has copies of registers")
    return "\n".join(
        [
            f"module {module_name(width, fabric)} (",
            "  input wire clk,",
            f"  input wire [{width - 1}:0] d,",
            f"  output wire [{width - 1}:0] q",
            ");",
            "`ifdef XNORFLOW_PRIMITIVES",
            _ECP5.format(width=width),
            "`else",
            f"  reg [{width - 1}:0] copy;",
            "  always @(posedge clk) copy <= d;",
            "  assign q = copy;",
            "`endif",
            "endmodule",
            "",
        ]
    )


def copies(
    m: Module, value: Value, cycles: int, number: int, *, name: str, fabric: Fabric
) -> list[Value]:
    """Return `number` copies of `value`, each delayed by `cycles` clock cycles.

    Parameters
    ----------
    m : Module
        The module that gets the registers.
    value : Value
        The value to copy.
    cycles : int
        Number of registers, 1 or more. Only the last one is copied.
    number : int
        Number of copies.
    name : str
        Prefix of the registers' names.
    fabric : Fabric
        A fabric in `LANES`.
    """
    before = delay(m, value, cycles - 1, name=name)
    made: list[Value] = []
    for k in range(number):
        q = Signal(len(value), name=f"{name}_copy_{k}")
        m.submodules[f"{name}_copy_{k}"] = Instance(
            module_name(len(value), fabric), i_clk=ClockSignal(), i_d=before, o_q=q
        )
        made.append(q)
    return made
