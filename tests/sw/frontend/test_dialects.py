"""The ways exporters write networks: layouts, fused batch-norm, preambles, quantiser domains."""

import json

import numpy as np
import onnx
import pytest

from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import ops
from xnorflow.graph.input_scale import InputScale

from ..lower.reference import run
from .onnx_models import BREVITAS, QONNX, Model, execute, f32, imported_exactly, signs

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def same_numbers():
    """Start every test with the same random numbers, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


def kinds(graph):
    return [type(op).__name__.removesuffix("Op") for op in graph.ops]


def larq_sign(m, x):
    """tf2onnx's way round sign(0) = 0."""
    return m("Sign", m("Add", m("Sign", x), f32(0.1)))


def test_larq_through_tf2onnx(tmp_path):
    """Batch-norm fused into +-s, channels last, Pad with +1, depthwise, pool before batch-norm."""

    def fused(out, inputs, kernel, gammas):
        return signs(RNG, out, inputs, kernel, kernel) * f32(gammas).reshape(-1, 1, 1, 1)

    m = Model(1, 9, 8, 3)
    to_first, to_last = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
    y = m("Conv", m("Transpose", "x", **to_first), signs(RNG, 4, 3, 3, 3))
    y = m("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1])
    y = m(
        "BatchNormalization",
        y,
        f32(1, -1, 0, 2),
        f32(1, 2, -3, 4),
        *[f32(RNG.uniform(-9, 99, 4)) ** 2 for _ in range(2)],
        epsilon=1e-3,
    )
    y = larq_sign(m, m("Transpose", y, **to_last))
    y = m("Pad", y, np.array([0, 1, 1, 0, 0, 1, 1, 0]), f32(1))
    gammas = [0.5, -0.25, 0.0, 2.0, -1.0]
    y = m(
        "Conv",
        m("Transpose", y, **to_first),
        fused(5, 4, 3, gammas),
        f32(RNG.normal(size=5)),
        strides=[2, 2],
    )
    y = m("Transpose", larq_sign(m, m("Transpose", y, **to_last)), **to_first)
    y = m(
        "Conv",
        y,
        fused(5, 1, 3, [1, 0.5, -2, -0.25, 4]),
        f32(RNG.normal(size=5)),
        group=5,
        pads=[1, 1, 1, 1],
    )
    size = 3 * 3 * 5
    y = larq_sign(m, m("Reshape", m("Transpose", y, **to_last), np.array([-1, size])))
    y = m("MatMul", y, signs(RNG, size, 6))
    y = m("Add", m("Mul", y, f32(RNG.normal(size=6))), f32(RNG.normal(size=6)))
    path = m.save(tmp_path)
    graph = imported_exactly(path, count=8)
    assert graph.shape == (9, 8, 3)
    sign = ["Sign", "Add", "Sign"]
    assert kinds(graph) == [
        "Conv",
        "MaxPool",
        "BatchNorm",
        *sign,
        "Conv",
        *sign,
        "Conv",
        *sign,
        "Flatten",
        "Conv",
        "Multiply",
        "Add",
    ]
    convs = [op for op in graph.ops if isinstance(op, ops.ConvOp)]
    np.testing.assert_array_equal(convs[1].scale, [0.5, 0.25, 1, 2, 1])
    assert set(np.unique(convs[1].weights[[0, 1, 3, 4]])) == {-1, 1}
    assert not convs[1].weights[2].any()
    assert (convs[1].window.pads, convs[1].pad_value) == ((1, 1, 1, 1), 1.0)
    np.testing.assert_array_equal(convs[2].scale, [1, 0.5, 2, 0.25, 4])
    assert (convs[2].window.pads, convs[2].pad_value) == ((1, 1, 1, 1), 0.0)
    m("Softmax", y, axis=1)
    assert "Softmax" in read(m.save(tmp_path)).notes[0]


def test_fused_scales_that_are_no_powers_of_two(tmp_path):
    m = Model(1, 2, 3, 3)
    gammas = f32(RNG.normal(size=4)).reshape(-1, 1, 1, 1)
    weights = signs(RNG, 4, 2, 3, 3)
    m("Flatten", m("Conv", "x", weights * gammas))
    (conv,) = read(m.save(tmp_path)).ops
    np.testing.assert_array_equal(conv.scale, np.abs(gammas).ravel())
    np.testing.assert_array_equal(conv.weights, (weights * np.sign(gammas)).transpose(0, 2, 3, 1))


def test_brevitas_before_qonnx(tmp_path):
    """Domain onnx.brevitas, opset 9, initializers among the inputs, a shape preamble, Pow."""
    m = Model(1, 1, 4, 5, opset=9)
    batch = m("Unsqueeze", m("Gather", m("Shape", "x"), np.array(0)), axes=[0])
    y = m("Reshape", "x", m("Concat", batch, np.array([-1]), axis=0))
    y = m.bipolar(m("Sub", m("Mul", y, f32(2)), f32([255])), domain=BREVITAS)
    weights = m("Transpose", m.bipolar(f32(RNG.normal(size=(8, 20))), domain=BREVITAS), perm=[1, 0])
    y = m(
        "BatchNormalization",
        m("MatMul", y, weights),
        *[f32(RNG.uniform(1, 2, 8)) for _ in range(4)],
    )
    y = m.quant(y, 2, narrow=1, domain=BREVITAS)
    y = m("MatMul", y, m("Transpose", m.bipolar(signs(RNG, 3, 8), domain=BREVITAS), perm=[1, 0]))
    m("Div", m("Sub", y, f32([0.4])), m("Pow", f32([318.2]), f32(0.5)))
    proto = m.proto()
    for t in proto.graph.initializer:
        proto.graph.input.append(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims))
    path = tmp_path / "old-net 1.onnx"
    onnx.save(proto, path)
    graph = read(path)
    assert graph.name == "old_net_1"
    assert kinds(graph) == [
        "Multiply",
        "Subtract",
        "BipolarQuant",
        "Flatten",
        "Conv",
        "BatchNorm",
        "Quant",
        "Conv",
        "Subtract",
        "Divide",
    ]
    frames = RNG.integers(0, 256, (6, 4, 5, 1), dtype=np.uint8)
    np.testing.assert_array_equal(run(graph, frames), execute(path, frames))


