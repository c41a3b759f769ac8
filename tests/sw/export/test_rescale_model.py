"""Rescalings as ONNX: floor, bounds and widths as in the golden model, to the last bit."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.export import export_network, save_weights
from xnorflow.export.integer_model import EXACT, integer_model
from xnorflow.ir.verify import verify

ONES = np.ones(2, np.int64)


def network(rescale, *more, values=None, shape=(1, 1, 2), classes=2):
    """A table that gives each sample a value, a rescaling, more layers, and scores."""
    table = ir.InputTable("table", np.arange(256)[None], values or ir.Alphabet(-255, 2, 256))
    scores = ir.Scores("scores", np.zeros(classes, np.int64))
    net = ir.IntegerNetwork("net", shape, (table, rescale, *more, scores))
    verify(net)
    return net


def every(net):
    """Every sample in every channel."""
    return np.arange(256, dtype=np.uint8)[:, None, None, None] * np.ones(net.shape, np.uint8)


@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 61),
    st.integers(1, 1 << 16),
    st.sampled_from([1, 2, 7]),
    st.booleans(),
)
def test_drawn_rescalings_are_the_golden_model(tmp_path_factory, seed, shift, levels, step, qonnx):
    rng = np.random.default_rng(seed)
    reach = min(2 * levels << shift, 1 << 60)
    multiply = rng.integers(0, reach // 255 + 1, 2)
    offset = rng.integers(-reach, reach + 1, 2)
    least, most = np.sort(rng.integers(0, levels, (2, 2)), axis=0)
    alphabet = ir.Alphabet(-int(rng.integers(0, levels)), step, levels)
    net = network(ir.Rescale("rescale", multiply, offset, least, most, shift, alphabet))
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    made = export_network(net, path, qonnx=qonnx, x=every(net))
    assert made.frames == 256 and made.differing == 0
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_quotients_of_negative_sums_are_rounded_down(tmp_path):
    rescale = ir.Rescale("r", ONES, 0 * ONES, 0 * ONES, 255 * ONES, 2, ir.Alphabet(-3, 1, 256))
    shifted = ir.Rescale("r", 3 * ONES, 512 * ONES, 0 * ONES, 255 * ONES, 3, ir.Alphabet(0, 1, 256))
    for layer in (rescale, shifted):
        net = network(layer)
        export_network(net, tmp_path / "net.onnx", x=every(net))
        assert len(np.unique(net(every(net)))) > 30


@pytest.mark.parametrize("behind", ["conv", "max", "sum", "flatten", "rescale", "threshold"])
@pytest.mark.parametrize("flat", [False, True])
def test_any_layer_may_follow(behind, flat, tmp_path):
    rng = np.random.default_rng(0)
    size = 18 if flat else 2
    codes = np.full(size, 15)
    rescale = ir.Rescale(
        "rescale",
        rng.integers(0, 99, size),
        rng.integers(0, 4000, size),
        0 * codes,
        codes,
        9,
        ir.Alphabet(-7, 1, 16),
    )
    window = ir.Window((1, 1) if flat else (3, 3))
    weights = rng.integers(-1, 2, (2, *window.kernel, size))
    more = {
        "conv": (ir.Conv("conv", weights, ir.TERNARY, window),),
        "max": (ir.MaxPool("max", window, np.arange(size) % 2 == 0),),
        "sum": (ir.SumPool("sum", window),),
        "flatten": (ir.Flatten("flatten"),),
        "rescale": (
            ir.Rescale("again", codes, codes, 0 * codes, codes, 2, ir.Alphabet(0, 1, 16)),
            ir.SumPool("sum", window),
        ),
        "threshold": (
            ir.Threshold("steps", np.tile([-3, 4], (size, 1)), ir.TERNARY),
            ir.SumPool("sum", window),
        ),
    }[behind]
    before = (ir.Flatten("first"),) if flat else ()
    table = ir.InputTable("table", np.arange(256)[None], ir.Alphabet(-255, 2, 256))
    layers = (table, *before, rescale, *more)
    last = ir.IntegerNetwork("net", (3, 3, 2), layers).features[-1]
    assert last.shape[:2] == (1, 1)
    scores = ir.Scores("scores", np.arange(last.channels))
    net = ir.IntegerNetwork("net", (3, 3, 2), (*layers, scores))
    verify(net)
    for qonnx in (False, True):
        export_network(net, tmp_path / "net.onnx", qonnx=qonnx)


@pytest.mark.parametrize("code", [EXACT, EXACT + 1, (1 << 47) - 1])
def test_scores_beyond_float32_stay_integers(code, tmp_path):
    rescale = ir.Rescale(
        "rescale", ONES, (code - 300) * ONES, 0 * ONES, code * ONES, 0, ir.Alphabet(0, 1, code + 1)
    )
    net = network(rescale, ir.Flatten("flatten"), shape=(1, 1, 2))
    export_network(net, tmp_path / "net.onnx", x=every(net))
    assert net(every(net)).max() == code - 45
    kinds = {v.name: v.type.tensor_type.elem_type for v in integer_model(net).graph.value_info}
    assert kinds["rescale"] == (TensorProto.INT64 if code > EXACT else TensorProto.FLOAT)


@pytest.mark.parametrize(
    "layer",
    [
        ir.MaxPool("next", ir.Window(), np.zeros(2, bool)),
        ir.SumPool("next", ir.Window()),
        ir.Conv("next", np.ones((2, 1, 1, 2), np.int64), ir.UNIPOLAR),
        ir.Conv("next", np.zeros((2, 1, 1, 2), np.int64), ir.UNIPOLAR),
        ir.Threshold("next", np.zeros((2, 1), np.int64), ir.UNIPOLAR),
    ],
)
def test_other_layers_refuse_what_float32_does_not_hold(layer, tmp_path):
    def made(code):
        alphabet = ir.Alphabet(0, 1, code + 1)
        rescale = ir.Rescale("rescale", ONES, ONES, 0 * ONES, code * ONES, 0, alphabet)
        export_network(network(rescale, layer), tmp_path / "net.onnx")

    made(EXACT // 2 - 1)
    with pytest.raises(UnsupportedModel, match="'next'.*float32 holds integers up to 16777216"):
        made(EXACT + 1)


def test_every_field_is_among_the_weights(tmp_path):
    rescale = ir.Rescale("r", 3 * ONES, -7 * ONES, 0 * ONES, 5 * ONES, 4, ir.Alphabet(0, 1, 8))
    net = network(rescale)
    assert save_weights(net, tmp_path / "w.npz", "npz")[1:5] == (
        "r.multiply",
        "r.offset",
        "r.least",
        "r.most",
    )
    with np.load(tmp_path / "w.npz") as arrays:
        assert arrays["r.offset"].tolist() == [-7, -7]
        assert '"shift": 4' in str(arrays["about"])
    save_weights(net, tmp_path, "hex")
    assert "r.offset [2]: channel" in (tmp_path / "r.offset.hex").read_text()
