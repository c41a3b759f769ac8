"""A project for Vivado, with its resources counted by Yosys."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from xnorflow.design.design import Design
from xnorflow_boards.board import Board
from xnorflow_boards.build import vivado_core
from xnorflow_boards.build.build_steps import BuildSteps, Progress
from xnorflow_boards.flows import VivadoFlow, tools, vivado
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.report import netlist_cells
from xnorflow_boards.gateware import axi_core as axi
from xnorflow_boards.gateware import board_top as tops


class VivadoBuild(BuildSteps):
    """A build that writes a project for Vivado and counts its resources with Yosys.

    Boards with pins to a host get the whole design, the others an IP core with AXI ports.
    """

    def __init__(self, design: Design, board: Board, folder: Path, progress: Progress) -> None:
        super().__init__(design, board, folder, progress)
        if not isinstance(board.flow, VivadoFlow):
            raise TypeError(
                f"{board.name} is not built by Vivado but by {board.flow.title}'s tools"
            )
        self.flow = board.flow

    def build(self, wish: float, baud: int | None) -> dict[str, Any]:
        """Write the project, count its resources, and return the content of ``build.json``.

        Parameters
        ----------
        wish : float
            Wished clock in MHz.
        baud : int
            Rate of the serial port in bits per second; None for boards without one.
        """
        design, board = self.design, self.board
        synthesiser = tools.yosys()
        name = design.spec.name
        linked = board.platform is not None
        if linked:
            _, mhz = self.plan(wish, lambda clock_hz: tops.linked(design, clock_hz, baud))
            top, script, sources = TOP, f"{TOP}.tcl", {}
        else:
            mhz, top, script = wish, axi.wrapper_name(design), vivado_core.SCRIPT
            sources = self.sources() | vivado_core.core_project(design, board, mhz)
        for file, text in sources.items():
            (self.folder / file).write_text(text)
        (self.folder / "count.ys").write_text(
            self.flow.counting_script(top, [f"{name}.v", f"{top}.v"], apart=name)
        )
        self.succeed("synthesis", synthesiser, ["count.ys"], "synthesis.log")
        modules = netlist_cells((self.folder / "cells.json").read_text())
        accelerator, around = Counter(modules[name]), Counter(modules[top])
        usage = vivado.usage(board.device, accelerator + around)
        for file in ("count.ys", "cells.json"):
            (self.folder / file).unlink()
        counted = "link, UART and clock" if linked else "AXI wrapper"
        rate = baud if linked else None
        return (
            self.content(vivado.KIND, mhz, wish, rate)
            | self.traffic(mhz, rate)
            | {
                "core_only": not linked,
                "bitstream": None,
                "fmax_mhz": None,
                "met": None,
                "seed": None,
                "router": None,
                "seeds": [],
                "unrouted": [],
                "resources": usage.summary(),
                "cells": {},
                "synthesised": {"accelerator": dict(accelerator), "around": dict(around)},
                "notes": [
                    f"resources are those of the accelerator and its {counted}, {vivado.KIND}; the"
                    " clock is a wish until Vivado has routed it",
                    f"next, in that folder: vivado -mode batch -source {script}",
                ],
            }
        )
