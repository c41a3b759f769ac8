"""Sipeed's Tang Nano 20K: a Gowin GW2AR-18 with a USB serial port through a BL616.

The pins are from https://wiki.sipeed.com/hardware/en/tang/tang-nano-20k/nano-20k.html;
amaranth-boards does not have this board.
"""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Clock, Pins, Resource, Subsignal
from amaranth.vendor import GowinPlatform

from xnorflow_boards.board import Board
from xnorflow_boards.flows import GOWIN

_IO = Attrs(IO_TYPE="LVCMOS33")


class TangNano20kPlatform(GowinPlatform):
    """The board's clock and serial port, which is all that the host link needs."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), _IO),
        Resource(
            "uart",
            0,
            Subsignal("rx", Pins("70", dir="i")),
            Subsignal("tx", Pins("69", dir="o")),
            Attrs(IO_TYPE="LVCMOS33", PULL_MODE="UP"),
        ),
    ]
    connectors: list[Any] = []


BOARDS = (
    Board(
        name="tangnano20k",
        title="Sipeed Tang Nano 20K",
        url="https://wiki.sipeed.com/hardware/en/tang/tang-nano-20k/nano-20k.html",
        flow=GOWIN,
        part="GW2AR-LV18QN88C8/I7",
        platform=TangNano20kPlatform,
        host="USB, BL616",
        loader=("-b", "tangnano20k"),
    ),
)
