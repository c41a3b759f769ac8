"""PYNQ-Z1 by Digilent: Zynq-7020, whose serial port belongs to the processor."""

from xnorflow_boards.board import Board

BOARDS = (
    Board(
        name="pynq-z1",
        title="Digilent PYNQ-Z1",
        url="https://digilent.com/reference/programmable-logic/pynq-z1/start",
        flow="vivado",
        part="xc7z020clg400-1",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
