"""Ultra96-V2 by Avnet: Zynq UltraScale+ 3EG, fed by the processor."""

from xnorflow_boards.board import Board

BOARDS = (
    Board(
        name="ultra96-v2",
        title="Avnet Ultra96-V2",
        url="https://www.avnet.com/ultra96-v2",
        flow="vivado",
        part="xczu3eg-sbva484-1-i",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
