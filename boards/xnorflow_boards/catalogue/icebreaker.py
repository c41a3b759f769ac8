"""iCEBreaker by 1BitSquared: iCE40 UltraPlus, USB serial port by an FT2232H."""

from __future__ import annotations

from typing import Any

from xnorflow_boards.board import Board


def _platform() -> Any:
    from amaranth_boards.icebreaker import ICEBreakerPlatform

    return ICEBreakerPlatform()


BOARDS = (
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        url="https://github.com/icebreaker-fpga/icebreaker",
        flow="ice40",
        part="iCE40UP5K-SG48",
        platform=_platform,
        host="USB, second channel of the FT2232H",
        # The FT2232H writes the configuration flash by SPI; openFPGALoader's name for that wiring.
        loader=("-b", "ice40_generic"),
    ),
)
