"""AMD's ZCU104: a Zynq UltraScale+ 7EV, fed by its processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ULTRASCALE_PLUS

BOARDS = (
    Board(
        name="zcu104",
        title="AMD ZCU104",
        url="https://www.xilinx.com/zcu104",
        flow=ULTRASCALE_PLUS,
        part="xczu7ev-ffvc1156-2-e",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
