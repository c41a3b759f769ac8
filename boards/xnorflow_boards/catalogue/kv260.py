"""Kria KV260 by AMD: Zynq UltraScale+ on a K26 module, fed by the processor."""

from xnorflow_boards.board import Board

BOARDS = (
    Board(
        name="kv260",
        title="AMD Kria KV260",
        url="https://www.xilinx.com/kv260",
        flow="vivado",
        part="xck26-sfvc784-2LV-c",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
