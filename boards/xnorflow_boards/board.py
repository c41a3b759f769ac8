"""What a board is to xnorflow: its Amaranth platform, where its serial port is, its tool flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Flow = Literal["ecp5", "ice40", "gowin", "vivado"]
OPEN_FLOWS: tuple[Flow, ...] = ("ecp5", "ice40", "gowin")
"""Flows that end in a bitstream with tools from PyPI."""


@dataclass(frozen=True)
class Board:
    """A board; its FPGA's capacities are `xnorflow.devices.tables.fpga` of the same name.

    Parameters
    ----------
    name, title : str
        Name on the command line; the maker's name.
    url : str
        Where it is documented.
    flow : {"ecp5", "ice40", "gowin", "vivado"}
        How it is built.
    part : str
        The FPGA with package and speed grade, as its maker writes it.
    platform : callable, optional
        Gives a fresh Amaranth platform with the resources ``uart`` 0 and the default clock. None:
        no pin of the programmable logic leads to a host, so the accelerator becomes an IP core for
        the board's processor or shell.
    host : str
        How the serial port reaches a host; how the core is fed where there is none.
    loader : tuple of str
        Arguments of openFPGALoader that name the board; empty where it cannot load it.
    """

    name: str
    title: str
    url: str
    flow: Flow
    part: str
    platform: Callable[[], Any] | None
    host: str
    loader: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether open tools make its bitstream."""
        return self.flow in OPEN_FLOWS
