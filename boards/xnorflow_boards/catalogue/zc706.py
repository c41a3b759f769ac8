"""AMD's ZC706: a Zynq-7045, whose serial port belongs to the processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import XILINX_7

BOARDS = (
    Board(
        name="zc706",
        title="AMD ZC706",
        url="https://www.xilinx.com/zc706",
        flow=XILINX_7,
        part="xc7z045ffg900-2",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
