"""Digilent's Arty A7: an Artix-7 with a USB serial port through an FT2232H."""

from __future__ import annotations

from functools import partial
from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows import XILINX_7


def _platform(size: int) -> Any:
    from amaranth_boards import arty_a7

    return {35: arty_a7.ArtyA7_35Platform, 100: arty_a7.ArtyA7_100Platform}[size]()


BOARDS = tuple(
    Board(
        name=f"arty-a7-{size}",
        title=f"Digilent Arty A7-{size}T",
        url="https://digilent.com/reference/programmable-logic/arty-a7/start",
        flow=XILINX_7,
        part=f"xc7a{size}ticsg324-1L",
        platform=partial(_platform, size),
        host="USB, second channel of the FT2232H",
        loader=("-b", f"arty_a7_{size}t"),
    )
    for size in (35, 100)
)
