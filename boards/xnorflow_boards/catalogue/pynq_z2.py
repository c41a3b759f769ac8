"""PYNQ-Z2 by TUL: Zynq-7020, whose serial port belongs to the processor."""

from xnorflow_boards.board import Board

BOARDS = (
    Board(
        name="pynq-z2",
        title="TUL PYNQ-Z2",
        url="https://www.tulembedded.com/FPGA/ProductsPYNQ-Z2.html",
        flow="vivado",
        part="xc7z020clg400-1",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
