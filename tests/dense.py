"""A dense network for tests: signs of the input, then binary layers with random weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from xnorflow import ir


def dense_network(*sizes: int, seed: int) -> ir.IntegerNetwork:
    """Build a network; `sizes` are the inputs, the outputs of each hidden layer, and the scores."""
    rng = np.random.default_rng(seed)
    halves = np.where(np.arange(256) < 128, 0, 1)[None]
    layers: list[ir.Layer] = [ir.InputTable("input", halves, ir.BIPOLAR)]
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        if k:
            thresholds = rng.integers(-4, 5, (inputs, 1))
            layers.append(ir.Threshold(f"sign{k - 1}", thresholds, ir.BIPOLAR))
        weights = rng.choice((-1, 1), (outputs, 1, 1, inputs))
        layers.append(ir.Conv(f"dense{k}", weights, ir.BIPOLAR))
    layers.append(ir.Scores("scores", np.zeros(sizes[-1], np.int64)))
    return ir.IntegerNetwork("dense", (1, 1, sizes[0]), tuple(layers))
