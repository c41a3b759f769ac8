"""What a board is to xnorflow: its FPGA, its Amaranth platform, its serial port, its tool flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xnorflow.devices.board_file import BoardFile
from xnorflow.devices.tables import Fpga
from xnorflow_boards.flows import OpenFlow, ToolFlow


@dataclass(frozen=True)
class Board:
    """A board with its FPGA.

    Parameters
    ----------
    name, title : str
        Name on the command line, and the maker's name.
    url : str
        Address of the maker's documentation.
    flow : ToolFlow
        How designs are built for its FPGA family.
    part : str
        The FPGA with package and speed grade, as its maker writes it.
    platform : callable, optional
        Returns a new Amaranth platform with the resource ``uart`` 0 and a default clock. None if no
        pin of the programmable logic leads to a host: the accelerator then becomes an IP core for
        the board's processor or shell.
    host : str
        How the serial port reaches a host, or how the core is fed where there is no such port.
    device : Fpga
        Capacities of its FPGA.
    file : BoardFile
        The description that it was made of.
    loader : tuple of str
        Arguments of openFPGALoader that name the board; empty if it cannot load the board.
    """

    name: str
    title: str
    url: str
    flow: ToolFlow
    part: str
    platform: Callable[[], Any] | None
    host: str
    device: Fpga
    file: BoardFile
    loader: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether open tools make its bitstream."""
        return isinstance(self.flow, OpenFlow)
