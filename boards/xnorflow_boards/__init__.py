"""From a compiled design to a board: the bitstream, how it is loaded, and the host's driver.

The rooms, from the ground up; each may import those above it in this list:

* `flows`: one module per FPGA family with its tools, their reports and its PLL;
* `board` and `catalogue`: what a board is, and the known boards;
* `host`: the driver of the link (imports none of the other rooms);
* `gateware`: what surrounds the accelerator on a board;
* `build`: the bitstream or the Vivado project of a design, and loading it;
* `simulated`: a design as a simulated board, and synthesised netlists in simulation.
"""

from xnorflow_boards.board import Board
from xnorflow_boards.catalogue import board, boards

__all__ = ["Board", "board", "boards"]
