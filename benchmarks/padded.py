"""Cycles of a padded convolution over LUTs, at one pixel a cycle and at several.

The layer has binary weights, 3 x 3 taps and zeros around a map of bipolar values, so that padding
is no value of its input. For each target the cheapest folding is taken, once of those with one
pixel at once and once of all, as the search for a board prices them: by the resource model, with a
price for block RAM. With `--synthesise` the layer's own stage goes through Yosys at the foldings
found for the targets that follow.

Run: python benchmarks/padded.py [--board B] [--channels N] [--size N] [--targets CYCLES ...]
     python benchmarks/padded.py --synthesise 9216 4608 1152
     python benchmarks/padded.py --folds 16,16,4     # padded with 0 and with 1, a value, in Yosys
"""

from __future__ import annotations

import argparse

import numpy as np
from single_layer import LAYER, WINDOW, measured, network

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.devices.tables import fpga
from xnorflow.folding.costs import EngineOptions, Prices
from xnorflow.folding.narrowest import MAX_PIXELS
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold

TARGETS = (73728, 36864, 18432, 9216, 6912, 4608, 3456, 2304, 1152)


def layer_of(channels: int, size: int, pad: int = 0) -> ir.IntegerNetwork:
    """Build the network of the layer, with drawn weights and thresholds."""
    rng = np.random.default_rng(1)
    weights = rng.choice([-1, 1], (channels, 3, 3, channels))
    layer = ir.Conv(LAYER, weights, ir.BIPOLAR, WINDOW, pad)
    return network(layer, rng.integers(-9, 10, (channels, 1)), size)


class Layer:
    """The layer's foldings on a board."""

    def __init__(self, board: str, channels: int, size: int) -> None:
        self.net, self.board = layer_of(channels, size), board
        self.family = fpga(board).family
        part = reductions(self.net)[0]
        folds = (Fold(1, 1), Fold(1, 1))
        example = assembler(self.net, board, clock_for(board, None))(folds, 0).shape.engines[0]
        self.options = {
            pixels: EngineOptions(part, example, self.family, pixels) for pixels in (1, MAX_PIXELS)
        }

    def cheapest(self, cycles: int, pixels: int) -> tuple[Fold, str] | None:
        """Return the cheapest folding for a target and what it takes, if one reaches it."""
        options = self.options[pixels]
        cost = options.cost(cycles, Prices(block=self.family.block_luts.use()))
        best = int(cost.argmin())
        if not np.isfinite(cost[best]):
            return None
        luts, ffs, blocks = options.takes[best]
        fold = options.folds[best]
        text = f"{fold.pe}, {fold.simd}, {fold.pixels} | {options.cycles[best]:,}"
        return fold, f"{text} | {luts:,.0f} | {ffs:,.0f} | {blocks:,.0f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--board", default="pynq-z1")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--targets", type=int, nargs="+", default=TARGETS, metavar="CYCLES")
    parser.add_argument("--synthesise", type=int, nargs="+", default=(), metavar="CYCLES")
    parser.add_argument("--folds", nargs="+", default=(), metavar="PE,SIMD,PIXELS")
    options = parser.parse_args()
    for text in options.folds:
        fold = Fold(*map(int, text.split(",")))
        for pad in (0, 1):
            net = layer_of(options.channels, options.size, pad)
            print(f"| {text} | {pad} | {measured(net, options.board, fold, 100_000)} |", flush=True)
    if options.folds:
        return
    layer = Layer(options.board, options.channels, options.size)
    if not options.synthesise:
        names = "PE, SIMD, pixels | cycles | LUT | FF | block RAM"
        print(f"| at most | one pixel: {names} | several: {names} |")
        print("|" + "---|" * 11)
    for target in options.synthesise or options.targets:
        found = [layer.cheapest(target, pixels) for pixels in (1, MAX_PIXELS)]
        if not options.synthesise:
            none = "out of reach" + " | –" * 4
            print(f"| {target:,} | " + " | ".join(f[1] if f else none for f in found) + " |")
            continue
        for fold in dict.fromkeys(f[0] for f in found if f):
            made = measured(layer.net, options.board, fold, target)
            print(f"| {target:,} | {fold.pe}, {fold.simd}, {fold.pixels} | {made} |", flush=True)


if __name__ == "__main__":
    main()
