"""Colorlight i5 v7.0 on Muse Lab's extension board: an ECP5.

The pins are from https://github.com/wuxx/Colorlight-FPGA-Projects; amaranth-boards does not have
this board.
"""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Clock, Pins, Resource, Subsignal
from amaranth.vendor import LatticeECP5Platform

from xnorflow_boards.board import Board
from xnorflow_boards.flows import ECP5

_IO = Attrs(IO_TYPE="LVCMOS33")


class ColorlightI5Platform(LatticeECP5Platform):
    """The board's clock and serial port, which is all that the host link needs."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), _IO),
        Resource(
            "uart",
            0,
            Subsignal("rx", Pins("H18", dir="i")),
            Subsignal("tx", Pins("J17", dir="o")),
            _IO,
        ),
    ]
    connectors: list[Any] = []

    def toolchain_prepare(self, fragment: Any, name: str, **kwargs: Any) -> Any:
        """Prepare the build with a compressed bitstream, because the flash has only 2 MiB."""
        return super().toolchain_prepare(fragment, name, **{"ecppack_opts": "--compress"} | kwargs)


BOARDS = (
    Board(
        name="colorlight-i5",
        title="Colorlight i5 v7.0 with extension board",
        url="https://github.com/wuxx/Colorlight-FPGA-Projects",
        flow=ECP5,
        part="LFE5U-25F-6BG381C",
        platform=ColorlightI5Platform,
        host="USB socket of the extension board, DAPLink",
        loader=("-b", "colorlight-i5"),
    ),
)
