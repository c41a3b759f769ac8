"""Integers of 2 and 4 bits: as ONNX Runtime executes them, and as ONNX packs them."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from xnorflow.errors import UnsupportedModel
from xnorflow.evidence.executor import Executor
from xnorflow.export import export_steps
from xnorflow.frontend import read
from xnorflow.frontend.narrow import NARROW

from .executor import lowered_exactly
from .onnx_models import Model, f32, signs

RNG = np.random.default_rng(41)
LIMITS = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}
KINDS = pytest.mark.parametrize("kind", LIMITS)
EDGES = pytest.mark.parametrize("kind,low,high", [(k, *ends) for k, ends in LIMITS.items()])


def opset(kind):
    """The first operator set that has the type."""
    return 21 if kind.endswith("4") else 25


def number(kind):
    known = {narrow.dtype.name: n for n, narrow in NARROW.items()}
    if kind not in known:
        pytest.skip(f"the installed onnx knows no {kind}")
    return known[kind]


def narrow(kind, values):
    number(kind)
    return np.asarray(values).astype(getattr(ml_dtypes, kind))


def drawn(kind, *shape):
    low, high = LIMITS[kind]
    return narrow(kind, RNG.integers(low, high + 1, shape))


@KINDS
@pytest.mark.parametrize("zero", [0, 1])
def test_layers_of_weights_and_activations(tmp_path, kind, zero):
    m = Model(1, 2, 6, 6, opset=opset(kind))
    point, scale = narrow(kind, zero), f32(40 if kind.endswith("4") else 150)
    x = m("QuantizeLinear", m("Sub", "x", f32(100)), scale, point)
    x = m("DequantizeLinear", x, scale, point)
    scales = f32(0.5, 0.25, 1, 2)
    w = m("DequantizeLinear", drawn(kind, 4, 2, 3, 3), scales, drawn(kind, 4), axis=0)
    x = m("Conv", x, w)
    x = m("DequantizeLinear", m("QuantizeLinear", x, scale, point), scale, point)
    stored = m("QuantizeLinear", f32(RNG.integers(-99, 99, (64, 5)) / 8), f32(2), point)
    m("MatMul", m("Flatten", x), m("DequantizeLinear", stored, f32(2), point))
    path = m.save(tmp_path)
    net = lowered_exactly(path)
    low, high = LIMITS[kind]
    assert net.layers[2].alphabet.levels <= high - low + 1


@EDGES
def test_quantisers_saturate_at_the_limits(tmp_path, kind, low, high):
    """One step beyond each end is the end, and the end is there."""
    values = f32([low - 1, low, low + 1, high - 1, high, high + 1])
    m = Model(1, 6, opset=opset(kind))
    stored = m("QuantizeLinear", f32(np.diag(values)), f32(1), narrow(kind, 0))
    m("MatMul", "x", m("DequantizeLinear", stored, f32(1), narrow(kind, 0)))
    (conv,) = read(m.save(tmp_path)).ops
    got = np.diag(conv.weights[:, 0, 0]) * conv.scale
    np.testing.assert_array_equal(got, [low, low, low + 1, high - 1, high, high])

    m = Model(1, 2, opset=opset(kind))
    x = m("QuantizeLinear", m("Sub", "x", f32(100)), f32(1), narrow(kind, 0))
    m("MatMul", m("DequantizeLinear", x, f32(1), narrow(kind, 0)), f32([[1, -1], [2, 1]]))
    net = lowered_exactly(m.save(tmp_path))
    assert (net.layers[0].alphabet.lo, net.layers[0].alphabet.hi) == (low, high)


@KINDS
def test_the_type_may_be_an_attribute(tmp_path, kind):
    m = Model(1, 6, opset=opset(kind))
    scale = f32(100)
    x = m("QuantizeLinear", m("Sub", "x", f32(99)), scale, output_dtype=number(kind))
    m("MatMul", m("DequantizeLinear", x, scale), signs(RNG, 6, 4))
    lowered_exactly(m.save(tmp_path))


@KINDS
@pytest.mark.parametrize("way", ["raw", "numbers", "external", "node"])
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (5, 1), (1, 7)])
def test_how_they_are_stored(tmp_path, kind, way, shape):
    weights = drawn(kind, *shape)
    m = Model(1, shape[0], opset=opset(kind))
    tensor = numpy_helper.from_array(weights, "c0")
    if way == "numbers":
        tensor = helper.make_tensor("c0", number(kind), shape, weights.astype(int).ravel())
        assert tensor.int32_data
    if way == "node":
        stored = m("Constant", value=tensor)
    else:
        stored = m.store(weights)
        m.initializers[0].CopyFrom(tensor)
    m("MatMul", "x", m("DequantizeLinear", stored, f32(1)))
    proto = m.proto()
    path = tmp_path / "model.onnx"
    if way == "external":
        (c0,) = (t for t in proto.graph.initializer if t.name == "c0")
        (tmp_path / "w.bin").write_bytes(b"\x55" + c0.raw_data)
        c0.ClearField("raw_data")
        c0.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", "1")):
            c0.external_data.add(key=key, value=value)
    onnx.save(proto, path)
    (conv,) = read(path).ops
    got = (conv.weights[:, 0, 0] * conv.scale).T
    np.testing.assert_array_equal(got, weights.astype(np.float32))


@pytest.mark.parametrize("kind,count", [("int4", 3), ("uint4", 4), ("int2", 5), ("uint2", 8)])
def test_bytes_one_too_few_or_too_many(tmp_path, kind, count):
    weights = drawn(kind, count, 1)
    needed = 2
    for stored, field in ((needed - 1, "raw_data"), (needed + 1, "raw_data"), (needed, "raw_data")):
        m = Model(1, count, opset=opset(kind))
        m("MatMul", "x", m("DequantizeLinear", weights, f32(1)))
        proto = m.proto()
        setattr(proto.graph.initializer[0], field, bytes([0x11] * stored))
        onnx.save(proto, tmp_path / "model.onnx")
        if stored == needed:
            read(tmp_path / "model.onnx")
            continue
        with pytest.raises(UnsupportedModel, match=f"should hold {needed} bytes, but {stored}"):
            read(tmp_path / "model.onnx")
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.int32_data.extend([0x11] * stored)
        onnx.save(proto, tmp_path / "model.onnx")
        with pytest.raises(UnsupportedModel, match=f"should hold {needed} packed bytes"):
            read(tmp_path / "model.onnx")


@KINDS
def test_constants_are_moved_and_converted(tmp_path, kind):
    weights = drawn(kind, 5, 6)
    m = Model(1, 6, opset=opset(kind))
    x = m("Reshape", m("Transpose", weights, perm=[1, 0]), np.array([6, 5]))
    m("MatMul", "x", m("Cast", x, to=TensorProto.FLOAT))
    (conv,) = read(m.save(tmp_path)).ops
    np.testing.assert_array_equal(conv.weights[:, 0, 0] * conv.scale, weights.astype(np.float32))


@EDGES
def test_constants_become_narrow_where_they_fit(tmp_path, kind, low, high):
    def file(value, **attributes):
        m = Model(1, 2, opset=opset(kind))
        x = m("Cast", f32([[value], [1]]), to=number(kind))
        m("MatMul", "x", m("DequantizeLinear", x, f32(1)))
        return m.save(tmp_path)

    for value in (low, high):
        (conv,) = read(file(value)).ops
        assert conv.weights[0, 0, 0, 0] * conv.scale == value
    for value in (low - 1, high + 1, 0.5):
        with pytest.raises(UnsupportedModel, match=f"{kind} cannot hold"):
            read(file(value))


@KINDS
def test_no_operator_computes_with_them(tmp_path, kind):
    m = Model(1, 4, opset=opset(kind))
    total = m("Add", drawn(kind, 4, 2), drawn(kind, 4, 2))
    m("MatMul", "x", m("DequantizeLinear", total, f32(1)))
    with pytest.raises(UnsupportedModel, match=f"Add.*of type {kind}"):
        read(m.save(tmp_path))
    m = Model(1, 4, opset=opset(kind))
    x = m("Sign", m("QuantizeLinear", "x", f32(9), narrow(kind, 0)))
    m("MatMul", m("DequantizeLinear", x, f32(1)), signs(RNG, 4, 2))
    with pytest.raises(UnsupportedModel, match=f"Sign.*of type {kind}"):
        read(m.save(tmp_path))
    m = Model(1, 4, opset=opset(kind))
    m("MatMul", m("Cast", m("Cast", "x", to=number(kind)), to=1), signs(RNG, 4, 2))
    with pytest.raises(UnsupportedModel, match=f"converts features to {kind.upper()}"):
        read(m.save(tmp_path))


@KINDS
def test_steps_of_the_lowering_hold_them_in_bytes(tmp_path, kind):
    m = Model(1, 6, opset=opset(kind))
    point, scale = narrow(kind, 1), f32(50)
    x = m("QuantizeLinear", m("Sub", "x", f32(99)), scale, point)
    m("MatMul", m("DequantizeLinear", x, scale, point), signs(RNG, 6, 4))
    assert not any(step.differing for step in export_steps(read(m.save(tmp_path)), tmp_path))


@KINDS
def test_the_executor_hands_them_from_node_to_node(tmp_path, kind):
    m = Model(1, 6, opset=opset(kind))
    point, scale = narrow(kind, 1), f32(50)
    x = m("QuantizeLinear", m("Sub", "x", f32(99)), scale, point)
    w = m("DequantizeLinear", drawn(kind, 6, 4), f32(0.25))
    m("MatMul", m("DequantizeLinear", x, scale, point), w)
    executor, samples = Executor(m.save(tmp_path)), RNG.integers(0, 256, (20, 6), np.uint8)
    tensors = executor.tensors(samples)
    np.testing.assert_array_equal(tensors[executor.output][:, 0], executor.run(samples).scores)
    low, high = LIMITS[kind]
    want = np.clip(np.rint((samples - f32(99)) / f32(50)) + 1, low, high)
    assert tensors[x].dtype == np.int8
    np.testing.assert_array_equal(tensors[x][:, 0], want)
