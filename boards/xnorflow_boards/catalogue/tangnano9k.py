"""Sipeed's Tang Nano 9K: a Gowin GW1NR-9 with a USB serial port through a BL702."""

from __future__ import annotations

from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows import GOWIN


def _platform() -> Any:
    from amaranth_boards.tang_nano_9k import TangNano9kPlatform

    return TangNano9kPlatform()


BOARDS = (
    Board(
        name="tangnano9k",
        title="Sipeed Tang Nano 9K",
        url="https://wiki.sipeed.com/hardware/en/tang/Tang-Nano-9K/Nano-9K.html",
        flow=GOWIN,
        part="GW1NR-LV9QN88PC6/I5",
        platform=_platform,
        host="USB, BL702",
        loader=("-b", "tangnano9k"),
    ),
)
