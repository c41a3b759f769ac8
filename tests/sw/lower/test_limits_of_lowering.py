"""Each refusal of lowering: the last that is accepted, and the first that is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import Window
from xnorflow.lower import evaluate, lower, pending, scores, write_layers
from xnorflow.lower.evaluate import Expression, Reach, steps
from xnorflow.lower.pads import check_pool, resolve_pads
from xnorflow.lower.passes import check_constants, output_shape

WHERE = g.Op(node="here", op="Quant")
INF, NAN = np.inf, np.nan
TINY, HUGE = 2.0**-149, float(np.finfo(np.float32).max)
"""The least float32 above 0, and the greatest."""

Make = Callable[[Any], Any]


def f32(a: Any) -> Any:
    return np.asarray(a, np.float32)


def graph(*ops: g.Op, shape: tuple[int, int, int] = (1, 1, 2), scale: float = 1.0) -> g.Graph:
    return g.Graph("net", shape, ops, InputScale(scale))


def dense(*rows: list[int], **fields: Any) -> g.ConvOp:
    """A dense layer with these weights of each output."""
    weights = np.array(rows, np.int64)[:, None, None, :]
    fields = {"scale": f32(1), **fields}
    return g.ConvOp(weights, node="dense", op="Conv", **fields)


def norm(**fields: Any) -> g.BatchNormOp:
    parameters = {name: f32([1, 1]) for name in ("gamma", "beta", "mean", "var")}
    return g.BatchNormOp(**{**parameters, "epsilon": 0.0, **fields}, node="n", op="BatchNorm")


def quant(scale: Any, zero: Any = 0.0) -> g.QuantOp:
    return g.QuantOp(f32(scale), f32(zero), 4.0, True, False, node="q", op="Quant")


CONSTANTS: dict[str, tuple[Make, list[Any], list[Any], str]] = {
    "scale of the input": (
        lambda scale: graph(scale=scale),
        [TINY, 1 / 255, HUGE],
        [0.0, 2.0**-151, -TINY, -1.0, INF, 2 * HUGE, NAN],
        "the input scale .* is not a positive number",
    ),
    "scale of weights": (
        lambda scale: graph(dense([1, 1], [1, 1], scale=f32(scale))),
        [TINY, HUGE, [TINY, 1]],
        [0, -0.0, -TINY, [1, 0], [-1, 1]],
        "'dense'.*weight scale is not positive",
    ),
    "scale of a quantiser": (
        lambda scale: graph(quant(scale)),
        [TINY, HUGE, [TINY, 1]],
        [0, -0.0, [1, 0]],
        "'q'.*its scale is zero",
    ),
    "divisor": (
        lambda value: graph(g.DivideOp(f32(value), node="d", op="Div")),
        [TINY, -TINY, [TINY, HUGE]],
        [0, -0.0, [1, 0]],
        "'d'.*divides by zero",
    ),
    "variance": (
        lambda pair: graph(norm(var=f32(pair[0]), epsilon=pair[1])),
        [([TINY, 1], 0.0), ([0, 0], TINY), ([-1, 1], 1 + 2.0**-23)],
        [([0, 1], 0.0), ([-TINY, 1], TINY), ([-1, 1], 1 - 2.0**-24), ([1, -1], 0.0)],
        "'n'.*variance plus epsilon is not positive",
    ),
    "not a number": (
        lambda value: graph(norm(beta=f32([0, value]))),
        [HUGE, -HUGE],
        [NAN],
        "'n'.*its beta holds NaN",
    ),
    "infinity": (
        lambda value: graph(g.AddOp(f32(value), node="a", op="Add")),
        [HUGE, -HUGE],
        [INF, -INF, [0, INF]],
        "'a'.*its value holds infinity",
    ),
    "bounds that may be infinite": (
        lambda value: graph(g.ClipOp(-value, value, node="c", op="Clip")),
        [INF, HUGE],
        [NAN],
        "'c'.*its lo holds NaN",
    ),
    "thresholds that may be infinite": (
        lambda value: graph(g.MultiThresholdOp(f32([[value]]), node="m", op="MultiThreshold")),
        [INF, -INF],
        [NAN],
        "'m'.*its thresholds holds NaN",
    ),
    "entries for two channels": (
        lambda count: graph(g.AddOp(f32(np.ones(count)), node="a", op="Add")),
        [1, 2],
        [0, 3, 4],
        "'a'.*its value has . entries for 2 channels",
    ),
    "entries after a layer": (
        lambda count: graph(dense([1, 1], [1, 1], [1, 1]), g.AddOp(f32(np.ones(count)))),
        [1, 3],
        [2, 4],
        "its value has . entries for 3 channels",
    ),
}


def cases(table: dict[str, tuple[Make, list[Any], list[Any], str]], which: int) -> list[Any]:
    return [
        pytest.param(row[0], value, row[3], id=f"{name}-{i}")
        for name, row in table.items()
        for i, value in enumerate(row[which])
    ]


@pytest.mark.parametrize(("make", "value", "message"), cases(CONSTANTS, 1))
def test_constants_that_can_be_computed_with(make: Make, value: Any, message: str) -> None:
    made = make(value)
    assert check_constants(made) is made


@pytest.mark.parametrize(("make", "value", "message"), cases(CONSTANTS, 2))
def test_constants_that_cannot(make: Make, value: Any, message: str) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        check_constants(make(value))


@pytest.mark.parametrize("kind", [g.MaxPoolOp, g.AveragePoolOp])
def test_a_window_may_be_as_large_as_the_padded_map(kind: Any) -> None:
    def shape_of(kernel: tuple[int, int], dilation: tuple[int, int]) -> Any:
        window = Window(kernel, (2, 3), dilation, (1, 0, 0, 1))
        return output_shape(kind(window, node="p", op="Pool"), (4, 6, 5))

    assert shape_of((5, 7), (1, 1)) == (1, 1, 5)
    assert shape_of((3, 3), (2, 3)) == (1, 1, 5)
    assert shape_of((3, 4), (1, 1)) == (2, 2, 5)
    for kernel, dilation in (((6, 7), (1, 1)), ((5, 8), (1, 1)), ((3, 3), (3, 3))):
        with pytest.raises(UnsupportedModel, match="Pool node 'p'.*does not fit a map of 4 x 6"):
            shape_of(kernel, dilation)


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_pool_keeps_one_tap_on_the_map(side: int, dilation: int) -> None:
    def check(amount: int) -> None:
        pads: Any = tuple(amount if s == side else 0 for s in range(4))
        window = Window((2, 2), (1, 1), (dilation, dilation), pads)
        check_pool(g.MaxPoolOp(window, node="p", op="MaxPool"), 5, 4)

    check(0)
    check(dilation)
    with pytest.raises(UnsupportedModel, match="MaxPool node 'p'.*nothing but padding"):
        check(dilation + 1)


@pytest.mark.parametrize(
    ("alphabet", "code"),
    [
        (ir.Alphabet(0, 1, 2), 0),
        (ir.Alphabet(-1, 1, 2), 1),
        (ir.Alphabet(-6, 3, 3), 2),
        (ir.Alphabet(1, 1, 2), None),
        (ir.Alphabet(-2, 1, 2), None),
        (ir.BIPOLAR, None),
        (ir.Alphabet(-6, 4, 3), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("padded", [True, False])
def test_padded_sums_need_a_code_of_zero(
    alphabet: ir.Alphabet, code: int | None, padded: bool
) -> None:
    pool = ir.SumPool("pool", ir.Window((1, 1), pads=(0, 0, 0, int(padded))), sources=("avg",))
    table = ir.InputTable("input", np.zeros((1, 256), np.int64), alphabet)
    net = ir.IntegerNetwork("net", (1, 1, 1), (table, pool))
    if padded and code is None:
        with pytest.raises(UnsupportedModel, match="AveragePool node 'avg'.*padding of 0"):
            resolve_pads(net)
    else:
        resolved = resolve_pads(net).layers[1]
        assert isinstance(resolved, ir.SumPool) and resolved.pad_code == (code if padded else 0)


@pytest.mark.parametrize("wrong", [(3, 2, 2, 4), (3, 2, 2, 6), (3, 1, 2, 5), (3, 2, 3, 5)])
def test_weights_fit_their_kernel_and_channels(wrong: tuple[int, ...]) -> None:
    def shape_of(weights: tuple[int, ...]) -> Any:
        ones = np.ones(weights, np.int64)
        return output_shape(g.ConvOp(ones, f32(1), Window((2, 2)), node="c", op="Conv"), (4, 6, 5))

    assert shape_of((3, 2, 2, 5)) == (3, 5, 3)
    with pytest.raises(UnsupportedModel, match="'c'.*its input has 5 channels"):
        shape_of(wrong)


UNIPOLAR = g.MultiThresholdOp(f32([[128]]))
BIPOLAR = g.MultiThresholdOp(f32([[128]]), 2.0, -1.0)


@pytest.fixture
def twelve_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accumulators of 12 bits, so that all their values are soon evaluated."""
    assert write_layers.MANTISSA == 24
    monkeypatch.setattr(write_layers, "MANTISSA", 12)


