"""Each operator: the imported graph computes what qonnx computes, bit by bit."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import ops
from xnorflow.graph.quantisers import ROUNDINGS
from xnorflow.lower import lower

from .onnx_models import QONNX, Model, f32, imported_exactly, signs

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_numbers():
    """Start every test with the same random numbers, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def kinds(graph):
    return [type(op).__name__.removesuffix("Op") for op in graph.ops]


def convolution(m, x, channels, out, kernel=(3, 3), **attributes):
    weights = m.bipolar(signs(RNG, out, channels, *kernel))
    return m("Conv", x, weights, **attributes)


def flattened(m, y):
    """End a network of several pixels: its scores go row by row, channel fastest."""
    return m("Flatten", m("Transpose", y, perm=[0, 2, 3, 1]))


def fails(path, *texts):
    with pytest.raises(UnsupportedModel) as caught:
        read(path)
    for text in (*texts, "What would work:"):
        assert text in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 1, 1, 1]},
        {"strides": [2, 1], "pads": [0, 1, 2, 3]},
        {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID"},
        {"kernel_shape": [3, 3], "group": 1},
    ],
    ids=str,
)
def test_conv_geometry(tmp_path, attributes):
    m = Model(1, 2, 8, 7)
    flattened(m, convolution(m, "x", 2, 3, **attributes))
    graph = imported_exactly(m.save(tmp_path))
    assert kinds(graph) == ["Conv", "Flatten"]
    assert graph.shape == (8, 7, 2)
    assert graph.ops[0].weights.shape == (3, 3, 3, 2)
    assert graph.ops[0].scale.shape == ()


