"""A file's outputs: each by name in its own shape, with its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from xnorflow import ir
from xnorflow_sim import golden

from ...graph_strategies import GraphCase, graph_cases


def pixels(*channels: int, outputs: tuple[ir.Output, ...] = ()) -> ir.IntegerNetwork:
    """Return a network of 2 x 3 pixels whose scores are these multiples of each pixel."""
    weights = np.array(channels, np.int64).reshape(-1, 1, 1, 1)
    conv = ir.Conv("conv", weights, ir.Alphabet(-8, 1, 16))
    scores = ir.Scores("scores", np.zeros(len(channels), np.int64))
    return ir.IntegerNetwork("net", (2, 3, 1), (conv, scores), outputs=outputs)


def of(name: str, shape: tuple[int, ...], places: Any) -> ir.Output:
    return ir.Output(name, shape, np.asarray(places, np.int64).ravel())


X = np.array([[[[1], [2], [3]], [[4], [5], [6]]]], np.uint8)
PLACES = np.arange(12).reshape(2, 3, 2)


def test_a_map_comes_in_the_files_own_order() -> None:
    first = of("first", (2, 2, 3), PLACES.transpose(2, 0, 1))
    net = pixels(1, -1, outputs=(first,))
    scores = net(X)
    assert scores.shape == (1, 2, 2, 3) and scores.dtype == np.int64
    np.testing.assert_array_equal(scores[0], [X[0, :, :, 0], -X[0, :, :, 0].astype(int)])
    np.testing.assert_array_equal(golden.run(net, X)[0, :4], [1, -1, 2, -2])
    labels = net.labels_of(golden.run(net, X))
    np.testing.assert_array_equal(labels["first"], np.zeros((1, 2, 3)))


@pytest.mark.parametrize(
    ("shape", "order", "axis"),
    [((2, 2, 3), (2, 0, 1), 1), ((2, 3, 2), (0, 1, 2), 3), ((3, 2, 2), (1, 2, 0), 2)],
)
def test_labels_are_along_the_classes(shape: Any, order: Any, axis: int) -> None:
    output = of("map", shape, PLACES.transpose(order))
    net = pixels(2, 1, outputs=(output,))
    assert net.class_axis(output) == axis
    scores = golden.run(net, X)
    found = net.labels_of(scores)["map"]
    np.testing.assert_array_equal(found, output.of(scores).argmax(axis))
    assert not found.any() and found.shape == (1, *np.delete(shape, axis - 1))
    assert net.label_count == 2


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 1), (2, 3)])
def test_of_a_single_class_the_sign_is_the_label_of_a_pixel(shape: tuple[int, ...]) -> None:
    table = ir.Threshold("signs", np.full((1, 1), 3), ir.BIPOLAR)
    conv, scores = pixels(1).layers
    output = of("mask", shape, np.arange(6))
    net = ir.IntegerNetwork("net", (2, 3, 1), (conv, table, scores), outputs=(output,))
    found = net.labels_of(golden.run(net, X))["mask"]
    np.testing.assert_array_equal(found, [[[0, 0, 1], [1, 1, 1]]])


def test_a_vector_has_no_name_and_no_other_shape() -> None:
    whole = ir.SumPool("whole", ir.Window((2, 3)))
    conv, scores = pixels(1, -1).layers
    net = ir.IntegerNetwork("net", (2, 3, 1), (conv, whole, scores))
    np.testing.assert_array_equal(net(X), [[21, -21]])
    assert net.named[0].name == ir.SCORES == "scores"
    np.testing.assert_array_equal(net.evaluate(X)["scores"], net(X))
    arrays = ir.result_arrays(net.evaluate(X), net.labels_of(net(X)))
    assert [*arrays] == ["scores", "labels"]
    assert net.accuracy(net(X), np.array([0])) == 1 and net.label_count == 2


def several() -> ir.IntegerNetwork:
    """Return a network whose first output is its last scores, and one a part of the others."""
    conv, scores = pixels(1, -1).layers
    whole = ir.SumPool("whole", ir.Window((2, 3)), inputs=("conv",))
    vector = ir.Scores("vector", np.array([0, 50]), inputs=("whole",))
    layers = (conv, scores, whole, vector, ir.AllScores("all", inputs=("scores", "vector")))
    outputs = (
        of("the classes", (2,), [12, 13]),
        of("a/map", (2, 2, 3), PLACES.transpose(2, 0, 1)),
        of("a:map", (3,), [1, 3, 5]),
    )
    return ir.IntegerNetwork("net", (2, 3, 1), layers, outputs=outputs)


def test_the_first_output_is_what_a_call_returns() -> None:
    net = several()
    np.testing.assert_array_equal(net(X), [[21, 29]])
    found = net.evaluate(X)
    assert [*found] == ["the classes", "a/map", "a:map"]
    np.testing.assert_array_equal(found["a/map"][0, 0], X[0, :, :, 0])
    np.testing.assert_array_equal(found["a:map"], [[-1, -2, -3]])
    assert net.accuracy(golden.run(net, X), np.array([1])) == 1


def test_a_results_file_names_each_output() -> None:
    net = several()
    scores = golden.run(net, X)
    arrays = ir.result_arrays(net.in_file_shape(scores), net.labels_of(scores))
    assert arrays["outputs"].tolist() == ["the classes", "a/map", "a:map"]
    assert arrays["outputs"].dtype.kind == "U"
    assert {name for name in arrays if name.startswith("output.")} == {
        "output.the_classes",
        "output.a_map",
        "output.a_map_2",
    }
    assert arrays["scores"].shape == (1, 2 + 12 + 3) and arrays["scores"][0, :2].tolist() == [
        21,
        29,
    ]
    assert arrays["output.a_map"].shape == (1, 2, 2, 3)
    assert arrays["labels.a_map"].shape == (1, 2, 3)
    np.testing.assert_array_equal(arrays["labels"], arrays["labels.the_classes"])


def test_a_map_has_no_accuracy_by_frames() -> None:
    net = pixels(1, -1, outputs=(of("map", (2, 3, 2), PLACES),))
    assert net.accuracy(golden.run(net, X), np.array([0])) is None


@settings(max_examples=60)
@given(graph_cases(frames=2))
def test_every_element_is_the_score_at_its_place(case: GraphCase) -> None:
    net, scores = case.net, golden.run(case.net, case.x)
    found = net.evaluate(case.x)
    for output in net.named:
        assert found[output.name].shape == (2, *output.shape)
        flat = found[output.name].reshape(2, -1)
        for k, at in enumerate(output.gather):
            assert (flat[:, k] == scores[:, at]).all()
    for name, labels in net.labels_of(scores).items():
        assert labels.ndim == found[name].ndim - 1 and labels.dtype == np.int64
    np.testing.assert_array_equal(net(case.x), found[net.named[0].name])
