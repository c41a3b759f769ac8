"""Measure a convolution with ternary weights (TWN) against one with binary weights.

Ternary weights are two binary planes, each with a popcount of its own (docs/hardware.md, 2). The
first table has the cells of the layer's stage after Yosys, at the same folding for both, beside the
model's estimate. The second compares, after Yosys as well, sixteen sums of a beat as two planes
give them with a masked form, which the arrays do not have: one popcount, whose lanes agree only
where weights are not 0. With a bit `n` that is 1 for weights other than 0 and a sign `s`, two
planes count ``2 * popcount(n & (x XNOR s)) + zeros``, so either form gives the other but for a
constant of the channel. The masked form is built here of the present popcount, of ``x & n`` and
``s | ~n``, the latter from memory.

Run: python benchmarks/ternary.py [--board B] [--channels N] [--size N] [--folds PE,SIMD ...]
"""

from __future__ import annotations

import argparse

import numpy as np
from popcount import ROWS, bench, run
from single_layer import LAYER, WINDOW, measured, network

from xnorflow import ir
from xnorflow.plan.reductions import Fold
from xnorflow_hw.fabric.popcount import module_name, verilog_module
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.spec.latency import popcount_latency


def layer_of(channels: int, size: int, weights: ir.Alphabet) -> ir.IntegerNetwork:
    """Build the network of the layer with drawn weights of an alphabet."""
    rng = np.random.default_rng(1)
    values = weights.values(rng.integers(0, weights.levels, (channels, 3, 3, channels)))
    layer = ir.Conv(LAYER, values, weights, WINDOW)
    return network(layer, rng.integers(-9, 10, (channels, 1)), size)


def layers(board: str, channels: int, size: int, folds: list[Fold]) -> None:
    """Print a line per folding and kind of weights."""
    print(
        "| PE, SIMD | cycles | weights | weight bits | LUT | FF | block RAM | estimated LUT, FF |"
    )
    print("|" + "---|" * 8)
    for fold in folds:
        for name, weights in (("binary", ir.BIPOLAR), ("ternary", ir.TERNARY)):
            made = measured(layer_of(channels, size, weights), board, fold, 0)
            print(
                f"| {fold.pe}, {fold.simd} | {made.engine.cycles:,} | {name} | {made} |", flush=True
            )


def sums(simd: int, form: str | None, *, masked: bool) -> str:
    """Write the bench of a beat's sums for ECP5; without a form, registers in their place."""
    kind = {"form": form, "fabric": "generic" if form == "tree" else "ecp5"}
    latency = 0 if form is None else popcount_latency(simd, **kind)
    bits = simd.bit_length() + (not masked)
    lines = [] if form is None else [PROLOGUE, verilog_module(simd, latency, **kind)]
    lines.append(bench(simd, 2 * simd * ROWS, bits * ROWS))
    for row in range(ROWS):
        total = f"n[{bits * row} +: {bits}]"
        planes = [f"w[{simd * (2 * row + p)} +: {simd}]" for p in range(2)]
        if form is None:
            last = 2 * simd * (row + 1) - bits
            lines.append(f"  assign {total} = w[{last} +: {bits}] ^ x[0 +: {bits}];")
            continue
        clock = ".clk(clk), " if latency else ""
        module = module_name(simd, latency, **kind)
        if masked:
            lines.append(
                f"  {module} p{row} ({clock}.x(x & {planes[0]}), .w({planes[1]}), .n({total}));"
            )
            continue
        for p in range(2):
            lines.append(f"  wire [{bits - 2}:0] n{row}_{p};")
            lines.append(f"  {module} p{row}_{p} ({clock}.x(x), .w({planes[p]}), .n(n{row}_{p}));")
        lines.append(f"  assign {total} = n{row}_0 + n{row}_1;")
    return "\n".join([*lines, "endmodule", ""])


def beats(widths: list[int], forms: list[str]) -> None:
    """Print a line per width and form."""
    print("| lanes | form | two planes: LUT, FF per sum | masked: LUT, FF per sum |")
    print("|" + "---|" * 4)
    for simd in widths:
        for form in forms:
            texts = []
            for masked in (False, True):
                bits = simd.bit_length() + (not masked)
                texts_of = (sums(simd, made, masked=masked) for made in (None, form))
                around, got = (run(text, "ecp5", place=False) for text in texts_of)
                # Without sums, each bit of the counts takes a LUT of its own.
                luts = got.luts - around.luts + bits * ROWS
                flip_flops = got.flip_flops - around.flip_flops
                texts.append(f"{luts / ROWS:.1f}, {flip_flops / ROWS:.1f}")
            print(f"| {simd} | {form} | {' | '.join(texts)} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--board", default="ulx3s-85f", help="of an open flow")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--folds", nargs="*", default=["8,64", "4,16"])
    parser.add_argument("--widths", type=int, nargs="*", default=[63])
    parser.add_argument("--forms", nargs="*", default=["dense"], choices=["tree", "dense"])
    options = parser.parse_args()
    folds = [Fold(*map(int, text.split(","))) for text in options.folds]
    layers(options.board, options.channels, options.size, folds)
    beats(options.widths, options.forms)


if __name__ == "__main__":
    main()
