"""The width of fixed point: what may be asked for, what "auto" takes, and what the notes say."""

import re

import numpy as np
import pytest

from xnorflow.calibration import calibration_data, widths
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import execute
from xnorflow.ir import labels
from xnorflow.lower.fixed_point import MOST_BITS
from xnorflow_sim import golden

from ..frontend.onnx_models import f32
from ..real_networks import NETWORKS, Real, frames

UINT8 = sorted(set(NETWORKS) - {"perceptron"})


def files(name, folder):
    """A network's graph and 60 samples for it."""
    graph = read(NETWORKS[name]().save(folder), input="float" if name == "perceptron" else "uint8")
    rng = np.random.default_rng(3)
    if name == "perceptron":
        return graph, calibration_data.given(graph, rng.normal(size=(60, 6)))
    x = rng.random((60, *graph.shape)) * rng.random((60, 1, 1, 1))
    return graph, calibration_data.given(graph, np.rint(255 * x).astype(np.uint8))


def differing(graph, net, given):
    """Count the frames with another label than in float64."""
    want = execute.scores(graph, given.values(graph)).argmax(1)
    x = given.x if graph.takes_floats else given.x.astype(np.uint8)
    return int((labels(net(x)) != want).sum())


@pytest.mark.parametrize(
    ("value", "bits"),
    [(2, 2), (24, 24), ("2", 2), ("24", 24), (8.0, 8), (np.int64(7), 7), (" 8", 8)],
)
def test_widths_that_may_be_asked_for(value, bits):
    assert widths.known_width(value) == bits
    assert widths.known_width("auto") == "auto"


@pytest.mark.parametrize(
    "value",
    [1, 25, 0, -8, "1", "25", 2.5, "2.5", True, False, "auto ", "Auto", "", "eight", None, "0x8",
     float("nan"), float("inf"), [8], (8,), "8 bits", 10**400],
)  # fmt: skip
def test_other_widths_are_refused(value):
    with pytest.raises(BadInput, match="is not possible; 2 to 24 bits are, or auto"):
        widths.known_width(value)


@pytest.mark.parametrize("name", NETWORKS)
def test_auto_takes_the_least_width_that_keeps_every_label(name, tmp_path):
    graph, given = files(name, tmp_path)
    tried = []
    found = widths.choose(graph, "auto", given, tried.append)
    bits = found.fixed.bits
    assert tried == list(range(2, bits + 1)) and found.differ == 0 and found.count == 60
    assert differing(graph, found.net, given) == 0
    less = widths.choose(graph, bits - 1, given)
    assert less.fixed.bits == bits - 1
    assert less.differ == differing(graph, less.net, given) > 0


@pytest.mark.parametrize("name", UINT8)
@pytest.mark.parametrize("bits", [2, 5, 24])
def test_a_width_that_was_asked_for_is_taken_whatever_it_does(name, bits, tmp_path):
    graph, given = files(name, tmp_path)
    found = widths.choose(graph, bits, given)
    assert found.fixed.bits == bits
    assert found.differ == differing(graph, found.net, given)
    assert found.differ == 0 or bits < 24
    first = next(note for note in found.net.notes if note.startswith("Fixed point of"))
    assert first == (
        f"Fixed point of {bits} bits: on 60 samples, {found.differ} have another label than the"
        " file has in float64."
    )


def test_drawn_samples_leave_bits_to_spare_and_the_note_says_so(tmp_path):
    graph, _ = files("lenet", tmp_path)
    drawn = calibration_data.drawn(graph)
    found = widths.choose(graph, "auto", drawn)
    least = found.fixed.bits - widths.SPARE_BITS
    assert widths.choose(graph, least, drawn).differ == 0
    assert widths.choose(graph, least - 1, drawn).differ > 0
    (note,) = (n for n in found.net.notes if n.startswith("Fixed point of"))
    assert f"{found.fixed.bits} bits (auto, 3 of them to spare): on 256 drawn samples" in note
    assert "give your own with --calibrate" in note
    # Twice the range: the same integers stand for values twice as far apart.
    own = widths.choose(graph, 8, calibration_data.Samples(drawn.x))
    for wide, seen in zip(
        widths.choose(graph, 8, drawn).fixed.ranges, own.fixed.ranges, strict=True
    ):
        assert (wide.lo, wide.hi) == (2 * seen.lo, 2 * seen.hi)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4])
def test_as_many_bits_are_spared_as_can_be_mapped(most, tmp_path, monkeypatch):
    graph, _ = files("lenet", tmp_path)
    drawn = calibration_data.drawn(graph)
    least = widths.choose(graph, "auto", drawn).fixed.bits - widths.SPARE_BITS
    of = widths._Tried.of

    def limited(graph, bits, *rest):
        if bits > least + most:
            raise UnsupportedModel("too wide.", node="n", op="o")
        return of(graph, bits, *rest)

    monkeypatch.setattr(widths._Tried, "of", limited)
    found = widths.choose(graph, "auto", drawn)
    assert found.fixed.bits == least + min(most, widths.SPARE_BITS)
    spare = f"(auto, {min(most, 3)} of them to spare)" if most else "(auto)"
    assert spare in found.net.notes[0]


