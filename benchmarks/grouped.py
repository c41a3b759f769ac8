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
from count_cells import apart

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for
from xnorflow.devices.tables import fpga
from xnorflow.folding import narrowest
from xnorflow.graph.ops import widened
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.usage import engine_resources

LAYER = "layer"


def network(channels: int, size: int, *, dense: bool) -> ir.IntegerNetwork:
    """Build the layer between an input table and a sum over the frame."""
    rng = np.random.default_rng(1)
    weights = rng.choice([-1, 1], (channels, 3, 3, 1))
    window = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
    if dense:
        layer = ir.Conv(LAYER, widened(weights, channels), ir.TERNARY, window)
    else:
        layer = ir.Conv(LAYER, weights, ir.BIPOLAR, window, groups=channels)
    layers = (
        ir.InputTable("samples", np.arange(256)[None] // 128, ir.BIPOLAR),
        layer,
        ir.Threshold("sign", rng.integers(-4, 5, (channels, 1)), ir.BIPOLAR),
        ir.SumPool("pool", ir.Window((size, size))),
        ir.Scores("scores", np.zeros(channels, np.int64)),
    )
    return ir.IntegerNetwork("net", (size, size, channels), layers)


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
            net = network(options.channels, options.size, dense=dense)
            parts = reductions(net)
            cycles = options.size**2 * 9 * -(-options.channels // at_once)
            fold = narrowest.fold_reduction(parts[0], cycles, 1)
            assert fold is not None
            build = assembler(net, options.board, clock_for(options.board, None))
            made = build((fold, Fold(fold.pe, fold.pe)), cycles)
            found = apart(made, options.board)
            own = [cells for name, cells in found.items() if name.startswith(f"{LAYER}.")]
            lut, ff, ram = (sum(cells[n] for cells in own) for n in ("lut", "ff", "bram"))
            engine = made.shape.engines[0]
            guess = engine_resources(engine, fpga(options.board).family)
            print(
                f"{engine.cycles:,} | {'dense' if dense else 'depthwise'} | {fold.pe} | {fold.simd}"
                f" | {engine.rom_depth * engine.rom_width:,} | {lut:,} | {ff:,} | {ram}"
                f" | {guess.luts:,.0f}, {guess.ffs:,.0f}",
                flush=True,
            )
            for name, cells in found.items():
                if name.startswith(f"{LAYER}."):
                    print(f"    {name}: {cells}", flush=True)


if __name__ == "__main__":
    main()
