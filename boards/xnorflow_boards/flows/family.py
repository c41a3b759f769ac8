"""What a tool flow has to say about its FPGA family."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xnorflow_boards.board import Board
from xnorflow_boards.flows.report import Usage
from xnorflow_boards.flows.routing import ROUTERS

TOP = "board"
"""Name of the top module and of every file made for it."""


@dataclass(frozen=True)
class Plan:
    """What Amaranth's platform planned: the commands by tool, and the platform itself."""

    platform: Any
    commands: Mapping[str, list[str]]

    @classmethod
    def read(cls, platform: Any, files: Mapping[str, str | bytes]) -> Plan:
        """Take the commands from the files of an Amaranth build plan."""
        commands = json.loads(files[f"build_{TOP}.json"])["commands"]
        return cls(platform, {command[0]: command[1:] for command in commands})

    def placement(self, tool: str) -> list[str]:
        """Give nextpnr's arguments."""
        return [part for part in self.commands[tool] if part != "--quiet"]


@dataclass(frozen=True)
class ToolFlow:
    """An FPGA family with an open flow.

    Parameters
    ----------
    architecture : str
        The nextpnr that places it.
    synthesis : callable
        Gives the options of its Yosys pass for a board.
    constraints : str
        File with the pins.
    place : callable
        Gives nextpnr's arguments from the plan.
    routed : str
        File that it writes.
    packer : str
        The tool that writes the bitstream.
    pack : callable
        Gives its arguments from the plan.
    bitstream : str
        File that it writes.
    usage : callable
        Gives what the design uses from nextpnr's cell counts, {cell: (used, available)}, and its
        log.
    finish : callable
        Last touch to the bitstream's bytes.
    routers : tuple of str
        nextpnr's, in the order in which they are tried.
    synthesised : callable
        Last touch to the netlist in the folder of the build, before it is placed.
    """

    architecture: str
    synthesis: Callable[[Board], str]
    constraints: str
    place: Callable[[Plan], list[str]]
    routed: str
    packer: str
    pack: Callable[[Plan], list[str]]
    bitstream: str
    usage: Callable[[Mapping[str, tuple[int, int]], str], Usage]
    routers: tuple[str, ...] = ROUTERS
    finish: Callable[[Plan, bytes], bytes] = lambda plan, data: data
    synthesised: Callable[[Path], object] = lambda folder: None
