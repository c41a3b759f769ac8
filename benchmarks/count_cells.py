"""Count a design's cells: as a whole after nextpnr's packing, by component after Yosys."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow_boards.build.open_build import OpenBuild
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows import VivadoFlow, tools, vivado
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.process import run
from xnorflow_boards.flows.report import cells_of_log, netlist_cells
from xnorflow_boards.gateware import board_top as tops

Counts = dict[str, int]

_FFS = ("TRELLIS_FF", "SB_DFF", "DFF", "FD")
_LUTS = {"CCU2C": 2, "ALU": 1, "TRELLIS_DPR16X4": 6, "RAM16SDP4": 4}
"""Number of LUTs whose places another cell takes."""
_RAMS = (
    "DP16KD",
    "PDPW16KD",
    "SB_RAM40_4K",
    "SP",
    "SPX9",
    "SDPB",
    "SDPX9B",
    "DPB",
    "DPX9B",
    "pROM",
    "pROMX9",
)


def counts(cells: Mapping[str, int]) -> Counts:
    """Count LUTs, flip-flops and block RAMs among cells of an open family's netlist."""
    return {
        "lut": sum(k * _LUTS.get(n, n.startswith(("LUT", "SB_LUT4"))) for n, k in cells.items()),
        "ff": sum(k for n, k in cells.items() if n.startswith(_FFS)),
        "bram": sum(k for n, k in cells.items() if n in _RAMS),
    }


def components(design: Design, modules: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Count a netlist's cells by "stage.component"; the components are modules of their own."""
    top = design.spec.name
    stages = sorted((s.name for s in design.spec.stages), key=len, reverse=True)
    found: dict[str, Counter[str]] = {}
    for name, cells in modules.items():
        if name != top and not name.startswith(f"{top}_"):
            continue
        rest = name[len(top) + 1 :]
        stage = next((s for s in stages if rest == s or rest.startswith(f"{s}_")), "")
        part = rest[len(stage) :].strip("_").partition("_")[0] or "glue"
        own = {n: k for n, k in cells.items() if n not in modules}
        found.setdefault(f"{stage}.{part}" if stage else part, Counter()).update(own)
    return found


def _keep(design: Design) -> str:
    return f"setattr -mod -set keep_hierarchy 1 {design.spec.name}_*\n"


class _Count(OpenBuild):
    """A build that only counts the cells of a design on a board with an open flow."""

    def packed(self) -> Counts:
        """Synthesise as for a bitstream, pack, and return what the accelerator takes."""
        flow = self.flow
        plan, mhz = self.prepare(self.design.clock.mhz, lambda hz: tops.Harness(self.design))
        self.succeed("synthesis", tools.yosys(), [f"{TOP}.ys"], "synthesis.log")
        flow.synthesised(self.folder)
        around = counts(netlist_cells((self.folder / "cells.json").read_text())[TOP])
        arguments = [*flow.place(plan), "--freq", f"{mhz:g}", "--pack-only"]
        self.step("packing", flow.find_nextpnr(), arguments, "pack.log")
        log = (self.folder / "pack.log").read_text()
        usage = flow.usage(cells_of_log(log), log)
        return {name: getattr(usage, name)[0] - around[name] for name in around}

    def apart(self) -> dict[str, Counts]:
        """Synthesise with the components as modules, and return what each takes."""
        self.prepare(
            self.design.clock.mhz, lambda hz: tops.Harness(self.design), before=_keep(self.design)
        )
        self.succeed("synthesis", tools.yosys(), [f"{TOP}.ys"], "components.log")
        modules = netlist_cells((self.folder / "cells.json").read_text())
        return {n: counts(cells) for n, cells in components(self.design, modules).items()}


def _modules(design: Design, board: str, before: str) -> dict[str, dict[str, int]]:
    """Synthesise for an AMD board, and return every module's cells by type."""
    flow = find_board(board).flow
    if not isinstance(flow, VivadoFlow):
        raise TypeError(f"{board} is not an AMD board")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in {
            f"{design.spec.name}.v": design.verilog,
            **design.emitted.images,
        }.items():
            (folder / file).write_text(text)
        sources = [f"{design.spec.name}.v"]
        (folder / "count.ys").write_text(
            flow.counting_script(design.spec.name, sources, before=before)
        )
        step = run("synthesis", tools.yosys(), ["count.ys"], folder, "log", lambda line: None)
        if step.status:
            raise CheckFailed(f"{design.net.name}: {step.complaint}")
        return netlist_cells((folder / "cells.json").read_text())


def _used(board: str, cells: Mapping[str, int]) -> Counts:
    usage = vivado.usage(fpga(board), cells)
    return {name: getattr(usage, name)[0] for name in ("lut", "ff", "bram", "dsp")}


def synthesised(design: Design, board: str) -> Counts:
    """Return what an accelerator takes on an AMD board after Yosys, with block RAM in RAMB18."""
    return _used(board, _modules(design, board, "")[design.spec.name])


def count(design: Design, board: str) -> tuple[Counts, dict[str, Counts]]:
    """Return what a design takes as a whole, and what each of its components takes."""
    target = find_board(board)
    if not target.open:
        return synthesised(design, board), apart(design, board)
    with tempfile.TemporaryDirectory() as folder:
        whole = _Count(design, target, Path(folder), lambda step, doing: None).packed()
    return whole, apart(design, board)


def apart(design: Design, board: str) -> dict[str, Counts]:
    """Return what each component of a design takes after Yosys."""
    target = find_board(board)
    if not target.open:
        found = components(design, _modules(design, board, _keep(design)))
        return {n: _used(board, cells) for n, cells in found.items()}
    with tempfile.TemporaryDirectory() as folder:
        build = _Count(design, target, Path(folder), lambda step, doing: None)
        return build.apart()
