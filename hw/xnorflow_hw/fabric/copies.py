"""Copies of a register, each for some of the many places that read it.

Activations go to every PE. One register in the middle of hundreds of popcounts is far from most of
them, and on the slowest paths four fifths of the time are wires. A copy for each group of PEs lies
beside its group. Synthesis would merge copies again, so they are placed by hand.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value

from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.spec.kinds import Fabric

LANES = {"ecp5": 512}
"""Lanes, bits of products, that a copy is for; fabrics that are not here have one register."""

_ECP5 = """\
  genvar i;
  generate for (i = 0; i < {width}; i = i + 1) begin : bits
    (* keep *) TRELLIS_FF #(
      .GSR("DISABLED"), .CEMUX("1"), .CLKMUX("CLK"), .LSRMUX("LSR"), .REGSET("RESET")
    ) register (.CLK(clk), .LSR(1'b0), .DI(d[i]), .Q(q[i]));
  end endgenerate"""


def group(pe: int, bits: int, fabric: Fabric) -> int:
    """Give the PEs that read one copy, of `bits` bits of activations each."""
    lanes = LANES.get(fabric)
    return pe if lanes is None else min(pe, max(1, lanes // bits))


def module_name(width: int, fabric: Fabric) -> str:
    """Name the module of a copy."""
    return f"xnorflow_copy_{width}_{fabric}"


def verilog_module(width: int, fabric: Fabric) -> str:
    """Write the module of a copy; needs `primitives.PROLOGUE` before it.

    Ports: ``clk``, ``d`` and ``q`` [width-1:0].

    Raises
    ------
    ValueError
        If the fabric has no copies.
    """
    if fabric not in LANES:
        raise ValueError(f"there are no copies on {fabric!r}, only on {', '.join(LANES)}")
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
    """Give `value` so many clock cycles later, at least one, `number` times.

    The names of registers start with `name`.
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
