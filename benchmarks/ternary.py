"""Measure a convolution with ternary weights (TWN) against one with binary weights.

Ternary weights are a sign and a mask, with one popcount of the lanes whose mask is 1
(docs/hardware.md, 2). The first table has the cells of the layer's stage after Yosys, at the same
folding for both kinds of weights, beside the model's estimate. The second compares, after Yosys as
well, sixteen sums of a beat in the masked form with the same sums as two bipolar planes, each with
a popcount of its own, in the form that the fabric would have for them.

`--fit` fits the coefficients that the resource model has for masked sums to the arrays of twelve
layers in a row, and leaves all others as they are.

Run: python benchmarks/ternary.py [--board B] [--channels N] [--size N] [--folds PE,SIMD ...]
     python benchmarks/ternary.py --folds --fabrics ecp5 xilinx7 --widths 3 7 15 63
     python benchmarks/ternary.py --fit [--family ecp5|gowin|ice40|xilinx]
"""

from __future__ import annotations

import argparse

import numpy as np
from count_cells import apart
from fit_resources import rows
from popcount import ROWS, SYNTHESIS, bench, run
from products import fitted
from resources import BOARDS
from single_layer import LAYER, WINDOW, measured, network

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.devices.tables import fpga
from xnorflow.plan.reductions import Fold
from xnorflow_hw.fabric.beat import cheapest_form
from xnorflow_hw.fabric.popcount import module_name, verilog_module
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.fabric.recode import triples
from xnorflow_hw.spec.latency import popcount_latency

CHAIN = (
    (48, 8, Fold(4, 3)),
    (48, 4, Fold(4, 1)),
    (64, 4, Fold(4, 8)),
    (64, 2, Fold(4, 16)),
    (63, 1, Fold(6, 32)),
    (64, 1, Fold(4, 21)),
    (60, 1, Fold(4, 64)),
    (60, 1, Fold(12, 3)),
    (48, 1, Fold(12, 2)),
    (32, 1, Fold(8, 12)),
    (32, 1, Fold(16, 1)),
    (8, 1, Fold(8, 32)),
)
"""Output channels, bits of an input and folding of the dense layers that the fit is for."""


def chain() -> ir.IntegerNetwork:
    """Build a network of the layers of `CHAIN`, with thresholds between them."""
    rng = np.random.default_rng(4)
    layers: list[ir.Layer] = []
    inputs = 48
    codes = ir.Alphabet(0, 1, 1 << CHAIN[0][1])
    layers.append(ir.InputTable("samples", np.arange(256)[None], codes))
    for k, (channels, _, _) in enumerate(CHAIN):
        weights = rng.integers(-1, 2, (channels, 1, 1, inputs))
        layers.append(ir.Conv(f"{LAYER}{k}", weights, ir.TERNARY))
        if k + 1 < len(CHAIN):
            codes = ir.Alphabet(0, 1, 1 << CHAIN[k + 1][1])
            steps = np.sort(rng.integers(-99, 99, (channels, codes.levels - 1)), axis=1)
            layers.append(ir.Threshold(f"codes{k}", steps, codes))
        inputs = channels
    layers.append(ir.Scores("scores", np.zeros(inputs, np.int64)))
    return ir.IntegerNetwork("net", (1, 1, 48), tuple(layers))


def layer_of(channels: int, size: int, weights: ir.Alphabet) -> ir.IntegerNetwork:
    """Build the network of the layer with drawn weights of an alphabet."""
    rng = np.random.default_rng(1)
    values = weights.values(rng.integers(0, weights.levels, (channels, 3, 3, channels)))
    layer = ir.Conv(LAYER, values, weights, WINDOW)
    return network(layer, rng.integers(-9, 10, (channels, 1)), size)


WEIGHTS = {"binary": ir.BIPOLAR, "ternary": ir.TERNARY}


def layers(board: str, channels: int, size: int, folds: list[Fold], kinds: list[str]) -> None:
    """Print a line per folding and kind of weights."""
    print(
        "| PE, SIMD | cycles | weights | weight bits | LUT | FF | block RAM | estimated LUT, FF |"
    )
    print("|" + "---|" * 8)
    for fold in folds:
        for name in kinds:
            made = measured(layer_of(channels, size, WEIGHTS[name]), board, fold, 0)
            print(
                f"| {fold.pe}, {fold.simd} | {made.engine.cycles:,} | {name} | {made} |", flush=True
            )


