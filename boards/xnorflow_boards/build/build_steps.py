"""What all builds do: write the sources, run the tools step by step, and collect ``build.json``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from xnorflow.design.design import Design
from xnorflow.design.summary import host_traffic
from xnorflow.devices import links
from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow.version import __version__
from xnorflow_boards.board import Board
from xnorflow_boards.flows import Plan, tools
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.process import ToolStep, run
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.gateware.clocking import Clocking

FORMAT = "xnorflow-build-1"
"""Value of the field ``format`` of ``build.json``."""

Progress = Callable[[str, str], object]
"""Is called with the name of the step and a line on what its tool is doing."""


def lacks_pins(board: Board) -> BadInput:
    """Return the error for a board that is described without the pins that a bitstream needs."""
    part = board.file.part
    if not part.complete:
        return part.lacks_package()
    alone = "--core, which measures the accelerator alone, or " if board.platform else ""
    return BadInput(
        f"{board.name} is described without the pins that a bitstream needs. What would work:"
        f" {alone}a board file with the pins in [clock] and [uart]; 'xnorflow boards --show"
        f" {part.text}' prints one to fill in"
    )


class BuildSteps:
    """A build of a design for a board.

    Parameters
    ----------
    design : Design
        Design to build.
    board : Board
        Board to build it for.
    folder : Path
        Existing folder in which the tools run.
    progress : callable
        Is called with the name of the step and a line on what its tool is doing.

    Attributes
    ----------
    steps : list of Step
        Steps that have run so far.
    """

    def __init__(self, design: Design, board: Board, folder: Path, progress: Progress) -> None:
        self.design, self.board, self.folder, self.progress = design, board, folder, progress
        self.steps: list[ToolStep] = []

    def plan(
        self, wish: float, core: Callable[[float], tops.Core], **overrides: str
    ) -> tuple[Plan, float]:
        """Write the sources, constraints and scripts that the tools are to run on.

        Parameters
        ----------
        wish : float
            Clock to aim for, in MHz; the PLL makes the nearest that it can.
        core : callable
            Returns what the top module surrounds, given the clock in Hz.
        **overrides : str
            Options of Amaranth's platform, such as ``synth_opts``.

        Returns
        -------
        plan : Plan
            Amaranth's build plan.
        clock : float
            Clock that the PLL makes, in MHz.

        Raises
        ------
        BadInput
            If the PLL cannot make the clock, or the UART not the baud rate, or the board is
            described without pins.
        ToolMissing
            If amaranth-boards is not installed.
        """
        if self.board.platform is None:
            raise lacks_pins(self.board)
        try:
            platform = self.board.platform()
        except ImportError as e:
            raise ToolMissing(
                f"the pins of {self.board.name} are in a package that is not installed ({e.name})."
                " Install it with: pip install amaranth-boards"
            ) from e
        clocking = Clocking(self.board.flow, platform, wish)
        mhz = float(clocking.mhz)
        for name, text in self.sources().items():
            platform.add_file(name, text)
        planned = platform.prepare(tops.BoardTop(clocking, core(mhz * 1e6)), name=TOP, **overrides)
        planned.extract(self.folder)
        return Plan.read(platform, planned.files), mhz

    def sources(self) -> dict[str, str]:
        """Return the text of the accelerator's Verilog file and ROM images, by file name."""
        return {f"{self.design.spec.name}.v": self.design.verilog} | self.design.emitted.images

    def step(
        self,
        name: str,
        tool: tools.FlowTool,
        arguments: list[str],
        log: str,
        watch: Callable[[str], object] = lambda line: None,
    ) -> ToolStep:
        """Run a tool and return the step; the caller has to look at its status.

        `watch` is called with every line of the output and may raise `Stop`.
        """
        self.progress(name, "")

        def told(line: str) -> None:
            watch(line)
            text = line.removeprefix("Info: ").strip()
            if text and line.startswith(("Info: ", *"123456789")):
                self.progress(name, text)

        step = run(name, tool, arguments, self.folder, log, told)
        self.steps.append(step)
        return step

    def succeed(self, name: str, tool: tools.FlowTool, arguments: list[str], log: str) -> None:
        """Run a tool; CheckFailed if it does not succeed."""
        step = self.step(name, tool, arguments, log)
        if step.status != 0:
            raise self.failed(step)

    def failed(self, step: ToolStep) -> CheckFailed:
        """Return the error for a tool that failed, with the tool's own message."""
        return CheckFailed(f"{step.name} of {self.design.net.name} failed: {step.complaint}")

    def content(self, kind: str, mhz: float, wish: float, baud: int | None) -> dict[str, Any]:
        """Return the fields that every ``build.json`` begins with.

        Parameters
        ----------
        kind : str
            How the figures came about.
        mhz, wish : float
            Clock and wished clock in MHz.
        baud : int or None
            Rate of the serial port in bits per second; None without one.
        """
        design, board = self.design, self.board
        return {
            "format": FORMAT,
            "xnorflow": __version__,
            "kind": kind,
            "name": design.net.name,
            "network_digest": design.net.digest,
            "design_digest": design.digest,
            "board": board.name,
            "part": board.part,
            "flow": board.flow.name,
            "baud": baud,
            "clock_mhz": mhz,
            "clock_wish_mhz": wish,
            "ii": design.ii,
            "latency": design.latency,
            "fps": mhz * 1e6 / design.ii,
            "steps": [step.summary() for step in self.steps],
        }

    def traffic(self, mhz: float, baud: int | None) -> dict[str, Any]:
        """Return the fields of ``build.json`` on the link to the host, which frames go through.

        A serial port has the rate that it is built for.

        Parameters
        ----------
        mhz : float
            Clock in MHz.
        baud : int or None
            Rate of the serial port in bits per second; None without one.
        """
        frame, fps = self.design.frame_bytes, mhz * 1e6 / self.design.ii
        known = dict(links.links())
        if baud is not None:
            known["uart"] = links.at_baud(baud)
        own, chosen = links.link_of_file(self.board.file), self.design.link
        limited = fps if chosen is None else min(fps, known[chosen.name].fps(frame))
        return {
            "headline_fps": limited,
            "host": host_traffic(frame, fps, own, chosen, known),
        }

    def tidy(self, keep: set[str]) -> None:
        """Delete all files of the folder but those of the names in `keep`."""
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink()