def test_no_width_is_beyond_the_most(tmp_path, monkeypatch):
    """Two classes with all but one score: no width tells them apart."""
    weights = np.random.default_rng(0).normal(size=(6, 1)).astype(np.float32)
    two = np.concatenate([weights, weights * np.float32(1 + 2e-7)], 1)
    graph = read(Real(1, 6).then("MatMul", two).save(tmp_path))
    tried = []
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 1, 6)).astype(np.uint8)
    found = widths.choose(graph, "auto", calibration_data.given(graph, x), tried.append)
    assert tried == list(range(2, MOST_BITS + 1)) and found.fixed.bits == MOST_BITS
    assert found.differ > 0 and f"{found.differ} have another label" in found.net.notes[0]
    monkeypatch.setattr(widths, "MOST_BITS", 4)
    drawn = widths.choose(graph, "auto", calibration_data.drawn(graph))
    assert drawn.fixed.bits == 4


def test_widths_that_cannot_be_mapped_are_passed_over(tmp_path, monkeypatch):
    graph, given = files("lenet", tmp_path)
    best = widths.choose(graph, "auto", given).fixed.bits
    of = widths._Tried.of

    def only(least, most):
        def limited(graph, bits, *rest):
            if not least <= bits <= most:
                raise UnsupportedModel(f"{bits} bits.", node="n", op="o")
            return of(graph, bits, *rest)

        monkeypatch.setattr(widths._Tried, "of", limited)
        return widths.choose(graph, "auto", given).fixed.bits

    assert only(4, 24) == best
    assert only(2, best) == best
    assert only(2, best - 1) == best - 1
    assert only(best + 1, 24) > best
    with pytest.raises(UnsupportedModel, match="24 bits"):
        only(25, 25)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_notes_tell_every_layer_that_stands_for_a_value(name, tmp_path):
    graph, given = files(name, tmp_path)
    found = widths.choose(graph, 8, given)
    notes = [n for n in found.net.notes if n.startswith("Fixed point, ")]
    names = [re.match(r"Fixed point, (\w+): ", n)[1] for n in notes]
    assert (
        names
        == [d.layer for d in found.distances]
        == sorted(names, key=[layer.name for layer in found.net.layers].index)
    )
    assert names[0] == "input" and names[-1] == "scores"
    for layer in found.net.layers:
        if type(layer).__name__ in ("Rescale", "Threshold"):
            pooled = found.net.layers[found.net.layers.index(layer) + 1].name
            assert layer.name in names or pooled in names
    assert all(d.error < 0.5 for d in found.distances)


def test_more_bits_leave_less_error_in_every_layer(tmp_path):
    graph, given = files("chain", tmp_path)
    few, more = (widths.choose(graph, bits, given).distances for bits in (5, 12))
    for a, b in zip(few, more, strict=True):
        assert a.layer == b.layer
        assert b.error < a.error / 30 or a.layer == "input" and b.error < 1e-6


@pytest.mark.parametrize("bits", [3, 8, 12])
def test_errors_contain_the_rounding_of_float_samples(bits, tmp_path):
    """The file reads the samples as they are, not what the host rounds them to."""
    graph, given = files("perceptron", tmp_path)
    found = widths.choose(graph, bits, given)
    unit = np.abs(given.x).max() / (2 ** (bits - 1) - 1)
    off = np.rint(given.x / unit) * unit - given.x
    errors = {d.layer: d.error for d in found.distances}
    want = np.sqrt((off**2).mean() / (given.x**2).mean())
    assert errors["input"] == pytest.approx(want, rel=1e-4)
    # What follows is an affine function with many inputs: its error is of the same size.
    assert want / 10 < errors["scores"] < want * 10


def test_what_a_file_rounds_itself_is_no_error(tmp_path):
    """The first quantiser is the file's own; only the weights behind it are rounded."""
    m = Real(1, 6)
    m.at = m.quant(m.at, 4, scale=0.25)
    graph = read(m.dense(6, 4).save(tmp_path), input="float")
    given = calibration_data.given(graph, np.random.default_rng(3).normal(size=(60, 6)))
    few, more = (
        {d.layer: d.error for d in widths.choose(graph, bits, given).distances} for bits in (3, 12)
    )
    assert few["input"] == more["input"] == 0
    assert few["scores"] > 0.01 and more["scores"] < 0.001


def test_weights_of_many_bits_beside_values_of_sixteen(tmp_path):
    """At 24 bits sums have up to 48, so that no factor of a rescaling can be exact."""
    graph, given = files("lenet", tmp_path)
    sixteen, most = (widths.choose(graph, bits, given) for bits in (16, 24))
    assert most.differ == 0
    for a, b in zip(sixteen.distances, most.distances, strict=True):
        assert b.error <= a.error * 1.05 + 1e-9


