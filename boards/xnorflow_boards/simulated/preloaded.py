"""A module around an accelerator with SPRAM that loads the SPRAMs before the first frame.

From outside it looks like an accelerator without SPRAM, so that a netlist, whose SPRAMs are empty
at first, can be simulated like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xnorflow_hw.memory.spram_rom import LOAD_BITS, WIDTH
from xnorflow_sim.interface import Interface

IMAGE = "xnorflow_load.hex"
_MODULE = """\
module {top}_loaded (
  input wire clk, input wire rst,
  input wire [{last_in}:0] s_axis_tdata, input wire s_axis_tvalid, output wire s_axis_tready,
  output wire [{last_out}:0] m_axis_tdata, output wire m_axis_tvalid, input wire m_axis_tready,
  output wire m_axis_tlast
);
  reg [{last_load}:0] steps [0:{steps} - 1];
  initial $readmemh("{image}", steps);
  reg [31:0] step;
  wire done = step == {steps};
  always @(posedge clk) if (rst) step <= 0; else if (!done) step <= step + 1;
  wire ready, valid;
  assign s_axis_tready = ready & done;
  assign m_axis_tvalid = valid & done;
  {top} core (
    .clk(clk), .rst(rst | !done), .load(done ? {load}'d0 : steps[step]),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid & done), .s_axis_tready(ready),
    .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(valid), .m_axis_tready(m_axis_tready),
    .m_axis_tlast(m_axis_tlast)
  );
endmodule
"""


@dataclass(frozen=True)
class Preloaded:
    """An accelerator as it is simulated, with the module around it if it needs one.

    Parameters
    ----------
    interface : Interface
        Ports of the module that is simulated.
    verilog : str
        Verilog of the module around the accelerator; empty without one.
    images : dict of str to str
        Files that it reads, by name.
    """

    interface: Interface
    verilog: str = ""
    images: dict[str, str] = field(default_factory=dict)


def preloaded(interface: Interface, sections: Sequence[Sequence[int]]) -> Preloaded:
    """Build the module that loads an accelerator; one without SPRAM is left as it is.

    Parameters
    ----------
    interface : Interface
        Ports of the accelerator.
    sections : sequence of sequence of int
        Words of each SPRAM, from address 0 on.
    """
    if not sections:
        return Preloaded(interface)
    steps = [
        1 << (LOAD_BITS + k) | address << WIDTH | word
        for k, words in enumerate(sections)
        for address, word in enumerate(words)
    ]
    text = _MODULE.format(
        top=interface.top,
        last_in=8 * interface.in_bytes - 1,
        last_out=interface.out_lanes * interface.out_bits - 1,
        load=interface.load,
        last_load=interface.load - 1,
        steps=len(steps),
        image=IMAGE,
    )
    image = "".join(f"{step:x}\n" for step in steps)
    return Preloaded(
        replace(interface, top=f"{interface.top}_loaded", load=0), text, {IMAGE: image}
    )