@pytest.mark.usefixtures("twelve_bits")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("codes", "last"), [(UNIPOLAR, 4095), (BIPOLAR, 2047)])
def test_accumulators_are_no_wider_than_floats_hold(codes: g.Op, last: int, sign: int) -> None:
    # Of bipolar codes the distance of the least and the greatest sum counts.
    net = lower(graph(codes, dense([sign * last], [sign]), shape=(1, 1, 1)))
    low, high = net.features[2].alphabet.lo, net.features[2].alphabet.hi
    assert max(abs(low), abs(high)) == last
    with pytest.raises(UnsupportedModel, match="'dense'.*accumulators go from .* 12 bits"):
        lower(graph(codes, dense([sign * (last + 1)], [sign]), shape=(1, 1, 1)))


@pytest.mark.usefixtures("twelve_bits")
@pytest.mark.parametrize("sign", [1, -1])
def test_accumulators_far_from_zero_count_from_there(sign: int) -> None:
    one_or_two = g.MultiThresholdOp(f32([[128]]), 1.0, 1.0)
    net = lower(graph(one_or_two, dense([sign * 2047], [sign * 2046]), shape=(1, 1, 1)))
    low, high = net.features[2].alphabet.lo, net.features[2].alphabet.hi
    assert sorted((abs(low), abs(high))) == [2046, 2 * 2047]
    with pytest.raises(UnsupportedModel, match="'dense'.*accumulators go from .* 12 bits"):
        lower(graph(one_or_two, dense([sign * 2048], [sign * 2047]), shape=(1, 1, 1)))


