"""Integer quantisers and integer layers: as ONNX Runtime, or qonnx, executes them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.lower import lower
from xnorflow_sim import golden

from .executor import lowered_exactly, order
from .onnx_models import QONNX, Model, execute, f32, imported_exactly, random_frames, signs

RNG = np.random.default_rng(5)
MICROSOFT = "com.microsoft"


def integers(low, high, *shape, dtype=np.int8):
    return RNG.integers(low, high, shape).astype(dtype)


def qdq(m, x, scale, zero, clip=None):
    """Quantise and dequantise; QCDQ with a clip of the integers between."""
    x = m("QuantizeLinear", x, f32(scale), zero)
    if clip:
        x = m("Clip", x, *(np.array(end, zero.dtype) for end in clip))
    return m("DequantizeLinear", x, f32(scale), zero)


def network(*, opset, zero, clip=None, axis=0, weight_zero=None, stored_floats=False):
    m = Model(1, 2, 6, 6, opset=opset)
    x = qdq(m, m("Sub", "x", f32(100)), 8.0, zero, clip)
    weights = integers(-4, 5, 4, 2, 3, 3)
    many = {"axis": axis} if opset >= 13 else {}
    scale = f32(0.5, 0.25, 1, 2) if many else f32(0.5)
    points = np.zeros(scale.shape, np.int8) if weight_zero is None else weight_zero
    if stored_floats:
        w = weights.astype(np.float32) * scale.reshape(-1, 1, 1, 1)
        weights = m("QuantizeLinear", w, scale, points, **many)
    x = m("Conv", x, m("DequantizeLinear", weights, scale, points, **many), f32(1, -2, 3, 0.5))
    x = qdq(m, m("Relu", x), 16.0, zero, clip)
    dense = m("DequantizeLinear", integers(-8, 8, 64, 5), f32(0.125), np.int8(0))
    m("MatMul", m("Flatten", x), dense)
    return m


@pytest.mark.parametrize("opset", [10, 12, 13, 17, 19, 21])
@pytest.mark.parametrize("zero", [np.uint8(0), np.uint8(3), np.int8(-7), np.int8(0)], ids=repr)
def test_qdq(tmp_path, opset, zero):
    lowered_exactly(network(opset=opset, zero=zero).save(tmp_path))


@pytest.mark.parametrize("zero,clip", [(np.uint8(0), (0, 7)), (np.int8(0), (-3, 3))])
def test_qcdq(tmp_path, zero, clip):
    net = lowered_exactly(network(opset=13, zero=zero, clip=clip).save(tmp_path))
    assert net.layers[2].alphabet.levels <= 8


@pytest.mark.parametrize("zero", [np.int8([0, 0, 0, 0]), np.int8([1, -2, 0, 3])], ids=str)
@pytest.mark.parametrize("floats", [False, True])
def test_weights_have_scales_and_zero_points_per_channel(tmp_path, zero, floats):
    m = network(opset=13, zero=np.uint8(0), weight_zero=zero, axis=-4, stored_floats=floats)
    lowered_exactly(m.save(tmp_path))


def test_integers_may_be_the_last(tmp_path):
    m = network(opset=13, zero=np.int8(5))
    qdq(m, m.nodes[-1].output[0], 0.5, np.int8(5))
    lowered_exactly(m.save(tmp_path))


def test_scales_that_cannot_be_read(tmp_path):
    def one(*parameters, opset=21, **attributes):
        m = Model(1, 4, opset=opset)
        x = m("QuantizeLinear", "x", *parameters, **attributes)
        m("MatMul", m("Cast", x, to=1), signs(RNG, 4, 2))
        return m.save(tmp_path)

    for text, parameters, attributes in (
        ("positive", (f32(0), np.int8(0)), {}),
        ("does not fit axis", (f32(1, 2, 3), np.int8([0, 0, 0])), {}),
        ("per block", (f32(1), np.int8(0)), {"block_size": 2}),
    ):
        with pytest.raises(UnsupportedModel, match=text):
            read(one(*parameters, **attributes))
    m = Model(1, 4)
    m("DequantizeLinear", "x", f32(1), np.int8(0))
    with pytest.raises(UnsupportedModel, match="float32"):
        read(m.save(tmp_path))


def test_output_types_of_newer_operator_sets(tmp_path):
    m = Model(1, 6, opset=21)
    x = m("QuantizeLinear", m("Sub", "x", f32(99)), f32(32), output_dtype=TensorProto.INT8)
    m("MatMul", m("DequantizeLinear", x, f32(32)), signs(RNG, 6, 4))
    lowered_exactly(m.save(tmp_path))


def quantised_start(m, zero):
    """Return pictures as integers, and the parameters of such a tensor."""
    return m("QuantizeLinear", m("Sub", "x", f32(90)), f32(2), zero), f32(2), zero


@pytest.mark.parametrize("zero", [np.uint8(7), np.int8(-3)], ids=repr)
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_qlinear_conv_and_matmul(tmp_path, zero, pads):
    m = Model(1, 2, 6, 6)
    start = quantised_start(m, zero)
    weights = integers(-9, 9, 4, 2, 3, 3)
    scales, points = f32(0.25, 0.5, 0.1, 1), np.int8([0, 0, 0, 0])
    bias = integers(-500, 500, 4, dtype=np.int32)
    x = m("QLinearConv", *start, weights, scales, points, f32(3), zero, bias, pads=pads)
    x = m("Flatten", m("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    size = 4 * (2 if pads == [0] * 4 else 3) ** 2
    dense, one = integers(-9, 9, size, 5), zero.dtype.type(1)
    y = m("QLinearMatMul", x, f32(3), zero, dense, f32(0.02), np.int8(0), f32(4), one)
    m("DequantizeLinear", y, f32(4), one)
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("requantised", [False, True])
def test_gemm_of_onnx_runtime(tmp_path, requantised):
    m = Model(1, 12)
    start = quantised_start(m, np.uint8(5))
    weights, bias = integers(-9, 9, 5, 12), integers(-99, 99, 5, dtype=np.int32)
    after = [f32(3), np.uint8(128)] if requantised else []
    y = m(
        "QGemm",
        *(*start, weights, f32(0.5), np.int8(0), bias, *after),
        domain=MICROSOFT,
        transB=1,
        alpha=0.5,
    )
    if requantised:
        m("DequantizeLinear", y, *after)
    lowered_exactly(m.save(tmp_path))


def test_integer_conv_and_matmul(tmp_path):
    m = Model(1, 2, 5, 5)
    x, _, zero = quantised_start(m, np.uint8(5))
    x = m("ConvInteger", x, integers(-3, 4, 3, 2, 3, 3), zero, np.int8(0))
    x = m("Mul", m("Cast", x, to=1), f32(0.125))
    x = m("QuantizeLinear", m("Flatten", x), f32(4), np.uint8(2))
    m("Cast", m("MatMulInteger", x, integers(-3, 4, 27, 5), np.uint8(2)), to=1)
    lowered_exactly(m.save(tmp_path))


def truncated(version, rounding, *, signed=0):
    m = Model(1, 2, 4, 4)
    x = m.quant(m("Sub", "x", f32(60)), 6, scale=2.0, zero=0.0, signed=signed)
    x = m("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    # The mean of four steps of 2 has steps of 1/2.
    parameters = [f32(0.5), f32(0), f32(8)]
    kinds = {"narrow": 0, "signed": signed} if version == 2 else {}
    more = [f32(4), f32(4)] if version == 2 else [f32(4)]
    y = m("Trunc", x, *parameters, *more, domain=QONNX, rounding_mode=rounding, **kinds)
    m("MatMul", m("Flatten", y), signs(RNG, 8, 4))
    m.domains[QONNX] = version
    return m


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("rounding", ["FLOOR", "ROUND", "ceil"])
@pytest.mark.parametrize("signed", [0, 1])
def test_trunc(tmp_path, version, rounding, signed):
    path = truncated(version, rounding, signed=signed).save(tmp_path)
    graph = imported_exactly(path, count=16)
    frames = random_frames(np.random.default_rng(2), graph, 40)
    np.testing.assert_array_equal(
        order(golden.run(lower(graph), frames)), order(execute(path, frames))
    )


def test_quantisers_in_the_standard_domain_and_with_integer_parameters(tmp_path):
    m = Model(1, 6)
    x = m("Quant", "x", f32(16), np.array(3), np.array(4), signed=0, narrow=0, domain=QONNX)
    m("MatMul", x, m("Quant", f32(RNG.normal(size=(6, 4))), f32(1), f32(0), f32(2), domain=QONNX))
    qonnx = lower(read(m.save(tmp_path)))
    proto = m.proto()
    for node in proto.graph.node:
        node.domain = ""
    onnx.save(proto, tmp_path / "standard.onnx")
    assert lower(read(tmp_path / "standard.onnx", name="model")).digest == qonnx.digest


def test_float_quantisers_are_refused(tmp_path):
    m = Model(1, 6)
    m("FloatQuant", "x", *(f32(1) for _ in range(5)), domain=QONNX)
    with pytest.raises(UnsupportedModel, match=r"FloatQuant.*small floats.*Quant \(IntQuant\)"):
        read(m.save(tmp_path))
    weights = Model(1, 6)
    w = weights("FloatQuant", f32(np.ones((6, 2))), *(f32(1) for _ in range(5)), domain=QONNX)
    weights("MatMul", "x", w)
    with pytest.raises(UnsupportedModel, match="weights of FloatQuant"):
        read(weights.save(tmp_path))


def test_helper_types_are_those_of_onnx():
    from xnorflow.frontend.operators.quantise import integer_range_of

    for name in ("INT8", "UINT8", "INT16", "UINT16", "INT32"):
        number = TensorProto.DataType.Value(name)
        assert integer_range_of(None, number) == helper.tensor_dtype_to_np_dtype(number)
