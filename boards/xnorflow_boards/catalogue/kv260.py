"""AMD's Kria KV260: a Zynq UltraScale+ on a K26 module, fed by its processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ULTRASCALE_PLUS

BOARDS = (
    Board(
        name="kv260",
        title="AMD Kria KV260",
        url="https://www.xilinx.com/kv260",
        flow=ULTRASCALE_PLUS,
        part="xck26-sfvc784-2LV-c",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