@pytest.mark.usefixtures("twelve_bits")
@pytest.mark.parametrize(("size", "fits"), [((63, 65), True), ((64, 64), False)])
def test_sums_of_pools_are_no_wider_either(size: tuple[int, int], fits: bool) -> None:
    pool = g.AveragePoolOp(Window(size), node="avg", op="AveragePool")
    network = graph(UNIPOLAR, pool, dense([1]), shape=(*size, 1))
    if fits:
        assert lower(network).features[2].alphabet.hi == 4095
    else:
        with pytest.raises(UnsupportedModel, match="'avg'.*sums take more than 12 bits"):
            lower(network)


@pytest.mark.parametrize(("levels", "fits"), [(1 << 16, True), ((1 << 16) + 1, False)])
def test_a_layer_reads_16_bits(levels: int, fits: bool) -> None:
    # The dense layer ahead gives 0 to levels - 1, the next one reads that without a quantiser.
    ops = (UNIPOLAR, dense([levels - 2, 1]), dense([1], [-1]))
    if fits:
        assert lower(graph(*ops)).features[2].alphabet.levels == levels
    else:
        with pytest.raises(UnsupportedModel, match="'dense'.*its inputs have 17 bits"):
            lower(graph(*ops))


@pytest.mark.parametrize("exhaustive", [evaluate.EXHAUSTIVE, 0])
@pytest.mark.parametrize(("last", "fits"), [(65535, True), (65536, False)])
def test_a_channel_takes_65536_values(
    monkeypatch: pytest.MonkeyPatch, exhaustive: int, last: int, fits: bool
) -> None:
    monkeypatch.setattr(evaluate, "EXHAUSTIVE", exhaustive)
    reach = Reach(np.zeros(1, np.int64), np.array([last]))
    if fits:
        assert len(steps(Expression(np.array(1.0)), reach, WHERE).at) == last
    else:
        with pytest.raises(UnsupportedModel, match="'here'.*not quantised"):
            steps(Expression(np.array(1.0)), reach, WHERE)