@pytest.mark.parametrize("groups,out", [(2, 6), (4, 4)])
def test_conv_groups_are_kept(tmp_path, groups, out):
    m = Model(1, 4, 5, 5)
    weights = signs(RNG, out, 4 // groups, 3, 3)
    flattened(m, m("Conv", "x", m.bipolar(weights), group=groups))
    conv = imported_exactly(m.save(tmp_path)).ops[0]
    assert conv.groups == groups
    np.testing.assert_array_equal(conv.weights, weights.transpose(0, 2, 3, 1))


def shuffled(m, value, order):
    """Give the channels of a map another order."""
    return m("Gather", value, np.array(order, np.int64), axis=1)


@pytest.mark.parametrize(
    "order, groups",
    [
        ([1, 0, 3, 2], 2),  # Channels change their places within their groups.
        ([2, 3, 0, 1], 1),  # Groups change their places, so their weights get zeros.
        ([0, 2, 1, 3], 1),
    ],
)
def test_groups_of_channels_in_another_order(tmp_path, order, groups):
    m = Model(1, 4, 5, 5)
    value = m("Conv", shuffled(m, "x", order), m.bipolar(signs(RNG, 6, 2, 3, 3)), group=2)
    flattened(m, value)
    conv = imported_exactly(m.save(tmp_path)).ops[0]
    assert conv.groups == groups
    assert conv.weights.shape == (6, 3, 3, 4 // groups)
    assert (conv.weights != 0).sum() == 6 * 2 * 9


@pytest.mark.parametrize("groups, out", [(1, 2), (2, 2), (4, 4), (4, 8)])
def test_transposed_maps_of_groups(tmp_path, groups, out):
    """Rows and columns change places, in the weights too."""
    m = Model(1, 4, 5, 6)
    turned = m("Transpose", "x", perm=[0, 1, 3, 2])
    value = m("Conv", turned, m.bipolar(signs(RNG, out, 4 // groups, 2, 3)), group=groups)
    flattened(m, m("Transpose", value, perm=[0, 1, 3, 2]))
    assert imported_exactly(m.save(tmp_path)).ops[0].groups == groups


def test_conv_bias_and_scale_per_channel(tmp_path):
    m = Model(1, 2, 5, 5)
    scale = f32([0.5, -2.0, 0.25]).reshape(3, 1, 1, 1)
    weights = m("BipolarQuant", signs(RNG, 3, 2, 3, 3), scale, domain=QONNX)
    flattened(m, m("Conv", "x", weights, f32(1, -2, 3)))
    conv = imported_exactly(m.save(tmp_path)).ops[0]
    np.testing.assert_array_equal(conv.scale, [0.5, 2, 0.25])
    np.testing.assert_array_equal(conv.bias, [1, -2, 3])


@pytest.mark.parametrize("rounding", sorted(ROUNDINGS))
@pytest.mark.parametrize("bits,signed,narrow", [(1, 0, 0), (2, 1, 1), (4, 1, 0), (8, 0, 1)])
def test_quant_of_weights_and_activations(tmp_path, rounding, bits, signed, narrow):
    m = Model(1, 2, 4, 4)
    x = m("Mul", m("Sub", "x", f32(100)), f32(2.0**-5))
    x = m.quant(x, bits, scale=2.0**-2, zero=1.0, signed=signed, narrow=narrow, rounding=rounding)
    weights = m.quant(
        f32(RNG.normal(size=(3, 2, 2, 2))),
        bits,
        scale=2.0**-3,
        signed=signed,
        narrow=narrow,
        rounding=rounding,
    )
    flattened(m, m("Conv", x, weights))
    path = m.save(tmp_path)
    graph = imported_exactly(path)
    assert kinds(graph) == ["Subtract", "Multiply", "Quant", "Conv", "Flatten"]
    q = graph.ops[2]
    assert (q.bits, q.signed, q.narrow, q.rounding) == (bits, signed, narrow, rounding)


def test_quant_with_a_scale_that_is_no_power_of_two_keeps_its_integers(tmp_path):
    m = Model(1, 3)
    stored = f32(RNG.normal(size=(3, 4)))
    m("MatMul", "x", m.quant(stored, 4, scale=0.3))
    (conv,) = read(m.save(tmp_path)).ops
    assert conv.scale == f32(0.3)
    np.testing.assert_array_equal(
        conv.weights[:, 0, 0].T, np.clip(np.rint(stored / f32(0.3)), -8, 7)
    )


@pytest.mark.parametrize(
    "shape,layout,expected",
    [
        ((1, 2, 3, 3), "", 2),
        ((1, 2, 3, 3), "NCHW", 2),
        ((1, 3, 3, 2), "NHWC", 2),
        ((1, 6), "", 6),
        ((1, 6), "NC", 6),
    ],
)
@pytest.mark.parametrize("one_row", [False, True])
def test_multi_threshold_layouts(tmp_path, shape, layout, expected, one_row):
    m = Model(*shape)
    steps = np.sort(f32(RNG.integers(0, 255, (1 if one_row else expected, 3))), 1)
    attributes = {"data_layout": layout} if layout else {}
    y = m(
        "MultiThreshold",
        "x",
        steps,
        domain=QONNX,
        out_dtype="INT2",
        out_scale=0.5,
        out_bias=-1.0,
        **attributes,
    )
    m("MatMul", m("Reshape", y, np.array([1, -1])), signs(RNG, int(np.prod(shape[1:])), 4))
    path = m.save(tmp_path)
    graph = imported_exactly(path)
    np.testing.assert_array_equal(graph.ops[0].thresholds, steps)


def test_multi_threshold_of_a_wrong_layout(tmp_path):
    m = Model(1, 2, 3, 3)
    m(
        "MultiThreshold",
        "x",
        f32(np.zeros((2, 1))),
        domain=QONNX,
        data_layout="NC",
        out_dtype="BIPOLAR",
    )
    fails(m.save(tmp_path), "MultiThreshold_0", "'NC'")


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (2, 1, 1), (1, 2, 1, 1), (1, 1, 1, 1, 1)])
def test_arithmetic_with_constants(tmp_path, op, first, shape):
    m = Model(1, 2, 3, 3)
    constant = f32(RNG.uniform(0.5, 2, shape))
    y = m(op, constant, "x") if first else m(op, "x", constant)
    if len(shape) == 5:
        y = m("Squeeze", y, np.array([0]))
    y = m.bipolar(m("Sub", y, f32(100)))
    flattened(m, convolution(m, y, 2, 3, (2, 2)))
    made = imported_exactly(m.save(tmp_path)).ops[0]
    value = made.operands[0] if op == "Div" and first else made.value
    assert value.shape == ((2,) if constant.size == 2 else ())


def test_arithmetic_that_cannot_be_mapped(tmp_path):
    m = Model(1, 2, 3, 3)
    flattened(m, convolution(m, m("Mul", "x", f32(RNG.normal(size=(1, 2, 3, 3)))), 2, 3, (2, 2)))
    assert fails(m.save(tmp_path), "pixel to pixel").node == "Mul_0"
    m = Model(1, 2, 3, 3)
    m("Div", "x", f32([[[1]], [[0]]]))
    fails(m.save(tmp_path), "divides by zero")
    m = Model(1, 2)
    m("Add", "x", f32([[1, 2], [3, 4]]))
    fails(m.save(tmp_path), "does not fit")
    m = Model(1, 2)
    m("Add", "x", f32(np.inf, 2))
    fails(m.save(tmp_path), "not finite")
    m = Model(1, 2)
    m("Add", "x", np.array([1.0, 2.0]))
    fails(m.save(tmp_path), "float64")


def test_weights_that_depend_on_the_input(tmp_path):
    m = Model(1, 2)
    y = m("Relu", "x")
    m("MatMul", y, m("Sign", m("Add", f32(1, 2), f32(1, 1))))
    m.nodes[-1].input[1] = y
    fails(m.save(tmp_path), "MatMul_3")


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_batch_normalization(tmp_path, rank):
    c = 3
    m = Model(1, c, *(4,) * (rank - 2)) if rank != 3 else Model(1, c)
    y = m("Unsqueeze", "x", np.array([2])) if rank == 3 else "x"
    parameters = [f32(-1.5, 0, 0.7), f32(0.1, -0.2, 0.3), f32(90, 120, 140), f32(900, 0, 4000)]
    y = m("BatchNormalization", y, *parameters, epsilon=1e-3, momentum=0.9)
    if rank == 3:
        y = m("Squeeze", y, np.array([2]))
    y = m.bipolar(y)
    if rank == 4:
        y = m("GlobalAveragePool", y)
    m("MatMul", m("Flatten", y), signs(RNG, c, 5))
    op = imported_exactly(m.save(tmp_path), count=16).ops[0]
    np.testing.assert_array_equal(op.gamma, parameters[0])
    assert op.epsilon == f32(1e-3)


def test_batch_normalization_of_flattened_features_flattens_first(tmp_path):
    m = Model(1, 2, 3, 2)
    y = m("Flatten", "x")
    y = m("BatchNormalization", y, *[f32(RNG.uniform(1, 99, 12)) for _ in range(4)])
    m("MatMul", m.bipolar(m("Sub", y, f32(60))), signs(RNG, 12, 5))
    graph = imported_exactly(m.save(tmp_path))
    assert kinds(graph)[:2] == ["Flatten", "BatchNorm"]
    assert graph.shape == (3, 2, 2)


def test_batch_normalization_in_training(tmp_path):
    m = Model(1, 2, opset=14)
    ones = f32(1, 1)
    m("BatchNormalization", "x", ones, ones, ones, ones, training_mode=1, outputs=3)
    assert fails(m.save(tmp_path), "inference").op == "BatchNormalization"


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 0, 0]},
        {"kernel_shape": [2, 2], "dilations": [2, 3]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ],
    ids=str,
)
def test_max_pool(tmp_path, attributes):
    m = Model(1, 2, 7, 7)
    flattened(m, m("MaxPool", m("Sub", "x", f32(200)), **attributes))
    assert kinds(imported_exactly(m.save(tmp_path))) == ["Subtract", "MaxPool", "Flatten"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"kernel_shape": [7, 1], "ceil_mode": 1},
    ],
    ids=str,
)
def test_average_pool(tmp_path, attributes):
    m = Model(1, 2, 7, 7)
    flattened(m, m("AveragePool", m("Sub", "x", f32(7)), **attributes))
    imported_exactly(m.save(tmp_path))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pool(tmp_path, op):
    m = Model(1, 5, 7, 7)
    m("Flatten", m(op, "x"))
    graph = imported_exactly(m.save(tmp_path))
    assert graph.ops[0].window.kernel == (7, 7)


