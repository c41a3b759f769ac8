"""Digilent's PYNQ-Z1: a Zynq-7020, whose serial port belongs to the processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import XILINX_7

BOARDS = (
    Board(
        name="pynq-z1",
        title="Digilent PYNQ-Z1",
        url="https://digilent.com/reference/programmable-logic/pynq-z1/start",
        flow=XILINX_7,
        part="xc7z020clg400-1",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
