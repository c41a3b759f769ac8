"""Boards, the tool flows that end in their bitstreams, and the host's side of the link."""

from xnorflow_boards.board import OPEN_FLOWS, Board
from xnorflow_boards.catalogue import board, boards

__all__ = ["OPEN_FLOWS", "Board", "board", "boards"]