@pytest.mark.parametrize(("limit", "fits"), [(32, True), (31, False)])
def test_thresholds_are_counted_in_all_channels(
    monkeypatch: pytest.MonkeyPatch, limit: int, fits: bool
) -> None:
    monkeypatch.setattr(pending, "MAX_THRESHOLDS", limit)
    # Two channels of 16 levels.
    network = graph(UNIPOLAR, dense([99, 1], [1, -99]), quant(1), dense([1, 1], [-1, 1]))
    if fits:
        layer = lower(network).layers[2]
        assert isinstance(layer, ir.Threshold) and layer.thresholds.size == 2 * 15
    else:
        with pytest.raises(UnsupportedModel, match="'q'.*16 levels in 2 channels are too many"):
            lower(network)


SCORED = Reach(np.array([-10, -8]), np.array([10, 9]), 1)
SLOPES = (g.MultiplyOp(f32([1, 2])),)
"""Needs ranks: no offset makes two slopes alike."""


@pytest.mark.parametrize(
    ("limit", "ops", "count"),
    [
        ("MAX_VALUES", (), 2 * 21),
        ("MAX_VALUES", SLOPES, 2 * 21),
        ("MAX_RANKS", SLOPES, 2 * 21),
    ],
)
def test_scores_are_counted(
    monkeypatch: pytest.MonkeyPatch, limit: str, ops: tuple[g.Elementwise, ...], count: int
) -> None:
    expression = Expression(np.array(1.0), ops)
    monkeypatch.setattr(scores, limit, count)
    assert (scores.find(expression, SCORED, WHERE).ranks is None) == (not ops)
    monkeypatch.setattr(scores, limit, count - 1)
    with pytest.raises(UnsupportedModel, match=f"'here'.*a table of {count} entries"):
        scores.find(expression, SCORED, WHERE)


@pytest.mark.parametrize(("ops", "count"), [((), 21), (SLOPES, 28)])
def test_a_large_table_of_floats_is_left_out(
    monkeypatch: pytest.MonkeyPatch, ops: tuple[g.Elementwise, ...], count: int
) -> None:
    expression = Expression(np.array(1.0), ops)
    monkeypatch.setattr(scores, "MAX_FLOATS", count)
    kept = scores.find(expression, SCORED, WHERE)
    assert kept.floats is not None and len(kept.floats) == count
    monkeypatch.setattr(scores, "MAX_FLOATS", count - 1)
    left_out = scores.find(expression, SCORED, WHERE)
    assert left_out.floats is None
    np.testing.assert_array_equal(left_out.offsets, kept.offsets)


def test_a_staircase_is_monotone_to_its_last_step() -> None:
    # Above 2**24 every other integer is a float.
    top = (1 << 24) - 2
    reach = Reach(np.array([top]), np.array([top + 5]))
    found = steps(Expression(np.array(1.0)), reach, WHERE)
    assert found.at.tolist() == [top + 1, top + 2, top + 4, top + 5]
    assert found.after.tolist() == [top + 1, top + 2, top + 4, top + 6]


def test_a_map_of_pixels_is_no_score() -> None:
    def network(height: int, width: int) -> g.Graph:
        return graph(UNIPOLAR, dense([1], [-1]), shape=(height, width, 1))

    assert lower(network(1, 1)).scores.offsets.tolist() == [0, 0]
    for height, width in ((1, 2), (2, 1)):
        with pytest.raises(UnsupportedModel, match=f"ends in a map of {height} x {width}"):
            lower(network(height, width))
