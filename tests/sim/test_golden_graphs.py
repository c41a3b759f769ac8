"""The golden model of networks that branch against plain loops over every feature."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.ir.stretches import Fill
from xnorflow_sim import golden

from ..graph_strategies import GraphCase, graph_cases
from .test_golden import layer as layer_of_a_chain

Map = dict[tuple[int, ...], int]


def at(x: Map, f: ir.Features, y: int, xx: int, c: int) -> int:
    """Return a value of a map that is joined, of its only pixel or channel if it has one."""
    return x[min(y, f.height - 1), min(xx, f.width - 1), min(c, f.channels - 1)]


def join(layer: ir.Join, maps: list[Map], inputs: list[ir.Features], out: ir.Features) -> Map:
    """Compute a join of one frame, feature by feature, in Python's integers."""
    if isinstance(layer, ir.AllScores):
        every = [value for x in maps for value in x.values()]
        return {(0, 0, c): value for c, value in enumerate(every)}
    result = {}
    for y, xx, c in product(*map(range, out.shape)):
        if isinstance(layer, ir.Concat):
            place, which = [y, xx, c], 0
            while place[layer.axis] >= inputs[which].shape[layer.axis]:
                place[layer.axis] -= inputs[which].shape[layer.axis]
                which += 1
            result[y, xx, c] = maps[which][tuple(place)]
            continue
        values = [at(x, f, y, xx, c) for x, f in zip(maps, inputs, strict=True)]
        if isinstance(layer, ir.Add | ir.Maximum):
            factors = [int(row[c if len(row) > 1 else 0]) for row in layer.multiply]
            values = [m * v for m, v in zip(factors, values, strict=True)]
        match layer:
            case ir.Add():
                result[y, xx, c] = sum(values)
            case ir.Multiply():
                result[y, xx, c] = prod(values)
            case ir.Maximum():
                result[y, xx, c] = min(values) if layer.minimum else max(values)
            case _:
                raise TypeError(layer)
    return result


def stretch(layer: ir.Stretch, x: Map, inp: ir.Features, out: ir.Features) -> Map:
    """Compute a stretch of one frame, feature by feature."""
    (fy, fx), (top, left, *_) = layer.factors, layer.crop
    result = {}
    for y, xx, c in product(*map(range, out.shape)):
        (iy, ry), (ix, rx) = divmod(y + top, fy), divmod(xx + left, fx)
        match layer.fill:
            case "repeat":
                result[y, xx, c] = x[iy, ix, c]
            case "zeros":
                result[y, xx, c] = x[iy, ix, c] if ry == rx == 0 else 0
            case "blocks":
                result[y, xx, c] = x[iy, ix, (ry * fx + rx) * out.channels + c]
    return result


def frame(net: ir.IntegerNetwork, x: np.ndarray) -> list[int]:
    """Return the scores of a frame; every value on the way is in its map's alphabet."""
    maps: list[Map] = [{i: int(x[i]) for i in product(*map(range, net.shape))}]
    for layer, reads, out in zip(net.layers, net.reads, net.features[1:], strict=True):
        inputs = [net.features[k] for k in reads]
        match layer:
            case ir.Join():
                made = join(layer, [maps[k] for k in reads], inputs, out)
            case ir.Stretch():
                made = stretch(layer, maps[reads[0]], inputs[0], out)
            case ir.AddMap():
                shape = layer.values.shape
                made = {
                    i: v
                    + int(layer.values[tuple(min(a, n - 1) for a, n in zip(i, shape, strict=True))])
                    for i, v in maps[reads[0]].items()
                }
            case _:
                made = layer_of_a_chain(layer, maps[reads[0]], inputs[0], out)
        if not isinstance(layer, ir.Scores | ir.AllScores):
            assert all(out.alphabet.code_of(v) is not None for v in made.values()), layer.name
        maps.append(made)
    return list(maps[-1].values())


@settings(max_examples=120)
@given(graph_cases(frames=2))
def test_scores_are_those_of_plain_loops(case: GraphCase) -> None:
    expected = [frame(case.net, x) for x in case.x]
    np.testing.assert_array_equal(golden.run(case.net, case.x), expected)


@settings(max_examples=40)
@given(graph_cases(frames=5), st.integers(1, 4))
def test_a_frame_does_not_depend_on_its_batch(case: GraphCase, n: int) -> None:
    parts = [case.net(case.x[i : i + n]) for i in range(0, len(case.x), n)]
    together = case.net(case.x)
    np.testing.assert_array_equal(np.concatenate(parts), together)
    assert together.dtype == np.int64


