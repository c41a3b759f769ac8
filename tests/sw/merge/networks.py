"""Small networks whose layers can become one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.small_graphs import codes, conv, network, table

from xnorflow import ir
from xnorflow.ir.alphabet import weight_alphabet

CODED = "input"


def every(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> bool:
    """Take every merge."""
    return True


def signs(name: str, channels: int, inputs: tuple[str, ...] = ()) -> ir.Threshold:
    """Return a threshold per channel for signs."""
    limits = np.random.default_rng(sum(map(ord, name))).integers(-2, 3, (channels, 1))
    return ir.Threshold(name, limits, ir.BIPOLAR, inputs=inputs)


def weighted(name: str, weights: object, inputs: tuple[str, ...] = ()) -> ir.Conv:
    """Return a layer of one pixel with weights [out, in]."""
    found = np.asarray(weights, np.int64)[:, None, None, :]
    return ir.Conv(name, found, weight_alphabet(found), inputs=inputs)


def pick(name: str, first: int, count: int, channels: int) -> ir.Conv:
    """Return the layer that makes a map of some channels of the coded samples."""
    weights = np.eye(channels, dtype=np.int64)[first : first + count]
    return weighted(name, weights, inputs=(CODED,))


def ensemble(members: int = 3, *, flat: bool = True) -> ir.IntegerNetwork:
    """Return equal chains that read the coded samples, and the sum of their scores."""
    layers: list[ir.Layer] = [table()]
    for k in range(members):
        layers += [
            conv(f"a{k}", 2, 4, inputs=(CODED,)),
            signs(f"s{k}", 4),
            conv(f"b{k}", 4, 6),
            codes(f"t{k}", 6),
            ir.MaxPool(f"pool{k}", ir.Window((2, 2), (2, 2)), np.arange(6) % 2 == k % 2),
        ]
        if flat:
            layers += [ir.Flatten(f"flat{k}"), conv(f"last{k}", 24, 3, 1)]
        else:
            layers += [replace(conv(f"last{k}", 6, 3, 2), window=ir.Window((2, 2)))]
    multiply = np.array([[1], [2], [-1], [3]])[:members]
    names = tuple(f"last{k}" for k in range(members))
    layers += [ir.Add("add", multiply, inputs=names), ir.Scores("scores", np.array([0, 5, -7]))]
    return network((4, 4, 2), *layers)


def committee(members: int = 5, classes: int = 3) -> ir.IntegerNetwork:
    """Return perceptrons whose signs are added for each class."""
    layers: list[ir.Layer] = [table()]
    for k in range(members):
        layers += [conv(f"p{k}", 12, classes, 1, inputs=(CODED,)), signs(f"s{k}", classes)]
    names = tuple(f"s{k}" for k in range(members))
    layers += [
        ir.Add("votes", np.ones((members, 1), np.int64), inputs=names),
        ir.Scores("scores", np.arange(classes)),
    ]
    return network((1, 1, 12), *layers)


def cores(number: int = 3) -> ir.IntegerNetwork:
    """Return cores of which each reads four channels of the coded samples."""
    channels = 4 * number
    layers: list[ir.Layer] = [table()]
    for k in range(number):
        layers += [
            pick(f"part{k}", 4 * k, 4, channels),
            conv(f"core{k}", 4, 2, 1),
            signs(f"s{k}", 2),
        ]
    layers += [
        ir.Concat("concat", 2, inputs=tuple(f"s{k}" for k in range(number))),
        conv("last", 2 * number, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    ]
    return network((1, 1, channels), *layers)


def beside() -> ir.IntegerNetwork:
    """Return two equal convolutions and another one, side by side."""
    return network(
        (4, 4, 2),
        table(),
        conv("one", 2, 4, 1, inputs=(CODED,)),
        signs("s1", 4),
        conv("two", 2, 3, 1, inputs=(CODED,)),
        signs("s2", 3),
        conv("three", 2, 4, 3, inputs=(CODED,)),
        signs("s3", 4),
        ir.Concat("concat", 2, inputs=("s1", "s2", "s3")),
        ir.Flatten("flat"),
        conv("last", 11 * 16, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    )


def ternary_sums() -> ir.IntegerNetwork:
    """Return the sum of two ternary convolutions with factors, and of what they read."""
    rng = np.random.default_rng(8)
    window = ir.Window((3, 3), pads=(1, 1, 1, 1))
    weights = rng.integers(-1, 2, (2, 4, 3, 3, 4))
    return network(
        (4, 4, 2),
        table(),
        conv("stem", 2, 4, 1),
        signs("s", 4),
        ir.Conv("coarse", weights[0], ir.TERNARY, window),
        ir.Conv("fine", weights[1], ir.TERNARY, window, inputs=("s",)),
        ir.Add("add", np.array([[2] * 4, [1, -1, 1, 3], [5] * 4]), inputs=("coarse", "fine", "s")),
        codes("t", 4),
        ir.Flatten("flat"),
        conv("last", 64, 3, 1),
        ir.Scores("scores", np.array([0, 5, -7])),
    )
