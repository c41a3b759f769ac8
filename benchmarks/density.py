"""Measure LUTs, block RAM and exactness of accelerators with the foldings of published ones.

Each accelerator is compiled for a 7-series board and synthesised by Yosys without anything around
its streams. There is no open place and route for it, and Vivado would count otherwise. Its Verilog
is simulated against the golden model, at full speed and with both sides stalled. Lanes are the
XNORs per cycle: the sum of PE x SIMD x pixels. Each accelerator has a process of its own.

Run: python benchmarks/density.py [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from count_cells import synthesised
from networks import trained
from rtl import CNV

import xnorflow as xf
from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga
from xnorflow.plan.memories import fill

Target = tuple[str, str, dict[str, Any], int, str]
TARGETS: dict[str, Target] = {
    "CNV, BNN-PYNQ's folding": (
        "cifar10_cnvW1A1",
        "pynq-z1",
        {"folding": CNV},
        20,
        "BNN-PYNQ, XC7Z020, placed, whole overlay: 26,072 LUT6, 124 RAMB36",
    ),
    "CNV at II 32,768": ("cifar10_cnvW1A1", "pynq-z1", {"cycles": 32768}, 20, "the same"),
    "LFC at II 512": (
        "mnist_lfcW1A1",
        "pynq-z1",
        {"cycles": 512},
        1000,
        "BNN-PYNQ, XC7Z020, placed, whole overlay: 28,360 LUT6, 110 RAMB36",
    ),
    "LFC at II 128": (
        "mnist_lfcW1A1",
        "zc706",
        {"cycles": 128},
        1000,
        "FINN LFC-max, ZC706, unverified: 82,988 LUT6, 396 RAMB36",
    ),
    "CNV at II 9,130": (
        "cifar10_cnvW1A1",
        "zc706",
        {"cycles": 9130},
        20,
        "FINN CNV-max, ZC706, unverified: 46,253 LUT6, 186 RAMB36",
    ),
    "SFC at II 16": (
        "SFC",
        "zc706",
        {"cycles": 16},
        1000,
        "FINN SFC-max, ZC706, unverified: 91,131 LUT6, 4.5 RAMB36",
    ),
    "SFC at II 1, weights in logic": ("SFC", "zc706", {"cycles": 1}, 1000, "the same at II 16"),
}
"""Network, board, target, number of frames to simulate, and the published figures."""


def sfc(seed: int = 1) -> ir.IntegerNetwork:
    """Return 784-256-256-256-10 with random weights, which have no pattern to share logic by."""
    rng = np.random.default_rng(seed)
    table = np.where(np.arange(256) < 128, 0, 1)[None]
    layers: list[ir.Layer] = [ir.InputTable("input", table, ir.BIPOLAR)]
    inputs = 784
    for k, outputs in enumerate((256, 256, 256, 10)):
        weights = rng.choice((-1, 1), (outputs, 1, 1, inputs))
        layers.append(ir.Conv(f"dense{k}", weights, ir.BIPOLAR, ir.Window()))
        if outputs > 10:
            thresholds = np.rint(rng.normal(0, np.sqrt(inputs) / 2, (outputs, 1))).astype(np.int64)
            layers.append(ir.Threshold(f"sign{k}", thresholds, ir.BIPOLAR))
        inputs = outputs
    layers.append(ir.Scores("scores", np.zeros(10, np.int64)))
    return ir.IntegerNetwork("sfc", (1, 1, 784), tuple(layers))


def measure(name: str) -> dict[str, Any]:
    """Compile, synthesise and simulate one accelerator."""
    network, board, target, frames, published = TARGETS[name]
    if network == "SFC":
        net, x = sfc(), trained("mnist_lfcW1A1").images()[0][:frames].reshape(-1, 1, 1, 784)
    else:
        source = trained(network)
        net, x = xf.load(source.path, input_scale=source.scale), source.images()[0][:frames]
    with tempfile.TemporaryDirectory() as folder:
        if "folding" in target:
            file = Path(folder) / "folding.json"
            file.write_text(json.dumps(target["folding"]))
            target = {"folding": file}
        design = compile_network(net, board, must_fit=False, **target)
    scores = net(x)
    run = design.simulate(x, jobs=2, expected=scores)
    design.simulate(x, jobs=2, stalls=(0.3, 0.3), seed=7, expected=scores)
    used = synthesised(design, board)
    return {
        "ii": [run.ii, design.ii, design.timing.bound],
        "latency": [run.latency, design.latency],
        "lanes": sum(
            f.pe * f.simd * f.pixels
            for f, p in zip(design.folds, design.parts, strict=True)
            if p.layer.kind == "conv"
        ),
        "used": used,
        "fill": fill(design.spec, fpga(board).family),
        "frames": len(x),
        "clock": design.clock.mhz,
        "published": published,
    }


def main() -> None:
    """Print a line per accelerator; exit with 1 if a time is not as predicted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        json.dump(measure(options.names[0]), sys.stdout)
        return
    print(
        "| accelerator | II simulated / predicted / bound | latency simulated / predicted | lanes |"
        " LUT6 | FF | RAMB36 | bits used of the block RAM taken | LUT6 per lane |"
        " frames equal, twice | published |\n" + "|---" * 11 + "|"
    )
    failed = False
    for name in options.names or TARGETS:
        done = subprocess.run(
            [sys.executable, __file__, name, "--one"], stdout=subprocess.PIPE, check=True
        )
        r = json.loads(done.stdout)
        failed |= r["ii"][0] != r["ii"][1] or r["latency"][0] != r["latency"][1]
        used = r["used"]
        print(
            f"| {name} | {' / '.join(f'{n:,}' for n in r['ii'])} |"
            f" {' / '.join(f'{n:,}' for n in r['latency'])} | {r['lanes']:,} | {used['lut']:,} |"
            f" {used['ff']:,} | {used['bram'] / 2:g} | {100 * r['fill']:.0f} % |"
            f" {used['lut'] / r['lanes']:.2f} | {r['frames']:,} | {r['published']} |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