def scores(*names: str, name: str = "scores", channels: int = 1) -> ir.Scores:
    return ir.Scores(name, np.zeros(channels, np.int64), inputs=names)


def pick(name: str, *weights: int) -> ir.Conv:
    """Return a convolution that reads the frame's single channel, times each weight."""
    values = np.array(weights, np.int64).reshape(-1, 1, 1, 1)
    return ir.Conv(name, values, ir.Alphabet(-8, 1, 16), inputs=(ir.FRAME,))


def run(shape: tuple[int, int, int], *layers: ir.Layer, x: object) -> list[int]:
    net = ir.IntegerNetwork("net", shape, layers)
    return net(np.array(x, np.uint8).reshape(1, *shape))[0].tolist()


def test_a_shortcut_by_hand() -> None:
    add = ir.Add("sum", np.array([[1], [2]]), inputs=("a", ir.FRAME))
    layers = (pick("a", -3, 2), add, scores(channels=2))
    assert run((1, 2, 1), *layers, x=[5, 7]) == [-15 + 10, 10 + 10, -21 + 14, 14 + 14]


def test_a_gate_of_one_pixel_by_hand() -> None:
    whole = ir.SumPool("whole", ir.Window((1, 2)), inputs=("a",))
    gate = ir.Multiply("gate", inputs=("whole", "a"))
    layers = (pick("a", 1, -1), whole, gate, scores(channels=2))
    assert run((1, 2, 1), *layers, x=[5, 7]) == [60, 60, 84, 84]


@pytest.mark.parametrize(("minimum", "expected"), [(False, [10, -5]), (True, [-5, -10])])
def test_the_greatest_and_the_least_by_hand(minimum: bool, expected: list[int]) -> None:
    factors = np.array([[-1, -1], [2, 1]])
    layers = (
        pick("a", 1),
        pick("b", 1, -2),
        ir.Maximum("of", factors, minimum, inputs=("a", "b")),
        scores(channels=2),
    )
    assert run((1, 1, 1), *layers, x=[5]) == expected


@pytest.mark.parametrize(
    ("axis", "expected"),
    [(0, [1, 2, 3, 4, -1, -2, -3, -4]), (1, [1, 2, -1, -2, 3, 4, -3, -4])],
)
def test_maps_side_by_side_by_hand(axis: int, expected: list[int]) -> None:
    concat = ir.Concat("both", axis, inputs=("a", "b"))
    layers = (pick("a", 1), pick("b", -1), concat, scores())
    assert run((2, 2, 1), *layers, x=[1, 2, 3, 4]) == expected


def test_channels_side_by_side_by_hand() -> None:
    concat = ir.Concat("both", 2, inputs=("a", "b"))
    layers = (pick("a", 1), pick("b", -1, 3), concat, scores(channels=3))
    assert run((1, 2, 1), *layers, x=[1, 2]) == [1, -1, 3, 2, -2, 6]


@pytest.mark.parametrize(
    ("fill", "crop", "expected"),
    [
        ("repeat", (0, 0, 0, 0), [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]),
        ("zeros", (0, 0, 0, 0), [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("repeat", (1, 2, 0, 1), [1, 2, 2]),
        ("zeros", (0, 1, 1, 0), [0, 0, 2, 0, 0]),
    ],
)
def test_stretches_by_hand(fill: Fill, crop: tuple[int, ...], expected: list) -> None:
    top, left, bottom, right = crop
    stretch = ir.Stretch("larger", (2, 3), fill, (top, left, bottom, right))
    assert run((1, 2, 1), pick("a", 1), stretch, scores(), x=[1, 2]) == expected


def test_depth_to_space_by_hand() -> None:
    stretch = ir.Stretch("larger", (2, 2), "blocks")
    layers = (pick("a", 1, 2, 3, 4, 5, 6, 7, -1), stretch, scores(channels=2))
    # Channels 0 and 1 at the top left, 2 and 3 at the top right, and so on.
    expected = [1, 2, 3, 4, 10, 20, 30, 40, 5, 6, 7, -1, 50, 60, 70, -10]
    assert run((1, 2, 1), *layers, x=[1, 10]) == expected


def test_scores_of_several_layers_are_side_by_side() -> None:
    layers = (
        pick("a", 1),
        scores("a", name="of_a"),
        pick("b", -1, 2),
        scores("b", name="of_b", channels=2),
        ir.AllScores("all", inputs=("of_b", "of_a")),
    )
    assert run((1, 2, 1), *layers, x=[1, 3]) == [-1, 2, -3, 6, 1, 3]
