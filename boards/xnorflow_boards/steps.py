"""The steps of a build: synthesis, placement, routing, packing, and reading their reports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed, ToolMissing
from xnorflow.version import __version__
from xnorflow_boards.board import Board
from xnorflow_boards.flows import FAMILIES, Plan, ToolFlow, tools, vivado, vivado_core
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.process import Step, run
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
from xnorflow_boards.gateware import axi_core as axi
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.gateware.clocking import Clocking
from xnorflow_boards.weights_in_flash import WEIGHTS_ADDRESS, with_weights

FORMAT = "xnorflow-build-1"

Progress = Callable[[str, str], object]
"""Is told the step and what the tool is doing."""


@dataclass(frozen=True)
class Placement:
    """One run of place and route.

    Parameters
    ----------
    seed : int
        Of nextpnr.
    fmax_mhz : float
        Highest frequency of the accelerator's clock.
    usage : Usage
        Resources.
    cells : dict
        Used and available of every kind of cell.
    path : SlowPath, optional
        What limits the clock.
    router : str
        nextpnr's, that found the way.
    log : str
        Name of its log.
    """

    seed: int
    fmax_mhz: float
    usage: Usage
    cells: dict[str, tuple[int, int]]
    path: SlowPath | None
    router: str
    log: str


class BuildSteps:
    """One build in one folder."""

    def __init__(self, design: Design, board: Board, folder: Path, progress: Progress) -> None:
        self.design, self.board, self.folder, self.progress = design, board, folder, progress
        self.steps: list[Step] = []

    def plan(
        self, wish: float, core: Callable[[float], tops.Core], **overrides: str
    ) -> tuple[Plan, float]:
        """Write sources, constraints and scripts; give the plan and the clock in MHz."""
        assert self.board.platform is not None
        try:
            platform = self.board.platform()
        except ImportError as e:
            raise ToolMissing(
                f"the pins of {self.board.name} are in a package that is not there ({e.name})."
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
        """Give the accelerator's Verilog and ROM images."""
        return {f"{self.design.spec.name}.v": self.design.verilog} | self.design.emitted.images

    def step(
        self,
        name: str,
        tool: tools.FlowTool,
        arguments: list[str],
        log: str,
        watch: Callable[[str], object] = lambda line: None,
    ) -> Step:
        """Run a tool; whether it succeeds is for the caller to see.

        `watch` reads every line and may raise `Stop`.
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
        """Run a tool that has to succeed."""
        step = self.step(name, tool, arguments, log)
        if step.status != 0:
            raise self.failed(step)

    def failed(self, step: Step) -> CheckFailed:
        """Give the error of a tool that failed for no reason that we know."""
        return CheckFailed(f"{step.name} of {self.design.net.name} failed: {step.complaint}")

    def content(self, kind: str, mhz: float, wish: float, baud: int | None) -> dict[str, Any]:
        """Give what every ``build.json`` begins with."""
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
            "flow": board.flow,
            "baud": baud,
            "clock_mhz": mhz,
            "clock_wish_mhz": wish,
            "ii": design.ii,
            "latency": design.latency,
            "fps": mhz * 1e6 / design.ii,
            "steps": [step.summary() for step in self.steps],
        }

    def tidy(self, keep: set[str]) -> None:
        """Remove what was only of use on the way."""
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink()


class OpenBuild(BuildSteps):
    """A build with open tools, which ends in a bitstream."""

    def build(
        self,
        wish: float,
        seeds: int,
        baud: int,
        core_only: bool,
        check_clock: bool,
        rip_up: bool,
    ) -> dict[str, Any]:
        """Run all steps and give the content of ``build.json``."""
        design, family = self.design, FAMILIES[self.board.flow]

        def core(clock_hz: float) -> tops.Core:
            return tops.Harness(design) if core_only else tops.linked(design, clock_hz, baud)

        plan, mhz = self.prepare(wish, core)
        # The wishes are possible; find all tools before the long work begins.
        synthesiser, router = tools.yosys(), tools.nextpnr(family.architecture)
        packer = tools.packer(family.packer)
        self.succeed("synthesis", synthesiser, [f"{TOP}.ys"], "synthesis.log")
        family.synthesised(self.folder)
        modules = netlist_cells((self.folder / "cells.json").read_text())
        placements = []
        best: Placement | None = None
        unrouted: list[dict[str, Any]] = []
        for seed in range(1, seeds + 1):
            try:
                placement = self._place(family, router, plan, mhz, seed, rip_up)
            except Impasse as e:
                unrouted.append({"seed": seed, "why": str(e)})
                continue
            placements.append(placement)
            if best is None or placement.fmax_mhz > best.fmax_mhz:
                best = placement
                (self.folder / family.routed).replace(self.folder / "best")
        if best is None:
            raise CheckFailed(self._unrouted(unrouted, rip_up))
        met = best.fmax_mhz >= mhz
        if check_clock and not met:
            raise CheckFailed(self._missed(best, mhz, seeds, len(placements)))
        (self.folder / "best").replace(self.folder / family.routed)
        self.succeed("packing", packer, family.pack(plan), "packing.log")
        packed = self.folder / family.bitstream
        bitstream = f"{design.net.name}{packed.suffix}"
        finished = family.finish(plan, packed.read_bytes())
        (self.folder / bitstream).write_bytes(
            finished if core_only else with_weights(finished, design)
        )
        self.tidy(
            {
                bitstream,
                family.constraints,
                "synthesis.log",
                "packing.log",
                best.log,
            }
        )
        return self.content("placed", mhz, wish, None if core_only else baud) | {
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

    def prepare(
        self,
        wish: float,
        core: Callable[[float], tops.Core],
        *,
        before: str = "",
        options: str = "",
        after: str = "",
    ) -> tuple[Plan, float]:
        """Plan with the family's synthesis, its pass with `options`, commands `before`, `after`."""
        name = self.design.spec.name
        return self.plan(
            wish,
            core,
            # The accelerator stays a module of its own, to be counted apart from what is around.
            script_after_read=f"setattr -mod -set keep_hierarchy 1 {name}\n{before}",
            synth_opts=f"{FAMILIES[self.board.flow].synthesis(self.board)} {options}".strip(),
            # Older nextpnr does not know these cells, which only carry names.
            script_after_synth=f"delete t:$scopeinfo\ntee -q -o cells.json stat -json\n{after}",
        )

    def _place(
        self,
        family: ToolFlow,
        router: tools.FlowTool,
        plan: Plan,
        mhz: float,
        seed: int,
        rip_up: bool,
    ) -> Placement:
        """Place and route once.

        Raises
        ------
        CheckFailed
            If the design does not fit.
        Impasse
            If no router finds a way.
        """
        reasons = []
        for which in family.routers:
            try:
                return self._place_with(which, family, router, plan, mhz, seed, rip_up)
            except Impasse as e:
                reasons.append(f"{which}: {e}")
        raise Impasse("; ".join(reasons))

    def _place_with(
        self,
        which: str,
        family: ToolFlow,
        router: tools.FlowTool,
        plan: Plan,
        mhz: float,
        seed: int,
        rip_up: bool,
    ) -> Placement:
        """Place and route once, with one of nextpnr's routers."""
        first = which == family.routers[0]
        again, log = (
            ("", f"place-{seed}.log") if first else (f", {which}", f"place-{seed}-{which}.log")
        )
        report = f"report-{seed}.json"
        step = self.step(
            f"placement and routing, seed {seed}{again}",
            router,
            [
                *family.place(plan),
                "--router",
                which,
                "--seed",
                str(seed),
                "--freq",
                f"{mhz:g}",
                "--timing-allow-fail",
                "--report",
                report,
                *["--tmg-ripup"] * rip_up,
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
        usage = family.usage(cells, text)
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


class VivadoBuild(BuildSteps):
    """A project for Vivado, with resources from Yosys."""

    def build(self, wish: float, baud: int) -> dict[str, Any]:
        """Write the project, count resources, and give the content of ``build.json``."""
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
            vivado.synthesis(board, top, [f"{name}.v", f"{top}.v"], apart=name)
        )
        self.succeed("synthesis", synthesiser, ["count.ys"], "synthesis.log")
        modules = netlist_cells((self.folder / "cells.json").read_text())
        accelerator, around = Counter(modules[name]), Counter(modules[top])
        usage = vivado.usage(board, accelerator + around)
        for file in ("count.ys", "cells.json"):
            (self.folder / file).unlink()
        counted = "link, UART and clock" if linked else "AXI wrapper"
        return self.content(vivado.KIND, mhz, wish, baud if linked else None) | {
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
