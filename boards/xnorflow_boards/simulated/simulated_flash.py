"""An SPI flash in Verilog for a simulated board that loads its weights from it."""

from __future__ import annotations

from collections.abc import Mapping

from xnorflow_boards.gateware.weights_in_flash import WEIGHTS_ADDRESS

IMAGE = "xnorflow_flash.hex"
_FLASH = """\
// Sleeps until it is woken (AB), then reads (03) from a 24-bit address on. SPI mode 0.
module xnorflow_flash (input wire cs, input wire sck, input wire copi, output reg cipo);
  localparam FIRST = 24'd{first}, BYTES = {bytes};
  reg [7:0] memory [0:BYTES - 1];
  initial $readmemh("{image}", memory);
  reg asleep;
  initial asleep = 1;
  reg [31:0] head, count;
  always @(posedge sck or negedge cs)
    if (!cs) begin
      if (count == 8 && head[7:0] == 8'hab) asleep <= 0;
      count <= 0;
    end else begin
      if (count < 32) head <= {{head[30:0], copi}};
      count <= count + 1;
    end
  wire [31:0] past = count - 32;
  wire [23:0] place = head[23:0] + past[26:3] - FIRST;
  wire [7:0] there = place < BYTES ? memory[place] : 8'hff;
  always @(negedge sck)
    if (!asleep && count >= 32 && head[31:24] == 8'h03) cipo <= there[7 - past[2:0]];
endmodule
"""


def contents(data: bytes) -> str:
    """Return the hex image of a flash that holds `data` from the weights' address on."""
    return "".join(f"{byte:02x}\n" for byte in data or b"\xff")


def around(board: str, ports: Mapping[str, int], outputs: set[str], top: str, size: int) -> str:
    """Return the Verilog of a module that connects a board with the flash.

    Parameters
    ----------
    board, top : str
        Names of the board's module and of the new module.
    ports : mapping of str to int
        Widths in bits of the new module's ports by name; they are the board's without those to the
        flash.
    outputs : set of str
        Names of the ports that are outputs.
    size : int
        Bytes of the flash from the weights' address on.
    """
    declared = ", ".join(
        f"{'output' if name in outputs else 'input'} wire [{width - 1}:0] {name}"
        for name, width in ports.items()
    )
    joined = ", ".join(f".{name}({name})" for name in ports)
    return "\n".join(
        [
            _FLASH.format(first=WEIGHTS_ADDRESS, bytes=max(size, 1), image=IMAGE),
            f"module {top} ({declared});",
            "  wire cs, sck, copi, cipo;",
            "  xnorflow_flash flash (.cs(cs), .sck(sck), .copi(copi), .cipo(cipo));",
            f"  {board} board (.flash_cs(cs), .flash_sck(sck), .flash_copi(copi),"
            f" .flash_cipo(cipo), {joined});",
            "endmodule",
            "",
        ]
    )
