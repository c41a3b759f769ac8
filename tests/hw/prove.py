"""Proofs with Yosys's SAT solver that two modules, one of vendor primitives, are equal."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from xnorflow_hw.fabric.primitives import PROLOGUE

PLACED = ("ecp5", "xilinx7")
"""Fabrics with placed primitives."""
CELLS = {"ecp5": "ecp5", "xilinx7": "xilinx", "gowin": "gowin", "ice40": "ice40"}
"""Folder of Yosys's models of a fabric's cells."""


def share() -> Path:
    """Return the folder of Yosys's own files, or skip the test."""
    pyosys = pytest.importorskip("pyosys")
    return Path(pyosys.__path__[0]) / "share"


def models(fabric: str) -> list[Path]:
    """Return the Verilog models of a fabric's cells."""
    return [share() / CELLS[fabric] / "cells_sim.v"] if fabric in CELLS else []


def simulated(fabric: str) -> list[str]:
    """Return Verilator's options for the models."""
    return [word for path in models(fabric) for word in ("-I" + str(path.parent), "-v", str(path))]


def equal(
    gold: str, gate: str, name: str, fabric: str, folder: Path, settle: int | None = None
) -> bool:
    """Return whether module `reference` of `gold` and module `name` of `gate` are equal.

    The proof is an induction over the clock cycles from registers that hold zeros, so it holds for
    any number of cycles. If `settle` is given, the modules are pipelines without feedback, and they
    are equal `settle` cycles after any state.

    Parameters
    ----------
    gold, gate : str
        Verilog of the reference and of the module to prove.
    name : str
        Name of the module to prove.
    fabric : str
        Fabric whose cells it uses.
    folder : Path
        Where files are written.
    settle : int, optional
        Cycles after which both have forgotten their first state.
    """
    from_any = f"-seq {settle + 1} -prove-skip {settle}" if settle is not None else ""
    yosys = importlib.import_module("pyosys.libyosys")
    (folder / "gold.v").write_text(gold)
    (folder / "gate.v").write_text(PROLOGUE + gate)
    design = yosys.Design()
    for command in [
        *(f"read_verilog -defer -overwrite -I{path.parent} {path}" for path in models(fabric)),
        f"read_verilog {folder / 'gate.v'}",
        f"hierarchy -top {name}",
        "proc",
        "flatten",
        "opt_clean",
        f"read_verilog {folder / 'gold.v'}",
        "proc",
        "opt_clean",
        f"miter -equiv -flatten -make_outputs reference {name} miter",
        "dffunmap miter",
        "opt -full miter",
        f"tee -q -o {folder / 'log'} sat {from_any or '-tempinduct -set-init-zero'}"
        " -prove trigger 0 miter",
    ]:
        yosys.run_pass(command, design)
    log = (folder / "log").read_text()
    proved, refuted = "SUCCESS!" in log, "FAIL!" in log
    assert proved != refuted, log
    return proved
