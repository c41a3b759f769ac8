"""Every limit of an integer network: the last that passes, and the next that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.ir.verify import verify

FEATURES = 1 << 24
"""Most features of a map; one more is 97 x 257 x 673."""
VALUE = 1 << 49
"""Largest magnitude of a value."""
LEVELS = 1 << 48
"""Most values of an alphabet."""
LEAST, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max

Make = Callable[[Any], ir.IntegerNetwork]
Window = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int, int, int]]


def zeros(*shape: int) -> ir.Ints:
    return np.zeros(shape, np.int64)


def just(value: int) -> ir.Alphabet:
    return ir.Alphabet(value, 1, 1)


def upto(levels: int) -> ir.Alphabet:
    return ir.Alphabet(0, 1, levels)


def net(*layers: ir.Layer, shape: Any = (1, 1, 1), classes: int = 1) -> ir.IntegerNetwork:
    """A network of these layers and scores."""
    return ir.IntegerNetwork("net", shape, (*layers, ir.Scores("scores", zeros(classes))))


def table(alphabet: ir.Alphabet, codes: Any = None) -> ir.InputTable:
    return ir.InputTable("table", zeros(1, 256) if codes is None else codes, alphabet)


def dense(weights: Any, alphabet: ir.Alphabet = ir.TERNARY) -> ir.Conv:
    """Weights of one output for the features of one pixel."""
    return ir.Conv("dense", np.reshape(np.array(weights, np.int64), (1, 1, 1, -1)), alphabet)


def whole(height: int, width: int, channels: int = 1) -> ir.MaxPool:
    """The maxima of a whole map."""
    return ir.MaxPool("whole", ir.Window((height, width)), np.zeros(channels, bool))


def named(name: Any) -> ir.IntegerNetwork:
    return ir.IntegerNetwork(name, (1, 1, 1), (ir.Scores("scores", zeros(1)),))


def layer_named(name: Any) -> ir.IntegerNetwork:
    return net(ir.Flatten("flat"), ir.Flatten(name))


def frame(shape: tuple[int, int, int]) -> ir.IntegerNetwork:
    channels = max(shape[2], 1)
    return net(whole(*shape[:2], channels), shape=shape, classes=channels)


def channels_of_a_map(shape: tuple[int, int, int]) -> ir.IntegerNetwork:
    height, width, channels = shape
    conv = ir.Conv("conv", zeros(channels, 1, 1, 1), ir.TERNARY)
    return net(conv, whole(height, width, channels), shape=(height, width, 1), classes=channels)


def padded_map(height: int) -> ir.IntegerNetwork:
    """A map of one column and, with its padding, so many rows."""
    window = ir.Window((1, 1), (height, 1), pads=(0, 0, height - 1, 0))
    return net(ir.SumPool("pool", window))


def extent(rows: int) -> ir.IntegerNetwork:
    """A window of two taps so far apart, on a map of a single row."""
    return net(ir.SumPool("pool", ir.Window((2, 1), dilation=(rows - 1, 1), pads=(9, 0, 9, 0))))


def max_pool(window: Window, minimum: Any = None) -> ir.IntegerNetwork:
    """Maxima over a map of 4 x 4."""
    marks = np.zeros(1, bool) if minimum is None else minimum
    pool = ir.MaxPool("pool", ir.Window(*window), marks)
    if min(window[1]) < 1:
        return net(pool, shape=(4, 4, 1))
    return net(pool, whole(*ir.Window(*window).output(4, 4)), shape=(4, 4, 1))


def sum_pool(code: Any) -> ir.IntegerNetwork:
    """Sums of a padded map of one pixel with two codes."""
    pool = ir.SumPool("pool", ir.Window((2, 2), pads=(1, 1, 0, 0)), code)
    return net(table(ir.UNIPOLAR), pool)


def thresholds(rows: Any, alphabet: ir.Alphabet = ir.TERNARY) -> ir.IntegerNetwork:
    return net(ir.Threshold("t", rows, alphabet), shape=(1, 1, len(rows)), classes=len(rows))


def ranked(ranks: Any, lo: Any = (0, 0), offsets: Any = (0, 0)) -> ir.IntegerNetwork:
    arrays = [None if a is None else np.array(a, np.int64) for a in (offsets, ranks, lo)]
    return ir.IntegerNetwork("net", (1, 1, 2), (ir.Scores("scores", *arrays),))


def padded_by(value: Any) -> ir.IntegerNetwork:
    return net(ir.Conv("conv", zeros(1, 1, 1, 1), ir.TERNARY, ir.Window(), value))


def int64(*rows: list[int]) -> ir.Ints:
    return np.array(rows, np.int64)


def each(place: int, of: int, rest: int, value: int) -> Any:
    return tuple(value if i == place else rest for i in range(of))


def windows(part: int, of: int, value: int, rest: int) -> list[Window]:
    """Windows of 1 x 1 taps with one number of a part replaced, in each place."""
    plain: list[Any] = [(1, 1), (1, 1), (1, 1), (0, 0, 0, 0)]
    return [(*plain[:part], each(i, of, rest, value), *plain[part + 1 :]) for i in range(of)]


def square(kernel: int, pads: tuple[int, int, int, int]) -> Window:
    return (kernel, kernel), (1, 1), (1, 1), pads


EDGES: dict[str, tuple[Make, list[Any], list[Any], str]] = {
    "name": (named, ["a", "_", "A1"], ["", "1a", "a-b", "é", 3, None], "not an identifier"),
    "layer's name": (layer_named, ["a", "_"], ["", "a b", "é", 3], "not an identifier"),
    "same name": (layer_named, ["flatt"], ["flat", "scores"], "share a name"),
    "frame": (
        frame,
        [(4096, 4096, 1), (1, 1, 1), (1, 2, 3)],
        [(97 * 257, 673, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, -1, 1), (-4, 1, -4)],
        "frames of .* are not possible",
    ),
    "features between layers": (
        channels_of_a_map,
        [(256, 256, 256)],
        [(97, 257, 673)],
        "layer 'conv': features of .* are too many",
    ),
    "padded map": (padded_map, [FEATURES], [FEATURES + 1], "layer 'pool': .* is too large"),
    "extent": (extent, [], [FEATURES + 1, 1 << 40], "layer 'pool': .* is too large"),
    "extent that fits no map": (extent, [19], [20], "layer 'pool': .* does not fit"),
    "shape of a table": (
        lambda shape: net(ir.InputTable("t", zeros(*shape), ir.UINT8), shape=(1, 1, 3), classes=3),
        [(1, 256), (3, 256)],
        [(2, 256), (4, 256), (1, 255), (3, 257), (256, 1), (0, 256), (256,), (1, 1, 256)],
        "layer 't'",
    ),
    "codes of a table": (
        lambda code: net(table(ir.TERNARY, np.full((1, 256), code))),
        [0, 2],
        [-1, 3, LEAST, MOST],
        "code of its table is out of range",
    ),
    "type of a table": (
        lambda kind: net(table(ir.TERNARY, np.zeros((1, 256), kind))),
        [np.int64],
        [np.int32, np.uint64, np.float64, bool],
        "not int64",
    ),
    "value of a code": (
        lambda value: net(table(just(value))),
        [VALUE, -VALUE],
        [VALUE + 1, -VALUE - 1, 1 << 70],
        "layer 'table': .* is too wide",
    ),
    "greatest value of a code": (
        lambda hi: net(table(ir.Alphabet(hi - 5, 5, 2))),
        [VALUE],
        [VALUE + 1],
        "layer 'table': .* is too wide",
    ),
    "levels of a code": (
        lambda levels: net(table(upto(levels))),
        [LEVELS],
        [LEVELS + 1],
        "layer 'table': .* is too wide",
    ),
    "value of a threshold's code": (
        lambda value: thresholds(zeros(1, 0), just(value)),
        [VALUE, -VALUE],
        [VALUE + 1, -VALUE - 1],
        "layer 't': .* is too wide",
    ),
    "alphabet of weights": (
        lambda alphabet: net(table(just(0)), dense([alphabet.lo], alphabet)),
        [just(VALUE), just(-VALUE), upto(LEVELS)],
        [just(VALUE + 1), just(-VALUE - 1), upto(LEVELS + 1)],
        "layer 'dense': .* is too wide",
    ),
    "weights": (
        lambda weights: net(dense(weights, ir.Alphabet(-3, 2, 4)), shape=(1, 1, 2), classes=1),
        [[-3, 3], [-1, 1]],
        [[-3, 4], [-4, 3], [-5, 3], [-3, 5], [0, 1], [-3, LEAST], [MOST, 3], [LEAST, MOST]],
        "layer 'dense': a weight is not in",
    ),
    "type of weights": (
        lambda kind: net(ir.Conv("conv", np.zeros((1, 1, 1, 1), kind), ir.TERNARY)),
        [np.int64],
        [np.int8, np.float32, np.float64, bool],
        "not int64",
    ),
    "shape of weights": (
        lambda shape: net(
            ir.Conv("conv", zeros(*shape), ir.TERNARY), shape=(1, 1, 2), classes=shape[0]
        ),
        [(1, 1, 1, 2), (3, 1, 1, 2)],
        [(1, 1, 1, 1), (1, 1, 1, 3), (1, 1, 2, 2), (1, 2, 1, 2), (0, 1, 1, 2), (1, 1, 2)],
        "layer 'conv'",
    ),
    "width of an accumulator": (
        lambda levels: net(table(ir.UNIPOLAR), dense([levels - 1], just(levels - 1))),
        [LEVELS],
        [LEVELS + 1],
        "layer 'dense': .* is too wide",
    ),
    "padding's value": (
        padded_by,
        [VALUE, -VALUE, 0],
        [VALUE + 1, -VALUE - 1, True, 0.0, np.int64(1), None],
        "no value for padding",
    ),
    "kernel": (max_pool, windows(0, 2, 1, 1), windows(0, 2, 0, 1), "not possible"),
    "stride": (max_pool, windows(1, 2, 1, 1), windows(1, 2, 0, 1), "not possible"),
    "dilation": (max_pool, windows(2, 2, 1, 1), windows(2, 2, 0, 1), "not possible"),
    "pads": (max_pool, windows(3, 4, 0, 0), windows(3, 4, -1, 0), "not possible"),
    "maxima of padding": (
        max_pool,
        [square(2, each(side, 4, 0, 1)) for side in range(4)],
        [square(2, each(side, 4, 0, 2)) for side in range(4)],
        "holds padding only",
    ),
    "kernel and map": (
        lambda kernel: max_pool(square(kernel, (0, 0, 0, 0))),
        [4],
        [5],
        "layer 'pool': pool .* does not fit",
    ),
    "marks": (
        lambda marks: max_pool(square(4, (0, 0, 0, 0)), marks),
        [np.ones(1, bool)],
        [np.ones(2, bool), np.ones((1, 1), bool), np.ones(1, np.int64), [True]],
        "layer 'pool'",
    ),
    "pad code": (sum_pool, [0, 1], [-1, 2, True, 0.0, None], "pad code is out of range"),
    "order of thresholds": (
        thresholds,
        [int64([0, 0]), int64([LEAST, MOST]), int64([-1, 0], [7, 7])],
        [int64([0, -1]), int64([MOST, LEAST]), int64([0, 0], [1, 0])],
        "layer 't': thresholds descend",
    ),
    "shape of thresholds": (
        thresholds,
        [zeros(1, 2)],
        [zeros(1, 1), zeros(1, 3), zeros(2), np.zeros((1, 2)), np.zeros((1, 2), np.int32)],
        "layer 't'",
    ),
    "offset": (
        lambda offset: ir.IntegerNetwork(
            "net", (1, 1, 1), (table(just(0)), ir.Scores("scores", int64(offset)[0]))
        ),
        [[VALUE], [-VALUE]],
        [[VALUE + 1], [-VALUE - 1], [LEAST], [MOST]],
        "layer 'scores': an offset is too large",
    ),
    "classes": (
        lambda classes: net(shape=(1, 1, 2), classes=classes),
        [2],
        [1, 3, 0],
        "layer 'scores'",
    ),
    "rank": (
        ranked,
        [[[0], [-1]], [[LEVELS - 1], [-1]]],
        [[[0], [-2]], [[LEVELS], [-1]], [[-1], [-1]]],
        "a rank is out of range",
    ),
    "classes of ranks": (
        lambda classes: ranked(zeros(classes[0], 3), zeros(classes[1])),
        [(2, 2)],
        [(1, 2), (3, 2), (2, 1), (2, 3)],
        "its ranks are not for 2 classes",
    ),
    "offsets with ranks": (
        lambda offsets: ranked([[0], [0]], offsets=offsets),
        [[0, 0]],
        [[0, 1], [-1, 0]],
        "ranks and offsets",
    ),
    "ranks with their least values": (
        lambda pair: ranked(*pair),
        [(None, None), ([[0], [0]], [0, 0])],
        [(None, [0, 0]), ([[0], [0]], None)],
        "rank_lo",
    ),
}


def cases(which: int) -> list[Any]:
    return [
        pytest.param(edge[0], value, edge[3], id=f"{name}-{i}")
        for name, edge in EDGES.items()
        for i, value in enumerate(edge[which])
    ]


@pytest.mark.parametrize(("make", "value", "message"), cases(1))
def test_the_last_that_fits_is_accepted(make: Make, value: Any, message: str) -> None:
    verify(make(value))


@pytest.mark.parametrize(("make", "value", "message"), cases(2))
def test_the_first_beyond_is_refused(make: Make, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        verify(make(value))


def test_scores_are_last_and_nowhere_else() -> None:
    first, last = ir.Scores("first", zeros(1)), ir.Scores("last", zeros(1))
    for layers in ((), (ir.Flatten("flat"),), (last, ir.Flatten("flat"))):
        with pytest.raises(ValueError, match="the last layer is not a Scores"):
            verify(ir.IntegerNetwork("net", (1, 1, 1), layers))
        with pytest.raises(ValueError, match="the last layer is not a Scores"):
            _ = ir.IntegerNetwork("net", (1, 1, 1), layers).scores
    verify(ir.IntegerNetwork("net", (1, 1, 1), (last,)))
    for between in ((), (ir.Flatten("flat"),), (dense([1]),)):
        with pytest.raises(ValueError, match="layer 'first': scores can only be last"):
            verify(ir.IntegerNetwork("net", (1, 1, 1), (first, *between, last)))


def test_a_table_is_first_and_nowhere_else() -> None:
    verify(net(table(ir.UINT8), ir.Flatten("flat")))
    with pytest.raises(ValueError, match="layer 'table': a table can only be first"):
        verify(net(ir.Flatten("flat"), table(ir.UINT8)))


def test_sums_beyond_64_bits_do_not_wrap_to_small_ones() -> None:
    # 2**15 weights of 2**25 and values of 2**24: a sum of 2**64, which is 0 in 64 bits.
    values, weights = just(1 << 24), np.full(1 << 15, 1 << 25)
    network = net(table(values), dense(weights, just(1 << 25)), shape=(1, 1, 1 << 15))
    with pytest.raises(ValueError, match="layer 'dense': .* is too wide"):
        verify(network)
    padding = ir.Conv(
        "conv",
        np.full((1, 1, 1, 1 << 15), 1 << 25),
        just(1 << 25),
        ir.Window(pads=(1, 0, 0, 0)),
        1 << 24,
    )
    with pytest.raises(ValueError, match="layer 'conv': .* is too wide"):
        verify(net(table(just(0)), padding, whole(2, 1), shape=(1, 1, 1 << 15)))