def test_merged_initializers(tmp_path):
    """Two layers may share a tensor, and a batch-norm may call its scale anything."""
    m = Model(1, 6)
    shared, ones = m.store(signs(RNG, 6, 6)), m.store(f32(np.ones(6)))
    y = m("MatMul", "x", m("BipolarQuant", shared, m.store(f32(1)), domain=QONNX))
    y = m.bipolar(m("BatchNormalization", y, ones, ones, ones, ones))
    m("Gemm", y, m("BipolarQuant", shared, f32(2), domain=QONNX), ones, transB=1)
    graph = imported_exactly(m.save(tmp_path))
    convs = [op for op in graph.ops if isinstance(op, ops.ConvOp)]
    np.testing.assert_array_equal(convs[0].weights[:, 0, 0].T, convs[1].weights[:, 0, 0])
    assert convs[1].scale == 2


@pytest.mark.parametrize(
    "shape,to_first",
    [
        ((1, 3, 6, 5), False),  # channels first
        ((1, 4, 6, 5), False),
        ((1, 6, 5, 3), True),  # channels last, as the number of channels shows
        ((1, 6, 5, 4), True),  # channels last, as the first convolution shows
    ],
)
@pytest.mark.parametrize("flattened_last", [False, True])
def test_input_layouts(tmp_path, shape, to_first, flattened_last):
    m = Model(*shape)
    y = m.bipolar(m("Sub", "x", f32(128)))
    if to_first:
        y = m("Transpose", y, perm=[0, 3, 1, 2])
    y = m("Conv", y, signs(RNG, 4, shape[3 if to_first else 1], 2, 2))
    if flattened_last:
        y = m("Transpose", y, perm=[0, 2, 3, 1])
    m("MatMul", m("Flatten", y), signs(RNG, 5 * 4 * 4, 3))
    graph = imported_exactly(m.save(tmp_path))
    assert graph.shape == (6, 5, shape[3 if to_first else 1])


def test_a_per_channel_constant_before_the_layout_is_known(tmp_path):
    m = Model(1, 6, 5, 4)
    y = m("Transpose", m("Sub", "x", f32(90, 110, 130, 150)), perm=[0, 3, 1, 2])
    m("MatMul", m("Flatten", m("Conv", y, signs(RNG, 4, 4, 6, 5))), signs(RNG, 4, 3))
    graph = imported_exactly(m.save(tmp_path))
    assert graph.shape == (6, 5, 4)
    np.testing.assert_array_equal(graph.ops[0].value, [90, 110, 130, 150])


def test_flat_input_that_becomes_a_picture(tmp_path):
    m = Model(1, 60)
    y = m(
        "Conv", m("Reshape", m("Sub", "x", f32(7)), np.array([-1, 3, 4, 5])), signs(RNG, 4, 3, 4, 5)
    )
    m("Flatten", y)
    path = m.save(tmp_path)
    graph = read(path)
    assert graph.shape == (4, 5, 3)
    frames = RNG.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    # The file's flat order is channel, row, column.
    np.testing.assert_array_equal(
        run(graph, frames), execute(path, frames.transpose(0, 3, 1, 2).reshape(3, 1, 1, 60))
    )


