"""Integer networks as ONNX: every score of an executor is the golden model's."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from xnorflow import demo, ir, load
from xnorflow.errors import BadInput, CheckFailed, UnsupportedModel
from xnorflow.evidence.executor import Executor
from xnorflow.export import checked as checked_export
from xnorflow.export import export_network
from xnorflow.export.integer_model import integer_model
from xnorflow.export.onnx_builder import datatype
from xnorflow_sim import golden

from ...graph_strategies import GraphCase, graph_cases
from ...strategies import Case, cases

quiet = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=40, **quiet)
@given(cases(frames=3))
def test_a_drawn_network_gives_the_golden_scores_in_onnx_runtime(tmp_path_factory, case: Case):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    made = export_network(case.net, path, x=case.x)
    assert made.tool.startswith("ONNX Runtime") and made.frames == 3
    onnx.checker.check_model(onnx.load(path), full_check=True)
    scores = golden.run(case.net, case.x)
    np.testing.assert_array_equal(Executor(path).run(case.x).scores, scores)


@settings(max_examples=40, **quiet)
@given(cases(frames=3))
def test_a_drawn_network_gives_the_golden_scores_in_qonnx(tmp_path_factory, case: Case):
    export_network(case.net, tmp_path_factory.mktemp("net") / "net.onnx", qonnx=True, x=case.x)


@settings(max_examples=120, **quiet)
@given(graph_cases(frames=3))
def test_a_drawn_graph_gives_the_golden_scores_in_onnx_runtime(tmp_path_factory, case: GraphCase):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    made = export_network(case.net, path, x=case.x)
    assert made.tool.startswith("ONNX Runtime") and made.frames == 3
    onnx.checker.check_model(onnx.load(path), full_check=True)
    for name, values in case.net.evaluate(case.x).items():
        named = [name] if case.net.outputs else []
        scores = Executor(path, outputs=named).run(case.x).scores
        np.testing.assert_array_equal(scores, values.reshape(len(values), -1))


@settings(max_examples=30, **quiet)
@given(graph_cases(frames=3))
def test_a_drawn_graph_gives_the_golden_scores_in_qonnx(tmp_path_factory, case: GraphCase):
    export_network(case.net, tmp_path_factory.mktemp("net") / "net.onnx", qonnx=True, x=case.x)


def test_outputs_have_their_names_and_shapes(tmp_path):
    import onnxruntime

    conv = ir.Conv("conv", np.array([[[[1]]], [[[-1]]]]), ir.BIPOLAR)
    layers = (conv, ir.Scores("scores", np.arange(2)))
    places = np.arange(12).reshape(2, 3, 2)
    outputs = (
        ir.Output("conv", (2, 2, 3), places.transpose(2, 0, 1).ravel()),
        ir.Output("x", (6,), places[..., 1].ravel()),
    )
    net = ir.IntegerNetwork("net", (2, 3, 1), layers, outputs=outputs)
    export_network(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    x = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    # A file cannot have an output that is called as its input is.
    first, second = session.run(["conv", "x_0"], {"x": x})
    np.testing.assert_array_equal(first, net.evaluate(x)["conv"])
    np.testing.assert_array_equal(second, net.evaluate(x)["x"])


def test_sums_that_float32_does_not_hold_are_joined_in_integers(tmp_path):
    conv = ir.Conv("conv", np.array([[[[1]]]]), ir.UNIPOLAR)
    add = ir.Add("sum", np.array([[1 << 30], [-3]]), inputs=("conv", ""))
    most = ir.Maximum("most", np.array([[1], [1 << 30]]), True, inputs=("sum", "conv"))
    both = ir.Concat("both", 2, inputs=("most", "sum"))
    stretch = ir.Stretch("larger", (2, 1), "zeros")
    constant = ir.AddMap("constant", np.array([[[1], [5]]]).reshape(1, 1, 2))
    layers = (conv, add, most, both, stretch, constant, ir.Scores("scores", np.arange(2)))
    places = np.arange(8)
    net = ir.IntegerNetwork("net", (2, 1, 1), layers, outputs=(ir.Output("map", (8,), places),))
    assert net.evaluate(np.full((1, 2, 1, 1), 255, np.uint8))["map"].max() > 1 << 37
    export_network(net, tmp_path / "net.onnx")


def test_the_batch_is_free_and_frames_are_channels_last(tmp_path):
    import onnxruntime

    net, x = load(demo.model_path()), demo.data()["x_test"][:7, :, :, None]
    export_network(net, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (scores,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(scores, net(x))
    assert scores.dtype == np.int64


def test_a_file_says_types_classes_and_where_it_comes_from(tmp_path):
    net = load(demo.model_path())
    net = ir.IntegerNetwork(net.name, net.shape, net.layers, tuple("0123456789"), ("a note",))
    model = integer_model(net)
    types = {a.tensor_name: a.quant_parameter_tensor_names[0].value
             for a in model.graph.quantization_annotation}  # fmt: skip
    assert types["conv0_weights"] == "BIPOLAR" and types["input"] == "UINT4"
    assert json.loads(model.doc_string) == {"classes": list("0123456789")}
    about = {p.key: p.value for p in model.metadata_props}
    assert about == {"xnorflow_network": net.digest, "note_0": "a note"}
    assert model.graph.output[0].name == "scores"
    assert integer_model(net).SerializeToString() == model.SerializeToString()


def test_a_layer_in_the_middle_may_be_called_scores_or_x(tmp_path):
    conv = ir.Conv("scores", np.array([[[[1]]], [[[-1]]]]), ir.BIPOLAR)
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 1),
        (
            conv,
            ir.Threshold("x", np.array([[3], [-3]]), ir.BIPOLAR),
            ir.Scores("sums", np.arange(2)),
        ),
    )
    export_network(net, tmp_path / "net.onnx")


def dense(weight: int, samples: int) -> ir.IntegerNetwork:
    """Sum so many samples, each times a weight."""
    weights = np.full((2, 1, 1, samples), weight)
    layers = (
        ir.Conv("dense0", weights, ir.Alphabet(0, weight, 2)),
        ir.Scores("scores", np.zeros(2, np.int64)),
    )
    return ir.IntegerNetwork("net", (1, 1, samples), layers)


def test_sums_up_to_the_last_integer_of_float32_are_written_and_larger_ones_refused(tmp_path):
    # 255 * 257 * 256 = 2**24 - 256
    export_network(dense(257, 256), tmp_path / "net.onnx")
    with pytest.raises(UnsupportedModel, match="dense0.*float32 holds integers up to 16777216"):
        export_network(dense(259, 256), tmp_path / "other.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_too_many_comparisons_are_refused_but_by_qonnx(tmp_path, monkeypatch):
    from xnorflow.export import integer_model as module

    steps = np.arange(0, 300, 100)[None].repeat(4, 0)
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 4),
        (
            ir.Threshold("steps", steps, ir.Alphabet(0, 1, 4)),
            ir.Conv("dense0", np.ones((2, 1, 1, 4), np.int64), ir.UNIPOLAR),
            ir.Scores("scores", np.arange(2)),
        ),
    )
    monkeypatch.setattr(module, "MAX_COMPARISONS", 12)
    export_network(net, tmp_path / "net.onnx")
    monkeypatch.setattr(module, "MAX_COMPARISONS", 11)
    with pytest.raises(UnsupportedModel, match="4 features with 3 thresholds each.*--format qonnx"):
        export_network(net, tmp_path / "net.onnx")
    export_network(net, tmp_path / "net.onnx", qonnx=True)


def test_a_file_with_other_scores_is_found_and_removed(tmp_path, monkeypatch):
    net = load(demo.model_path())
    model = integer_model(net)
    offsets = next(t for t in model.graph.initializer if t.name == "offsets")
    wrong = onnx.numpy_helper.to_array(offsets).copy()
    wrong[3] += 1
    offsets.CopyFrom(onnx.numpy_helper.from_array(wrong, "offsets"))
    monkeypatch.setattr(checked_export, "integer_model", lambda net, qonnx: model)
    with pytest.raises(CheckFailed, match="16 of 16 frames have other scores"):
        export_network(net, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot write"):
        export_network(load(demo.model_path()), tmp_path / "none" / "net.onnx")


@pytest.mark.parametrize(
    ("alphabet", "name"),
    [
        (ir.BIPOLAR, "BIPOLAR"),
        (ir.UNIPOLAR, "BINARY"),
        (ir.TERNARY, "TERNARY"),
        (ir.UINT8, "UINT8"),
        (ir.Alphabet(0, 1, 257), "UINT9"),
        (ir.Alphabet(5, 1, 1), "UINT3"),
        (ir.Alphabet(-128, 1, 256), "INT8"),
        (ir.Alphabet(-128, 1, 257), "INT9"),
        (ir.Alphabet(-129, 1, 130), "INT9"),
        (ir.Alphabet(-2, 1, 3), "INT2"),
    ],
)
def test_the_type_of_an_alphabet_holds_it(alphabet, name):
    assert datatype(alphabet) == name


@pytest.mark.parametrize("pad", [1, 2])
@pytest.mark.parametrize("minimum", [False, True])
def test_a_pool_padded_by_more_than_its_kernel_is_written(tmp_path, pad, minimum):
    window = ir.Window((2, 2), (1, 1), (2, 2), (pad, pad, pad, pad))
    pool = ir.MaxPool("pool", window, np.full(3, minimum))
    table = ir.InputTable("input", np.arange(256)[None], ir.Alphabet(-128, 1, 256))
    whole = ir.SumPool("sum", ir.Window(window.output(5, 5)))
    net = ir.IntegerNetwork(
        "net", (5, 5, 3), (table, pool, whole, ir.Scores("scores", np.zeros(3, np.int64)))
    )
    export_network(net, tmp_path / "net.onnx")
