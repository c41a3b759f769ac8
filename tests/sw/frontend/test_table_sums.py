"""Product-quantised layers as files have them, Gather and sums, against ONNX Runtime."""

import numpy as np
import pytest

import xnorflow
from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph.gather_op import GatherOp
from xnorflow.lower import lower, write_layers

from .executor import lowered_exactly
from .onnx_models import Model, f32, signs


def ints(*values):
    return np.array(values, np.int64)


def quantised(m, x, scale=1.0):
    """Append a rectifier with the codes 0 to 3."""
    y = m("Mul", x, f32(scale)) if scale != 1 else x
    return m("Clip", m("Round", y), f32(0), f32(3))


def product_quantised(
    m, x, rng, *, channels, tables=2, words=5, out=6, size=(6, 7), kernel=(3, 3), stride=1,
    pad=0, form="sum", codebooks=None, last=False,
):  # fmt: skip
    """Append a table, slices, picks and their sums; `form` says how an exporter adds the picks."""
    if codebooks is None:
        codebooks = f32(rng.integers(-7, 8, (tables * words, channels // tables, 1, 1)))
    y = m("Conv", x, codebooks, group=tables)
    if pad:
        y = m("Pad", y, ints(0, 0, pad, pad, 0, 0, pad, pad))
    rows, columns = ((n + 2 * pad - k) // stride + 1 for n, k in zip(size, kernel, strict=True))
    indices = rng.integers(0, words, (*kernel, out, tables)) + words * np.arange(tables)
    total = None
    for ky, kx in np.ndindex(*kernel):
        part = y
        if kernel != (1, 1):
            ends = ints(ky + (rows - 1) * stride + 1, kx + (columns - 1) * stride + 1)
            part = m("Slice", y, ints(ky, kx), ends, ints(2, 3), ints(stride, stride))
        if form == "sum":
            gathered = m("Gather", part, indices[ky, kx], axis=1)
            terms = [m("ReduceSum", gathered, ints(2), keepdims=0)]
        else:
            terms = [m("Gather", part, indices[ky, kx, :, t], axis=1) for t in range(tables)]
        for term in terms:
            total = term if total is None else m("Add", total, term)
    return total


def model(rng, **options):
    """Return a model with one such layer between a binary and a last dense layer."""
    m = Model(1, 1, 6, 7)
    x = m("Conv", "x", signs(rng, 8, 1, 3, 3), pads=[1, 1, 1, 1])
    x = quantised(m, x, 0.01)
    y = product_quantised(m, x, rng, channels=8, **options)
    out = options.get("out", 6)
    gamma, beta = rng.normal(0, 0.1, out), rng.normal(1, 1, out)
    y = m(
        "BatchNormalization", y, f32(gamma), f32(beta), f32(rng.normal(0, 3, out)), f32([1] * out)
    )
    y = m("Flatten", quantised(m, y))
    stride, pad, kernel = (
        options.get(k, d) for k, d in (("stride", 1), ("pad", 0), ("kernel", (3, 3)))
    )
    pixels = np.prod([(n + 2 * pad - k) // stride + 1 for n, k in zip((6, 7), kernel, strict=True)])
    m("MatMul", y, signs(rng, out * pixels, 4))
    return m


def gathers(net):
    return [layer for layer in net.layers if isinstance(layer, ir.Gather)]


@pytest.mark.parametrize("form", ["sum", "add"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pad": 1},
        {"stride": 2},
        {"stride": 2, "pad": 1},
        {"kernel": (1, 1)},
        {"kernel": (2, 3), "pad": 1},
        {"tables": 1, "words": 4},
        {"tables": 4, "words": 3, "out": 5},
    ],
    ids=str,
)
def test_picks_and_sums_become_one_layer(tmp_path, form, options):
    rng = np.random.default_rng(3)
    net = lowered_exactly(model(rng, form=form, **options).save(tmp_path))
    (layer,) = gathers(net)
    assert net.chain and not any(isinstance(x, ir.Add | ir.Stretch) for x in net.layers)
    kernel = options.get("kernel", (3, 3))
    tables, words = options.get("tables", 2), options.get("words", 5)
    assert layer.indices.shape == (options.get("out", 6), *kernel, tables)
    assert layer.words == words and layer.negative.any() and not layer.negative.all()
    table = net.layers[net.layers.index(layer) - 1]
    assert isinstance(table, ir.Conv) and table.groups == tables
    assert table.weights.shape == (tables * words, 1, 1, 8 // tables)


@pytest.mark.parametrize(("entry", "fits"), [(18, True), (19, False)])
def test_sums_of_picks_are_as_wide_as_all_entries_together(tmp_path, monkeypatch, entry, fits):
    """18 picks of entries up to 4 * 3 * 18 or 4 * 3 * 19: below 4,096, and beyond."""
    monkeypatch.setattr(write_layers, "MANTISSA", 12)
    codebooks = np.ones((10, 4, 1, 1), np.float32)
    codebooks[0] = entry
    graph = read(model(np.random.default_rng(3), codebooks=codebooks).save(tmp_path))
    if fits:
        assert gathers(lower(graph))[0].bounds(ir.Alphabet(0, 1, 12 * entry + 1))[1].max() == 3888
    else:
        with pytest.raises(UnsupportedModel, match="sums take more than 12 bits"):
            lower(graph)


def test_codebooks_of_one_scale_are_exact_and_share_it(tmp_path):
    """A channel whose integers have a common divisor keeps the unit of the others."""
    rng = np.random.default_rng(4)
    codebooks = f32(0.25 * rng.integers(-7, 8, (10, 4, 1, 1)))
    codebooks[3] = f32([1.5, -1.5, 0, 1.5]).reshape(4, 1, 1)
    codebooks[:, 0] = np.where(codebooks[:, 0] == 0, f32(0.25), codebooks[:, 0])
    net = lowered_exactly(model(rng, codebooks=codebooks).save(tmp_path))
    (layer,) = gathers(net)
    table = net.layers[net.layers.index(layer) - 1]
    np.testing.assert_array_equal(table.weights[:, 0, 0] * f32(0.25), codebooks[:, :, 0, 0])


def test_real_codebooks_are_refused_and_rounded_by_name(tmp_path):
    rng = np.random.default_rng(5)
    codebooks = f32(rng.normal(0, 1, (10, 4, 1, 1)))
    path = model(rng, codebooks=codebooks).save(tmp_path)
    with pytest.raises(UnsupportedModel, match="fixed point"):
        lower(read(path))
    net = xnorflow.load(path, fixed_point="8")
    (layer,) = gathers(net)
    table = net.layers[net.layers.index(layer) - 1]
    scale = np.abs(codebooks).max() / 127
    np.testing.assert_array_equal(
        table.weights[:, 0, 0], np.rint(codebooks[:, :, 0, 0] / scale).astype(int)
    )


def test_a_dense_layer_of_lookups(tmp_path):
    """The features of a map, in the order of channels last, are the channels of one pixel."""
    rng = np.random.default_rng(6)
    m = Model(1, 1, 6, 7)
    x = quantised(m, m("Conv", "x", signs(rng, 8, 1, 3, 3), strides=[2, 2]), 0.01)
    x = m("Reshape", m("Transpose", x, perm=[0, 2, 3, 1]), ints(1, 48, 1, 1))
    y = product_quantised(
        m, x, rng, channels=48, tables=12, words=4, size=(1, 1), kernel=(1, 1), out=5
    )
    m("Add", m("Flatten", y), f32(rng.integers(-9, 9, 5)))
    net = lowered_exactly(m.save(tmp_path))
    kinds = [type(layer).__name__ for layer in net.layers]
    assert kinds == ["InputTable", "Conv", "Threshold", "Flatten", "Conv", "Gather", "Scores"]
    assert net.layers[4].groups == 12 and net.layers[5].indices.shape == (5, 1, 1, 12)


@pytest.mark.parametrize("change", ["twice", "subtracted", "uneven", "read again"])
def test_what_is_no_lookup_is_imported_as_before(tmp_path, change):
    """Two entries of one table, differences and maps with other readers stay sums and picks."""
    rng = np.random.default_rng(7)
    m = Model(1, 1, 6, 7)
    x = quantised(m, m("Conv", "x", signs(rng, 4, 1, 3, 3)), 0.01)
    t = m("Conv", x, f32(rng.integers(-3, 4, (8, 2, 1, 1))), group=2)
    second = ints(1, 2, 0) if change == "twice" else ints(4, 6, 7)
    a, b = m("Gather", t, ints(0, 3, 2), axis=1), m("Gather", t, second, axis=1)
    y = m("Sub" if change == "subtracted" else "Add", a, b)
    if change == "uneven":
        y = m("Add", y, m("Gather", t, ints(5, 5, 6), axis=1))
    if change == "read again":
        y = m("Add", y, m("Mul", a, f32(2)))
    y = m("Flatten", quantised(m, y))
    m("MatMul", y, signs(rng, 60, 4))
    net = lowered_exactly(m.save(tmp_path))
    assert bool(gathers(net)) == (change == "read again")


def test_indices_that_depend_on_the_input_are_refused(tmp_path):
    m = Model(1, 1, 6, 7)
    x = m("Conv", "x", signs(np.random.default_rng(8), 8, 1, 3, 3))
    index = m("Cast", m("ReduceMean", x, axes=[1, 2, 3], keepdims=0), to=7)
    m("Flatten", m("Gather", x, index, axis=1))
    with pytest.raises(UnsupportedModel):
        read(m.save(tmp_path))


def test_a_sum_of_picks_is_one_operation_at_once(tmp_path):
    """No weights [outputs * tables, channels] of zeros are made on the way."""
    rng = np.random.default_rng(9)
    graph = read(model(rng, tables=4, words=8, kernel=(1, 1)).save(tmp_path))
    (op,) = [op for op in graph.ops if isinstance(op, GatherOp)]
    assert op.indices.shape == (6, 1, 1, 4) and op.words == 8