@pytest.mark.parametrize("shape,frame", [((1, 12), (1, 1, 12)), ((1, 3, 4), (3, 4, 1))])
def test_vectors_and_grey_pictures(tmp_path, shape, frame):
    m = Model(*shape)
    m("MatMul", m("Reshape", "x", np.array([1, 12])), signs(RNG, 12, 5))
    assert imported_exactly(m.save(tmp_path)).shape == frame


def test_a_dense_layer_on_every_pixel_is_a_convolution(tmp_path):
    m = Model(1, 4, 5, 3)
    y = m("MatMul", "x", m.quant(f32(RNG.normal(size=(3, 6))), 3, scale=0.25))
    y = m.bipolar(m("Add", y, f32(RNG.normal(size=6))))
    m("MatMul", m("Flatten", y), signs(RNG, 120, 3))
    graph = imported_exactly(m.save(tmp_path))
    assert kinds(graph) == ["Conv", "Add", "BipolarQuant", "Flatten", "Conv"]
    assert graph.ops[0].weights.shape == (6, 1, 1, 3)


def test_features_in_another_order(tmp_path):
    m = Model(1, 2, 3, 3)
    y = m("Conv", "x", signs(RNG, 4, 2, 1, 1))
    y = m("Reshape", m("Transpose", y, perm=[0, 2, 3, 1]), np.array([1, 4, 3, 3]))
    m("Conv", y, signs(RNG, 2, 4, 3, 3))
    with pytest.raises(UnsupportedModel, match="Conv_3") as caught:
        read(m.save(tmp_path))
    assert "order other than" in caught.value.reason


def test_dynamic_dimensions(tmp_path):
    m = Model("batch", 6)
    shape = m(
        "Concat", m("Slice", m("Shape", "x"), np.array([0]), np.array([1])), np.array([-1]), axis=0
    )
    m("MatMul", m("Reshape", "x", shape), signs(RNG, 6, 4))
    assert kinds(read(m.save(tmp_path))) == ["Conv"]
    m = Model(1, "width")
    m("MatMul", "x", signs(RNG, 6, 4))
    with pytest.raises(UnsupportedModel, match="dimension 1 .'width'."):
        read(m.save(tmp_path))
    m = Model(8, 6)
    m("MatMul", "x", signs(RNG, 6, 4))
    with pytest.raises(UnsupportedModel, match="batch of 8"):
        read(m.save(tmp_path))


def test_names_classes_and_scale(tmp_path):
    m = Model(1, 6)
    m("MatMul", "x", signs(RNG, 6, 2))
    good = m.save(tmp_path, doc_string=json.dumps({"classes": ["cat", "dog"]}))
    assert read(good).classes == ("cat", "dog")
    assert read(good, input_scale=0.5, name="7 of nine!").name == "net_7_of_nine"
    assert read(good, input_scale=0.5).input_scale == InputScale(0.5)
    for doc in (
        '{"classes": ["cat"]}',
        '{"classes": [1, 2]}',
        "[1, 2]",
        "nonsense",
        "[" * 9999,
        '{"classes": ["a\\u0000", "b"]}',
    ):
        assert read(m.save(tmp_path, doc_string=doc)).classes == ()
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="input scale"):
            read(good, input_scale=scale)
    with pytest.raises(BadInput, match="no such model"):
        read(tmp_path / "absent.onnx")


def test_an_input_of_uint8(tmp_path):
    m = Model(1, 6)
    m("MatMul", m("Cast", "x", to=1), signs(RNG, 6, 2))
    proto = m.proto()
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(proto, tmp_path / "bytes.onnx")
    assert kinds(read(tmp_path / "bytes.onnx")) == ["Conv"]
    with pytest.raises(BadInput, match="scale must be 1"):
        read(tmp_path / "bytes.onnx", input_scale=1 / 255)


def test_what_no_output_needs_is_ignored(tmp_path):
    m = Model(1, 6)
    y = m("MatMul", "x", signs(RNG, 6, 2))
    m("Sigmoid", y)
    m("Sign", y)
    assert kinds(read(m.save(tmp_path))) == ["Conv", "Sign"]


def test_nodes_in_any_order(tmp_path):
    m = Model(1, 6)
    m("MatMul", m.bipolar(m("Sub", "x", f32(99))), m.bipolar(f32(RNG.normal(size=(6, 3)))))
    proto = m.proto()
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    onnx.save(proto, tmp_path / "reversed.onnx")
    assert kinds(read(tmp_path / "reversed.onnx")) == ["Subtract", "BipolarQuant", "Conv"]
