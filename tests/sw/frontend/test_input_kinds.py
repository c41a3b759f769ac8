"""Samples of every kind: what the network computes of them is what ONNX Runtime or qonnx does."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

import xnorflow as xf
from xnorflow.ir import file as ir_file

from .onnx_models import QONNX, Model, execute, f32, signs

RNG = np.random.default_rng(77)


def executed(path, x):
    """Scores of ONNX Runtime, one frame after the other; `x` in the file's own shape, float32."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.array([session.run(None, {"x": f[None].astype(np.float32)})[0].ravel() for f in x])


def same_order(scores, floats):
    a, b = (np.sign(s[:, :, None] - s[:, None]) for s in (scores, floats))
    return np.array_equal(a, b)


def dense(m, y, features=12):
    m("MatMul", y, signs(RNG, features, 5))


KINDS = {
    "uint8": (0, 255, 1),
    "int8": (-128, 127, 1),
    "uint2": (0, 3, 1),
    "int4": (-8, 7, 1),
    "uint12": (0, 4095, 1),
    "int16": (-(1 << 15), (1 << 15) - 1, 1),
    "bits": (0, 1, 1),
    "bipolar": (-1, 1, 2),
}


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_integers(tmp_path, kind, quantised):
    low, high, step = KINDS[kind]
    m = Model(1, 12)
    y = m("Sign", m("Sub", "x", f32((low + high) / 2 + 0.25))) if quantised else "x"
    dense(m, y)
    path = m.save(tmp_path)
    x = RNG.integers(0, (high - low) // step + 1, (16, 12)) * step + low
    x[0], x[1] = low, high
    x = x.astype(np.uint8) if kind == "uint8" else x
    net = xf.load(path, input=kind)
    assert same_order(net(x), executed(path, x))
    ir_file.save(net, tmp_path / "network.npz")
    again = xf.load(tmp_path / "network.npz")
    assert again.digest == net.digest
    np.testing.assert_array_equal(again(x), net(x))
    if kind != "uint8":
        for outside in (low - 1, high + 1):
            with pytest.raises(xf.BadInput, match=f"not all {net.samples}"):
                net(np.where(np.arange(12) == 3, outside, x))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "int16"])
