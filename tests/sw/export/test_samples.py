"""Files of networks whose samples are no uint8: they take such samples, and score as the model."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from xnorflow import ir, load
from xnorflow.errors import BadInput, CheckFailed, UnsupportedModel
from xnorflow.evidence.executor import Executor
from xnorflow.export import checked as checked_export
from xnorflow.export import export_network, export_steps
from xnorflow.export import samples as samples_export
from xnorflow.export.integer_model import integer_model
from xnorflow.export.samples import element_type, random_samples
from xnorflow.frontend import read
from xnorflow.ir.alphabet import BIPOLAR, UNIPOLAR, Alphabet
from xnorflow.ir.input_kind import InputKind, alphabet_of

from ...test_sample_kinds import model as kinds_model
from ..frontend.onnx_models import Model, f32, signs

RNG = np.random.default_rng(12)
TYPES = {
    "uint8": TensorProto.UINT8,
    "bits": TensorProto.UINT8,
    "uint2": TensorProto.UINT8,
    "uint7": TensorProto.UINT8,
    "bipolar": TensorProto.INT8,
    "int2": TensorProto.INT8,
    "int8": TensorProto.INT8,
    "uint9": TensorProto.UINT16,
    "uint16": TensorProto.UINT16,
    "int9": TensorProto.INT16,
    "int16": TensorProto.INT16,
}


def drawn(a: Alphabet, *shape: int):
    return a.values(np.random.default_rng(12).integers(0, a.levels, shape))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("quantiser", ["", "Sign", "Quant"])
@pytest.mark.parametrize("qonnx", [False, True])
def test_integers_of_every_kind(tmp_path, kind, quantiser, qonnx):
    """As they are, through a table of one row, and through a row per channel."""
    path = kinds_model(tmp_path / "net.onnx", quantiser)
    net = load(path, input=kind)
    x = drawn(net.samples.alphabet, 40, 2, 3, 4)
    if kind == "uint8":
        x = x.astype(np.uint8)
    made = export_network(net, tmp_path / "made.onnx", qonnx=qonnx, x=x)
    assert made.frames == 40
    onnx.checker.check_model(onnx.load(made.path), full_check=not qonnx)
    assert onnx.load(made.path).graph.input[0].type.tensor_type.elem_type == TYPES[kind]
    scores = Executor(made.path).run(net.input_order.frames(x, net.shape)).scores
    np.testing.assert_array_equal(scores, net(x))
    assert len(np.unique(scores)) > 1
    assert export_network(net, tmp_path / "made.onnx", qonnx=qonnx).frames == 16
    steps = export_steps(read(path, input=kind), tmp_path, x=x)
    assert not any(e.differing for e in steps)


@pytest.mark.parametrize(
    "alphabet,found",
    [
        (UNIPOLAR, TensorProto.UINT8),
        (BIPOLAR, TensorProto.INT8),
        (Alphabet(0, 1, 256), TensorProto.UINT8),
        (Alphabet(0, 1, 257), TensorProto.UINT16),
        (Alphabet(-128, 1, 256), TensorProto.INT8),
        (Alphabet(-128, 1, 257), TensorProto.INT16),
        (Alphabet(-129, 1, 256), TensorProto.INT16),
        (Alphabet(0, 1, 1 << 16), TensorProto.UINT16),
        (Alphabet(-(1 << 15), 1, 1 << 16), TensorProto.INT16),
        (Alphabet(-(1 << 15), 1, (1 << 16) + 1), None),
        (Alphabet(-(1 << 15) - 1, 1, 2), None),
        (Alphabet(0, 1, (1 << 16) + 1), None),
    ],
    ids=str,
)
def test_the_narrowest_type_that_holds_them(alphabet, found):
    if found is None:
        with pytest.raises(UnsupportedModel, match="net.*integers of up to 16 bits"):
            element_type(InputKind(alphabet), "net")
    else:
        assert element_type(InputKind(alphabet), "net") == found


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("alphabet", [Alphabet(-7, 3, 5), Alphabet(6, 2, 4)], ids=str)
def test_integers_in_steps(tmp_path, alphabet, table):
    codes = RNG.integers(0, 4, (2, alphabet.levels))
    layers = (
        *((ir.InputTable("input", codes, Alphabet(-1, 2, 4)),) if table else ()),
        ir.Conv("dense0", np.array([[[[1, -1]]], [[[1, 1]]]]), ir.BIPOLAR),
        ir.Scores("scores", np.arange(2)),
    )
    net = ir.IntegerNetwork("net", (1, 1, 2), layers, samples=InputKind(alphabet))
    x = drawn(alphabet, 30, 2)
    export_network(net, tmp_path / "net.onnx", x=x)
    export_network(net, tmp_path / "net.onnx")
    with pytest.raises(BadInput, match="samples from"):
        export_network(net, tmp_path / "net.onnx", x=x + 1)


def test_a_file_that_takes_other_samples_is_found(tmp_path, monkeypatch):
    net = load(kinds_model(tmp_path / "net.onnx", "Quant"), input="int8")
    model = integer_model(net)
    lowest = next(t for t in model.graph.initializer if t.name == "input_lowest")
    lowest.CopyFrom(numpy_helper.from_array(np.array(-127, np.int64), "input_lowest"))
    monkeypatch.setattr(checked_export, "integer_model", lambda net, qonnx: model)
    with pytest.raises(CheckFailed):
        export_network(net, tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()


@pytest.mark.parametrize("per_channel", [False, True])
def test_floats_are_quantised_in_the_file(tmp_path, per_channel):
    m = Model(1, 3, 4, 4)
    x = m("Mul", "x", f32([[[2]], [[1]], [[-3]]])) if per_channel else "x"
    x = m("Conv", m.quant(x, 3, scale=0.25), signs(RNG, 4, 3, 2, 2))
    m("MatMul", m("Flatten", m("Sign", m("Add", x, f32(0.1)))), signs(RNG, 36, 3))
    path = m.save(tmp_path)
    net = load(path, input="float")
    assert net.samples.quantiser is not None
    assert len(net.samples.quantiser.thresholds) == (3 if per_channel else 1)
    made = export_network(net, tmp_path / "made.onnx")
    given = onnx.load(made.path).graph.input[0].type.tensor_type.elem_type
    assert given == TensorProto.FLOAT
    x = RNG.normal(0, 0.5, (50, 3, 4, 4)).astype(np.float32)
    assert export_network(net, tmp_path / "made.onnx", x=x).frames == 50
    assert not any(e.differing for e in export_steps(read(path, input="float"), tmp_path, x=x))
    with pytest.raises(BadInput, match="not a finite number"):
        export_network(net, tmp_path / "made.onnx", x=np.full_like(x, np.nan))


def test_random_floats_stand_on_either_side_of_thresholds(tmp_path):
    m = Model(1, 6)
    m("MatMul", m.quant("x", 2, scale=0.5), signs(RNG, 6, 3))
    net = load(m.save(tmp_path), input="float")
    x = random_samples(net.samples, net.shape, 16)
    assert x.dtype == np.float32 and set(np.unique(net.samples.encode(x))) == {0, 1, 2, 3}
    np.testing.assert_array_equal(x, random_samples(net.samples, net.shape, 16))
    moved = np.nextafter(net.samples.quantiser.thresholds, np.float32(np.inf))
    later = replace(net.samples, quantiser=replace(net.samples.quantiser, thresholds=moved))
    assert (later.encode(x) != net.samples.encode(x)).any(), "a step of one float shows"


def test_too_many_comparisons_of_floats_are_refused(tmp_path, monkeypatch):
    m = Model(1, 6)
    m("MatMul", m.quant("x", 2, scale=0.5), signs(RNG, 6, 3))
    net = load(m.save(tmp_path), input="float")
    monkeypatch.setattr(samples_export, "MAX_COMPARISONS", 18)
    export_network(net, tmp_path / "made.onnx")
    monkeypatch.setattr(samples_export, "MAX_COMPARISONS", 17)
    with pytest.raises(UnsupportedModel, match="6 samples with 3 thresholds each"):
        export_network(net, tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_bits_and_bipolar_samples_are_named():
    kinds = {"bits": "BINARY", "bipolar": "BIPOLAR", "int4": "INT4", "uint12": "UINT12"}
    for kind, wanted in kinds.items():
        layers = (
            ir.Conv("dense0", np.array([[[[1, -1]]], [[[1, 1]]]]), ir.BIPOLAR),
            ir.Scores("scores", np.arange(2)),
        )
        alphabet = alphabet_of(kind)
        assert alphabet is not None
        net = ir.IntegerNetwork("net", (1, 1, 2), layers, samples=InputKind(alphabet))
        noted = integer_model(net).graph.quantization_annotation
        types = {a.tensor_name: a.quant_parameter_tensor_names[0].value for a in noted}
        assert types["x"] == types["samples"] == wanted
