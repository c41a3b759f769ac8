"""Good Stuff Department's OrangeCrab r0.2: an ECP5 on a Feather board.

Its USB socket leads to the FPGA without a serial adapter. An adapter is wired to the pins that
Feather boards use for their serial port: pin 0 receives and pin 1 sends.
"""

from __future__ import annotations

from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ECP5


def _platform() -> Any:
    from amaranth.build import Attrs
    from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_85FPlatform
    from amaranth_boards.resources import UARTResource

    platform = OrangeCrabR0_2_85FPlatform()
    platform.add_resources(
        [
            UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
        ]
    )
    return platform


BOARDS = (
    Board(
        name="orangecrab-85f",
        title="OrangeCrab r0.2 85F",
        url="https://github.com/orangecrab-fpga/orangecrab-hardware",
        flow=ECP5,
        part="LFE5U-85F-8MG285C",
        platform=_platform,
        host="3.3 V serial adapter on pins 0 (receives) and 1 (sends)",
        loader=("-b", "orangeCrab", "--dfu"),
    ),
)