def test_normalised_integers_need_no_quantiser(tmp_path, kind):
    low, high, step = KINDS[kind]
    m = Model(1, 12)
    y = m("Div", m("Sub", m("Div", "x", f32(high)), f32(0.1307)), f32(0.3081))
    y = m("Sign", m("Add", m("MatMul", y, signs(RNG, 12, 9)), f32(0.17)))
    dense(m, y, 9)
    path = m.save(tmp_path)
    x = RNG.integers(0, (high - low) // step + 1, (32, 12)) * step + low
    x = x.astype(np.uint8) if kind == "uint8" else x
    assert same_order(xf.load(path, input=kind)(x), executed(path, x))


@pytest.mark.parametrize("kind", ["bits", "bipolar", "uint8"])
def test_normalised_integers_beside_padding_of_zero(tmp_path, kind):
    low, high, step = KINDS[kind]
    m = Model(1, 2, 4, 4)
    y = m("Div", m("Sub", m("Div", "x", f32(high)), f32(0.1307)), f32(0.3081))
    y = m("Conv", y, signs(RNG, 3, 2, 3, 3), pads=[1, 1, 1, 1])
    dense(m, m("Flatten", m("Sign", m("Add", y, f32(0.17)))), 48)
    path = m.save(tmp_path)
    x = RNG.integers(0, (high - low) // step + 1, (32, 2, 4, 4)) * step + low
    x = x.astype(np.uint8) if kind == "uint8" else x
    assert same_order(xf.load(path, input=kind)(x), executed(path, x))


@pytest.mark.parametrize("scale", ["1/128", 0.3])
def test_a_scale_for_signed_samples(tmp_path, scale):
    m = Model(1, 12)
    dense(m, m("Sign", m("Sub", "x", f32(0.21))))
    path = m.save(tmp_path)
    x = RNG.integers(-128, 128, (64, 12)).astype(np.int8)
    taken = x.astype(np.float32) / np.float32(128) if scale == "1/128" else x * f32(0.3)
    net = xf.load(path, input="int8", input_scale=scale)
    assert same_order(net(x), executed(path, taken))


def test_unknown_kinds(tmp_path):
    m = Model(1, 12)
    dense(m, "x")
    path = m.save(tmp_path)
    for kind in ("uint1", "int17", "uint", "float64", "", "int08"):
        with pytest.raises(xf.BadInput, match=f"samples of type '{kind}' are not supported"):
            xf.load(path, input=kind)


def annotated(m, datatype):
    """The model with a datatype of FINN's at its input."""
    proto = m.proto()
    note = onnx.TensorAnnotation(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value=datatype)
    proto.graph.quantization_annotation.append(note)
    return proto


@pytest.mark.parametrize(
    ("datatype", "low", "high", "step"),
    [("INT4", -8, 7, 1), ("UINT3", 0, 7, 1), ("BIPOLAR", -1, 1, 2), ("BINARY", 0, 1, 1)],
)
def test_the_file_declares_its_input(tmp_path, datatype, low, high, step):
    m = Model(1, 12)
    dense(m, "x")
    onnx.save(annotated(m, datatype), tmp_path / "model.onnx")
    x = RNG.integers(0, (high - low) // step + 1, (9, 12)) * step + low
    net = xf.load(tmp_path / "model.onnx", input="file")
    a = net.samples.alphabet
    assert (a.lo, a.hi, a.step) == (low, high, step)
    assert same_order(net(x), executed(tmp_path / "model.onnx", x))


def test_a_declared_range_that_samples_do_not_reach_is_noted(tmp_path):
    m = Model(1, 12)
    dense(m, "x")
    onnx.save(annotated(m, "INT8"), tmp_path / "model.onnx")
    notes = xf.load(tmp_path / "model.onnx").notes
    assert (
        "declares its input as INT8, -128 to 127; samples of uint8 reach only 0 to 127" in notes[0]
    )
    assert not xf.load(tmp_path / "model.onnx", input="file").notes


def test_a_quantiser_that_samples_do_not_reach_is_noted(tmp_path):
    m = Model(1, 12)
    dense(m, m.quant("x", 8, scale=1 / 128))
    path = m.save(tmp_path)
    (note,) = xf.load(path, input_scale=1 / 255).notes
    assert "integers from -128 to 127, of which samples reach 0 to 127 only" in note
    assert not xf.load(path, input="int8", input_scale=1 / 128).notes


@pytest.mark.parametrize(("bits", "signed", "zero"), [(3, 1, 0), (6, 0, 0), (4, 1, 2), (10, 1, 0)])
def test_integers_of_the_files_own_quantiser(tmp_path, bits, signed, zero):
    m = Model(1, 12)
    dense(m, m.quant("x", bits, scale=0.25, zero=zero, signed=signed))
    path = m.save(tmp_path)
    net = xf.load(path, input="file")
    a = net.samples.alphabet
    x = RNG.integers(a.lo, a.hi + 1, (8, 12))
    assert a.levels == 1 << bits
    values = (x * f32(0.25)).astype(np.float32)
    assert same_order(net(x), execute(path, values.reshape(8, 1, 1, 12)))


def test_nothing_that_a_file_could_declare(tmp_path):
    m = Model(1, 12)
    dense(m, "x")
    with pytest.raises(xf.BadInput, match="does not say what integers its input has"):
        xf.load(m.save(tmp_path), input="file")


def test_an_input_of_int8(tmp_path):
    m = Model(1, 12)
    dense(m, m("Cast", "x", to=1))
    proto = m.proto()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    with pytest.raises(xf.BadInput, match="takes int8 samples, not uint8: say --input int8"):
        xf.load(path)
    x = RNG.integers(-128, 128, (8, 12)).astype(np.int8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = np.array([session.run(None, {"x": f[None]})[0].ravel() for f in x])
    assert same_order(xf.load(path, input="int8")(x), want)
    np.testing.assert_array_equal(xf.load(path, input="file")(x), xf.load(path, input="int8")(x))


def floats(quantiser, count, features=12):
    """Floats around zero, some of them right at and beside the quantiser's steps."""
    x = f32(RNG.normal(0, 1.5, (count, features)))
    steps = f32(np.arange(-40, 40) * 0.05)
    x[0] = RNG.choice(steps, features)
    x[1] = np.nextafter(RNG.choice(steps, features), f32(9))
    x[2] = np.nextafter(RNG.choice(steps, features), f32(-9))
    return x


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "HALF_UP"])
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_floats_are_quantised_as_the_network_does(tmp_path, bits, rounding):
    m = Model(1, 12)
    y = m("Div", m("Sub", "x", f32(0.13)), f32(0.31))
    dense(m, m.quant(y, bits, scale=0.125, signed=1, rounding=rounding))
    path = m.save(tmp_path)
    x = floats(None, 24)
    net = xf.load(path, input="float")
    assert str(net.samples) == "float32"
    assert same_order(net(x), execute(path, x.reshape(24, 1, 1, 12)))


def test_floats_with_constants_per_channel_that_rise_and_fall(tmp_path):
    m = Model(1, 3, 4, 5)
    parameters = [f32(0.7, -1.2, 0.0), f32(0.1, 0.2, 0.3), f32(0.5, -0.5, 0), f32(1, 2, 3)]
    y = m.quant(m("BatchNormalization", "x", *parameters), 3, scale=0.25)
    y = m("Conv", y, signs(RNG, 4, 3, 2, 2), pads=[1, 0, 0, 0])
    y = m("Sign", m("Add", y, f32(0.1)))
    dense(m, m("Flatten", y), 4 * 4 * 4)
    path = m.save(tmp_path)
    x = f32(RNG.normal(0, 2, (6, 3, 4, 5)))
    net = xf.load(path, input="float")
    want = execute(path, x.transpose(0, 2, 3, 1))
    assert same_order(net(x), want) and same_order(net(x.transpose(0, 2, 3, 1)), want)


def test_floats_of_a_bipolar_network_and_a_scale(tmp_path):
    m = Model(1, 12)
    dense(m, m.bipolar(m("Sub", "x", f32(0.2))))
    path = m.save(tmp_path)
    x = f32(RNG.integers(0, 256, (32, 12)))
    taken = (x / f32(255)).astype(np.float32)
    net = xf.load(path, input="float", input_scale="1/255")
    assert same_order(net(x), execute(path, taken.reshape(32, 1, 1, 12)))
    np.testing.assert_array_equal(net(x), xf.load(path, input_scale="1/255")(x.astype(np.uint8)))


def beside(values, features=12):
    """Floats at these values and right beside them, and others."""
    at = [np.nextafter(f32(v), f32(to)) for v in values for to in (-9, v, 9)]
    x = f32(RNG.normal(0, 1.5, (40, features)))
    x[:24] = RNG.choice(at, (24, features))
    return x


def ternary(m, x):
    inner = m("Where", m("Less", x, f32(-0.5)), f32(-1), f32(0))
    return m("Where", m("Greater", x, f32(0.5)), f32(1), inner)


def truths(m, x):
    return m("Sum", *(m("Cast", m("Greater", x, f32(t)), to=1) for t in (-1.5, 0, 0.25)))


def difference(m, x):
    up, down = (m(op, x, f32(t)) for op, t in (("Greater", 1), ("Less", -0.25)))
    return m("Sub", m("Cast", up, to=1), m("Cast", down, to=1))


def band(m, x):
    inside = m("And", m("GreaterOrEqual", x, f32(-0.5)), m("LessOrEqual", x, f32(1)))
    return m("Where", inside, f32(1), f32(-1))


def one_value(m, x):
    return m("Cast", m("Equal", m("Mul", x, f32(2)), f32(-1)), to=1)


def mended(m, x):
    return m("Add", m("Sign", x), m("Cast", m("Equal", x, f32(0)), to=1))


def clipped_behind(m, x):
    return m("Clip", m("Round", m("Div", x, f32(0.25))), f32(-3), f32(3))


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize(
    "way", [ternary, truths, difference, band, one_value, mended, clipped_behind]
)
def test_floats_of_quantisers_that_are_put_together(tmp_path, way, channels):
    m = Model(1, 12)
    shift = f32(np.arange(12) % 3 - 1) if channels else f32(0)
    y = way(m, m("Sub", m("Neg", "x"), shift))
    m("MatMul", y, f32(RNG.integers(-3, 4, (12, 5))))
    path = m.save(tmp_path)
    x = beside([-1.5, -1, -0.5, -0.25, -0.125, 0, 0.125, 0.25, 0.5, 0.625, 0.875, 1, 1.5])
    want = executed(path, x)
    assert np.unique(want).size > 2
    assert same_order(xf.load(path, input="float")(x), want)


@pytest.mark.parametrize("kind", ["float", "int4", "bits", "uint12"])
def test_quantised_samples_of_which_flat_channels_fall(tmp_path, kind):
    m = Model(1, 2, 3, 4)
    y = m("Conv", m("Sign", m("Sub", "x", f32(0.25))), signs(RNG, 3, 2, 2, 2))
    # Its divisors differ from pixel to pixel, so that what follows is of flat features.
    y = m("AveragePool", y, kernel_shape=[2, 2], pads=[1, 0, 0, 1], strides=[1, 2])
    y = m("Sign", m("Add", m("Mul", y, f32(0.5, -1, -0.25).reshape(3, 1, 1)), f32(0.125)))
    dense(m, m("Flatten", y), 12)
    path = m.save(tmp_path)
    low, high, _ = KINDS.get(kind, (-4, 4, 1))
    x = RNG.integers(low, high + 1, (24, 2, 3, 4))
    assert same_order(xf.load(path, input=kind)(x), executed(path, x))


def test_floats_of_a_rounding_that_nothing_clips(tmp_path):
    m = Model(1, 12)
    dense(m, m("Mul", m("Round", "x"), f32(0.5)))
    with pytest.raises(xf.UnsupportedModel, match="takes more than 65536") as e:
        xf.load(m.save(tmp_path), input="float")
    assert e.value.op == "Round"


def test_floats_of_a_function_with_many_values(tmp_path):
    m = Model(1, 12)
    dense(m, m("Add", m("Sign", "x"), m("Mul", "x", "x")))
    with pytest.raises(xf.UnsupportedModel, match="not preceded by a quantiser"):
        xf.load(m.save(tmp_path), input="float")


def test_floats_that_no_quantiser_takes(tmp_path):
    m = Model(1, 12)
    dense(m, "x")
    with pytest.raises(xf.UnsupportedModel, match="not preceded by a quantiser") as e:
        xf.load(m.save(tmp_path), input="float")
    assert e.value.op == "MatMul"


def test_samples_that_are_no_numbers(tmp_path):
    m = Model(1, 12)
    dense(m, m.bipolar("x"))
    net = xf.load(m.save(tmp_path), input="float")
    for bad in (np.nan, np.inf):
        with pytest.raises(xf.BadInput, match="not a finite number"):
            net(np.full((2, 12), bad, np.float32))


@pytest.mark.parametrize(
    ("x", "cure"),
    [
        (np.linspace(0, 1, 24, dtype=np.float32), r"\(x \* 255\).round\(\).astype\(np.uint8\)"),
        (np.arange(24.0), r"x.round\(\).astype\(np.uint8\) would fit"),
        (np.arange(24.0) - 9, "--input float"),
        (np.arange(24), r"x.astype\(np.uint8\) would fit"),
        (np.arange(24) - 9, "integers from 0 to 255 are needed"),
    ],
)
def test_data_of_the_wrong_type_say_the_cure(tmp_path, x, cure):
    m = Model(1, 12)
    dense(m, m.bipolar("x"))
    net = xf.load(m.save(tmp_path))
    with pytest.raises(xf.BadInput, match=cure):
        net(x.reshape(2, 12))
    assert QONNX


def test_sums_of_bits_that_are_flattened_and_fall(tmp_path):
    r = np.random.default_rng(4)
    m = Model(1, 2, 3, 3)
    y = m("Sign", m("Sub", "x", f32(0.5)))
    y = m("Conv", y, f32(r.choice([-1, 1], (3, 2, 2, 2))))
    y = m("Mul", m("Flatten", y), f32(np.repeat([-1, 1, -2], 4) * r.choice([1, 2], 12)))
    y = m("Sign", m("Sub", y, f32(r.choice([0.25, 0.75], 12))))
    m("MatMul", y, f32(r.choice([-1, 1], (12, 4))))
    path = m.save(tmp_path)
    x = r.integers(0, 2, (40, 2, 3, 3), np.uint8)
    assert same_order(xf.load(path, input="bits")(x), executed(path, x.astype(np.float32)))
