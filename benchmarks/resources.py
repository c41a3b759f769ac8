"""Compare the resource model with place and route: measure designs, fit the model, state its error.

`collect` compiles the designs of `drawn.samples` and synthesises each twice: as for a bitstream,
with nextpnr's packing, and with the components as modules, for the coefficients of each. It records
a design at once, so that it can be stopped and continues where it was. A record of other Verilog
than today's is replaced. For 7-series there is no packing, and Yosys's counts take its place.

`fit` fits every component's coefficients on half of the designs, writes them for the compiler, and
prints the error of both halves.

Run: python benchmarks/resources.py collect [--family ecp5|ice40|gowin|xilinx] [--limit N]
     python benchmarks/resources.py fit
     python benchmarks/resources.py fit --network averages --array sumpool    # and nothing else
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from count_cells import count
from drawn import samples
from fit_resources import COEFFICIENTS, fit_array, fit_family
from fit_resources import write as save

from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import XnorflowError
from xnorflow.resources.usage import design_resources
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows import tools

RECORDS = Path(__file__).with_name("resources.json")
BOARDS = {
    "ecp5": "ulx3s-85f",
    "ice40": "icebreaker",
    "gowin": "tangnano20k",
    "xilinx": "pynq-z1",
}


def read() -> dict[str, dict[str, Any]]:
    """Return the records by "fabric/design"."""
    if not RECORDS.exists():
        return {}
    content: dict[str, dict[str, Any]] = json.loads(RECORDS.read_text())
    return content


def write(records: dict[str, dict[str, Any]]) -> None:
    """Write all records, one per line, in one step."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(records.items()))
    part = RECORDS.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    part.replace(RECORDS)


def signature(design: Design) -> str:
    """Return a digest of all that the model knows of a design, cheaper than the design's own."""
    # Records that are older than these fields are valid for today.
    known = repr(design.shape)
    for absent in (
        ", far=False",
        ", blocks=1",
        ", computed=None",
        ", scores=None",
        ", products=None",
        ", masked=False",
        ", dsp_widths=None",
        ", dsp_widths=()",
    ):
        known = known.replace(absent, "")
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def fits(design: Design, board: str) -> bool:
    """Whether a design is of a size that the board could hold; others do not occur in practice."""
    device = fpga(board)
    taken = design_resources(design.shape, device.family)
    return bool(taken.luts <= device.luts.use() and taken.ram_blocks <= device.ram_blocks.use())


def collect(fabrics: list[str], network: str, limit: int | None) -> None:
    """Measure the designs of networks whose names begin with `network` that have no record yet."""
    records = read()
    for fabric in fabrics:
        board = BOARDS[fabric]
        for sample in [s for s in samples(fabric) if s.network.startswith(network)][:limit]:
            key, started = f"{fabric}/{sample.name}", time.monotonic()
            try:
                design = sample.design(board, fabric)
                if records.get(key, {}).get("design") == design.digest:
                    continue
                if not fits(design, board):
                    print(f"{key}: too large for {board}", flush=True)
                    continue
                whole, parts = count(design, board)
            except XnorflowError as e:
                print(f"{key}: {e}", flush=True)
                continue
            records[key] = {
                "design": design.digest,
                "yosys": tools.yosys().version,
                "whole": whole,
                "parts": parts,
                "shape": signature(design),
                "folds": [[f.pe, f.simd, f.pixels] for f in design.folds],
            }
            write(records)
            print(f"{key}: {whole}, {time.monotonic() - started:.0f} s", flush=True)


def fit(network: str, kind: str | None) -> None:
    """Fit every family that has records of today's designs; with `kind`, that array alone."""
    records, fitted = read(), {}
    known = json.loads(COEFFICIENTS.read_text())
    for fabric, board in BOARDS.items():
        designs, chosen = [], []
        for sample in [s for s in samples(fabric) if s.network.startswith(network)]:
            record = records.get(f"{fabric}/{sample.name}")
            if record is None:
                continue
            design = sample.design(board, fabric, record["folds"])
            same = signature(design) == record["shape"] or design.digest == record["design"]
            whole, device = record["whole"], fpga(board)
            room = device.luts.use() - whole["lut"], device.ram_blocks.use() - whole["bram"]
            if same and min(room) >= 0:
                designs.append(design)
                chosen.append(record)
        if kind is not None:
            family = fpga(board).family
            fitted[fabric] = fit_array(designs, chosen, family, kind, known[fabric])
        elif len(designs) > 1:
            packed = find_board(board).open
            fitted[fabric] = fit_family(designs, chosen, fpga(board).family, packed)
            for name, text in fitted[fabric]["errors"].items():
                print(f"{fabric} {name}: {text}", flush=True)
    save(fitted)


def main() -> None:
    """Run `collect` or `fit`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("collect", "fit"))
    parser.add_argument("--family", choices=BOARDS)
    parser.add_argument("--network", default="", help="beginning of the networks' names")
    parser.add_argument("--array", choices=("maxpool", "sumpool"), help="fit this array alone")
    parser.add_argument("--limit", type=int, help="most designs of each family")
    options = parser.parse_args()
    if options.what == "collect":
        collect(
            [options.family] if options.family else list(BOARDS), options.network, options.limit
        )
    else:
        fit(options.network, options.array)


if __name__ == "__main__":
    main()
