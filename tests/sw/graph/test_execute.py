"""The float64 execution of a graph against ONNX Runtime's float32.

Both are floats, so this is the one place with a tolerance.
"""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.evidence.executor import Executor
from xnorflow.frontend import read
from xnorflow.graph import execute, ops
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import Window

from ..frontend.onnx_models import f32
from ..real_networks import NETWORKS, Real

CHANNELS = 3
SHAPE = (9, 7)


def frames(graph, count=5):
    return np.random.default_rng(0).integers(0, 256, (count, *graph.shape)).astype(np.uint8)


def in_double(graph, x):
    """Run a graph on uint8 frames, with the scaling that the file is told."""
    scale = graph.input_scale
    values = x.astype(np.float64)
    return execute.scores(graph, values / scale.divisor if scale.divisor else values * scale.factor)


def near(model, tmp_path):
    path = model.save(tmp_path)
    graph = read(path)
    x = frames(graph)
    want = Executor(path, InputScale()).run(x).scores
    assert np.unique(want).size > 5, "a test that shows nothing"
    np.testing.assert_allclose(in_double(graph, x), want, rtol=1e-4, atol=1e-4 * abs(want).max())
    return graph


def start(seed=0):
    return Real(1, CHANNELS, *SHAPE, seed=seed).scaled(mean=0.3)


def finish(model, features):
    return model.flat().dense(features, 4)


@pytest.mark.parametrize(
    ("attributes", "rows", "columns"),
    [
        ({}, 7, 5),
        ({"pads": [1, 1, 1, 1]}, 9, 7),
        ({"pads": [2, 0, 1, 3]}, 10, 8),
        ({"strides": [2, 3]}, 4, 2),
        ({"dilations": [3, 2]}, 3, 3),
        ({"strides": [2, 1], "dilations": [1, 3], "pads": [0, 3, 2, 1]}, 5, 5),
    ],
)
def test_convolutions(attributes, rows, columns, tmp_path):
    near(finish(start().conv(2, CHANNELS, 3, **attributes), 2 * rows * columns), tmp_path)


@pytest.mark.parametrize(
    ("op", "attributes", "rows", "columns"),
    [
        ("MaxPool", {}, 4, 3),
        ("MaxPool", {"pads": [1, 1, 1, 1]}, 5, 4),
        ("MaxPool", {"dilations": [2, 3]}, 4, 2),
        ("AveragePool", {}, 4, 3),
        ("AveragePool", {"pads": [1, 1, 1, 1], "count_include_pad": 1}, 5, 4),
        ("AveragePool", {"pads": [1, 0, 1, 0]}, 5, 3),
    ],
)
def test_pools(op, attributes, rows, columns, tmp_path):
    model = start().conv(2, CHANNELS, 3, pads=[1, 1, 1, 1]).pool(op, **attributes)
    near(finish(model, 2 * rows * columns), tmp_path)


def test_a_global_pool(tmp_path):
    model = start().conv(5, CHANNELS, 3).then("GlobalAveragePool").flat()
    near(model.dense(5, 4), tmp_path)


@pytest.mark.parametrize(
    ("op", "constants", "attributes"),
    [
        ("Add", [[0.5, -1, 2]], {}),
        ("Sub", [[0.5, -1, 2]], {}),
        ("Mul", [[0.5, -1, 2]], {}),
        ("Div", [[0.5, -1, 2]], {}),
        ("Relu", [], {}),
        ("Clip", [-0.3, 0.4], {}),
        ("Max", [0.1], {}),
        ("Min", [0.1], {}),
        ("Neg", [], {}),
        ("Abs", [], {}),
        ("Tanh", [], {}),
        ("Sigmoid", [], {}),
        ("LeakyRelu", [], {"alpha": 0.2}),
        ("Softplus", [], {}),
    ],
)
def test_elementwise_operations(op, constants, attributes, tmp_path):
    given = [f32(c).reshape(-1, 1, 1) if np.ndim(c) else f32(c) for c in constants]
    model = start().conv(3, CHANNELS, 3).then(op, *given, **attributes)
    near(finish(model, 105), tmp_path)


def test_a_constant_less_the_value(tmp_path):
    model = start().conv(3, CHANNELS, 3)
    model.at = model("Sub", f32(0.7), model.at)
    near(finish(model, 105), tmp_path)


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_batch_normalisation(epsilon, tmp_path):
    model = start().conv(3, CHANNELS, 3)
    gamma, beta, mean = (model.draw(3) for _ in range(3))
    model.then("BatchNormalization", gamma, beta, mean, f32([0.2, 1, 3]), epsilon=epsilon)
    near(finish(model, 105), tmp_path)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"perceptron"}))
def test_whole_networks(name, tmp_path):
    near(NETWORKS[name](), tmp_path)


def test_every_operation_is_told_with_what_it_reads(tmp_path):
    graph = read(NETWORKS["lenet"]().save(tmp_path))
    x = frames(graph) / 255
    told = list(execute.run(graph, x))
    assert [op for op, _ in told[:-1]] == list(graph.ops)
    assert told[0][1] is x and told[-1][1].shape == (5, 1, 1, 5)


@pytest.mark.parametrize("count", [1, execute.BATCH, execute.BATCH + 1])
def test_frames_do_not_depend_on_their_batch(count, tmp_path):
    graph = read(NETWORKS["chain"]().save(tmp_path))
    x = frames(graph, count) / 255
    alone = np.concatenate([execute.scores(graph, x[i : i + 1]) for i in range(count)])
    np.testing.assert_allclose(execute.scores(graph, x), alone, rtol=1e-12)
    assert alone.shape == (count, 6)


def test_constants_are_doubles():
    """In float32 what is added to ten millions and taken away again leaves nothing of 0.001."""
    far = np.array(1e7, np.float32)
    graph = ops.Graph("net", (1, 1, 1), (ops.AddOp(far), ops.SubtractOp(far)))
    x = np.full((1, 1, 1, 1), 0.001)
    np.testing.assert_allclose(execute.scores(graph, x), [[0.001]], rtol=1e-5)


def test_what_overflows_stays_infinite():
    weights = np.array([[1, 1], [1, -1]], np.float32).reshape(2, 1, 1, 2)
    conv = ops.ConvOp(weights, np.array(1, np.float32))
    graph = ops.Graph("net", (1, 1, 2), (conv,))
    with np.errstate(all="raise"):
        made = execute.scores(graph, np.full((1, 1, 1, 2), np.inf))
    assert made[0, 0] == np.inf and np.isnan(made[0, 1])


def test_an_operation_of_no_known_kind_is_refused():
    graph = ops.Graph("net", (1, 1, 1), (ops.Op(node="odd", op="Odd"),))
    with pytest.raises(UnsupportedModel, match="Odd node 'odd'.*float64"):
        list(execute.run(graph, np.zeros((1, 1, 1, 1))))


def test_windows_are_those_of_plain_loops():
    x = np.arange(2 * 4 * 5 * 3, dtype=float).reshape(2, 4, 5, 3)
    window = Window((2, 2), (2, 1), (1, 2), (1, 0, 2, 1))
    pool = ops.SumPoolOp(window)
    (_, _), (_, got) = execute.run(ops.Graph("net", (4, 5, 3), (pool,)), x)
    padded = np.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))
    for row, column in np.ndindex(*window.output(4, 5)):
        taps = padded[:, 2 * row : 2 * row + 2, column : column + 3 : 2]
        np.testing.assert_array_equal(got[:, row, column], taps.sum((1, 2)))
