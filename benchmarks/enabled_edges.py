"""Accuracy of a ternary residual network against the number of enabled edges.

A network that `xnorflow train trn` wrote is compiled once. For every number of edges, all test
images run in the golden model and in the Verilog, whose port has that number; then they run once
more with another number for every frame, under stalls. Beside it are the ternary weights and the
factors that a frame is multiplied by, and the estimated size of a design that is built with only so
many edges.

Run: python benchmarks/enabled_edges.py MODEL.onnx [--data D] [--board B] [--cycles N] [--limit N]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import xnorflow as xf
from xnorflow import ir
from xnorflow.errors import XnorflowError
from xnorflow.train.data_sets import read_data_set


def first_edges(net: ir.IntegerNetwork, count: int) -> ir.IntegerNetwork:
    """Return the network whose layers have no edges but the first `count`."""
    layers = []
    for layer in net.layers:
        if isinstance(layer, ir.Conv) and layer.edges is not None:
            kept = layer.edges[:count]
            layer = replace(layer, weights=kept.sum(0), edges=kept if len(kept) > 1 else None)
        layers.append(layer)
    return replace(net, layers=tuple(layers))


def work(net: ir.IntegerNetwork, count: int, group: int) -> tuple[int, int]:
    """Return the ternary weights that a frame meets, and the products with factors."""
    weights = factors = 0
    for layer, _, out in net:
        if isinstance(layer, ir.Conv):
            edges = layer.weights[None] if layer.edges is None else layer.edges[:count]
            pixels = out.height * out.width
            per_edge = layer.weights.size
            runs = per_edge // layer.weights.shape[3] * -(-layer.weights.shape[3] // group)
            weights += pixels * len(edges) * per_edge
            factors += pixels * len(edges) * runs
    return weights, factors


def main() -> None:
    """Print a row for every number of edges."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--board", default="ulx3s-85f")
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--limit", type=int, help="Verilog of this many frames")
    parser.add_argument("--group", type=int, default=16, help="channels that share a factor")
    options = parser.parse_args()
    data = read_data_set(options.data, None)
    net = xf.load(options.model, edges=True)
    design = xf.compile(net, board=options.board, cycles=options.cycles)
    x, y = data.x_test, data.y_test
    few = slice(options.limit)
    print(
        "| enabled edges | ternary weights, factors per frame | right, golden model | right,"
        " Verilog | frames, scores that differ | II, latency | LUT, FF, block RAM, DSP of a design"
        " with these edges alone, estimated |"
    )
    print("|" + "---|" * 7)
    for count in range(1, net.edge_count + 1):
        scores = net(x, edges=count)
        run = design.simulate(x[few], edges=count, check=False)
        differ = int((run.scores != scores[few]).sum())
        weights, factors = work(net, count, options.group)
        try:
            alone = xf.compile(
                first_edges(net, count), board=options.board, cycles=options.cycles
            ).summary()["resources"]
            size = ", ".join(str(alone.get(name, 0)) for name in ("lut", "ff", "bram", "dsp"))
        except XnorflowError as e:
            size = str(e)
        print(
            f"| {count} | {weights:,}, {factors:,} | {(scores.argmax(1) == y).mean():.2%} |"
            f" {(run.labels == y[few]).mean():.2%} | {len(run.labels):,}, {differ} |"
            f" {run.ii:,}, {run.latency:,} | {size} |",
            flush=True,
        )
    edges = np.arange(len(x[few])) * 7 % net.edge_count + 1
    run = design.simulate(x[few], edges=edges, stalls=(0.3, 0.3), check=False)
    differ = int((run.scores != net(x[few], edges=edges)).sum())
    print(
        f"| another number for every frame, under stalls | | | {(run.labels == y[few]).mean():.2%}"
        f" | {len(run.labels):,}, {differ} | | |"
    )


if __name__ == "__main__":
    main()
