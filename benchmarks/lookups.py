"""Measure what arrays that look entries of tables up take, and fit their coefficients.

Each array is synthesised by Yosys alone, with its indices in logic. A row has its LUTs and
flip-flops beside the model's estimate, without the memory of the indices, whose coefficients are
those of all ROMs. `--fit` fits the terms of this kind of array and leaves all others as they are.

Run: python benchmarks/lookups.py [--family ecp5|gowin|ice40|xilinx] [--fit]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Value
from count_cells import Counts, _used, counts
from fit_resources import COEFFICIENTS, errors, fit_components
from fit_resources import write as save
from resources import BOARDS

from xnorflow.devices.tables import Family, fpga
from xnorflow.resources.engine import EngineSummary, Lookups
from xnorflow.resources.terms import FAR, WHOLE, Terms, array
from xnorflow_boards.flows import tools
from xnorflow_boards.flows.process import run
from xnorflow_boards.flows.report import netlist_cells
from xnorflow_hw.array.gather import GatherArray
from xnorflow_hw.spec import GatherSpec, RomSpec

KIND = "gather"
SYNTHESIS = {
    "ecp5": "synth_ecp5 -flatten -top top",
    "gowin": "synth_gowin -noiopads -top top",
    "ice40": "synth_ice40 -flatten -top top",
    "xilinx": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top top",
}
SIZES = (
    # PE, tables, entries of a table, bits of an entry, words of indices, some negative
    (1, 1, 4, 6, 24, False),
    (2, 1, 8, 8, 24, False),
    (1, 2, 16, 6, 24, False),
    (2, 2, 4, 8, 18, True),
    (1, 3, 8, 5, 30, False),
    (1, 1, 32, 6, 12, True),
)


def drawn(size: tuple[int, int, int, int, int, bool], seed: int) -> GatherSpec:
    """Draw the indices of an array."""
    pe, tables, words, bits, depth, negative = size
    rng = np.random.default_rng(seed)
    return GatherSpec(
        pe=pe,
        simd=tables * words,
        words=words,
        bits=bits,
        weights=rng.integers(0, words, (depth, pe, tables)),
        acc_bits=(depth // 2 * tables * ((1 << bits) - 1)).bit_length(),
        negative=rng.random((depth, pe)) < 0.5 if negative else None,
        rom=RomSpec("logic"),
    )


def summary(spec: GatherSpec) -> EngineSummary:
    """Return all that the model needs to know of an array."""
    lookups = Lookups(spec.words, spec.index_bits, spec.negative is not None)
    return EngineSummary(
        name="array",
        kind=KIND,
        positions=1,
        channels=spec.pe,
        reduction=spec.tables,
        inputs=spec.simd,
        pe=spec.pe,
        simd=spec.simd,
        cycles=1,
        rom_depth=spec.weight_words,
        rom_width=spec.word_bits,
        buffer_depth=1,
        buffer_width=1,
        act_bits=spec.bits,
        acc_bits=spec.acc_bits,
        rom=spec.rom,
        lookups=lookups,
    )


def measured(spec: GatherSpec, fabric: str) -> Counts:
    """Synthesise an array, and return its LUTs, flip-flops and blocks of RAM."""
    dut = GatherArray(spec)
    ports: dict[str, Any] = {
        "_".join(map(str, path)): (Value.cast(member), None)
        for path, _, member in dut.signature.flatten(dut)
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.v").write_text(verilog.convert(dut, name="top", ports=ports))
        script = f"read_verilog top.v\n{SYNTHESIS[fabric]}\ntee -q -o cells.json stat -json\n"
        (folder / "count.ys").write_text(script)
        step = run("synthesis", tools.yosys(), ["count.ys"], folder, "log", lambda line: None)
        if step.status:
            raise SystemExit(step.complaint)
        cells = netlist_cells((folder / "cells.json").read_text())["top"]
    return _used(BOARDS[fabric], cells) if fabric == "xilinx" else counts(cells)


def own(features: Terms) -> Terms:
    """Return the terms that only this kind of array has."""
    return {name: value for name, value in features.items() if name.partition(":")[0] == KIND}


def shared(features: Terms, known: dict[str, float]) -> float:
    """Return what the terms take that other arrays have, too."""
    return sum(
        known.get(name, 0.0) * value
        for name, value in features.items()
        if name not in own(features) and name != FAR and not name.startswith(WHOLE)
    )


def main() -> None:
    """Measure, and fit if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=BOARDS)
    parser.add_argument("--fit", action="store_true", help="write the coefficients")
    options = parser.parse_args()
    content = json.loads(COEFFICIENTS.read_text())
    for fabric in [options.family] if options.family else list(BOARDS):
        family: Family = fpga(BOARDS[fabric]).family
        known, rows = content[family.coefficients], []
        for seed, size in enumerate(SIZES):
            spec = drawn(size, seed)
            found, features = measured(spec, fabric), array(summary(spec), family)
            left = {
                key: max(0, round(found[key] - shared(features, known[key])))
                for key in ("lut", "ff")
            }
            rows.append(("array", own(features), left))
            print(f"{fabric} {spec.size}, {spec.bits} bits: {found}, alone {left}", flush=True)
        for key in ("lut", "ff"):
            fitted = fit_components(rows, key) if options.fit else {}
            known[key] |= fitted
            estimates = [
                sum(known[key].get(n, 0.0) * v for n, v in features.items())
                for _, features, _ in rows
            ]
            counted = np.array([row[2][key] for row in rows], float)
            said = errors(np.array(estimates), counted)
            print(f"{fabric} {key}: {said} ({len(rows)} arrays)", flush=True)
    if options.fit:
        save(content)


if __name__ == "__main__":
    main()
