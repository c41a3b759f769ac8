"""Measure what activations of several widths, and last layers of several kinds, take.

Networks with random weights are lowered from float32 operations, compiled for an LFE5U-85F,
synthesised as for a bitstream and packed by nextpnr. Each last layer is measured twice, once with
plain sums as scores; the difference is what its scores take beside the array. For a board that
open tools do not build for (`--board pynq-z1`), the cells are counted after Yosys.

`--fit` synthesises small networks with these components as modules of their own, on a board of each
family, fits the coefficients that the resource model has for computed codes and for scores, and
leaves all others as they are.

Run: python benchmarks/tails.py [NAME ...] [--frames N] [--board B]
     python benchmarks/tails.py --fit [FAMILY ...]

With frames, every design is also run in Verilator, and every score compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from count_cells import _Count, count, synthesised
from fit_resources import Row, fit_components, rows
from numpy.typing import NDArray
from resources import BOARDS

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import XnorflowError
from xnorflow.graph import ops as g
from xnorflow.ir import Window
from xnorflow.lower import lower
from xnorflow.resources import usage
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows.report import cells_of_log

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


def used(design: Design, board: str) -> dict[str, int]:
    """Return the cells of a design: packed by nextpnr, or counted after Yosys."""
    target = find_board(board)
    if not target.open:
        return dict(synthesised(design, board))
    with tempfile.TemporaryDirectory() as folder:
        packed = _Count(design, target, Path(folder), lambda step, doing: None).packed()
        dsps, _ = cells_of_log((Path(folder) / "pack.log").read_text())["MULT18X18D"]
    return {**packed, "dsp": dsps}


def measure(name: str, frames: int, board: str) -> str:
    """Compile, pack or count and, if asked, simulate a network; return a row of a table."""
    make, cycles = NETWORKS[name]
    net = lower(make())
    design = compile_network(net, board, cycles=cycles, must_fit=False)
    simulated = "not simulated"
    if frames:
        x: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (frames, *net.shape))
        run = design.simulate(x.astype(np.uint8))
        assert (run.ii, run.latency) == (design.ii, design.latency)
        design.simulate(x.astype(np.uint8), stalls=(0.3, 0.3), seed=1)
        simulated = f"{frames} frames, 0 differ"
    cells = used(design, board)
    estimated = design.summary()["resources"]
    tails = ", ".join(sorted({type(t).__name__[:-4] for s in design.spec.stages for t in s.tails}))
    return (
        f"| {name} | {design.ii} | {form(net.scores)}; {tails} | {cells['lut']} | {cells['ff']}"
        f" | {cells['bram']} | {cells['dsp']} | {estimated['lut']} / {estimated['ff']}"
        f" / {estimated['bram']} | {simulated} |"
    )


def small_codes(bits: int, kind: str, channels: int) -> g.Graph:
    """Return a dense network whose hidden codes have so many bits; they begin late if "late"."""
    rng = np.random.default_rng(bits + channels)
    made: Ops = [g.SubtractOp(_floats(127.5)), g.BipolarQuantOp(_floats(1))]
    # Ties of decimal scales, which float32 breaks in either way, need many sums to come up.
    inputs = 1000 if kind == "late" else 48
    made.append(g.ConvOp(_weights(rng, (channels, 1, 1, inputs), 1), _floats(1)))
    if kind == "late":
        made += [
            g.MultiplyOp(_floats(0.01)),
            g.AddOp(_floats(rng.integers(-20, 20, channels) / 100)),
        ]
        scale = 0.1 * (1 << (8 - bits))
    else:
        made.append(_norm(rng, channels, 7.0))
        scale = 4 / ((1 << bits) - 1)
    made.append(g.QuantOp(_floats(scale), _floats(0), bits, True, False, op="Quant"))
    made.append(g.ConvOp(_weights(rng, (6, 1, 1, channels), 1), _floats(1)))
    return g.Graph(f"{kind}{bits}", (1, 1, inputs), tuple(made))


FITTED: tuple[tuple[Callable[[], g.Graph], int], ...] = (
    (lambda: small_codes(8, "plain", 40), 600),
    (lambda: small_codes(8, "plain", 64), 100),
    (lambda: small_codes(6, "plain", 40), 250),
    (lambda: small_codes(8, "late", 40), 8000),
    (lambda: small_codes(6, "late", 48), 2000),
    (NETWORKS["512-10, batch norm"][0], 1024),
    (NETWORKS["512-100, batch norm"][0], 6400),
    (NETWORKS["256-10, int8, scale and bias"][0], 1024),
)
"""Networks on which coefficients are fitted, with the cycles that they are compiled for."""


def _apart(design: Design, board: str) -> dict[str, dict[str, int]]:
    """Synthesise a design with its components as modules, and return what each takes."""
    target = find_board(board)
    if not target.open:
        return count(design, board)[1]
    with tempfile.TemporaryDirectory() as folder:
        return _Count(design, target, Path(folder), lambda step, doing: None).apart()


def fit(families: list[str]) -> None:
    """Fit the coefficients of computed codes and of scores on some families."""
    coefficients = Path(usage.__file__).with_name("coefficients.json")
    for family in families or BOARDS:
        board, samples = BOARDS[family], list[Row]()
        for make, cycles in FITTED:
            design = compile_network(lower(make()), board, cycles=cycles, must_fit=False)
            measured = _apart(design, board)
            for component, terms, counts in rows(design, measured, fpga(board).family):
                own = {n: v for n, v in terms.items() if n.startswith(("computed", "scores"))}
                if own and len(own) == len(terms):
                    samples.append((component, own, counts))
                    print(family, design.net.name, component, own, counts, flush=True)
        content = json.loads(coefficients.read_text())
        for name in ("lut", "ff"):
            content[family][name] |= fit_components(samples, name)
        coefficients.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Print a row per network, or fit coefficients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--board", default=BOARD)
    parser.add_argument("--fit", action="store_true", help="NAME is then a family")
    options = parser.parse_args()
    if options.fit:
        fit(options.names)
        return
    for name in options.names or NETWORKS:
        try:
            print(measure(name, options.frames, options.board), flush=True)
        except XnorflowError as e:
            print(f"| {name} | {e} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