@pytest.mark.parametrize("layout,axes", [("NCHW", [2, 3]), ("NHWC", [1, 2]), ("NCHW", [-1, -2])])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [13, 18])
def test_reduce_mean(tmp_path, layout, axes, keepdims, opset):
    m = Model(1, 5, 3, 4, opset=opset)
    y = m("Transpose", "x", perm=[0, 2, 3, 1]) if layout == "NHWC" else "x"
    if opset == 18:
        y = m("ReduceMean", y, np.array(axes), keepdims=keepdims)
    else:
        y = m("ReduceMean", y, axes=axes, keepdims=keepdims)
    m("MatMul", m("Reshape", y, np.array([1, 5])), signs(RNG, 5, 3))
    path = m.save(tmp_path)
    graph = read(path)
    assert kinds(graph) == ["AveragePool", "Conv"]
    m = Model(1, 5, 3, 4)
    m("Flatten", m("ReduceMean", "x", axes=[2, 3], keepdims=keepdims))
    imported_exactly(m.save(tmp_path))


def test_pools_that_cannot_be_mapped(tmp_path):
    m = Model(1, 2, 7, 7)
    m(
        "AveragePool",
        "x",
        kernel_shape=[4, 4],
        strides=[3, 3],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        ceil_mode=1,
    )
    fails(m.save(tmp_path), "count padding", "ceil_mode=0")
    m = Model(1, 2, 7, 7)
    y = m("AveragePool", "x", kernel_shape=[3, 3], pads=[1] * 4)
    m("MatMul", m("Flatten", m("Conv", y, signs(RNG, 3, 2, 6, 6))), signs(RNG, 12, 3))
    with pytest.raises(UnsupportedModel, match=r"divisors.*count_include_pad=1"):
        lower(read(m.save(tmp_path)))
    m = Model(1, 2, 4, 4, opset=18)
    y = m("Reshape", m("Conv", "x", signs(RNG, 2, 2, 1, 1)), np.array([1, 4, 8]))
    m("MatMul", m("ReduceMax", y, np.array([1]), keepdims=0), signs(RNG, 8, 3))
    fails(m.save(tmp_path), "ReduceMax_2")
    m = Model(1, 2, 3, 3)
    m("MaxPool", "x", kernel_shape=[5, 5])
    with pytest.raises(UnsupportedModel, match="does not fit"):
        read(m.save(tmp_path))
    m = Model(1, 2, 3, 3)
    m("MaxPool", "x", kernel_shape=[1, 1], pads=[1, 1, 1, 1])
    with pytest.raises(UnsupportedModel, match="padding only"):
        read(m.save(tmp_path))


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("axes", [[1], [2], [1, 2]])
def test_sums_of_any_features_are_a_dense_layer(tmp_path, op, axes):
    m = Model(1, 2, 4, 4, opset=18)
    y = m("Reshape", m("Conv", "x", signs(RNG, 2, 2, 1, 1)), np.array([1, 4, 8]))
    y = m(op, y, np.array(axes), keepdims=0)
    m("MatMul", m("Reshape", y, np.array([1, -1])), signs(RNG, {1: 8, 2: 4}.get(sum(axes), 1), 3))
    graph = imported_exactly(m.save(tmp_path))
    assert sum(isinstance(o, ops.ConvOp) for o in graph.ops) == 3


