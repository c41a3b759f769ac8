"""Boards as designs are built for them: a `Board` for each description.

The descriptions are the board files of `xnorflow.devices`, those shipped and those of users. This
room adds a family's tool flow and makes Amaranth's platform of the pins.

May import `xnorflow.devices`, `xnorflow_boards.board` and `xnorflow_boards.flows`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from xnorflow.devices.board_file import CLASS, BoardFile
from xnorflow.devices.board_names import SHIPPED, described, shipped
from xnorflow.devices.tables import fpga
from xnorflow_boards.board import Board
from xnorflow_boards.catalogue.platforms import platform_maker, without_pins
from xnorflow_boards.flows import (
    ECP5,
    GOWIN,
    ICE40,
    ULTRASCALE,
    ULTRASCALE_PLUS,
    XILINX_7,
    OpenFlow,
    ToolFlow,
)

FLOW_OF: Mapping[str, ToolFlow] = {
    "ecp5": ECP5,
    "ice40-ultraplus": ICE40,
    "ice40-hx": ICE40,
    "ice40-lp": ICE40,
    "gw1nr": GOWIN,
    "gw2ar": GOWIN,
    "xilinx-7": XILINX_7,
    "xilinx-ultrascale": ULTRASCALE,
    "xilinx-ultrascale-plus": ULTRASCALE_PLUS,
}
"""Tool flow by family of the device tables."""


@cache
def boards() -> Mapping[str, Board]:
    """Return every shipped board by name, those with an open flow first."""
    return {name: _board(name, shipped(name), True) for name in SHIPPED}


def board(name: str, *, import_platform: bool = False) -> Board:
    """Return the board that a user named.

    Parameters
    ----------
    name : str
        The board as `xnorflow.devices.board_names.described` takes it: a name, a board file, a
        platform's class or a part.
    import_platform : bool
        Whether a class that a board file names may be imported from any package. Those of
        amaranth_boards always may, and so may one that is named itself.

    Raises
    ------
    BadInput
        If there is no such board, or its file is wrong; the message says what would work.
    """
    return _board(name, described(name), import_platform or CLASS.fullmatch(name) is not None)


def _platform(file: BoardFile, may_import: bool) -> Callable[[], Any] | None:
    """Return what makes the platform; None without pins, unless nextpnr can choose them."""
    if file.linked:
        return platform_maker(file, may_import)
    flow = FLOW_OF[file.part.family]
    if file.part.complete and isinstance(flow, OpenFlow) and flow.without_pins is not None:
        return platform_maker(without_pins(file), may_import)
    return None


def _board(name: str, file: BoardFile, may_import: bool) -> Board:
    return Board(
        name=file.name,
        title=file.title or file.name,
        url=file.url,
        flow=FLOW_OF[file.part.family],
        part=file.part.text,
        platform=_platform(file, may_import),
        host=file.host,
        device=fpga(name),
        loader=file.loader.arguments,
        file=file,
    )
