"""Radiona's ULX3S: an ECP5 with a USB serial port through an FT231X."""

from __future__ import annotations

from functools import partial
from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ECP5


def _platform(size: str) -> Any:
    from amaranth_boards import ulx3s

    return {"25F": ulx3s.ULX3S_25F_Platform, "85F": ulx3s.ULX3S_85F_Platform}[size]()


BOARDS = tuple(
    Board(
        name=f"ulx3s-{size.lower()}",
        title=f"Radiona ULX3S {size}",
        url="https://radiona.org/ulx3s",
        flow=ECP5,
        part=f"LFE5U-{size}-6BG381C",
        platform=partial(_platform, size),
        host="USB socket US1, FT231X",
        loader=("-b", "ulx3s"),
    )
    for size in ("85F", "25F")
)