def sums(simd: int, fabric: str, *, masked: bool, placed: bool = True) -> str:
    """Write the bench of a beat's sums; unless they are placed, registers take their place."""
    form = cheapest_form(
        simd=simd, bits=1, fabric=fabric, sums=(2 - masked) * ROWS, words=2, masked=masked
    )
    kind = {"form": form, "fabric": "generic" if form == "tree" else fabric, "masked": masked}
    latency = popcount_latency(simd, form=form, fabric=kind["fabric"])
    bits = simd.bit_length() + (not masked)
    lines = [PROLOGUE, verilog_module(simd, latency, **kind)] if placed else []
    lines.append(bench(simd, 2 * simd * ROWS, bits * ROWS))
    lanes = "x"
    if form == "recoded" and placed:
        lane = [f"x[{k}]" for k in range(simd)]
        for k in triples(simd):
            a, b, c = lane[k : k + 3]
            lane[k : k + 3] = f"{a} ^ {b}", f"{b} ^ {c}", f"{a} ^ {b} ^ {c}"
        lanes = "lanes"
        lines.append(f"  reg [{simd - 1}:0] lanes;")
        lines.append(f"  always @(posedge clk) lanes <= {{{', '.join(reversed(lane))}}};")
    for row in range(ROWS):
        total = f"n[{bits * row} +: {bits}]"
        planes = [f"w[{simd * (2 * row + p)} +: {simd}]" for p in range(2)]
        if not placed:
            last = 2 * simd * (row + 1) - bits
            lines.append(f"  assign {total} = w[{last} +: {bits}] ^ x[0 +: {bits}];")
            continue
        clock = ".clk(clk), " if latency else ""
        module = module_name(simd, latency, **kind)
        if masked:
            lines.append(
                f"  {module} p{row} ({clock}.x(x), .w({planes[0]}), .m({planes[1]}), .n({total}));"
            )
            continue
        for p in range(2):
            lines.append(f"  wire [{bits - 2}:0] n{row}_{p};")
            lines.append(
                f"  {module} p{row}_{p} ({clock}.x({lanes}), .w({planes[p]}), .n(n{row}_{p}));"
            )
        lines.append(f"  assign {total} = n{row}_0 + n{row}_1;")
    return "\n".join([*lines, "endmodule", ""])


def beats(fabrics: list[str], widths: list[int]) -> None:
    """Print a line per fabric and width."""
    print("| fabric | lanes | two planes: LUT, FF per sum | masked: LUT, FF per sum |")
    print("|" + "---|" * 4)
    for fabric in fabrics:
        for simd in widths:
            texts = []
            for masked in (False, True):
                bits = simd.bit_length() + (not masked)
                around, got = (
                    run(sums(simd, fabric, masked=masked, placed=placed), fabric, place=False)
                    for placed in (False, True)
                )
                # Without sums, each bit of the counts takes a LUT of its own.
                luts = got.luts - around.luts + bits * ROWS
                flip_flops = got.flip_flops - around.flip_flops
                texts.append(f"{luts / ROWS:.1f}, {flip_flops / ROWS:.1f}")
            print(f"| {fabric} | {simd} | {' | '.join(texts)} |", flush=True)


def fit(fabrics: list[str]) -> None:
    """Fit the coefficients of masked sums of each fabric."""
    for fabric in fabrics:
        board = BOARDS[fabric]
        assemble = assembler(chain(), board, clock_for(board, None))
        design = assemble(tuple(fold for _, _, fold in CHAIN), 5000)
        found = rows(design, apart(design, board), fpga(board).family)
        fitted([row for row in found if row[0] == "array"], fabric, ["masked"])


def main() -> None:
    """Print both tables, or fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--board", default="ulx3s-85f")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--folds", nargs="*", default=["8,64", "4,16"])
    parser.add_argument("--weights", nargs="*", default=list(WEIGHTS), choices=WEIGHTS)
    parser.add_argument("--fabrics", nargs="*", default=["ecp5"], choices=list(SYNTHESIS))
    parser.add_argument("--widths", type=int, nargs="*", default=[])
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--family", choices=BOARDS)
    options = parser.parse_args()
    if options.fit:
        fit([options.family] if options.family else list(BOARDS))
        return
    if folds := [Fold(*map(int, text.split(","))) for text in options.folds]:
        layers(options.board, options.channels, options.size, folds, options.weights)
    if options.widths:
        beats(options.fabrics, options.widths)


if __name__ == "__main__":
    main()
