"""Measure what products of codes and weights of several bits take, by planes and by multipliers.

A dense network is assembled at a folding with each kind of array, in planes, in DSP blocks and in
logic, and synthesised by Yosys with its components as modules. A row has the cells of the first
layer's array with its weights, beside the model's estimate.

`--fit` fits the coefficients that the resource model has for arrays of multipliers to these rows,
and leaves all others as they are; then planes are not measured.

Run: python benchmarks/products.py [--family ecp5|gowin|ice40|xilinx] [--fit]
     python benchmarks/products.py --row INPUTS OUTPUTS PE SIMD CODE_BITS WEIGHT_BITS --frames N

With frames, every design is also run in Verilator, and every score compared.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from count_cells import _Count, _keep, _modules, components, counts
from fit_resources import COEFFICIENTS, Row, errors, fit_components, rows
from fit_resources import write as save
from resources import BOARDS

from xnorflow import ir
from xnorflow.compiler import clock_for
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.resources import usage
from xnorflow.schedule import timing
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows import tools, vivado
from xnorflow_boards.flows.family import TOP
from xnorflow_boards.flows.report import netlist_cells
from xnorflow_boards.gateware import board_top as tops
from xnorflow_hw.spec.kinds import Multiplier

DSPS = {"MULT18X18D": 1.0, "MULT18X18": 1.0, "MULT9X9": 0.5, "SB_MAC16": 1.0, "DSP48E1": 1.0}
"""DSP blocks of each cell."""
NEW = ("products",)
"""Parts of the names of the terms that `--fit` fits."""


@dataclass(frozen=True)
class Size:
    """A dense layer and its folding.

    Parameters
    ----------
    inputs, outputs, pe, simd : int
        Channels and lanes.
    bits, weight_bits : int
        Bits of a code and of a weight.
    """

    inputs: int
    outputs: int
    pe: int
    simd: int
    bits: int = 8
    weight_bits: int = 8

    def __str__(self) -> str:
        """Return the size as columns of a table."""
        return (
            f"{self.inputs} to {self.outputs} | {self.weight_bits} x {self.bits} |"
            f" {self.pe} x {self.simd}"
        )


SIZES = (
    Size(64, 10, 1, 1),
    Size(64, 10, 2, 4),
    Size(64, 12, 3, 8, 4, 4),
    Size(64, 12, 2, 3, 8, 16),
    Size(64, 12, 4, 6, 6, 8),
)
"""What is measured."""


def network(size: Size) -> ir.IntegerNetwork:
    """Return a dense layer of random weights behind a table of samples, its sums as scores."""
    rng = np.random.default_rng(size.inputs + size.pe)
    most = (1 << (size.weight_bits - 1)) - 1
    weights = rng.integers(-most, most + 1, (size.outputs, 1, 1, size.inputs))
    codes = ir.Alphabet(0, 1, 1 << size.bits)
    layers = (
        ir.InputTable("samples", np.arange(256)[None] >> (8 - size.bits), codes),
        ir.Conv("layer", weights, ir.Alphabet(-most - 1, 1, 2 * most + 2)),
        ir.Scores("scores", np.zeros(size.outputs, np.int64)),
    )
    return ir.IntegerNetwork("net", (1, 1, size.inputs), layers)


def assembled(size: Size, multiplier: Multiplier | None, board: str) -> Design:
    """Return the design of a size with one kind of array."""
    net, fold = network(size), Fold(size.pe, size.simd)
    spec = accelerator(net, [fold], in_lanes=1, device=fpga(board), products=[multiplier])
    clock = clock_for(board, None)
    return Design(net, (fold,), spec, board, clock, timing.predict(spec))


def cells(design: Design, board: str) -> dict[str, Counter[str]]:
    """Return the cells of each component of a design after Yosys."""
    target = find_board(board)
    if not target.open:
        return components(design, _modules(design, board, _keep(design)))
    with tempfile.TemporaryDirectory() as folder:
        build = _Count(design, target, Path(folder), lambda step, doing: None)
        harness = tops.Harness(design)
        build.prepare(design.clock.mhz, lambda hz: harness, before=_keep(design))
        build.succeed("synthesis", tools.yosys(), [f"{TOP}.ys"], "components.log")
        return components(design, netlist_cells((Path(folder) / "cells.json").read_text()))


def counted(found: Mapping[str, int], board: str) -> dict[str, int]:
    """Return the LUTs, flip-flops and block RAMs of cells."""
    if find_board(board).open:
        return counts(found)
    known = vivado.usage(fpga(board), found)
    return {name: getattr(known, name)[0] for name in ("lut", "ff", "bram")}


def measure(size: Size, multiplier: Multiplier | None, board: str, frames: int) -> list[Row]:
    """Print the row of a size, and return what is fitted to it."""
    design = assembled(size, multiplier, board)
    found = cells(design, board)
    family = fpga(board).family
    array = Counter[str]()
    for name in ("layer.array", "layer.weights"):
        array.update(found.get(name, Counter()))
    used = counted(array, board)
    dsps = sum(DSPS.get(name, 0.0) * number for name, number in array.items())
    engine = design.shape.engines[0]
    guess = usage.engine_parts(engine, family)["array"]
    simulated = ""
    if frames:
        x = np.random.default_rng(3).integers(0, 256, (frames, *design.net.shape))
        run = design.simulate(x.astype(np.uint8))
        assert (run.ii, run.latency) == (design.ii, design.latency)
        assert np.array_equal(run.scores, design.net(x.astype(np.uint8)))
        stalled = design.simulate(x.astype(np.uint8), stalls=(0.3, 0.3), seed=1)
        assert np.array_equal(stalled.scores, run.scores)
        simulated = f" {frames} frames, 0 differ |"
    print(
        f"| {board} | {size} | {multiplier or 'planes'} | {used['lut']} | {used['ff']} |"
        f" {used['bram']} | {dsps:g} | {guess.luts:.0f} / {guess.ffs:.0f} / {guess.dsps} |"
        f"{simulated}",
        flush=True,
    )
    measured = {name: counted(part, board) for name, part in found.items()}
    return [row for row in rows(design, measured, family) if row[0] == "array"]


def fitted(found: Sequence[Row], fabric: str, parts: Sequence[str] = NEW) -> None:
    """Fit the coefficients with these parts of names, with those of all other terms as they are."""
    known = json.loads(COEFFICIENTS.read_text())
    for resource in ("lut", "ff"):
        own, left = known[fabric][resource], []
        for name, features, total in found:
            new = {n: v for n, v in features.items() if any(part in n for part in parts)}
            rest = sum(own.get(n, 0.0) * v for n, v in features.items() if n not in new)
            left.append((name, new, {resource: max(0, round(total[resource] - rest))}))
        own.update(fit_components(left, resource))
        guess = [sum(own.get(n, 0.0) * v for n, v in f.items()) for _, f, _ in found]
        real = np.array([t[resource] for _, _, t in found], float)
        print(f"{fabric} {resource}: {errors(np.array(guess), real)} ({len(found)} arrays)")
    save(known)


def main() -> None:
    """Measure, and fit if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=BOARDS)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--row", type=int, nargs=6, help="measure this size alone")
    parser.add_argument("--frames", type=int, default=0)
    options = parser.parse_args()
    sizes = [Size(*options.row)] if options.row else SIZES
    for fabric in [options.family] if options.family else BOARDS:
        board, found = BOARDS[fabric], []
        kinds: tuple[Multiplier | None, ...] = (None, "dsp", "logic")[options.fit :]
        for size in sizes:
            for kind in kinds:
                product = fpga(board).family.dsp
                each = product.blocks(size.bits, size.weight_bits) if product else 0
                if kind == "dsp" and not (each and fpga(board).dsp_number):
                    continue
                made = measure(size, kind, board, options.frames)
                found += made if kind is not None else []
        if options.fit:
            fitted(found, fabric)


if __name__ == "__main__":
    main()
