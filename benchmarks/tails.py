"""Measure what activations of several widths, and last layers of several kinds, take on ECP5.

Networks with random weights are lowered from float32 operations, compiled for an LFE5U-85F,
synthesised as for a bitstream and packed by nextpnr. Each last layer is measured twice, once with
plain sums as scores; the difference is what its scores take beside the array.

Run: python benchmarks/tails.py [NAME ...] [--frames N]

With frames, every design is also run in Verilator, and every score compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from count_cells import _Count
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.errors import XnorflowError
from xnorflow.graph import ops as g
from xnorflow.ir import Window
from xnorflow.lower import lower
from xnorflow_boards.catalogue import board as find_board

BOARD = "ulx3s-85f"
Ops = list[g.Op]


def _floats(values: object) -> g.Floats:
    return np.asarray(values, np.float32)


def _weights(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> ir.Ints:
    if bits == 1:
        return rng.choice((-1, 1), shape)
    most = (1 << (bits - 1)) - 1
    return rng.integers(-most, most + 1, shape)


def _norm(rng: np.random.Generator, channels: int, spread: float) -> g.BatchNormOp:
    return g.BatchNormOp(
        _floats(rng.normal(1, 0.2, channels)),
        _floats(rng.normal(0, 0.5, channels)),
        _floats(rng.normal(0, spread / 4, channels)),
        _floats((spread * rng.uniform(0.7, 1.4, channels)) ** 2),
        1e-5,
    )


def activations(bits: int) -> g.Graph:
    """Return a convolutional network whose activations have so many bits."""
    rng = np.random.default_rng(1)
    quant = g.QuantOp(_floats(4 / ((1 << bits) - 1)), _floats(0), bits, False, False, op="Quant")
    made: Ops = [g.BipolarQuantOp(_floats(1))]
    shape = (16, 16, 3)
    spread = 5.0
    for channels in (32, 64):
        kernel = (3, 3)
        weights = _weights(rng, (channels, *kernel, shape[2]), 1)
        made += [g.ConvOp(weights, _floats(1), Window(kernel)), _norm(rng, channels, spread)]
        made += [quant, g.MaxPoolOp(Window((2, 2), (2, 2)))]
        shape = ((shape[0] - 2) // 2, (shape[1] - 2) // 2, channels)
        spread = 25.0
    made.append(g.FlattenOp())
    inputs = int(np.prod(shape))
    made += [
        g.ConvOp(_weights(rng, (64, 1, 1, inputs), 1), _floats(1)),
        _norm(rng, 64, 40.0),
        quant,
    ]
    made.append(g.ConvOp(_weights(rng, (10, 1, 1, 64), 1), _floats(1)))
    return g.Graph(f"codes{bits}", (16, 16, 3), tuple(made))


def last_layer(
    name: str, inputs: int, classes: int, bits: int, end: Callable[[np.random.Generator], Ops]
) -> g.Graph:
    """Return a dense network, 64 bipolar inputs and one hidden layer, with an end of its own."""
    rng = np.random.default_rng(2)
    made: Ops = [g.SubtractOp(_floats(127.5)), g.BipolarQuantOp(_floats(1))]
    made += [
        g.ConvOp(_weights(rng, (inputs, 1, 1, 64), 1), _floats(1)),
        g.BipolarQuantOp(_floats(1)),
    ]
    scale = _floats(1 if bits == 1 else 0.0123)
    made.append(g.ConvOp(_weights(rng, (classes, 1, 1, inputs), bits), scale))
    return g.Graph(name, (1, 1, 64), (*made, *end(rng)))


def _scaled(rng: np.random.Generator, classes: int) -> Ops:
    return [
        g.MultiplyOp(_floats(rng.uniform(0.5, 2, classes))),
        g.AddOp(_floats(rng.normal(0, 1, classes))),
    ]


def _nothing(rng: np.random.Generator) -> Ops:
    return []


NETWORKS: dict[str, tuple[Callable[[], g.Graph], int]] = {
    **{f"codes of {b} bits": (lambda b=b: activations(b), 9216) for b in (2, 3, 4, 6, 8)},  # type: ignore[misc]
    "512-10": (lambda: last_layer("plain10", 512, 10, 1, _nothing), 1024),
    "512-10, batch norm": (
        lambda: last_layer("norm10", 512, 10, 1, lambda r: [_norm(r, 10, 25.0)]),
        1024,
    ),
    "512-10, bias": (
        lambda: last_layer("bias10", 512, 10, 1, lambda r: [g.AddOp(_floats(r.normal(0, 5, 10)))]),
        1024,
    ),
    "512-100": (lambda: last_layer("plain100", 512, 100, 1, _nothing), 6400),
    "512-100, batch norm": (
        lambda: last_layer("norm100", 512, 100, 1, lambda r: [_norm(r, 100, 25.0)]),
        6400,
    ),
    "256-10, int8": (lambda: last_layer("int8", 256, 10, 8, _nothing), 1024),
    "256-10, int8, bias": (
        lambda: last_layer(
            "int8bias", 256, 10, 8, lambda r: [g.AddOp(_floats(r.normal(0, 1, 10)))]
        ),
        1024,
    ),
    "256-10, int8, scale and bias": (
        lambda: last_layer("int8scale", 256, 10, 8, lambda r: _scaled(r, 10)),
        1024,
    ),
}
"""What is measured: the network, and the cycles per frame that it is compiled for."""


def form(scores: ir.Scores) -> str:
    """Return in words how scores are computed."""
    if getattr(scores, "steps", ()):
        return f"chain of {len(scores.steps)} steps"
    if scores.ranks is not None:
        return "ranks"
    return f"{getattr(scores, 'factor', 1)} x sum + offset"


def measure(name: str, frames: int) -> str:
    """Compile, pack and, if asked, simulate a network; return a row of a table."""
    make, cycles = NETWORKS[name]
    net = lower(make())
    design = compile_network(net, BOARD, cycles=cycles, must_fit=False)
    simulated = "not simulated"
    if frames:
        x: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (frames, *net.shape))
        run = design.simulate(x.astype(np.uint8))
        assert (run.ii, run.latency) == (design.ii, design.latency)
        design.simulate(x.astype(np.uint8), stalls=(0.3, 0.3), seed=1)
        simulated = f"{frames} frames, 0 differ"
    with tempfile.TemporaryDirectory() as folder:
        counted = _Count(design, find_board(BOARD), Path(folder), lambda step, doing: None)
        used = counted.packed()
    estimated = design.summary()["resources"]
    tails = ", ".join(sorted({type(t).__name__[:-4] for s in design.spec.stages for t in s.tails}))
    return (
        f"| {name} | {design.ii} | {form(net.scores)}; {tails} | {used['lut']} | {used['ff']}"
        f" | {used['bram']} | {used.get('dsp', 0)} | {estimated['lut']} / {estimated['ff']}"
        f" / {estimated['bram']} | {simulated} |"
    )


def main() -> None:
    """Print a row per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--frames", type=int, default=0)
    options = parser.parse_args()
    for name in options.names or NETWORKS:
        try:
            print(measure(name, options.frames), flush=True)
        except XnorflowError as e:
            print(f"| {name} | {e} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
