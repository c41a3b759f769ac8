"""A bitstream by open tools: synthesis, place and route with one or more seeds, packing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed
from xnorflow_boards.board import Board
from xnorflow_boards.build.build_steps import BuildSteps, Progress
from xnorflow_boards.flows import OpenFlow, Plan, tools
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.report import (
    SlowPath,
    Usage,
    cells_of_log,
    fmax,
    netlist_cells,
    overfull,
    slowest_path,
)
from xnorflow_boards.flows.routing import STARTED, Impasse, Watch
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.gateware.weights_in_flash import WEIGHTS_ADDRESS, with_weights


@dataclass(frozen=True)
class Placement:
    """A finished run of place and route.

    Parameters
    ----------
    seed : int
        Seed that nextpnr was given.
    fmax_mhz : float
        Highest frequency of the accelerator's clock in MHz.
    usage : Usage
        Resources of the design.
    cells : dict of str to (int, int)
        Used and available cells of every kind.
    path : SlowPath, optional
        Path that limits the clock.
    router : str
        Name of the router of nextpnr that found the route.
    log : str
        Name of nextpnr's log.
    """

    seed: int
    fmax_mhz: float
    usage: Usage
    cells: dict[str, tuple[int, int]]
    path: SlowPath | None
    router: str
    log: str


@dataclass(frozen=True)
class Synthesised:
    """A netlist in the folder of a build, ready to be placed.

    Parameters
    ----------
    plan : Plan
        What Amaranth planned.
    mhz : float
        Clock in MHz that the PLL makes.
    router, packer : FlowTool
        The tool that places and routes, and the one that makes a bitstream.
    """

    plan: Plan
    mhz: float
    router: tools.FlowTool
    packer: tools.FlowTool


class OpenBuild(BuildSteps):
    """A build with open tools, which ends in a bitstream.

    Synthesis runs once. Place and route run once per seed, with the family's second router where
    the first finds no route, and the fastest result is packed.
    """

    def __init__(self, design: Design, board: Board, folder: Path, progress: Progress) -> None:
        super().__init__(design, board, folder, progress)
        if not isinstance(board.flow, OpenFlow):
            raise TypeError(
                f"{board.name} is built by {board.flow.title}'s tools, not by open ones"
            )
        self.flow = board.flow
        self.unpinned = None if board.file.linked else board.flow.without_pins

    def build(
        self,
        wish: float,
        seeds: Sequence[int],
        baud: int | None,
        core_only: bool,
        check_clock: bool,
        rip_up: bool,
    ) -> dict[str, Any]:
        """Run all steps and return the content of ``build.json``.

        The parameters are those of `xnorflow_boards.build.bitstream.build`, with `wish` for the
        wished clock in MHz and all seeds to try. It raises CheckFailed if the design does not fit,
        has no route, or misses its clock although `check_clock` is set.
        """
        design, flow = self.design, self.flow
        made = self.synthesise(wish, baud, core_only)
        plan, mhz = made.plan, made.mhz
        modules = netlist_cells((self.folder / "cells.json").read_text())
        placements = []
        best: Placement | None = None
        unrouted: list[dict[str, Any]] = []
        for seed in seeds:
            try:
                placement = self.place(made, seed, rip_up)
            except Impasse as e:
                unrouted.append({"seed": seed, "why": str(e)})
                continue
            placements.append(placement)
            if best is None or placement.fmax_mhz > best.fmax_mhz:
                best = placement
                (self.folder / flow.routed).replace(self.folder / "best")
        if best is None:
            raise CheckFailed(self._unrouted(unrouted, rip_up))
        met = best.fmax_mhz >= mhz
        if check_clock and not met:
            raise CheckFailed(self._missed(best, mhz, len(seeds), len(placements)))
        (self.folder / "best").replace(self.folder / flow.routed)
        self.succeed("packing", made.packer, flow.pack(plan), "packing.log")
        packed = self.folder / flow.bitstream
        bitstream = f"{design.net.name}{packed.suffix}"
        finished = flow.finish(plan, packed.read_bytes())
        (self.folder / bitstream).write_bytes(
            finished if core_only else with_weights(finished, design)
        )
        self.tidy(
            {
                bitstream,
                flow.constraints,
                "synthesis.log",
                "packing.log",
                best.log,
            }
        )
        linked = {} if core_only else self.traffic(mhz, baud)
        return (
            self.content("placed", mhz, wish, None if core_only else baud)
            | linked
            | {
                "core_only": core_only,
                "rip_up": rip_up,
                "bitstream": bitstream,
                "weights_address": WEIGHTS_ADDRESS if design.emitted.sections else None,
                "fmax_mhz": round(best.fmax_mhz, 2),
                "met": met,
                "seed": best.seed,
                "router": best.router,
                "seeds": [{"seed": p.seed, "fmax_mhz": round(p.fmax_mhz, 2)} for p in placements],
                "unrouted": unrouted,
                "slowest_path": best.path.summary() if best.path else None,
                "resources": best.usage.summary(),
                "cells": {n: {"used": u, "available": a} for n, (u, a) in best.cells.items() if u},
                "synthesised": {
                    "accelerator": modules.get(design.spec.name, {}),
                    "around": modules.get(TOP, {}),
                },
            }
        )

    def synthesise(self, wish: float, baud: int | None, core_only: bool) -> Synthesised:
        """Write the sources and run synthesis, after a look for the tools of all steps.

        Parameters
        ----------
        wish : float
            Wished clock in MHz.
        baud : int or None
            Rate of the serial port in bits per second; None without one.
        core_only : bool
            Whether the accelerator stands alone, without the link.

        Raises
        ------
        BadInput
            If the clock or the baud rate is impossible.
        CheckFailed
            If synthesis fails.
        ToolMissing
            If a tool is not installed.
        """
        design, flow = self.design, self.flow

        def core(clock_hz: float) -> tops.Core:
            return tops.Harness(design) if core_only else tops.linked(design, clock_hz, baud)

        plan, mhz = self.prepare(wish, core)
        # Clock and baud rate are possible; look for all tools before the long work begins.
        synthesiser, router, packer = tools.yosys(), flow.find_nextpnr(), flow.find_packer()
        self.succeed("synthesis", synthesiser, [f"{TOP}.ys"], "synthesis.log")
        flow.synthesised(self.folder)
        if self.unpinned is not None:
            path = self.folder / flow.constraints
            path.write_text(self.unpinned.constraints(path.read_text()))
        return Synthesised(plan, mhz, router, packer)

    def prepare(
        self,
        wish: float,
        core: Callable[[float], tops.Core],
        *,
        before: str = "",
        options: str = "",
        after: str = "",
    ) -> tuple[Plan, float]:
        """Write sources, constraints and the script of synthesis into the folder.

        Parameters
        ----------
        wish, core
            As in `plan`.
        before, after : str
            Yosys commands ahead of synthesis and behind it.
        options : str
            Further options of the synthesis pass.

        Returns
        -------
        Plan, float
            What Amaranth planned, and the clock in MHz that the PLL makes.
        """
        name = self.design.spec.name
        return self.plan(
            wish,
            core,
            # The accelerator stays a module of its own, so that its cells are counted apart.
            script_after_read=f"setattr -mod -set keep_hierarchy 1 {name}\n{before}",
            synth_opts=f"{self.flow.synthesis(self.board.part)} {options}".strip(),
            # Older versions of nextpnr do not know these cells, which only carry names.
            script_after_synth=f"delete t:$scopeinfo\ntee -q -o cells.json stat -json\n{after}",
        )

    def place(self, made: Synthesised, seed: int, rip_up: bool) -> Placement:
        """Place and route with one seed what `synthesise` made.

        Raises
        ------
        CheckFailed
            If the design does not fit.
        Impasse
            If no router of nextpnr finds a route.
        """
        reasons = []
        for which in self.flow.routers:
            try:
                return self._place_with(which, made, seed, rip_up)
            except Impasse as e:
                reasons.append(f"{which}: {e}")
        raise Impasse("; ".join(reasons))

    def _place_with(
        self,
        which: str,
        made: Synthesised,
        seed: int,
        rip_up: bool,
    ) -> Placement:
        """Place and route with one seed and one of nextpnr's routers."""
        first = which == self.flow.routers[0]
        again, log = (
            ("", f"place-{seed}.log") if first else (f", {which}", f"place-{seed}-{which}.log")
        )
        report = f"report-{seed}.json"
        step = self.step(
            f"placement and routing, seed {seed}{again}",
            made.router,
            [
                *self.flow.place(made.plan),
                "--router",
                which,
                "--seed",
                str(seed),
                "--freq",
                f"{made.mhz:g}",
                "--timing-allow-fail",
                "--report",
                report,
                *["--tmg-ripup"] * rip_up,
                *(self.unpinned.arguments if self.unpinned else ()),
            ],
            log,
            Watch(),
        )
        if step.stopped:
            raise Impasse(step.stopped)
        text = (self.folder / log).read_text()
        cells = cells_of_log(text)
        if step.status != 0:
            lacking = overfull(cells)
            if lacking:
                raise CheckFailed(
                    f"{self.design.net.name} does not fit {self.board.name}: it needs"
                    f" {'; '.join(lacking)}. What would work: more cycles per frame (compile with"
                    " a larger --cycles or a smaller --fps), or a larger board"
                )
            if STARTED.search(text):
                raise Impasse(step.complaint)
            raise self.failed(step)
        timing = json.loads((self.folder / report).read_text())
        usage = self.flow.usage(cells, text)
        return Placement(seed, fmax(timing), usage, cells, slowest_path(timing), which, log)

    def _unrouted(self, unrouted: list[dict[str, Any]], rip_up: bool) -> str:
        calmer = "no --rip-up, " * rip_up
        number = len(unrouted)
        return (
            f"nextpnr found no route for {self.design.net.name} on {self.board.name} with"
            f" {number} seed{'s' if number > 1 else ''} ({unrouted[-1]['why']}). What would work:"
            f" {calmer}more seeds (--seeds {4 * number}), or more cycles per frame (compile with a"
            " larger --cycles or a smaller --fps)"
        )

    def _missed(self, best: Placement, mhz: float, seeds: int, routed: int) -> str:
        slower, path = int(best.fmax_mhz), best.path
        tried = f"{seeds} seed{'s' if seeds > 1 else ''}"
        if routed < seeds:
            tried += f", of which {routed} found a route"
        where = (
            ""
            if path is None
            else (
                f" Its slowest path goes from {path.start} to {path.end}: {path.logic_ns:.1f} ns in"
                f" logic, {path.routing_ns:.1f} ns in wires."
            )
        )
        return (
            f"{self.design.net.name} misses its clock on {self.board.name}: {best.fmax_mhz:.1f} MHz"
            f" of {mhz:g} MHz, the best of {tried}.{where} What"
            " would work:"
            f" a slower clock (--clock {slower}), or more seeds (--seeds {4 * seeds})"
        )
