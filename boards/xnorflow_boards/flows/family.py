"""What a tool flow states about its FPGA family; the flows themselves are objects of these classes.

A family is one module of this room: it says how Yosys and nextpnr are called, how their reports are
read, and how its PLL is set and placed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xnorflow_boards.flows import tools
from xnorflow_boards.flows.pll import Pll
from xnorflow_boards.flows.report import Usage
from xnorflow_boards.flows.routing import ROUTERS
from xnorflow_boards.flows.tools import FlowTool

TOP = "board"
"""Name of the top module and of every file made for it."""


@dataclass(frozen=True)
class Plan:
    """What Amaranth's platform planned for a build.

    Parameters
    ----------
    platform : Platform
        The Amaranth platform itself.
    commands : mapping of str to list of str
        Arguments of each tool, by the tool's name.
    """

    platform: Any
    commands: Mapping[str, list[str]]

    @classmethod
    def read(cls, platform: Any, files: Mapping[str, str | bytes]) -> Plan:
        """Read the commands from the files of an Amaranth build plan."""
        commands = json.loads(files[f"build_{TOP}.json"])["commands"]
        return cls(platform, {command[0]: command[1:] for command in commands})

    def placement(self, tool: str) -> list[str]:
        """Return nextpnr's arguments as planned, but with its progress shown."""
        return [part for part in self.commands[tool] if part != "--quiet"]


@dataclass(frozen=True)
class WithoutBlockRam:
    """How a netlist is synthesised without block RAM and DSP blocks.

    Yosys has no model of these to simulate.

    Parameters
    ----------
    before : str
        Yosys commands ahead of synthesis: a memory may insist on block RAM whatever the option.
    options : str
        Further options of the synthesis pass.
    """

    before: str = (
        "setattr -unset ram_style a:ram_style=block\nsetattr -unset rom_style a:rom_style=block"
    )
    options: str = "-nobram -nodsp"


@dataclass(frozen=True)
class WithoutPins:
    """How a design is placed whose pins are left to nextpnr, to measure it.

    Parameters
    ----------
    constraints : callable
        Returns the text of the constraint file without the places of pins.
    arguments : tuple of str
        Further arguments of nextpnr.
    """

    constraints: Callable[[str], str]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ToolFlow:
    """How designs are built for the boards of an FPGA family.

    Parameters
    ----------
    name : str
        Name in ``build.json`` and in ``xnorflow boards --json``.
    title : str
        Name of the family for readers.
    pll : Pll, optional
        The family's PLL; None where xnorflow sets none, so that only the pin's clock can be used.
    cell_models : str
        Folder of Yosys's share with the Verilog models of the family's cells.
    simulated_without : WithoutBlockRam, optional
        How to leave out block RAM and DSP blocks in a netlist that is to be simulated; None where
        Yosys has models of them.
    """

    name: str
    title: str
    pll: Pll | None
    cell_models: str
    simulated_without: WithoutBlockRam | None = WithoutBlockRam()


@dataclass(frozen=True, kw_only=True)
class OpenFlow(ToolFlow):
    """A flow whose open tools end in a bitstream.

    Parameters
    ----------
    architecture : str
        Suffix of the nextpnr that places and routes, as in ``nextpnr-ecp5``.
    synthesis : callable
        Returns the options of the family's Yosys pass for a part's name.
    constraints : str
        Name of the file with the pins.
    place : callable
        Returns nextpnr's arguments for a plan.
    routed : str
        Name of the file that nextpnr writes.
    packer : str
        Name of the tool that writes the bitstream.
    pack : callable
        Returns the packer's arguments for a plan.
    bitstream : str
        Name of the file that the packer writes.
    usage : callable
        Returns what the design uses, from nextpnr's cell counts, {cell: (used, available)}, and
        its log.
    packer_package : str, optional
        PyPI package that brings the packer; None where nextpnr's own package does.
    routers : tuple of str
        Names of nextpnr's routers, in the order in which they are tried.
    finish : callable
        Changes the packed bitstream's bytes, with the plan at hand.
    without_pins : WithoutPins, optional
        How pins are left to nextpnr; None where it needs the place of each.
    synthesised : callable
        Changes the netlist in the build's folder before it is placed.
    """

    architecture: str
    synthesis: Callable[[str], str]
    constraints: str
    place: Callable[[Plan], list[str]]
    routed: str
    packer: str
    pack: Callable[[Plan], list[str]]
    bitstream: str
    usage: Callable[[Mapping[str, tuple[int, int]], str], Usage]
    packer_package: str | None = None
    routers: tuple[str, ...] = ROUTERS
    without_pins: WithoutPins | None = None
    finish: Callable[[Plan, bytes], bytes] = lambda plan, data: data
    synthesised: Callable[[Path], object] = lambda folder: None

    def find_nextpnr(self) -> FlowTool:
        """Find the family's nextpnr; ToolMissing if it is not installed."""
        return tools.nextpnr(self.architecture)

    def find_packer(self) -> FlowTool:
        """Find the tool that writes the bitstream; ToolMissing if it is not installed."""
        if self.packer_package is None:
            return tools.packer_of_nextpnr(self.packer, self.architecture)
        return tools.packer_of_package(self.packer, self.packer_package)
