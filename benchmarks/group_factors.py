"""Measure ternary weights with a factor for each group of input channels, in every kind of array.

A dense layer of weights ``factor * t`` is assembled at a folding with planes of whole weights, with
multipliers in logic and in DSP blocks, and with ternary sums times factors (`EdgeArray` of a single
edge), and synthesised by Yosys with its components as modules. A row has the cells of the layer's
array with its weights, beside the model's estimate. `--edges` measures a layer of several edges.

Run: python benchmarks/group_factors.py [--family ecp5|gowin|ice40|xilinx] [--edges N]
     python benchmarks/group_factors.py --row INPUTS OUTPUTS PE SIMD CODE_BITS GROUP MOST
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np
from products import BOARDS, DSPS, cells, counted

from xnorflow import ir
from xnorflow.compiler import clock_for
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold, ProductForm
from xnorflow.resources import usage
from xnorflow.schedule import timing


@dataclass(frozen=True)
class Size:
    """A dense layer and its folding.

    Parameters
    ----------
    inputs, outputs, pe, simd : int
        Channels and lanes.
    bits : int
        Bits of a code.
    group : int
        Input channels that share a factor.
    most : int
        Largest factor.
    """

    inputs: int
    outputs: int
    pe: int
    simd: int
    bits: int
    group: int
    most: int


SIZES = (
    Size(64, 16, 2, 4, 8, 4, 7),
    Size(64, 16, 2, 16, 8, 16, 7),
    Size(64, 16, 4, 16, 4, 4, 7),
)
"""What is measured."""


def network(size: Size, edges: int) -> ir.IntegerNetwork:
    """Return a dense layer of random edges behind a table of samples, its sums as scores."""
    rng = np.random.default_rng(size.inputs + size.pe)
    shape = (edges, size.outputs, 1, 1, size.inputs)
    factors = rng.integers(1, size.most + 1, (*shape[:-1], size.inputs // size.group))
    parts = rng.integers(-1, 2, shape) * factors.repeat(size.group, axis=-1)
    weights, window = parts.sum(0), ir.Window()
    layers = (
        ir.InputTable(
            "samples", np.arange(256)[None] >> (8 - size.bits), ir.Alphabet(0, 1, 1 << size.bits)
        ),
        ir.Conv(
            "layer",
            weights,
            weight_alphabet(weights),
            window,
            edges=parts if edges > 1 else None,
        ),
        ir.Scores("scores", np.zeros(size.outputs, np.int64)),
    )
    return ir.IntegerNetwork("net", (1, 1, size.inputs), layers)


def measure(size: Size, kind: ProductForm | None, board: str, edges: int) -> None:
    """Print the row of a size."""
    net, fold = network(size, edges), Fold(size.pe, size.simd)
    spec = accelerator(net, [fold], in_lanes=1, device=fpga(board), products=[kind])
    clock = clock_for(board, None)
    design = Design(net, (fold,), spec, board, clock, timing.predict(spec))
    found = cells(design, board)
    array = Counter[str]()
    for name in ("layer.array", "layer.weights"):
        array.update(found.get(name, Counter()))
    used = counted(array, board)
    dsps = sum(DSPS.get(name, 0.0) * number for name, number in array.items())
    guess = usage.engine_parts(design.shape.engines[0], fpga(board).family)["array"]
    what = f"{edges} edges" if edges > 1 else kind or "planes"
    print(
        f"| {board} | {size.inputs} to {size.outputs} | {size.bits} | {size.group}, up to"
        f" {size.most} | {size.pe} x {size.simd} | {what} | {spec.stages[0].array.word_bits} |"
        f" {used['lut']} | {used['ff']} | {used['bram']} | {dsps:g} | {guess.luts:.0f} /"
        f" {guess.ffs:.0f} |",
        flush=True,
    )


def main() -> None:
    """Print a row for every size and kind of array."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", choices=BOARDS, default="ecp5")
    parser.add_argument("--row", type=int, nargs=7, help="measure this size alone")
    parser.add_argument("--edges", type=int, default=1)
    options = parser.parse_args()
    board = BOARDS[options.family]
    print(
        "| board | layer | code bits | group, factors | PE x SIMD | array | bits of a word | LUT |"
        " FF | block RAM | DSP | estimated LUT / FF |"
    )
    print("|" + "---|" * 12)
    kinds: tuple[ProductForm | None, ...] = (None, "logic", "dsp", "factors")
    for size in [Size(*options.row)] if options.row else SIZES:
        for kind in kinds if options.edges == 1 else (None,):
            measure(size, kind, board, options.edges)


if __name__ == "__main__":
    main()
