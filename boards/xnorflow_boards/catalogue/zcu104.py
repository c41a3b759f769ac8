"""ZCU104 by AMD: Zynq UltraScale+ 7EV, fed by the processor."""

from xnorflow_boards.board import Board

BOARDS = (
    Board(
        name="zcu104",
        title="AMD ZCU104",
        url="https://www.xilinx.com/zcu104",
        flow="vivado",
        part="xczu7ev-ffvc1156-2-e",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