@pytest.mark.parametrize("opset", [10, 13])
def test_clip_and_relu(tmp_path, opset):
    m = Model(1, 6, opset=opset)
    y = m("Sub", "x", f32(128))
    y = m("Clip", y, min=-30.0, max=90.0) if opset == 10 else m("Clip", y, f32(-30), f32(90))
    m("MatMul", m("Relu", y), signs(RNG, 6, 4))
    graph = imported_exactly(m.save(tmp_path))
    assert [(op.lo, op.hi) for op in graph.ops[1:3]] == [(-30, 90), (0, np.inf)]


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("opset", [10, 13])
def test_pad_becomes_the_padding_of_the_convolution(tmp_path, value, channels_last, opset):
    m = Model(1, 2, 5, 4, opset=opset)
    y = m.bipolar(m("Sub", "x", f32(128)))
    pads = [0, 0, 1, 2, 0, 0, 0, 1]
    if channels_last:
        y = m("Transpose", y, perm=[0, 2, 3, 1])
        pads = [0, 1, 2, 0, 0, 0, 1, 0]
    if opset == 10:
        y = m("Pad", y, pads=pads, value=value)
    else:
        y = m("Pad", y, np.array(pads), f32(value))
    if channels_last:
        y = m("Transpose", y, perm=[0, 3, 1, 2])
    flattened(m, convolution(m, y, 2, 3))
    conv = imported_exactly(m.save(tmp_path)).ops[2]
    assert (conv.window.pads, conv.pad_value) == ((1, 2, 0, 1), value)


