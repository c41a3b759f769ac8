"""1BitSquared's iCEBreaker: an iCE40 UltraPlus with a USB serial port through an FT2232H."""

from __future__ import annotations

from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ICE40


def _platform() -> Any:
    from amaranth_boards.icebreaker import ICEBreakerPlatform

    return ICEBreakerPlatform()


BOARDS = (
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        url="https://github.com/icebreaker-fpga/icebreaker",
        flow=ICE40,
        part="iCE40UP5K-SG48",
        platform=_platform,
        host="USB, second channel of the FT2232H",
        # openFPGALoader's name for boards whose FT2232H writes the configuration flash over SPI.
        loader=("-b", "ice40_generic"),
    ),
)
