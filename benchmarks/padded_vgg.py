"""Compile a large padded network for three chips, count its largest engines, and simulate a frame.

The network has the layers of 1701.03400 for 32 x 32 pixels, convolutions padded with zeros:
128-128, 256-256, 512-512 with a pool after each pair, 1024-1024-10; its 14 million weights are
drawn. `--fps` asks for the smallest design that is as fast; without it a chip gets the fastest that
fits. Every row is a process of its own, whose CPU time includes its start.

Run: python benchmarks/padded_vgg.py                         # the fastest on each chip
     python benchmarks/padded_vgg.py --fps 12000 --synthesise 3 xcku115
     python benchmarks/padded_vgg.py --fps 12000 --simulate 1 xcku115
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from single_layer import measured, network

import xnorflow as xf
from xnorflow import ir
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow.resources.usage import design_resources, engine_resources

CHIPS = ("u250", "zcu104", "xcku115")
WINDOW = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))


def padded(divide: int = 1) -> ir.IntegerNetwork:
    """Build the network of drawn weights, with so many times fewer channels."""
    rng = np.random.default_rng(0)
    samples = np.arange(256)[None]
    layers: list[ir.Layer] = [ir.InputTable("samples", samples, ir.Alphabet(-128, 1, 256))]
    inputs, width = 3, 32

    def binary(name: str, outputs: int, taps: int, window: ir.Window | None) -> None:
        nonlocal inputs
        shape = (outputs, taps, taps, inputs)
        weights = rng.choice([-1, 1], shape)
        layers.append(ir.Conv(name, weights, ir.BIPOLAR, window or ir.Window((taps, taps))))
        inputs = outputs

    def sign(name: str) -> None:
        layers.append(ir.Threshold(name, rng.integers(-9, 10, (inputs, 1)), ir.BIPOLAR))

    for pair, outputs in enumerate((128, 256, 512)):
        for half in "ab":
            binary(f"conv{pair}{half}", outputs // divide, 3, WINDOW)
            sign(f"sign{pair}{half}")
        layers.append(ir.MaxPool(f"pool{pair}", ir.Window((2, 2), (2, 2)), np.zeros(inputs, bool)))
        width //= 2
    binary("dense0", 1024 // divide, width, None)
    sign("sign3")
    binary("dense1", 1024 // divide, 1, None)
    sign("sign4")
    binary("dense2", 10, 1, None)
    layers.append(ir.Scores("scores", np.zeros(10, np.int64)))
    return ir.IntegerNetwork("vgg", (32, 32, 3), tuple(layers))


def operations(net: ir.IntegerNetwork) -> int:
    """Return the operations of a frame; a product and its addition are two."""
    return sum(
        2 * layer.weights.size * out.height * out.width
        for layer, _, out in net
        if isinstance(layer, ir.Conv)
    )


def cpu() -> float:
    """Return the CPU time of this process so far in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def row(chip: str, fps: float | None, divide: int) -> tuple[Design, str]:
    """Compile for a chip; return the design and the columns of a table."""
    net = padded(divide)
    design = xf.compile(net, board=chip, fps=fps)
    took, device = cpu(), fpga(chip)
    used, mhz = design_resources(design.shape, device.family), design.clock.mhz
    tops = operations(net) * design.fps / 1e12
    luts = f"{used.luts:,.0f} of {device.luts.use():,.0f}"
    blocks = f"{used.ram_blocks:,.0f} of {device.ram_blocks.use():,.0f}"
    return design, (
        f"| {chip} | {design.ii:,} | {design.latency:,} | {mhz:g} | {design.fps:,.0f} |"
        f" {design.latency / mhz:,.1f} | {tops:.1f} | {luts} | {blocks} | {took:.1f} |"
    )


def synthesise(design: Design, chip: str, number: int) -> None:
    """Print what the largest convolutions' own stages take after Yosys, and by the model."""
    print("| layer | PE, SIMD, pixels | weight bits | LUT | FF | block RAM | model: LUT, FF |")
    print(7 * "|---" + "|", flush=True)
    family = fpga(chip).family
    cost = {e.name: engine_resources(e, family).luts for e in design.shape.engines}
    largest = sorted(cost, key=lambda name: -cost[name])[:number]
    layers = list(design.net)
    for engine, fold in zip(design.shape.engines, design.folds, strict=True):
        if engine.name not in largest:
            continue
        at = next(k for k, (layer, _, _) in enumerate(layers) if layer.name == engine.name)
        (conv, inp, _), (sign, _, _) = layers[at : at + 2]
        if not (isinstance(conv, ir.Conv) and isinstance(sign, ir.Threshold)):
            raise TypeError(f"{engine.name} is no convolution with thresholds")
        alone = network(conv, sign.thresholds, inp.width, inp.alphabet)
        found = measured(alone, chip, fold, design.ii)
        print(f"| {engine.name} | {fold.pe}, {fold.simd}, {fold.pixels} | {found} |", flush=True)


def simulate(design: Design, frames: int) -> None:
    """Simulate drawn frames in Verilator, and print scores and times."""
    x = np.random.default_rng(1).integers(0, 256, (frames, *design.net.shape), np.uint8)
    scores = design.net(x)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XNORFLOW_CACHE"] = folder
        started = time.perf_counter()
        design.simulator(frames=frames)
        built = time.perf_counter() - started
        # A score that differs raises.
        run = design.simulate(x, expected=scores)
    print(
        f"{frames} frame(s) in {run.cycles:,} cycles, the first with the scores"
        f" {run.scores[0].tolist()}; 0 differ from the golden model;"
        f" latency {run.latency:,} cycles, predicted {design.latency:,};"
        f" interval {run.ii or 'not seen'}, predicted {design.ii:,}; model built in {built:.0f} s"
    )
    if run.latency != design.latency or run.ii not in (None, design.ii):
        raise SystemExit("the time is not the predicted one")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("chips", nargs="*", default=CHIPS, metavar="CHIP")
    parser.add_argument("--fps", type=float, help="frames per second of the smallest design")
    parser.add_argument("--divide", type=int, default=1, help="so many times fewer channels")
    parser.add_argument("--synthesise", type=int, default=0, metavar="N", help="largest engines")
    parser.add_argument("--simulate", type=int, default=0, metavar="N", help="frames")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        try:
            design, text = row(options.chips[0], options.fps, options.divide)
        except CheckFailed as error:
            print(f"| {options.chips[0]} | refused: {error} | {cpu():.1f} |")
            return
        print(text, flush=True)
        if options.synthesise:
            synthesise(design, options.chips[0], options.synthesise)
        if options.simulate:
            simulate(design, options.simulate)
        return
    print(
        "| chip | cycles per frame | latency, cycles | MHz | frames/s | latency, us | Top/s | LUT |"
        " block RAM | CPU, s |"
    )
    print(10 * "|---" + "|", flush=True)
    for chip in options.chips:
        rest = [text for text in sys.argv[1:] if text not in options.chips]
        subprocess.run([sys.executable, __file__, "--one", chip, *rest], check=True)


if __name__ == "__main__":
    main()
