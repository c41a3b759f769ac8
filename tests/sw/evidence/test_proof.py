"""A whole proof: what is equal, what differs and where, ties, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo, ir
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.evidence.record import read_evidence
from xnorflow.ir import file as ir_file

from ..frontend.onnx_models import Model, f32, signs
from . import small_design


@pytest.fixture(scope="module")
def images():
    data = demo.data()
    return data["x_test"][:60], data["y_test"][:60]


def changed(net, name, **values):
    layers = [replace(layer, **values) if layer.name == name else layer for layer in net.layers]
    return ir.IntegerNetwork(net.name, net.shape, tuple(layers), net.classes, net.notes)


def test_the_demo_network_is_its_file(images, tmp_path):
    x, y = images
    found = xf.check(demo.model_path(), x, y=y)
    (outcome,) = found.outcomes
    assert not found.differs and outcome.name == "golden" and "qonnx" in outcome.against
    assert (outcome.frames, outcome.scores, outcome.total) == (60, 0, 600)
    net = xf.load(demo.model_path())
    assert found.network == {"name": "digits", "digest": net.digest} and found.design == {}
    assert found.accuracy == (net(x).argmax(1) == y).mean()
    assert {"python", "numpy", "onnx", "onnxruntime", "qonnx"} <= found.tools.keys()
    found.write(tmp_path / "evidence.json")
    assert read_evidence(tmp_path / "evidence.json") == found


def test_a_network_that_is_not_its_file_s_is_found_and_its_layer_named(images, tmp_path):
    x, _ = images
    net = xf.load(demo.model_path())
    weights = next(la for la in net.layers if la.name == "conv1").weights.copy()
    weights[:9] *= -1
    path = tmp_path / "network.npz"
    ir_file.save(changed(net, "conv1", weights=weights), path)
    found = xf.check(path, x, file=demo.model_path())
    (outcome,) = found.outcomes
    assert found.differs and outcome.order > 0 and outcome.scores > 0
    assert outcome.first.startswith("layer conv1_threshold, frame")
    assert "network.npz is not what this version makes of digits.onnx" in found.notes
    ir_file.save(net, path)
    found = xf.check(path, x, file=demo.model_path())
    assert not found.differs and found.notes == ()


def test_one_wrong_score_in_one_frame_is_found(images, tmp_path):
    """The last layer alone is wrong: then the scores are named, not a layer."""
    x, _ = images
    net = xf.load(demo.model_path())
    last = net.layers[-1]
    ir_file.save(changed(net, last.name, offsets=2 * np.eye(10, dtype=int)[4]), tmp_path / "n.npz")
    found = xf.check(tmp_path / "n.npz", x[:1], file=demo.model_path())
    (outcome,) = found.outcomes
    assert outcome.scores == 1 and outcome.differs
    assert outcome.first == "frame 0, in the scores; all quantised layers agree"


def test_a_network_without_its_file_says_that_none_was_executed(images, tmp_path):
    ir_file.save(xf.load(demo.model_path()), tmp_path / "network.npz")
    found = xf.check(tmp_path / "network.npz", images[0])
    assert found.outcomes == () and not found.differs
    assert found.notes == ("network.npz came without the file it was made from; none was executed",)


def test_another_number_of_scores_is_a_failure_not_a_crash(tmp_path):
    rng = np.random.default_rng(0)
    for classes, name in ((3, "a"), (4, "b")):
        m = Model(1, 8)
        m("MatMul", m.bipolar(m("Sub", "x", f32(127))), signs(rng, 8, classes))
        m.save(tmp_path).rename(tmp_path / f"{name}.onnx")
    ir_file.save(xf.load(tmp_path / "a.onnx"), tmp_path / "a.npz")
    x = rng.integers(0, 256, (5, 8)).astype(np.uint8)
    (outcome,) = xf.check(tmp_path / "a.npz", x, file=tmp_path / "b.onnx").outcomes
    assert outcome.failure == "b.onnx has 4 scores, the network 3" and outcome.differs


def tie(tmp_path, second):
    """Two classes with the same sum; in the file the second has a little more, or nothing."""
    m = Model(1, 4)
    x = m.bipolar(m("Sub", "x", f32(127)))
    m("Mul", m("MatMul", x, f32(np.ones((4, 2)))), f32([[1, second]]))
    return m.save(tmp_path)


def test_ties_are_told_from_other_orders(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 4)).astype(np.uint8)
    equal, split = tie(tmp_path, 1.0).read_bytes(), tie(tmp_path, 1.0000001).read_bytes()
    (tmp_path / "split.onnx").write_bytes(split)
    (tmp_path / "equal.onnx").write_bytes(equal)
    ir_file.save(xf.load(tmp_path / "equal.onnx"), tmp_path / "net.npz")
    found = xf.check(tmp_path / "net.npz", x, file=tmp_path / "split.onnx")
    (outcome,) = found.outcomes
    assert outcome.order == outcome.ties > 0 and outcome.labels > 0
    assert outcome.only_ties and found.differs and found.tied == 20


def test_scores_ahead_of_an_end_are_compared_and_other_labels_noted(tmp_path):
    m = Model(1, 4)
    x = m.bipolar(m("Sub", "x", f32(127)))
    # Three in four: a Softmax of sums up to 400 gives 1 and 0 alone.
    m("Softmax", m("MatMul", x, f32([[99, 100]] * 4)), axis=1)
    x = np.array([[0, 0, 0, 0], [255] * 4, [0, 0, 255, 255]], np.uint8)
    found = xf.check(m.save(tmp_path), x)
    assert not found.differs
    assert "scores of model.onnx are those ahead of its Softmax" in found.notes


def test_a_softmax_that_makes_ties_is_noted_with_its_frames(tmp_path):
    m = Model(1, 4)
    x = m("MatMul", m.bipolar(m("Sub", "x", f32(127))), f32([[1, 2]] * 4))
    m("Softmax", m("Mul", x, f32(1e-9)), axis=1)
    x = np.array([[255] * 4, [0] * 4, [0, 0, 255, 255]], np.uint8)
    found = xf.check(m.save(tmp_path), x)
    assert not found.differs
    assert (
        "scores of model.onnx are those ahead of its Softmax, which gives another label to 1 of 3"
        " frames"
    ) in found.notes


@pytest.mark.rtl
def test_verilog_and_folder_are_equal_to_the_golden_model(tmp_path):
    folder, x = small_design.design().write(tmp_path / "small"), small_design.frames(30)
    found = xf.check(folder, x, rtl=30)
    (outcome,) = found.outcomes
    assert (outcome.name, outcome.frames, outcome.total) == ("rtl", 30, 150)
    assert not found.differs and found.alterations == ()
    assert found.design["digest"] == small_design.design().digest
    assert "verilator" in found.tools
    assert xf.check(folder, x).options["rtl"] == 10 and xf.check(folder, x[:4]).options["rtl"] == 4
    ir_file.save(small_design.network(), tmp_path / "net.npz")
    found = xf.check(tmp_path / "net.npz", x, rtl=3, cycles=300)
    assert not found.differs and found.outcomes[0].frames == 3


@pytest.mark.rtl
def test_a_turned_weight_bit_in_the_folder_is_found_and_located(tmp_path):
    folder = small_design.design().write(tmp_path / "small")
    line = small_design.turn_weight_bit(folder, "dense0", word=40, bit=1)
    found = xf.check(
        folder, small_design.frames(30), gates=1, netlist=lambda design: lambda x: 1 / 0
    )
    assert found.differs
    assert found.alterations == (
        f"small.v, line {line} in module small__dense0_array_rom: layer dense0",
    )
    rtl, gates = found.outcomes
    assert rtl.scores > 0 and rtl.first.startswith("layer dense0, frame")
    assert "differs from what this version writes" in gates.failure


@pytest.mark.rtl
def test_verilog_that_does_not_compile_or_has_other_ports_is_a_failure(tmp_path):
    folder = small_design.design().write(tmp_path / "small")
    path = folder / "small.v"
    text = path.read_text()
    for old, new, said in (("endmodule", "endmodul", "Verilator refuses"),
                           ("s_axis_tdata", "s_axis_data", "the port s_axis_")):  # fmt: skip
        path.write_text(text.replace(old, new))
        found = xf.check(folder, small_design.frames(3))
        assert said in found.outcomes[0].failure and found.differs


def test_a_netlist_is_handed_in_and_compared(tmp_path):
    folder, x = small_design.design().write(tmp_path / "small"), small_design.frames(5)

    def netlist(design):
        def simulate(x):
            scores = design.net(x)
            scores[2, 3] += 1
            return "netlist", scores

        return simulate

    (outcome,) = xf.check(folder, x, rtl=0, gates=4, netlist=netlist).outcomes
    assert (outcome.name, outcome.frames, outcome.scores) == ("gates", 4, 1)
    assert outcome.first == "frame 2, score 3"

    def stuck(design):
        def simulate(x):
            raise CheckFailed("it is stuck")

        return simulate

    (outcome,) = xf.check(folder, x, rtl=0, gates=4, netlist=stuck).outcomes
    assert outcome.failure == "it is stuck" and outcome.differs


def test_an_older_folder_is_no_difference(tmp_path, monkeypatch):
    import json

    from xnorflow.design.design import text_digest

    folder = small_design.design().write(tmp_path / "small")
    path = folder / "small.v"
    path.write_text(path.read_text().replace("// Ports", "// The ports"))
    content = json.loads((folder / "design.json").read_text())
    content |= {"design_digest": text_digest(path.read_text(), {}), "xnorflow": "0.0.9"}
    (folder / "design.json").write_text(json.dumps(content))
    found = xf.check(folder, small_design.frames(2), rtl=0)
    assert found.alterations == () and not found.differs
    assert any("written by another xnorflow (0.0.9)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rtl": 61}, "rtl=61 and gates=0 frames were asked for; there are 60"),
        ({"rtl": -1}, "rtl=-1"),
        ({"gates": 1}, "`netlist` is needed"),
        ({"cycles": 100}, "cycles is for hardware"),
        ({"file": demo.model_path()}, "as it is a model file"),
    ],
)
def test_options_that_do_not_fit_are_refused(images, options, message):
    with pytest.raises(BadInput, match=message):
        xf.check(demo.model_path(), images[0], **options)


def test_a_folder_takes_no_target(tmp_path):
    folder = small_design.design().write(tmp_path / "small")
    with pytest.raises(BadInput, match="cycles: .* is compiled already"):
        xf.check(folder, small_design.frames(2), cycles=100)


@pytest.mark.parametrize("layout", [None, "nhwc", "nchw"])
def test_images_are_given_to_the_file_in_its_own_order(tmp_path, layout):
    rng = np.random.default_rng(3)
    m = Model(1, 4, 4, 4)
    y = m("Sign", m("Conv", m("Sub", "x", f32(127.5)), signs(rng, 5, 4, 3, 3)))
    m("MatMul", m("Flatten", m("Add", y, f32(0.5))), signs(rng, 20, 3))
    path = m.save(tmp_path)
    x = rng.integers(0, 256, (20, 4, 4, 4), dtype=np.uint8)
    found = xf.check(path, x, layout=layout)
    assert not found.differs and found.options["layout"] == layout
    # Channels and rows are as many, so that only the layout tells which are which.
    scores = xf.load(path, layout=layout)(x)
    assert np.array_equal(scores, xf.load(path)(x)) == (layout != "nhwc")


@pytest.mark.parametrize(("kind", "dtype"), [("int8", np.int8), ("float", np.float32)])
def test_samples_of_other_kinds_are_given_to_the_file_as_they_are(tmp_path, kind, dtype):
    rng = np.random.default_rng(3)
    m = Model(1, 6)
    y = m.quant(m("Mul", "x", f32(0.75)), 4, scale=2.0, zero=0.0, signed=1)
    m("MatMul", y, signs(rng, 6, 3))
    x = rng.integers(-20, 20, (20, 6)).astype(dtype)
    found = xf.check(m.save(tmp_path), x, input=kind)
    assert not found.differs and found.options["input"] == kind
