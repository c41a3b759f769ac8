"""Small networks that branch in the ways that published ones do."""

from __future__ import annotations

import numpy as np

from xnorflow import ir

CODES = ir.Alphabet(0, 1, 4)


def conv(
    name: str, channels: int, out: int, size: int = 3, inputs: tuple[str, ...] = ()
) -> ir.Conv:
    """Return a bipolar convolution of the map's own size."""
    weights = np.random.default_rng(sum(map(ord, name))).choice(
        [-1, 1], (out, size, size, channels)
    )
    pad = size // 2
    window = ir.Window((size, size), pads=(pad, pad, pad, pad))
    return ir.Conv(name, weights, ir.BIPOLAR, window, inputs=inputs)


def codes(name: str, channels: int, inputs: tuple[str, ...] = ()) -> ir.Threshold:
    """Return thresholds for two bits."""
    return ir.Threshold(name, np.array([[-3, 0, 4]] * channels), CODES, inputs=inputs)


def table() -> ir.InputTable:
    return ir.InputTable("input", np.arange(256)[None] >> 6, CODES)


def ends(height: int, width: int, channels: int, before: str, number: str = "") -> list[ir.Layer]:
    """Return a layer that sums a whole map, and scores."""
    weights = np.random.default_rng(channels).choice([-1, 1], (3, height, width, channels))
    window = ir.Window((height, width))
    return [
        ir.Conv(f"all{number}", weights, ir.BIPOLAR, window, inputs=(before,)),
        ir.Scores(f"scores{number}", np.array([0, 5, -7])),
    ]


def network(shape: tuple[int, int, int], *layers: ir.Layer) -> ir.IntegerNetwork:
    return ir.IntegerNetwork("net", shape, layers)


def residual() -> ir.IntegerNetwork:
    """Return a residual block: the sum of two convolutions and of what they read."""
    return network(
        (6, 5, 3),
        table(),
        conv("conv0", 3, 4),
        codes("codes0", 4),
        conv("conv1", 4, 4),
        codes("codes1", 4),
        conv("conv2", 4, 4),
        codes("codes2", 4),
        ir.Add("add", np.array([[1], [2]]), inputs=("codes2", "codes0")),
        codes("codes3", 4),
        *ends(6, 5, 4, "codes3"),
    )


def concat() -> ir.IntegerNetwork:
    """Return two branches side by side, behind a pool of the same size."""
    return network(
        (5, 6, 2),
        table(),
        conv("conv0", 2, 4, 1),
        codes("codes0", 4),
        conv("conv1", 2, 6, 3, ("input",)),
        codes("codes1", 6),
        ir.Concat("both", 2, inputs=("codes0", "codes1")),
        ir.MaxPool("pool", ir.Window((2, 2), (2, 2)), np.zeros(10, bool)),
        *ends(2, 3, 10, "pool"),
    )


def gate() -> ir.IntegerNetwork:
    """Return channels that are scaled by a number computed from the whole map."""
    return network(
        (4, 6, 2),
        table(),
        conv("conv0", 2, 4),
        codes("codes0", 4),
        ir.SumPool("sums", ir.Window((4, 6))),
        conv("squeeze", 4, 3, 1),
        codes("codes1", 3),
        conv("excite", 3, 4, 1),
        ir.Threshold("gate", np.array([[-1, 0, 1]] * 4), ir.Alphabet(-1, 1, 4)),
        ir.Multiply("scaled", inputs=("codes0", "gate")),
        codes("codes2", 4),
        *ends(4, 6, 4, "codes2"),
    )


def upsample() -> ir.IntegerNetwork:
    """Return a U: a map of half the size, made larger again, beside the map itself."""
    return network(
        (6, 4, 2),
        table(),
        conv("conv0", 2, 3),
        codes("codes0", 3),
        ir.MaxPool("down", ir.Window((2, 2), (2, 2)), np.zeros(3, bool)),
        conv("conv1", 3, 6),
        codes("codes1", 6),
        ir.Stretch("up", (2, 2), "repeat"),
        ir.Concat("both", 2, inputs=("codes0", "up")),
        *ends(6, 4, 9, "both"),
    )


def two_outputs() -> ir.IntegerNetwork:
    """Return a map of scores and a vector of scores."""
    return network(
        (4, 5, 2),
        table(),
        conv("conv0", 2, 4),
        codes("codes0", 4),
        conv("map", 4, 2, 1),
        ir.Scores("scores_map", np.array([1, -400])),
        *ends(4, 5, 4, "codes0", "1"),
        ir.AllScores("all_scores", inputs=("scores_map", "scores1")),
    )


def nested() -> ir.IntegerNetwork:
    """Return a diamond within a diamond; sums are read by thresholds and by a join."""
    return network(
        (5, 5, 2),
        conv("conv0", 2, 4),
        codes("codes0", 4, ("conv0",)),
        conv("conv1", 4, 4),
        codes("codes1", 4),
        conv("conv2", 4, 4, 1, ("codes1",)),
        conv("conv3", 4, 4, 3, ("codes1",)),
        ir.Maximum("inner", np.array([[1], [-1]]), inputs=("conv2", "conv3")),
        ir.Add("outer", np.array([[1], [3]]), inputs=("conv0", "inner")),
        codes("codes2", 4),
        *ends(5, 5, 4, "codes2"),
    )


SMALL = {f.__name__: f for f in (residual, concat, gate, upsample, two_outputs, nested)}
"""Functions that return a network, by name."""
