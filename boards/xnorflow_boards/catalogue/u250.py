"""AMD's Alveo U250: an UltraScale+ behind PCI Express."""

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ULTRASCALE_PLUS

BOARDS = (
    Board(
        name="u250",
        title="AMD Alveo U250",
        url="https://www.xilinx.com/u250",
        flow=ULTRASCALE_PLUS,
        part="xcu250-figd2104-2L-e",
        platform=None,
        host="IP core in the shell, fed over PCI Express",
    ),
)
