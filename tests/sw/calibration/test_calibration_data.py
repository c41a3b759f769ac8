"""Samples for fixed point: a user's own in their order, and drawn ones."""

import numpy as np
import pytest

from xnorflow.calibration import calibration_data
from xnorflow.errors import BadInput
from xnorflow.frontend import read
from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.ops import Graph
from xnorflow.ir import BIPOLAR, Alphabet, InputKind, InputOrder

from ..real_networks import Real, chain


def graph(alphabet=None, *, floats=False, **options):
    kind = InputKind() if alphabet is None else InputKind(alphabet)
    return Graph("net", (3, 4, 2), (), samples=kind, takes_floats=floats, **options)


def data(count, *shape, high=256):
    return np.random.default_rng(0).integers(0, high, (count, *shape)).astype(np.uint8)


def test_samples_come_in_the_order_of_the_file_or_of_the_stream(tmp_path):
    net = read(chain().save(tmp_path))
    x = data(5, 2, 11, 9)
    want = x.transpose(0, 2, 3, 1)
    for form in (x, want, x.reshape(5, -1)):
        found = calibration_data.given(net, form)
        np.testing.assert_array_equal(found.x, want)
        assert not found.drawn
    # Div in the file is an operation; an input scale comes before the first one.
    np.testing.assert_array_equal(found.values(net), want)


@pytest.mark.parametrize(
    ("scale", "want"), [(1, 51.0), ("1/255", 51 / 255), (0.5, 25.5), (3, 153.0)]
)
def test_the_input_scale_comes_before_the_first_operation(scale, want):
    net = graph(input_scale=InputScale.of(scale))
    values = calibration_data.given(net, np.full((1, 3, 4, 2), 51, np.uint8)).values(net)
    assert values.dtype == np.float64 and values.shape == (1, 3, 4, 2)
    np.testing.assert_allclose(values, want, rtol=1e-15)


def test_samples_are_gathered_as_frames_are():
    places = np.random.default_rng(1).permutation(24)
    net = graph(order=InputOrder((2, 3, 4), places))
    x = data(3, 2, 3, 4)
    np.testing.assert_array_equal(
        calibration_data.given(net, x).x.reshape(3, -1), x.reshape(3, -1)[:, places]
    )


@pytest.mark.parametrize(
    ("alphabet", "kind", "values"),
    [
        (None, np.uint8, [0, 255]),
        (BIPOLAR, np.int8, [-1, 1]),
        (Alphabet(-8, 1, 16), np.int64, [-8, 7]),
        (Alphabet(0, 1, 1 << 16), np.uint16, [0, 65535]),
    ],
)
def test_integers_keep_their_values(alphabet, kind, values):
    x = np.random.default_rng(0).choice(np.array(values, kind), (4, 3, 4, 2))
    found = calibration_data.given(graph(alphabet), x)
    np.testing.assert_array_equal(found.x, x)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, np.int16, bool])
def test_floats_may_be_of_any_number(kind):
    x = data(2, 3, 4, 2, high=2).astype(kind)
    np.testing.assert_array_equal(calibration_data.given(graph(floats=True), x).x, x)


@pytest.mark.parametrize(
    ("net", "x", "why"),
    [
        (graph(), np.zeros((0, 3, 4, 2), np.uint8), "hold no frames"),
        (graph(), np.zeros(24, np.uint8), "hold no frames"),
        (graph(), np.uint8(3), "hold no frames"),
        (graph(), np.zeros((2, 3, 4, 2)), "float64 do not fit net"),
        (graph(), np.zeros((2, 3, 4, 2), np.int64), "int64 do not fit net"),
        (graph(BIPOLAR), np.zeros((2, 3, 4, 2)), "float64 do not fit net"),
        (graph(BIPOLAR), np.zeros((2, 3, 4, 2), np.int8), "0 are not all bipolar"),
        (graph(Alphabet(-8, 1, 16)), np.full((2, 3, 4, 2), 8), "8 are not all int4"),
        (graph(), np.zeros((2, 3, 4, 3), np.uint8), "frames of shape .* do not fit"),
        (graph(), np.zeros((2, 23), np.uint8), "frames of shape .* do not fit"),
        (graph(floats=True), np.full((2, 3, 4, 2), "a"), "floats are needed"),
        (graph(floats=True), np.full((2, 3, 4, 2), 1j), "floats are needed"),
        (graph(floats=True), np.full((2, 3, 4, 2), np.nan), "not a finite number"),
        (graph(floats=True), np.full((2, 3, 4, 2), -np.inf), "not a finite number"),
    ],
)
def test_what_does_not_fit_is_refused(net, x, why):
    with pytest.raises(BadInput, match=why):
        calibration_data.given(net, x)


@pytest.mark.parametrize("alphabet", [None, BIPOLAR, Alphabet(-8, 1, 16), Alphabet(0, 1, 1 << 16)])
def test_drawn_samples_fill_the_range_and_are_always_the_same(alphabet):
    net = graph(alphabet)
    found, again = calibration_data.drawn(net), calibration_data.drawn(net)
    a = net.samples.alphabet
    assert found.drawn and found.x.shape == (calibration_data.DRAWN, 3, 4, 2)
    np.testing.assert_array_equal(found.x, again.x)
    assert not ((found.x - a.lo) % a.step).any()
    assert found.x.min() >= a.lo and found.x.max() <= a.hi
    assert found.x.max() - found.x.min() >= 0.98 * (a.hi - a.lo)
    spread = found.x.reshape(calibration_data.DRAWN, -1).std(1)
    assert spread.max() > 2 * spread.min(), "all of one contrast"
    # They are samples as a user would give them.
    if alphabet is not None:
        np.testing.assert_array_equal(calibration_data.given(net, found.x).x, found.x)


def test_drawn_floats_are_normal_numbers():
    found = calibration_data.drawn(graph(floats=True), 2000)
    assert found.drawn and found.x.dtype == np.float32
    assert abs(found.x.mean()) < 0.02 and abs(found.x.std() - 1) < 0.02


def test_a_file_with_floats_has_the_shape_of_its_input(tmp_path):
    net = read(Real(1, 6).dense(6, 3).save(tmp_path), input="float")
    assert calibration_data.drawn(net).x.shape == (calibration_data.DRAWN, 1, 1, 6)
    assert calibration_data.given(net, np.zeros((2, 6))).x.shape == (2, 1, 1, 6)