def test_a_sum_pool_of_wide_codes_is_rounded_before_a_layer_reads_it(tmp_path):
    graph, given = files("mean", tmp_path)
    found = widths.choose(graph, 16, given)
    names = [layer.name for layer in found.net.layers]
    assert names[2:6] == ["conv0_rescale", "pool0", "pool0_rescale", "conv1"]
    assert found.net.features[5].alphabet.bits == 16 and found.differ == 0
    # Fifteen bits and two for four taps are too many as well; fourteen make sixteen.
    kinds = [len(widths.choose(graph, bits, given).net.layers) for bits in (14, 15)]
    assert kinds == [len(names) - 1, len(names)]


def test_a_squashing_function_at_the_end_is_no_distance(tmp_path):
    for op in ("Sigmoid", "Tanh"):
        model = Real(1, 8).scaled().dense(8, 6).then("Relu").dense(6, 3).then(op)
        graph = read(model.save(tmp_path))
        found = widths.choose(graph, 10, calibration_data.drawn(graph))
        assert found.distances[-1].layer == "scores" and found.distances[-1].error < 0.02


def test_samples_of_floats_get_a_quantiser_where_there_is_none(tmp_path):
    graph, given = files("perceptron", tmp_path)
    found = widths.choose(graph, 7, given)
    net, top = found.net, abs(given.x).max()
    assert net.samples.alphabet.levels == 127 and net.samples.quantiser is not None
    assert str(net.samples) == "float32"
    x = np.array([[top, -top, 2 * top, 0, top / 126 * 0.99, top / 126 * 1.01]])
    codes = golden.frames(net, x).ravel().tolist()
    assert codes == [126, 0, 126, 63, 63, 64]


def test_samples_of_floats_keep_the_quantiser_that_there_is(tmp_path):
    model = Real(1, 6)
    model.at = model.quant(model.at, 4, scale=0.25)
    graph = read(model.dense(6, 3).save(tmp_path), input="float")
    found = widths.choose(graph, 9, calibration_data.drawn(graph))
    assert found.net.samples.alphabet.levels == 16 and found.graph is graph


def test_a_single_score_has_its_label_by_sign(tmp_path):
    model = Real(1, 8).scaled(mean=0.5).dense(8, 5, bias=False).then("Relu").dense(5, 1)
    graph = read(model.save(tmp_path))
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 1, 8)).astype(np.uint8)
    given = calibration_data.given(graph, x)
    found = widths.choose(graph, "auto", given)
    want = execute.scores(graph, given.values(graph))[:, 0] > 0
    assert 5 < want.sum() < 55
    np.testing.assert_array_equal(labels(found.net(x)), want)


@pytest.mark.parametrize("rows", [1, execute.BATCH, execute.BATCH + 1])
def test_all_samples_count_whatever_their_number(rows, tmp_path):
    graph, given = files("lenet", tmp_path)
    x = np.resize(given.x, (rows, *given.x.shape[1:])).astype(np.uint8)
    x[-1] = 255
    found = widths.choose(graph, 6, calibration_data.given(graph, x))
    assert found.count == rows and found.fixed.ranges[0].hi == 255


@pytest.mark.parametrize(
    ("ops", "why"),
    [
        ([("Mul", f32(1000)), ("Exp",)], "goes from 0 to inf"),
        ([("Mul", f32(1e30)), ("Mul", f32(1e30))], "on the calibration data"),
        ([("Log",)], "goes from nan to nan"),
    ],
)
def test_values_beyond_float32_are_refused(ops, why, tmp_path):
    model = Real(1, 8).scaled().dense(8, 6)
    for op, *constants in ops:
        model.then(op, *constants)
    graph = read(model.dense(6, 3).save(tmp_path))
    with pytest.raises(UnsupportedModel, match=why):
        widths.choose(graph, 8, calibration_data.drawn(graph))


def test_a_layer_that_calibration_never_reaches_is_zero_or_refused(tmp_path):
    def made(factor):
        model = Real(1, 8).scaled().dense(8, 6).then("Sub", f32(100)).then("Relu")
        graph = read(model.then("Mul", f32(factor)).dense(6, 3).save(tmp_path))
        return widths.choose(graph, 8, calibration_data.drawn(graph))

    assert made(1.0).differ == 0
    with pytest.raises(UnsupportedModel, match="too large beside their range"):
        made(1e30)
    assert frames(made(1.0).net).shape == (40, 8)


def test_a_value_that_the_graph_lacks_has_no_distance(tmp_path):
    """A pool behind the function is written before it: of the value between them there is none."""
    model = Real(1, 2, 4, 4).scaled().conv(3, 2, 3).then("Tanh").pool("MaxPool").flat()
    graph = read(model.save(tmp_path))
    found = widths.choose(graph, 10, calibration_data.drawn(graph))
    assert [d.layer for d in found.distances] == ["input"] and found.differ == 0
