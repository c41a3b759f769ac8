"""Measure the CPU time that `compile` takes to choose a folding for a board.

Every row is a process of its own, whose CPU time includes its start. The networks are trained ones
and a convolutional network of 14 million drawn weights for 32 x 32 pixels, padded with zeros, with
the layers of 1701.03400: 128-128, 256-256, 512-512 with a pool after each pair, 1024-1024-10.

Run: python benchmarks/compile_time.py [--only TEXT]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

import numpy as np
from networks import trained

import xnorflow as xf
from xnorflow import ir

PADDED = "padded VGG"
ROWS = (("LFC_1W1A_finn", "pynq-z1"), ("cifar10_cnvW1A1", "ulx3s-85f"), (PADDED, "u250"))
WINDOW = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))


def padded() -> ir.IntegerNetwork:
    """Build the network of drawn weights."""
    rng = np.random.default_rng(0)
    samples = np.arange(256)[None] - 128
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
            binary(f"conv{pair}{half}", outputs, 3, WINDOW)
            sign(f"sign{pair}{half}")
        layers.append(ir.MaxPool(f"pool{pair}", ir.Window((2, 2), (2, 2)), np.zeros(inputs, bool)))
        width //= 2
    binary("dense0", 1024, width, None)
    sign("sign3")
    binary("dense1", 1024, 1, None)
    sign("sign4")
    binary("dense2", 10, 1, None)
    layers.append(ir.Scores("scores", np.zeros(10, np.int64)))
    return ir.IntegerNetwork("vgg", (32, 32, 3), tuple(layers))


def compiled(name: str, board: str) -> None:
    """Compile one network, and print what was found and the CPU time of the process so far."""
    if name == PADDED:
        net = padded()
    else:
        found = trained(name)
        net = xf.load(found.path, input_scale=found.scale)
    design = xf.compile(net, board=board)
    weights = sum(layer.weights.size for layer in net.layers if isinstance(layer, ir.Conv))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(f"| {name} | {board} | {weights / 1e6:.1f} M | {design.ii:,} | {cpu:.1f} |")


def main() -> None:
    """Print a row per network and board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose text contains this")
    parser.add_argument("--row", nargs=2, metavar=("NETWORK", "BOARD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        compiled(*options.row)
        return
    print(
        "| network | board | weights | cycles per frame | CPU, s |\n" + 5 * "|---" + "|", flush=True
    )
    for row in ROWS:
        if options.only in " ".join(row):
            subprocess.run([sys.executable, __file__, "--row", *row], check=True)


if __name__ == "__main__":
    main()
