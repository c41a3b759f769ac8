"""Avnet's Ultra96-V2: a Zynq UltraScale+ 3EG, fed by its processor."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ULTRASCALE_PLUS

BOARDS = (
    Board(
        name="ultra96-v2",
        title="Avnet Ultra96-V2",
        url="https://www.avnet.com/ultra96-v2",
        flow=ULTRASCALE_PLUS,
        part="xczu3eg-sbva484-1-i",
        platform=None,
        host="IP core on the processor's AXI ports, by a DMA engine",
    ),
)
