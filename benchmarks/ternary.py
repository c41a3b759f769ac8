"""Measure a convolution with ternary weights (TWN) against one with binary weights.

Ternary weights are a sign and a mask, with one popcount of the lanes whose mask is 1
(docs/hardware.md, 2). The first table has the cells of the layer's stage after Yosys, at the same
folding for both kinds of weights, beside the model's estimate. The second compares, after Yosys as
well, sixteen sums of a beat in the masked form with the same sums as two bipolar planes, each with
a popcount of its own, in the form that the fabric would have for them.

`--fit` fits the coefficients that the resource model has for masked sums to such sums by
themselves, and leaves all others as they are.

Run: python benchmarks/ternary.py [--board B] [--channels N] [--size N] [--folds PE,SIMD ...]
     python benchmarks/ternary.py --folds --fabrics ecp5 xilinx7 --widths 3 7 15 63
     python benchmarks/ternary.py --fit [--family ecp5|gowin|ice40|xilinx]
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

import numpy as np
from count_cells import counts
from popcount import ROWS, SYNTHESIS, bench, run, synthesised
from products import fitted
from resources import BOARDS
from single_layer import LAYER, WINDOW, measured, network

from xnorflow import ir
from xnorflow.devices.tables import fpga
from xnorflow.plan.reductions import Fold
from xnorflow.resources.engine import EngineSummary
from xnorflow.resources.terms import MASKED
from xnorflow.resources.terms import beat as beat_terms
from xnorflow_hw.fabric import xnor_sum
from xnorflow_hw.fabric.beat import BeatSum, cheapest_form
from xnorflow_hw.fabric.popcount import module_name, verilog_module
from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.fabric.recode import triples
from xnorflow_hw.spec.latency import popcount_latency

COUNTED = {"tree": (1, 3, 5, 7), "dense": (6, 9, 16, 21, 33)}
"""Lanes of the popcounts that the model is fitted to, by form."""
ADDED = ((1, 4), (2, 2), (3, 2), (8, 2), (3, 8), (8, 4), (11, 4))
"""Lanes and bits of the sums of codes that it is fitted to."""
PORT = re.compile(r"(input|output) wire (?:\[(\d+):0\] )?(\w+)")
"""A port of a module."""
ENGINE = EngineSummary(
    name="sum",
    kind="conv",
    positions=1,
    channels=1,
    reduction=1,
    inputs=1,
    pe=1,
    simd=1,
    cycles=1,
    rom_depth=9,
    rom_width=2,
    buffer_depth=1,
    buffer_width=1,
    act_bits=1,
    weight_planes=2,
    masked=True,
)
"""An engine whose terms are those of one sum of a beat."""


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
    """Fit the coefficients of masked sums of each fabric to sums that are synthesised apart."""
    for family in fabrics:
        fabric = fpga(BOARDS[family]).family.fabric
        found: dict[str, tuple[str, EngineSummary]] = {}
        for form, widths in COUNTED.items():
            for simd in widths:
                engine = replace(ENGINE, form=form, simd=simd)
                beat = BeatSum(simd, 1, (1,), form, fabric, "verilog", masked=True)
                ((name, text),) = beat.modules.items()
                found[name] = text, engine
                constant, text = constants(name, text, beat.counted)
                found[constant] = text, replace(engine, rom_depth=1)
        for simd, bits in ADDED:
            name = xnor_sum.module_name(simd, bits, fabric=fabric, masked=True)
            text = xnor_sum.verilog_module(simd, bits, fabric=fabric, masked=True)
            found[name] = text, replace(ENGINE, form="add", simd=simd, act_bits=bits)
        cells = apart([text for text, _ in found.values()], list(found), fabric)
        samples = [
            ("array", {n: v for n, v in beat_terms(e).items() if MASKED in n}, cells[name])
            for name, (_, e) in found.items()
        ]
        fitted(samples, family, [MASKED])


def constants(name: str, text: str, lanes: int) -> tuple[str, str]:
    """Return the name and text of a masked popcount whose weights are drawn constants."""
    signs, masks = np.random.default_rng(lanes).integers(0, (2, 3), (lanes, 2)).T
    w, m = (sum(int(bit) << i for i, bit in enumerate(bits)) for bits in (signs, masks > 0))
    clock = ("input wire clk, ", ".clk(clk), ") if "wire clk" in text else ("", "")
    high = lanes.bit_length() - 1
    return f"constant_{name}", (
        f"{text.replace(name, f'inner_{name}')}"
        f"module constant_{name} ({clock[0]}input wire [{lanes - 1}:0] x,"
        f" output wire [{high}:0] n);\n  inner_{name} inner ({clock[1]}.x(x),"
        f" .w({lanes}'d{w}), .m({lanes}'d{m}), .n(n));\nendmodule\n"
    )


def apart(texts: list[str], names: list[str], fabric: str) -> dict[str, dict[str, int]]:
    """Synthesise modules beside each other, and return the cells of each."""
    inputs, outputs, lines = 0, 0, list[str]()
    for k, (name, text) in enumerate(zip(names, texts, strict=True)):
        at = text.index(f"module {name} ")
        pins, ports = [], text[at : text.index(");", at)]
        for way, high, port in PORT.findall(ports):
            width = int(high or 0) + 1
            if port == "clk":
                pins.append(".clk(clk)")
            elif way == "input":
                pins.append(f".{port}(i[{inputs} +: {width}])")
                inputs += width
            else:
                pins.append(f".{port}(o[{outputs} +: {width}])")
                outputs += width
        lines.append(f"  {name} u{k} ({', '.join(pins)});")
    head = f"module top(input clk, input [{inputs - 1}:0] i, output [{outputs - 1}:0] o);"
    modules = synthesised(
        "\n".join([PROLOGUE, *texts, head, *lines, "endmodule", ""]), names, fabric
    )
    return {name: counts(modules[name]) for name in names}


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
