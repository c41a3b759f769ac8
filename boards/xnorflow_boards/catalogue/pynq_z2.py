"""TUL's PYNQ-Z2: a Zynq-7020, whose serial port belongs to the processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import XILINX_7

BOARDS = (
    Board(
        name="pynq-z2",
        title="TUL PYNQ-Z2",
        url="https://www.tulembedded.com/FPGA/ProductsPYNQ-Z2.html",
        flow=XILINX_7,
        part="xc7z020clg400-1",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
