"""`load` with fixed point: what it takes, what it refuses, and that the notes say what it did."""

from dataclasses import replace

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo, ir
from xnorflow.api import in_fixed_point
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.frontend import read
from xnorflow.ir import file as ir_file
from xnorflow.lower import lower, lowering_steps
from xnorflow_sim import golden

from .evidence import small_design
from .real_networks import NETWORKS, frames, lenet

NEEDED = "Fixed point was not needed: the network has an exact integer form."


@pytest.fixture
def model(tmp_path):
    return lenet().save(tmp_path)


def silent(net):
    """Return the digest of a network without its notes."""
    return replace(net, notes=()).digest


def calibration(count=30):
    return np.random.default_rng(0).integers(0, 256, (count, 1, 12, 12)).astype(np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_real_weights_are_refused_and_the_message_says_what_would_work(name, tmp_path):
    path = NETWORKS[name]().save(tmp_path)
    with pytest.raises(UnsupportedModel, match=r"--fixed-point auto \(fixed_point='auto'\)"):
        xf.load(path)
    kind = "float" if name == "perceptron" else "uint8"
    net = xf.load(path, fixed_point=6, input=kind)
    assert any(note.startswith("Fixed point of 6 bits") for note in net.notes)


def test_a_network_that_is_exact_stays_exact():
    exact = xf.load(demo.model_path())
    for width in (2, "auto"):
        net = xf.load(demo.model_path(), fixed_point=width)
        assert silent(net) == silent(exact) and net.notes == (*exact.notes, NEEDED)
    found = in_fixed_point(read(demo.model_path()), "auto")
    assert found.fixed is None


def test_what_is_exact_in_a_rounded_network_keeps_its_integers(tmp_path):
    """The weights of signs and the input's signs are those of the file, whatever the width."""
    path = NETWORKS["middle"]().save(tmp_path)
    few, many = (xf.load(path, fixed_point=bits) for bits in (2, 12))
    for at in (0, 1, 2, 6):
        for name, value in vars(few.layers[at]).items():
            np.testing.assert_array_equal(getattr(many.layers[at], name), value)
    assert few.layers[1].alphabet == few.layers[6].alphabet == ir.BIPOLAR
    assert few.layers[3].alphabet == ir.TERNARY and many.layers[3].alphabet.bits == 12


def test_calibration_is_an_array_or_a_file(model, tmp_path):
    x = calibration()
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(30, int))
    want = xf.load(model, fixed_point="auto", calibrate=x)
    assert "on 30 samples" in want.notes[0] and "drawn" not in want.notes[0]
    for form in (tmp_path / "x.npy", str(tmp_path / "x.npz"), x[:, 0], x.reshape(30, -1)):
        assert xf.load(model, fixed_point="auto", calibrate=form).digest == want.digest
    other = xf.load(model, fixed_point="auto", calibrate=x // 2)
    assert other.digest != want.digest


def test_an_input_scale_is_applied_to_calibration_too(tmp_path):
    m = lenet()
    m.nodes, m.initializers = m.nodes[1:], m.initializers[1:]
    m.nodes[0].input[0] = "x"
    path = m.save(tmp_path)
    x = calibration()
    net = xf.load(path, fixed_point=10, calibrate=x, input_scale="1/255")
    (tmp_path / "other").mkdir()
    divided = xf.load(lenet().save(tmp_path / "other"), fixed_point=10, calibrate=x)
    np.testing.assert_array_equal(net(x), divided(x))


@pytest.mark.parametrize("width", [1, 25, "auto ", 2.5, True])
def test_widths_that_are_not_possible_are_refused(model, width):
    with pytest.raises(BadInput, match="2 to 24 bits are, or auto"):
        xf.load(model, fixed_point=width)


def test_calibration_without_fixed_point_is_refused(model):
    with pytest.raises(BadInput, match="calibration data are for fixed point"):
        xf.load(model, calibrate=calibration())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (calibration()[:0], "hold no frames"),
        (calibration()[0, 0, 0], "hold no frames"),
        (calibration().astype(float), "float64 do not fit"),
        (calibration()[:, :, :11], "do not fit"),
        ("none.npz", "there is no data file none.npz"),
    ],
)
def test_calibration_that_does_not_fit_is_refused(model, data, why):
    with pytest.raises(BadInput, match=why):
        xf.load(model, fixed_point=8, calibrate=data)


def test_networks_in_integers_are_refused(tmp_path):
    ir_file.save(small_design.network(), tmp_path / "net.npz")
    folder = small_design.design().write(tmp_path / "small")
    for path in (tmp_path / "net.npz", folder):
        xf.load(path)
        for width in (8, "auto"):
            with pytest.raises(BadInput, match="is already in integers; leave out fixed point"):
                xf.load(path, fixed_point=width)
        with pytest.raises(BadInput, match="calibration data"):
            xf.load(path, calibrate=np.zeros((1, 5, 5), np.uint8))


def test_a_network_that_fixed_point_cannot_map_names_its_node(tmp_path):
    m = lenet().then("Softmax", axis=1).then("Mul", np.float32(2)).then("Softmax", axis=1)
    with pytest.raises(UnsupportedModel, match="node '"):
        xf.load(m.save(tmp_path), fixed_point=8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_of_a_rounded_network_is_the_network(name, tmp_path):
    kind = "float" if name == "perceptron" else "uint8"
    net = xf.load(NETWORKS[name]().save(tmp_path), fixed_point=7, input=kind)
    ir_file.save(net, tmp_path / "net.npz")
    read = xf.load(tmp_path / "net.npz")
    assert read.digest == net.digest and read.notes == net.notes
    floats = np.random.default_rng(0).normal(size=(20, 6))
    x = floats if kind == "float" else frames(net, 20)
    np.testing.assert_array_equal(read(x), net(x))
    assert len(np.unique(golden.run(net, x))) > 5


def test_the_same_call_makes_the_same_network(model):
    assert xf.load(model, fixed_point="auto").digest == xf.load(model, fixed_point="auto").digest


def test_lowering_step_by_step_ends_in_the_same_network(model):
    found = in_fixed_point(read(model), 8)
    *_, (before, rounded), (last, net) = lowering_steps(found.graph, found.fixed)
    assert (before, last) == ("round_weights", "integer") and silent(net) == silent(found.net)
    assert not any(getattr(op, "real", False) for op in rounded.ops)
    assert silent(lower(found.graph, found.fixed)) == silent(net)
