"""Lines, picks, sums and functions side by side: what is a chain in the end is read as one."""

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import ops
from xnorflow.lower import lower
from xnorflow_sim import golden

from .executor import lowered_exactly, order, run
from .onnx_models import Model, f32, signs

RNG = np.random.default_rng(6)


def sign(m, x):
    """Return the sign of what is not 0, in any operator set."""
    if m.opset >= 9:
        return m("Sign", x)
    return m("Sub", m("Mul", m("Cast", m("Greater", x, f32(0)), to=1), f32(2)), f32(1))


def first(m, channels, out, kernel=(3, 3)):
    """Signs of the input and a convolution."""
    x = sign(m, m("Sub", "x", f32(127.5)))
    return m("Conv", x, signs(RNG, out, channels, *kernel))


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize(
    "pool",
    [
        ("MaxPool", {"kernel_shape": [2], "strides": [2]}),
        ("MaxPool", {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
        ("AveragePool", {"kernel_shape": [2], "strides": [2]}),
        ("GlobalAveragePool", {}),
        ("GlobalMaxPool", {}),
    ],
    ids=str,
)
def test_layers_along_a_line(tmp_path, pool, quantised):
    op, attributes = pool
    m = Model(1, 3, 20)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    weights = signs(RNG, 4, 3, 3)
    if quantised:
        scale = f32(0.5, 1, 2, 4)
        stored, zero = RNG.integers(-3, 4, (4, 3, 3)).astype(np.int8), np.zeros(4, np.int8)
        weights = m("DequantizeLinear", stored, scale, zero, axis=0)
    x = m("Conv", x, weights, pads=[2, 1], strides=[1], dilations=[2])
    x = m(op, m("Sign", m("Add", x, f32(0.5))), **attributes)
    x = m("Sign", m("Add", m("Conv", x, signs(RNG, 5, 4, 1)), f32(0.5)))
    length = {"GlobalAveragePool": 1, "GlobalMaxPool": 1}.get(op, 9 + ("pads" in attributes))
    m("MatMul", m("Flatten", x), signs(RNG, 5 * length, 4))
    path = m.save(tmp_path)
    net = lower(read(path))
    assert net.shape == (1, 20, 3)
    frames = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    # The file takes [1, channels, length].
    want = run(path, frames.transpose(0, 2, 1))
    np.testing.assert_array_equal(order(golden.run(net, frames)), order(want))


def test_geometry_of_another_rank_is_refused(tmp_path):
    m = Model(1, 3, 20)
    m("Conv", "x", signs(RNG, 4, 3, 3), strides=[1, 1])
    with pytest.raises(UnsupportedModel, match=r"strides are \(1, 1\)"):
        read(m.save(tmp_path))


def unshuffled(m, x, shape, order):
    """Write space to depth by blocks of two as PyTorch does, or in another order."""
    c, h, w = shape
    x = m("Reshape", x, np.array([1, c, h // 2, 2, w // 2, 2]))
    x = m("Transpose", x, perm=order)
    return m("Reshape", x, np.array([1, 4 * c, h // 2, w // 2]))


@pytest.mark.parametrize("order", [[0, 1, 3, 5, 2, 4], [0, 3, 5, 1, 2, 4]], ids=str)
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_space_to_depth_goes_into_the_next_layer(tmp_path, order, pads):
    m = Model(1, 2, 10, 10)
    x = unshuffled(m, m("Sign", m("Add", first(m, 2, 3), f32(0.5))), (3, 8, 8), order)
    x = m("Conv", x, signs(RNG, 5, 12, 2, 2), pads=pads, strides=[1, 2])
    x = m("Flatten", m("Sign", m("Add", x, f32(0.5))))
    size = 5 * (5 * 3 if any(pads) else 3 * 2)
    m("MatMul", x, signs(RNG, size, 4))
    net = lowered_exactly(m.save(tmp_path))
    convolutions = [layer for layer in net.layers if isinstance(layer, ir.Conv)]
    assert [layer.window.kernel for layer in convolutions] == [(3, 3), (4, 4), (1, 1)]
    assert convolutions[1].window.stride == (2, 4)


def test_pools_of_what_was_picked(tmp_path):
    m = Model(1, 2, 10, 10)
    x = unshuffled(m, m("Sign", first(m, 2, 3)), (3, 8, 8), [0, 1, 3, 5, 2, 4])
    x = m("Flatten", m("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    m("MatMul", x, signs(RNG, 48, 4))
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [7, 11, 13, 18])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1], [3], [1, 2]], ids=str)
def test_sums_along_axes(tmp_path, axes, opset, keepdims):
    m = Model(1, 2, 6, 6, opset=opset)
    x = sign(m, m("Add", first(m, 2, 3), f32(0.5)))
    if opset < 13:
        y = m("ReduceSum", x, axes=axes, keepdims=keepdims)
    else:
        y = m("ReduceSum", x, np.array(axes), keepdims=keepdims)
    left = 48 // int(np.prod([{1: 3, 2: 4, 3: 4, -1: 4, -2: 4}[a] for a in axes]))
    m("MatMul", m("Reshape", y, np.array([1, -1])), signs(RNG, left, 5))
    lowered_exactly(m.save(tmp_path))


def test_sums_without_axes(tmp_path):
    m = Model(1, 6)
    y = m("ReduceSum", m("MatMul", "x", signs(RNG, 6, 4)), noop_with_empty_axes=1)
    m("MatMul", m("ReduceSum", y, keepdims=1), signs(RNG, 1, 3))
    lowered_exactly(m.save(tmp_path))


def test_a_committee_votes(tmp_path):
    m = Model(1, 9)
    x = m("Sign", m("Add", m("MatMul", "x", signs(RNG, 9, 15)), f32(0.5)))
    m("ReduceSum", m("Reshape", x, np.array([1, 3, 5])), np.array([1]), keepdims=0)
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("axis", [1, -3])
def test_a_thermometer_code(tmp_path, axis):
    m = Model(1, 2, 6, 6)
    bits = [
        m("Where", m("GreaterOrEqual", "x", f32(t)), f32(1), f32(-1)) for t in range(20, 256, 60)
    ]
    x = m("Concat", *bits, axis=axis)
    x = m("Sign", m("Add", m("Conv", x, signs(RNG, 5, 8, 3, 3), pads=[1] * 4), f32(0.5)))
    m("MatMul", m("Flatten", x), signs(RNG, 180, 4))
    lowered_exactly(m.save(tmp_path))


def test_two_halves_of_different_functions(tmp_path):
    m = Model(1, 2, 6, 6)
    x = first(m, 2, 4)
    x = m("Sign", m("Add", x, f32(0.5)))
    x = m("Concat", m("Neg", x), m("Mul", x, f32(1, -1, 1, -1).reshape(4, 1, 1)), x, axis=1)
    x = m("MaxPool", x, kernel_shape=[2, 2])
    m("MatMul", m("Flatten", x), signs(RNG, 108, 4))
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("attributes", [{"pads": [1, 1, 1, 1]}, {"ceil_mode": 1}], ids=str)
def test_averages_that_do_not_count_their_padding(tmp_path, attributes):
    m = Model(1, 2, 7, 7)
    x = m("Sign", m("Add", first(m, 2, 3), f32(0.5)))
    x = m("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], **attributes)
    # Divisors of 1, 2 and 4, so that every sum of floats is exact.
    x = m("Mul", x, f32(0.5))
    m("MatMul", m("Flatten", x), signs(RNG, 27, 4))
    net = lowered_exactly(m.save(tmp_path))
    assert [layer.kind for layer in net.layers].count("threshold") == 1
    assert np.unique(np.abs(net.layers[-2].weights)).tolist() == [1, 2, 4]


def test_averages_with_other_divisors_before_a_convolution_are_refused(tmp_path):
    m = Model(1, 2, 7, 7)
    x = m("Sign", m("Add", first(m, 2, 3), f32(0.5)))
    x = m("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    m("MatMul", m("Flatten", m("Conv", x, signs(RNG, 2, 3, 5, 5))), signs(RNG, 8, 4))
    with pytest.raises(UnsupportedModel, match="AveragePool.*other divisors.*dense layer"):
        lower(read(m.save(tmp_path)))


def test_a_pad_node_is_counted_and_the_pools_own_padding_is_not(tmp_path):
    m = Model(1, 2, 6, 6)
    x = m("Sign", m("Add", first(m, 2, 3), f32(0.5)))
    x = m("Pad", x, np.array([0, 0, 1, 0, 0, 0, 0, 0]))
    x = m("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 1, 1, 1])
    m("MatMul", m("Flatten", x), signs(RNG, 27, 4))
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("end", ["", "Sigmoid", "threshold", "Tanh"])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_score_tells_the_label(tmp_path, end, sign):
    rng = np.random.default_rng(2)
    m = Model(1, 12)
    x = m("Sub", "x", f32(127.5))
    x = m("Sign", m("Add", m("MatMul", x, signs(rng, 12, 31)), f32(0.25)))
    x = m("Gemm", x, signs(rng, 31, 1), f32(0.625), alpha=0.25 * sign)
    if end == "threshold":
        x = m("Cast", m("Greater", m("Sigmoid", x), f32(0.5)), to=1)
    elif end:
        x = m(end, x)
    path = m.save(tmp_path)
    net = lower(read(path))
    frames = np.random.default_rng(1).integers(0, 256, (60, 1, 1, 12), dtype=np.uint8)
    want, got = run(path, frames), golden.run(net, frames)
    np.testing.assert_array_equal(order(got.T), order(want.T))
    label = want[:, 0] > (0.5 if end in ("Sigmoid", "threshold") else 0)
    np.testing.assert_array_equal(ir.labels(got), label)
    assert 0 < label.sum() < 60


def test_a_sigmoid_at_the_end_is_dropped_and_noted(tmp_path):
    m = Model(1, 12)
    m("Sigmoid", m("Mul", m("MatMul", "x", signs(RNG, 12, 4)), f32(2.0**-8)))
    net = lowered_exactly(m.save(tmp_path))
    assert "Sigmoid" in net.notes[-1] and "dropped" in net.notes[-1]


@pytest.mark.parametrize("unit", [0.0625, 0.1, 1 / 3, 7.3e-5, 0.57721566], ids=str)
@pytest.mark.parametrize("values", [[2, 3, -5, 7], [4, 6, -10], [3, -3], [127, -126, 2], [0, 5]])
def test_integers_of_float_weights(tmp_path, unit, values):
    m = Model(1, 8)
    rng = np.random.default_rng(2)
    stored = (f32(rng.choice(values, (8, 3))) * np.float32(unit)).astype(np.float32)
    stored[0] = np.float32(values[0]) * np.float32(unit)
    m("MatMul", "x", stored)
    (conv,) = read(m.save(tmp_path)).ops
    scale = np.broadcast_to(conv.scale, 3)
    made = conv.weights[:, 0, 0].astype(np.float32) * scale[:, None]
    np.testing.assert_array_equal(made.T, stored)
    assert np.abs(conv.weights).max() <= 127


def test_float_weights_are_still_refused(tmp_path):
    m = Model(1, 64)
    m("MatMul", "x", f32(np.random.default_rng(0).normal(size=(64, 10))))
    with pytest.raises(UnsupportedModel, match="not integers"):
        lower(read(m.save(tmp_path)))


def alpha(m, w):
    mean = m("ReduceMean", m("Abs", w), axes=[1], keepdims=1)
    return m("Mul", m("Sign", w), mean)


LIVE = {
    "sign": lambda m, w: m("Sign", w),
    "where": lambda m, w: m("Where", m("GreaterOrEqual", w, f32(0)), f32(1), f32(-1)),
    "alpha": alpha,
    "residue": lambda m, w: m(
        "Add", m("Sub", alpha(m, w), m("Clip", w, f32(-1), f32(1))), m("Clip", w, f32(-1), f32(1))
    ),
    "residue of itself": lambda m, w: m("Sub", m("Add", w, m("Sign", w)), w),
    "ternary": lambda m, w: m(
        "Mul", m("Sign", w), m("Cast", m("Greater", m("Abs", w), f32(0.7)), to=1)
    ),
    "dorefa": lambda m, w: m(
        "Sub",
        m(
            "Mul",
            m(
                "Div",
                m("Round", m("Mul", m("Add", m("Div", m("Tanh", w), f32(2)), f32(0.5)), f32(3))),
                f32(3),
            ),
            f32(2),
        ),
        f32(1),
    ),
}


@pytest.mark.parametrize("name", LIVE)
def test_weights_that_are_binarised_in_the_graph(tmp_path, name):
    m = Model(1, 12)
    stored = f32(np.random.default_rng(4).normal(size=(5, 12)))
    m("MatMul", "x", m("Transpose", LIVE[name](m, stored), perm=[1, 0]))
    graph = read(m.save(tmp_path))
    (conv,) = graph.ops
    assert np.abs(conv.weights).max() == (3 if name == "dorefa" else 1)
    assert ("residue" in name) == any("y - t + t" in note for note in graph.notes)


def test_weights_off_by_their_rounding_have_one_scale(tmp_path):
    # A third stands there as 0.33333337 and 0.33333325; some rows have one of them alone.
    m = Model(1, 12)
    stored = f32(np.random.default_rng(4).normal(size=(9, 12)))
    stored[0], stored[1] = 0.5, -0.5
    stored[2, 0] = 9
    weights = m("Transpose", LIVE["dorefa"](m, stored), perm=[1, 0])
    m("MatMul", m("Sign", m("Sub", "x", f32(127.5))), weights)
    path = m.save(tmp_path)
    (conv,) = [op for op in read(path).ops if isinstance(op, ops.ConvOp)]
    assert np.asarray(conv.scale).size == 1 or len(np.unique(conv.scale)) == 1
    assert conv.weights[:2].ravel().tolist() == [1] * 12 + [-1] * 12
    # So classes that have one sum have one score.
    assert lower(read(path)).scores.ranks is None


def opset_network(opset):
    """Operators that older sets have, in the form of each."""
    m = Model(1, 2, 8, 8, opset=opset)
    x = first(m, 2, 4)
    x = m("BatchNormalization", x, *(f32(RNG.uniform(1, 2, 4)) for _ in range(4)))
    x = m("Clip", x, f32(-2), f32(2)) if opset >= 11 else m("Clip", x, min=-2.0, max=2.0)
    x = m("PRelu", x, f32(0.25, 0.5, 1, 2).reshape(4, 1, 1))
    if opset >= 9:
        x = m("Where", m("Greater", x, f32(0.5)), f32(1), f32(-1))
    else:
        x = m("Sub", m("Mul", m("Cast", m("Greater", x, f32(0.5)), to=1), f32(2)), f32(1))
    x = m("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m("AveragePool", x, kernel_shape=[2, 2])
    if opset >= 13:
        x = m("Squeeze", m("Unsqueeze", x, np.array([0])), np.array([0]))
    else:
        x = m("Squeeze", m("Unsqueeze", x, axes=[0]), axes=[0])
    m("Softmax", m("Gemm", m("Flatten", x), signs(RNG, 16, 5), f32(np.arange(5) / 2)), axis=1)
    return m


@pytest.mark.parametrize("opset", range(7, 25))
def test_operator_sets(tmp_path, opset):
    path = opset_network(opset).save(tmp_path)
    if opset > 22:  # Newer than the executor knows.
        assert lower(read(path)).layers
        return
    lowered_exactly(path)
