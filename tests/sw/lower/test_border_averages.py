"""Average pools that reach over the border: what is exact as it stands, and what is refused."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.export import export_steps
from xnorflow.frontend import read
from xnorflow.lower import lower

from ..frontend.executor import lowered_exactly
from ..frontend.onnx_models import Model, f32, signs

RNG = np.random.default_rng(35)
NINTH = f32(1) / f32(9)
BELOW = np.nextafter(-NINTH, f32(0))
POOLS = [
    {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 3], "pads": [1, 0, 0, 2]},
    {"kernel_shape": [4, 4], "strides": [3, 3], "ceil_mode": 1},
]
OVER = POOLS[0]
"""Windows of 4, 6 and 9 pixels."""


def start(size=8, channels=3, **kwargs):
    """Bipolar features of a convolution, [1, channels, size, size]."""
    m = Model(1, 2, size, size, **kwargs)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    x = m("Conv", x, signs(RNG, channels, 2, 3, 3), pads=[1, 1, 1, 1])
    return m, m.bipolar(m("Add", x, f32(0.5)))


def finish(m, x, channels=3, out=4, kernel=2):
    """A convolution of parts of the map, a sum of all of them, and a dense layer."""
    x = m("Sign", m("Add", m("Conv", x, signs(RNG, out, channels, kernel, kernel)), f32(0.5)))
    m("MatMul", m("ReduceSum", x, np.array([2, 3]), keepdims=0), signs(RNG, out, 3))
    return m


def standard(tmp_path, m):
    """Save with Sign in place of BipolarQuant where no value is 0, for ONNX Runtime."""
    for node in m.nodes:
        if node.op_type == "BipolarQuant":
            node.op_type, node.domain = "Sign", ""
            del node.input[1:]
    m.domains = {"": m.opset}
    return m.save(tmp_path)


def refusal(m, tmp_path):
    with pytest.raises(UnsupportedModel) as caught:
        lower(read(standard(tmp_path, m)))
    return str(caught.value)


@pytest.mark.parametrize("attributes", POOLS, ids=str)
@pytest.mark.parametrize("form", ["sign", "where", "greater", "norm", "falls"])
def test_a_sign_behind_the_pool_needs_no_divisor(tmp_path, attributes, form):
    m, x = start()
    x = m("AveragePool", x, **attributes)
    match form:
        case "sign":
            x = m("Sign", x)
        case "where":
            x = m("Where", m("GreaterOrEqual", x, f32(0)), f32(1), f32(-1))
        case "greater":
            x = m("Sub", m("Mul", m("Cast", m("Greater", x, f32(0)), to=1), f32(2)), f32(1))
        case "norm":
            zero = f32(0, 0, 0)
            x = m("BatchNormalization", x, f32(2, 0.5, -1), zero, zero, f32(1, 2, 3))
            x = m("Where", m("GreaterOrEqual", x, f32(0)), f32(1), f32(-1))
        case "falls":
            x = m("Sign", m("Mul", x, f32(-3)))
        case _:
            raise AssertionError(form)
    net = lowered_exactly(standard(tmp_path, finish(m, x)))
    assert [layer.kind for layer in net.layers].count("sumpool") == 2


def shifted(value):
    m, x = start()
    x = m("AveragePool", x, **OVER)
    return finish(m, m("Where", m("GreaterOrEqual", x, f32(value)), f32(1), f32(-1)))


@pytest.mark.parametrize("value", [NINTH, BELOW, 0.0], ids=str)
def test_thresholds_that_no_sum_of_a_window_lies_below_by_its_divisor(tmp_path, value):
    """A sum of 1 is a ninth at least, and reaches it with every divisor."""
    lowered_exactly(standard(tmp_path, shifted(value)))


@pytest.mark.parametrize("value", [np.nextafter(NINTH, f32(1)), -NINTH, 0.2], ids=str)
def test_thresholds_one_float_further_need_a_divisor(tmp_path, value):
    said = refusal(shifted(value), tmp_path)
    assert "AveragePool" in said and "other divisors" in said and "fixed point" in said


@pytest.mark.parametrize("between", ["", "max", "sigmoid", "quantiser"])
def test_what_shows_the_divisor_is_refused(tmp_path, between):
    m, x = start()
    x = m("AveragePool", x, **OVER)
    if between == "max":
        x = m("Sign", m("MaxPool", x, kernel_shape=[2, 2]))
    elif between == "sigmoid":
        x = m("Sign", m("Sub", m("Sigmoid", x), f32(0.5)))
    elif between == "quantiser":
        x = m("Round", m("Mul", x, f32(2)))
    assert "other divisors" in refusal(finish(m, x), tmp_path)


def test_each_step_with_a_sign_is_a_file(tmp_path):
    m, x = start()
    finish(m, m("Sign", m("AveragePool", x, **OVER)))
    graph = read(standard(tmp_path, m))
    assert not any(step.differing for step in export_steps(graph, tmp_path))


def whole_map(kernel, between):
    """A map of 9 x 9 averages by 1, 2 and 4, and a convolution of so many pixels of it."""
    m, x = start()
    x = m("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    if between == "norm":
        x = m("Add", m("Mul", x, f32([[[4]], [[-4]], [[2]]])), f32([[[1]], [[3]], [[-2]]]))
        x = m("Sign", x)
    elif between:
        x = m("Mul", x, f32(0.5))
    x = m("Conv", x, signs(RNG, 5, 3, kernel, kernel))
    x = m("Sign", m("Add", x, f32(1 / 16)))
    m("MatMul", m("ReduceSum", x, np.array([2, 3]), keepdims=0), signs(RNG, 5, 3))
    return m


@pytest.mark.parametrize("between", ["", "scale", "norm"])
def test_a_convolution_of_the_whole_map_is_a_dense_layer(tmp_path, between):
    lowered_exactly(standard(tmp_path, whole_map(9, between)))
    assert "other divisors" in refusal(whole_map(8, between), tmp_path)


@pytest.mark.parametrize("whole", ["dense", "convolution"])
def test_a_sign_ahead_of_a_layer_of_the_whole_map_stays_at_its_pool(tmp_path, whole):
    """So it is built; only where the divisor shows are there thresholds per feature."""
    for value in (NINTH, f32(0.2)):
        m, x = start(size=5)
        x = m("AveragePool", x, **OVER)
        x = m("Where", m("GreaterOrEqual", x, value), f32(1), f32(-1))
        if whole == "dense":
            m("MatMul", m("Flatten", x), signs(RNG, 75, 4))
        else:
            m("Flatten", m("Conv", x, signs(RNG, 4, 3, 5, 5)))
        net = lowered_exactly(standard(tmp_path, m))
        after = [layer.kind for layer in net.layers][3:]
        flat = ["flatten"] if whole == "dense" else []
        if value == NINTH:
            assert after == ["sumpool", "threshold", *flat, "conv", "scores"]
        else:
            assert after == ["sumpool", "flatten", "maxpool", "threshold", "conv", "scores"]
        graph = read(tmp_path / "model.onnx")
        assert not any(step.differing for step in export_steps(graph, tmp_path))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "ReduceSum"])
@pytest.mark.parametrize("between", ["", "norm"])
def test_means_and_sums_of_the_whole_map_are_dense_layers(tmp_path, op, between):
    m, x = start(size=7)
    x = m("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    if between:
        x = m("Mul", x, f32([[[4]], [[1]], [[2]]]))
    x = m(op, x, np.array([2, 3]), keepdims=0) if op == "ReduceSum" else m("Flatten", m(op, x))
    m("MatMul", x, signs(RNG, 3, 4))
    net = lowered_exactly(standard(tmp_path, m))
    assert [layer.kind for layer in net.layers][-3:] == ["conv", "conv", "scores"]


def counted(size, **attributes):
    m, x = start(size=size)
    x = m("AveragePool", x, count_include_pad=1, **attributes)
    return finish(m, m("Round", m("Mul", x, f32(2))))


@pytest.mark.parametrize("zero", ["sums", "bipolar"])
def test_counted_padding_is_one_divisor(tmp_path, zero):
    m, x = start()
    x = m("Conv", x, signs(RNG, 3, 3, 1, 1)) if zero == "sums" else x
    x = m("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    lowered_exactly(standard(tmp_path, finish(m, x)))


def test_rounding_up_that_adds_nothing_is_none(tmp_path):
    """Of 8 pixels and 2 of padding, windows of 4 every 3 leave none over; of 9 and 2, one."""
    window = {"kernel_shape": [4, 4], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}
    lowered_exactly(standard(tmp_path, counted(8, **window)))
    m = counted(9, **window)
    with pytest.raises(UnsupportedModel, match="count padding in different ways.*ceil_mode=0"):
        read(standard(tmp_path, m))