def test_pad_goes_through_elementwise_operations(tmp_path):
    m = Model(1, 2, 5, 4)
    y = m("Pad", m("Sub", "x", f32(128)), np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    flattened(m, convolution(m, m.bipolar(y), 2, 3))
    conv = imported_exactly(m.save(tmp_path)).ops[2]
    assert conv.pad_value == 1.0, "0 binarises to +1"
    m = Model(1, 2, 5, 4)
    y = m("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    flattened(m, convolution(m, m("Add", y, f32(1, 2).reshape(2, 1, 1)), 2, 3))
    fails(m.save(tmp_path), "differently in each channel")


@pytest.mark.parametrize("value,works", [(-1.0, True), (-np.inf, True), (0.0, False)])
def test_pad_before_a_max_pool(tmp_path, value, works):
    m = Model(1, 2, 6, 6)
    y = m("Sign", m("Sub", "x", f32(128)))
    y = m("Pad", y, np.array([0, 0, 1, 1, 0, 0, 1, 1]), f32(value))
    flattened(m, m("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2]))
    path = m.save(tmp_path)
    if works:
        assert imported_exactly(path).ops[2].window.pads == (1, 1, 1, 1)
    else:
        fails(path, "maxima over padding")


def test_pads_that_cannot_be_mapped(tmp_path):
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    m = Model(1, 2, 6, 6)
    flattened(m, convolution(m, m("Pad", "x", pads, mode="reflect"), 2, 3))
    fails(m.save(tmp_path), "reflect")
    m = Model(1, 2, 6, 6)
    flattened(m, convolution(m, m("Pad", "x", pads, f32(1)), 2, 3, pads=[1, 1, 1, 1]))
    fails(m.save(tmp_path), "already padded")
    m = Model(1, 2, 6, 6)
    m("MatMul", m("Flatten", m("Pad", "x", pads)), signs(RNG, 128, 3))
    fails(m.save(tmp_path), "its input is padded")
    m = Model(1, 2, 6, 6)
    m("Pad", "x", -pads)
    fails(m.save(tmp_path), "none negative")


@pytest.mark.parametrize(
    "attributes",
    [{}, {"alpha": 0.5, "beta": 2.0}, {"transB": 1}, {"transA": 1, "transB": 1}],
    ids=str,
)
@pytest.mark.parametrize("biased", [False, True])
def test_gemm(tmp_path, attributes, biased):
    m = Model(1, 6)
    weights = m.quant(f32(RNG.normal(size=(6, 4))), 3, scale=0.25)
    y = "x"
    if "transB" in attributes:
        weights = m("Transpose", weights, perm=[1, 0])
    if "transA" in attributes:
        y = m("Reshape", y, np.array([6, 1]))
    m("Gemm", y, weights, *([f32(1, 2, 3, 4)] if biased else []), **attributes)
    imported_exactly(m.save(tmp_path))


def test_integer_weights_without_a_quantiser(tmp_path):
    m = Model(1, 6)
    m("MatMul", "x", f32(RNG.integers(-7, 8, (6, 4))))
    assert imported_exactly(m.save(tmp_path)).ops[0].scale == 1


def test_float_weights(tmp_path):
    m = Model(1, 6)
    m("MatMul", "x", f32(RNG.normal(size=(6, 4))))
    with pytest.raises(UnsupportedModel, match="not integers.*BipolarQuant.*fixed point") as caught:
        lower(read(m.save(tmp_path)))
    assert (caught.value.node, caught.value.op) == ("MatMul_0", "MatMul")
    m = Model(1, 6)
    m(
        "MatMul",
        "x",
        m(
            "BipolarQuant",
            f32(RNG.normal(size=(6, 4))),
            f32(RNG.uniform(1, 2, (6, 1))),
            domain=QONNX,
        ),
    )
    with pytest.raises(UnsupportedModel, match="one scale per output channel"):
        lower(read(m.save(tmp_path)))


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax", "ArgMax", "TopK"])
def test_endings_are_dropped_and_noted(tmp_path, ending):
    m = Model(1, 6)
    y = m("MatMul", "x", signs(RNG, 6, 4))
    if ending == "TopK":
        m("TopK", y, np.array([1]), axis=-1, outputs=2)
    else:
        m(ending, y, axis=1)
    graph = read(m.save(tmp_path, outputs=2 if ending == "TopK" else 1))
    assert kinds(graph) == ["Conv"]
    assert ending in graph.notes[0]
    m("Mul", "t1_0", f32(2))
    fails(m.save(tmp_path), "ends a network")


def test_endings_along_another_axis(tmp_path):
    for op, axis in (("Softmax", 0), ("ArgMax", 0), ("TopK", 0)):
        m = Model(1, 6)
        y = m("MatMul", "x", signs(RNG, 6, 4))
        m(op, y, *([np.array([1])] if op == "TopK" else []), axis=axis)
        fails(m.save(tmp_path), "axis of the classes")
    m = Model(1, 6)
    m("TopK", "x", np.array([1]), largest=0, outputs=2)
    fails(m.save(tmp_path), "least scores")
    m = Model(1, 6)
    m("ArgMax", "x", axis=1, select_last_index=1)
    fails(m.save(tmp_path), "last of equal scores")


def test_no_ops(tmp_path):
    m = Model(1, 6)
    y = m("Cast", m("Dropout", m("Identity", "x"), f32(0.5)), to=1)
    m("MatMul", y, signs(RNG, 6, 4))
    assert kinds(imported_exactly(m.save(tmp_path))) == ["Conv"]
    m = Model(1, 6)
    m("Cast", "x", to=10)
    fails(m.save(tmp_path), "FLOAT16")
    m = Model(1, 6)
    m("Dropout", "x", f32(0.5), np.array(True))
    fails(m.save(tmp_path), "inference")


@pytest.mark.parametrize(
    "op,domain",
    [("LRN", ""), ("Einsum", ""), ("XnorPopcountMatMul", QONNX), ("Magic", "com.example")],
)
def test_unknown_operators(tmp_path, op, domain):
    m = Model(1, 6)
    m(op, "x", domain=domain)
    error = fails(m.save(tmp_path), op, "cannot be mapped")
    assert (error.node, error.op) == (f"{op}_0", op)
    ways = {"LRN": "BatchNormalization", "Einsum": "MatMul"}
    assert ways.get(op, "docs/operators.md") in error.hint


def test_unknown_attribute(tmp_path):
    m = Model(1, 6)
    m("Relu", "x", slope=0.1)
    with pytest.raises(UnsupportedModel, match="'slope' is unknown"):
        read(m.save(tmp_path))


def test_quantisers_that_cannot_be_mapped(tmp_path):
    for text, kwargs in (
        ("not positive", {"scale": 0.0}),
        ("whole number", {"bits": 2.5}),
        ("zero point", {"zero": 0.5}),
        ("STOCHASTIC", {"rounding": "STOCHASTIC"}),
        ("whole number", {"bits": 25}),
        ("whole number", {"bits": 0}),
    ):
        m = Model(1, 6)
        m.quant("x", kwargs.pop("bits", 2), **kwargs)
        assert fails(m.save(tmp_path), text).op == "Quant"


def test_scores_in_another_order(tmp_path):
    m = Model(1, 3, 2, 2)
    m("Flatten", "x")
    with pytest.raises(UnsupportedModel, match="another order"):
        read(m.save(tmp_path))
