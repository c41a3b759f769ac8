"""Compare a depthwise layer with the dense one that has zeros for the weights of other channels.

Both compute the same function of binary activations and weights: 3 x 3 taps, zero padding, a
threshold per channel. For each speed the narrowest folding of each is synthesised with its
components as modules, and the cells of the layer's own stage are counted; the model's estimate of
the same stage stands beside them.

Run: python benchmarks/grouped.py [--board B] [--channels N] [--size N] [--at-once N ...]
"""

from __future__ import annotations

import argparse

import numpy as np
from single_layer import LAYER, WINDOW, measured, network

from xnorflow import ir
from xnorflow.folding import narrowest
from xnorflow.graph.ops import widened
from xnorflow.plan.layer_rules import reductions


def layer_of(channels: int, size: int, *, dense: bool) -> ir.IntegerNetwork:
    """Build the network of the layer, of either kind."""
    rng = np.random.default_rng(1)
    weights = rng.choice([-1, 1], (channels, 3, 3, 1))
    if dense:
        layer = ir.Conv(LAYER, widened(weights, channels), ir.TERNARY, WINDOW)
    else:
        layer = ir.Conv(LAYER, weights, ir.BIPOLAR, WINDOW, groups=channels)
    return network(layer, rng.integers(-4, 5, (channels, 1)), size)


def main() -> None:
    """Print a line per speed and kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="ulx3s-85f")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4, 8, 32])
    options = parser.parse_args()
    print("cycles | layer | PE | SIMD | weight bits | LUT | FF | block RAM | estimated LUT, FF")
    for at_once in options.at_once:
        for dense in (True, False):
            net = layer_of(options.channels, options.size, dense=dense)
            cycles = options.size**2 * 9 * -(-options.channels // at_once)
            fold = narrowest.fold_reduction(reductions(net)[0], cycles, 1)
            assert fold is not None
            made = measured(net, options.board, fold, cycles)
            print(
                f"{made.engine.cycles:,} | {'dense' if dense else 'depthwise'} | {fold.pe} |"
                f" {fold.simd} | {made}",
                flush=True,
            )
            for name, cells in made.parts.items():
                print(f"    {name}: {cells}", flush=True)


if __name__ == "__main__":
    main()
