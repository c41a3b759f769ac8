"""Nodes that make larger maps, against ONNX Runtime."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import join_ops

from .branching import agrees, conv, head, kinds, saved, trunk
from .onnx_models import Model, f32, signs


def ints(*values):
    return np.array(values, np.int64)


def map_model(channels=2, size=4, opset=13):
    m = Model(1, channels, size, size, opset=opset)
    return m, trunk(m)


def stretches(graph):
    found = (op for op in graph.ops if isinstance(op, join_ops.StretchOp))
    return [(op.factors, op.fill, op.crop) for op in found]


def into_a_convolution(m, y, features, channels=4):
    head(m, conv(m, m("Sign", m("Add", y, f32(0.5))), channels, 3), 3 * features)
    return m


@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 2), (1, 4)])
@pytest.mark.parametrize("sizes", [False, True])
def test_nearest_upsampling(tmp_path, mode, factors, sizes):
    m, s = map_model()
    (fy, fx), size = factors, [1, 4, 4 * factors[0], 4 * factors[1]]
    rounding = "floor" if mode == "asymmetric" else "round_prefer_floor"
    given = ["", "", ints(*size)] if sizes else ["", f32(1, 1, fy, fx)]
    y = m(
        "Resize", conv(m, s, 4, 4), *given,
        coordinate_transformation_mode=mode, nearest_mode=rounding,
    )  # fmt: skip
    into_a_convolution(m, y, 16 * fy * fx)
    assert stretches(agrees(m, tmp_path)) == [(factors, "repeat", (0, 0, 0, 0))]


@pytest.mark.parametrize("opset", [7, 9, 10])
def test_older_ways_to_upsample(tmp_path, opset):
    m = Model(1, 2, 4, 4, opset=opset)
    y = conv(m, "x", 2, 4)
    match opset:
        case 7:
            y = m("Upsample", y, scales=[1.0, 1.0, 2.0, 3.0])
        case 9:
            y = m("Upsample", y, f32(1, 1, 2, 3))
        case _:
            y = m("Resize", y, f32(1, 1, 2, 3))
    y = m("MaxPool", y, kernel_shape=[2, 2])
    head(m, y, 4 * 7 * 11)
    assert stretches(agrees(m, tmp_path)) == [((2, 3), "repeat", (0, 0, 0, 0))]


def test_a_resize_of_some_axes(tmp_path):
    m, s = map_model(opset=18)
    y = m("Resize", conv(m, s, 4, 4), "", f32(2, 2), axes=[2, 3])
    into_a_convolution(m, y, 64)
    agrees(m, tmp_path)


@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel", "align_corners"])
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0, 4.0])
def test_any_resizing_is_what_the_runtime_makes_or_refused(tmp_path, mode, rounding, scale):
    m, s = map_model(size=8)
    y = m(
        "Resize", conv(m, s, 4, 4), "", f32(1, 1, scale, scale),
        coordinate_transformation_mode=mode, nearest_mode=rounding,
    )  # fmt: skip
    size = int(8 * scale)
    into_a_convolution(m, y, size * size)
    try:
        read(saved(m, tmp_path))
    except UnsupportedModel as e:
        assert "order" in str(e)
        assert scale == 1.5 or (mode, rounding) != ("half_pixel", "round_prefer_floor")
    else:
        agrees(m, tmp_path)


def test_a_nearest_upsampling_is_done_after_what_is_done_to_each_value(tmp_path):
    m, s = map_model()
    y = m("Resize", conv(m, s, 4, 4), "", f32(1, 1, 2, 2))
    graph = agrees(into_a_convolution(m, y, 64), tmp_path)
    assert kinds(graph).index("StretchOp") == kinds(graph).index("SignOp", 3) + 1


def test_two_resolutions_meet(tmp_path):
    m, s = map_model(size=8)
    small = conv(m, m("MaxPool", s, kernel_shape=[2, 2], strides=[2, 2]), 4, 4)
    y = m("Add", m("Resize", small, "", f32(1, 1, 2, 2)), conv(m, s, 4, 4, 1))
    graph = agrees(into_a_convolution(m, y, 64), tmp_path)
    assert stretches(graph) == [((2, 2), "repeat", (0, 0, 0, 0))]


def test_a_stretch_that_two_read_is_made_once(tmp_path):
    m, s = map_model()
    y = m("Resize", m("Sign", m("Add", conv(m, s, 4, 4), f32(0.5))), "", f32(1, 1, 2, 2))
    head(m, m("Add", conv(m, y, 4, 4), conv(m, y, 4, 4, 1)), 256)
    assert len(stretches(agrees(m, tmp_path))) == 1


@pytest.mark.parametrize("how", ["linear", "cubic", "sizes of the input"])
def test_resizing_that_is_refused(tmp_path, how):
    m, s = map_model()
    if how == "sizes of the input":
        sizes = m("Cast", m("ReduceMax", s, axes=[2, 3], keepdims=0), to=7)
        m("Resize", s, "", "", m("Reshape", sizes, ints(4)))
        with pytest.raises(UnsupportedModel, match="Resize.*"):
            read(saved(m, tmp_path))
        return
    m("Resize", s, "", f32(1, 1, 2, 2), mode=how)
    with pytest.raises(UnsupportedModel, match="Resize.*interpolates.*nearest"):
        read(saved(m, tmp_path))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("end", ["convolution", "sum", "pool"])
def test_depth_to_space(tmp_path, mode, end):
    m, s = map_model()
    y = m("DepthToSpace", m("Relu", conv(m, s, 4, 8)), blocksize=2, mode=mode)
    match end:
        case "convolution":
            head(m, conv(m, y, 2, 3), 192)
        case "sum":
            up = m("Resize", conv(m, s, 4, 2), "", f32(1, 1, 2, 2))
            head(m, m("Add", up, y), 128)
        case _:
            head(m, m("MaxPool", y, kernel_shape=[3, 3]), 72)
    graph = agrees(m, tmp_path)
    if (mode, end) == ("CRD", "sum"):
        # The other map is brought into blocks instead.
        return
    assert ((2, 2), "blocks", (0, 0, 0, 0)) in stretches(graph)
    picks = [op for op in graph.ops if getattr(op, "weights", np.zeros(0)).shape == (8, 1, 1, 8)]
    assert len(picks) == (mode == "CRD")


def test_space_to_depth_and_back(tmp_path):
    m, s = map_model()
    y = m("SpaceToDepth", conv(m, s, 4, 4), blocksize=2)
    y = m("Add", y, m("Conv", s, signs(np.random.default_rng(1), 16, 4, 2, 2), strides=[2, 2]))
    y = m("DepthToSpace", y, blocksize=2)
    agrees(into_a_convolution(m, y, 16), tmp_path)


GEOMETRIES = [
    {},
    {"strides": [2, 2]},
    {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    {"strides": [3, 2], "pads": [0, 1, 2, 0]},
    {"strides": [1, 2], "dilations": [2, 1]},
    {"strides": [2, 3], "dilations": [3, 2], "pads": [2, 1, 1, 3]},
    {"strides": [4, 4], "output_padding": [2, 1]},
    {"strides": [2, 2], "auto_pad": "VALID"},
]


@pytest.mark.parametrize("attributes", GEOMETRIES, ids=str)
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (4, 4), (1, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions(tmp_path, attributes, kernel, groups):
    m, s = map_model(size=5)
    rng = np.random.default_rng(3)
    weights = signs(rng, 4, 6 // groups, *kernel)
    y = m("ConvTranspose", s, weights, f32(rng.integers(-3, 4, 6)), group=groups, **attributes)
    # A pool of one pixel asks for the map itself.
    y = m("MaxPool", m("Add", y, f32(0.5)), kernel_shape=[1, 1])
    m("Flatten", y)
    graph = agrees(m, tmp_path)
    assert all(fill != "zeros" for _, fill, _ in stretches(graph))


@pytest.mark.parametrize("scale", [0.5, [0.5, 0.25, 1, 2, 0.125, 1]])
def test_quantised_weights_of_transposed_convolutions(tmp_path, scale):
    m, s = map_model()
    rng = np.random.default_rng(3)
    scale = f32(scale).reshape(1, -1, 1, 1)
    weights = m.quant(f32(rng.normal(size=(4, 6, 3, 3))), 4, scale=0.25)
    m.initializers[-3].CopyFrom(_tensor(m.initializers[-3].name, scale))
    y = m("ConvTranspose", s, weights, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    head(m, y, 6 * 64)
    graph = read(saved(m, tmp_path))
    (layer,) = (op for op in graph.ops if getattr(op, "op", "") == "ConvTranspose")
    assert layer.weights.dtype.kind == "i" and abs(layer.weights).max() <= 8


def _tensor(name, value):
    from onnx import numpy_helper

    return numpy_helper.from_array(value, name)


def test_a_transposed_convolution_along_a_line(tmp_path):
    m = Model(1, 2, 9)
    y = m("Sign", m("Sub", "x", f32(127.5)))
    y = m(
        "ConvTranspose", y, signs(np.random.default_rng(2), 2, 3, 4),
        strides=[2], pads=[1, 1], output_padding=[1],
    )  # fmt: skip
    y = m("Conv", m("Sign", y), signs(np.random.default_rng(4), 2, 3, 3))
    m("Flatten", y)
    agrees(m, tmp_path)


def test_a_small_u_net(tmp_path):
    m, s = map_model(size=8)
    down = m("MaxPool", s, kernel_shape=[2, 2], strides=[2, 2])
    down = m("Sign", m("Add", conv(m, down, 4, 8), f32(0.5)))
    weights = signs(np.random.default_rng(3), 8, 4, 2, 2)
    up = m("Sign", m("Add", m("ConvTranspose", down, weights, strides=[2, 2]), f32(0.5)))
    y = conv(m, m("Concat", s, up, axis=1), 8, 3)
    graph = agrees(m, tmp_path, y)
    (output,) = graph.outputs
    assert output.shape == (3, 8, 8)
    assert stretches(graph) == [((2, 2), "blocks", (0, 0, 0, 0))]


@pytest.mark.parametrize(
    ("attributes", "inputs", "text"),
    [
        ({"auto_pad": "SAME_UPPER"}, 4, "explicit pads"),
        ({"output_shape": [9, 9]}, 4, "explicit pads"),
        ({"pads": [9, 9, 9, 9]}, 4, "leave nothing"),
        ({"strides": [0, 1]}, 4, "its strides are"),
        ({"group": 3}, 4, "do not fit 4"),
        ({}, 5, "do not fit 4"),
        ({"strides": [1 << 15, 1 << 15]}, 4, "too large"),
    ],
    ids=str,
)
def test_transposed_convolutions_that_are_refused(tmp_path, attributes, inputs, text):
    m, s = map_model()
    m("ConvTranspose", s, signs(np.random.default_rng(1), inputs, 2, 3, 3), **attributes)
    with pytest.raises(UnsupportedModel, match="ConvTranspose") as caught:
        read(saved(m, tmp_path))
    assert text in str(caught.value)
