"""Networks that branch, built by hand, against float64."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.join_ops import (
    AddMapOp,
    ConcatOp,
    MaximumOp,
    ProductOp,
    StretchOp,
    SumOp,
)
from xnorflow.ir import Window
from xnorflow.lower import lower

from .branching import Builder, check, f32, float_scores, samples, scores


def start(seed: int = 0) -> tuple[Builder, str]:
    """Return a builder with a first layer of 8 channels behind a sign."""
    b = Builder((6, 6, 3), np.random.default_rng(seed))
    return b, b.sign(b.conv(b.norm("", 1 / 128, -1.0), 3, 8))


def concat_signs() -> g.Graph:
    b, s = start()
    a = b.sign(b.conv(s, 8, 4))
    c = b.sign(b.conv(s, 8, 6, 1))
    x = b.add(ConcatOp(2, op="Concat"), s, a, c)
    b.head(b.conv(x, 18, 8), 288, 10)
    return b.graph()


def shuffle() -> g.Graph:
    b, s = start()

    def pick(x, cs, n):
        w = np.zeros((len(cs), 1, 1, n), np.int64)
        w[range(len(cs)), 0, 0, cs] = 1
        return b.add(g.ConvOp(w, f32(1.0), op="Slice"), x)

    left = pick(s, list(range(4)), 8)
    right = pick(s, list(range(4, 8)), 8)
    right = b.sign(b.conv(right, 4, 4))
    x = b.add(ConcatOp(2, op="Concat"), left, right)
    x = pick(x, [0, 4, 1, 5, 2, 6, 3, 7], 8)
    b.head(b.conv(x, 8, 8), 288, 10)
    return b.graph()


def neg_bn_fork() -> g.Graph:
    b, s = start()
    c = b.conv(s, 8, 8)
    n = b.add(
        g.BatchNormOp(
            f32(-1.3, 0.7, 0.2, -0.4, 1, 2, -2, 0.3),
            f32(*np.arange(8) / 7),
            f32(*np.arange(8) / 3),
            f32(*np.ones(8)),
            1e-5,
            op="BatchNormalization",
        ),
        c,
    )
    p = b.sign(n)
    q = b.add(g.ClipOp(-1, 1), n)
    q = b.sign(b.norm(q, -1.0, 0.3))
    x = b.add(SumOp((1, 1)), b.conv(p, 8, 4), b.conv(q, 8, 4, 1))
    b.head(x, 144, 10)
    return b.graph()


def maxmin() -> g.Graph:
    b, s = start()
    a = b.conv(s, 8, 8)
    c = b.norm(b.conv(s, 8, 8), -0.5, 0.25)
    x = b.add(MaximumOp(False), a, c)
    y = b.add(MaximumOp(True), x, b.conv(b.sign(x), 8, 8))
    b.head(y, 288, 10)
    return b.graph()


def gate() -> g.Graph:
    b, s = start()
    a = b.conv(s, 8, 8)
    pool = b.add(g.SumPoolOp(Window((6, 6))), s)
    v = b.sign(b.conv(pool, 8, 8, 1, bias=np.arange(8) - 4.0))
    x = b.add(ProductOp(), a, v)
    m = b.add(g.QuantOp(f32(1.0), f32(0.0), 1, False, False, op="Quant"), b.conv(s, 8, 1, 1))
    x = b.add(ProductOp(), x, m)
    b.head(x, 288, 10)
    return b.graph()


def upsample_crop() -> g.Graph:
    b, s = start()
    lo = b.conv(s, 8, 8, stride=2)
    up = b.add(StretchOp((2, 2), "repeat", op="Resize"), lo)
    x = b.add(SumOp((1, 1)), up, b.conv(s, 8, 8))
    z = b.add(StretchOp((2, 2), "zeros", (0, 0, 1, 1)), b.sign(lo))
    z = b.conv(z, 8, 8, 3)  # 5x5
    c = b.add(StretchOp((1, 1), "repeat", (1, 0, 0, 1)), x)
    x = b.add(SumOp((1, 1)), z, c)
    d = b.add(StretchOp((2, 2), "blocks"), b.norm(x, 0.5, 1.0))
    b.head(d, 200, 10)
    return b.graph()


def addmap() -> g.Graph:
    b, s = start()
    c = b.norm(b.conv(s, 8, 8), 0.5, 0.25)
    m = np.random.default_rng(0).integers(-9, 9, (6, 6, 8)).astype(np.float32) / 8
    x = b.add(AddMapOp(m), c)
    x = b.add(SumOp((1, 1)), x, s)
    b.head(x, 288, 10)
    return b.graph()


def relu_branch() -> g.Graph:
    b, s = start()
    r = b.add(g.ClipOp(0.0), b.norm(b.conv(s, 8, 8), -0.5, 0.25))
    x = b.add(SumOp((1, 1)), r, s)
    x = b.add(g.AveragePoolOp(Window((2, 2), (2, 2))), x)
    y = b.add(FunctionOp("LeakyRelu", ((), f32(0.25)), op="LeakyRelu"), x)
    z = b.add(FunctionOp("Abs", ((),), op="Abs"), x)
    x = b.add(SumOp((1, -1)), y, z)
    b.head(x, 72, 10)
    return b.graph()


def twice() -> g.Graph:
    b, s = start()
    c = b.conv(s, 8, 8)
    x = b.add(SumOp((1, 1)), c, c)
    x = b.add(SumOp((1, 1)), x, s)
    b.head(x, 288, 10)
    return b.graph()


def two_outputs() -> g.Graph:
    b, s = start()
    h = b.head(b.conv(s, 8, 8), 288, 10)
    k = b.conv(b.sign(b.conv(s, 8, 8)), 8, 4, 1, bias=np.arange(4) / 2)
    return b.graph(
        outputs=(
            g.GraphOutput("a", h, (10,), np.arange(10)),
            g.GraphOutput("b", k, (4, 6, 6), np.arange(144).reshape(36, 4).T.ravel()),
        )
    )


def map_output() -> g.Graph:
    b, s = start()
    k = b.conv(b.sign(b.conv(s, 8, 8)), 8, 4, 1, scale=0.25, bias=np.arange(4) / 2)
    return b.graph(
        outputs=(g.GraphOutput("b", k, (4, 6, 6), np.arange(144).reshape(36, 4).T.ravel()),)
    )


def ensemble() -> g.Graph:
    b, s = start()
    hs = [b.head(s, 288, 10) for _ in range(3)]
    b.add(SumOp((1,) * 3), *hs)
    return b.graph()


def frame_fork() -> g.Graph:
    b = Builder((6, 6, 3))
    x = b.norm("", 1 / 256, 0.0)
    p = b.sign(b.norm(x, 1.0, -0.5))
    q = b.sign(b.norm(x, 1.0, -0.25))
    y = b.add(ConcatOp(2), p, q)
    z = b.add(SumOp((1, 1)), b.conv(y, 6, 3), b.norm("", 1 / 16, -8.0))
    b.head(z, 108, 10)
    return b.graph()


def pool_residual() -> g.Graph:
    b, s = start()
    c = b.conv(s, 8, 8)
    m = b.add(g.MaxPoolOp(Window((3, 3), pads=(1, 1, 1, 1))), b.norm(c, -1.0, 0.5))
    x = b.add(SumOp((1, 1)), m, b.conv(s, 8, 8))
    b.head(x, 288, 10)
    return b.graph()


def concat_scaled() -> g.Graph:
    b, s = start()
    a = b.norm(b.conv(s, 8, 4), -0.5, 1.0)
    x = b.add(ConcatOp(2), a, s)
    y = b.add(ConcatOp(1), x, b.add(StretchOp((1, 1), "repeat", (0, 0, 0, 2)), x))
    b.head(y, 6 * 10 * 12, 10)
    return b.graph()


GRAPHS = (
    concat_signs,
    shuffle,
    neg_bn_fork,
    maxmin,
    gate,
    upsample_crop,
    addmap,
    relu_branch,
    twice,
    two_outputs,
    map_output,
    ensemble,
    frame_fork,
    pool_residual,
    concat_scaled,
)


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_scores_have_the_order_of_float64(make):
    check(make())


def kinds(net: ir.LayerGraph) -> list[str]:
    return [layer.kind for layer in net.layers]


def test_a_falling_reader_of_a_fork_gets_signs_of_its_own():
    net = lower(neg_bn_fork())
    signs = [x for x in net.layers if isinstance(x, ir.Add) and len(x.multiply) == 1]
    assert len(signs) == 2 and all((x.multiply == -1).any() for x in signs)
    # Both read what the convolution makes, which nobody has mirrored.
    at = {x.name: x for x in net.layers}
    assert {len(net.readers[1 + net.layers.index(at[n])]) for n in ("conv1",)} == {2}


def test_a_value_added_to_itself_is_counted_in_another_unit():
    net = lower(twice())
    assert kinds(net).count("add") == 1
    assert next(x for x in net.layers if isinstance(x, ir.Add)).multiply.tolist() == [[2], [1]]


def test_picked_signs_are_one_bit_again():
    net = lower(shuffle())
    at = kinds(net).index("concat")
    assert net.features[at + 1].alphabet == ir.BIPOLAR


def test_outputs_are_parts_of_the_scores():
    net = lower(two_outputs())
    assert [o.name for o in net.outputs] == ["a", "b"]
    assert net.outputs[1].shape == (4, 6, 6) and isinstance(net.layers[-1], ir.AllScores)
    graph = two_outputs()
    x = samples(graph, 5)
    assert scores(net, x).shape == float_scores(graph, x).shape
    assert lower(map_output()).outputs[0].shape == (4, 6, 6)


def test_a_sum_without_a_common_unit_is_refused_by_name():
    b, s = start()
    parts = [b.conv(s, 8, 8, scale=v) for v in (0.731, 0.402)]
    b.head(b.add(SumOp((1, 1), op="Add"), *parts), 288, 10)
    with pytest.raises(UnsupportedModel, match="Add node 'n6'.*one scale.*--fixed-point"):
        lower(b.graph())


def test_scales_that_differ_by_small_factors_have_a_common_unit():
    b, s = start()
    parts = [b.conv(s, 8, 8, scale=np.float32(0.1) * np.float32(k)) for k in (1, 2, 4)]
    b.head(b.add(SumOp((1, 1, -1), op="Sum"), *parts), 288, 10)
    net = lower(b.graph())
    add = next(x for x in net.layers if isinstance(x, ir.Add))
    assert add.multiply.tolist() == [[1], [2], [-4]]


def test_equal_branches_are_written_once():
    b, s = start()
    a, c = (b.add(g.MaxPoolOp(Window((2, 2)), op="MaxPool"), s) for _ in range(2))
    x = b.add(SumOp((1, 1), op="Add"), b.conv(a, 8, 8), b.conv(c, 8, 8))
    b.head(x, 200, 10)
    assert kinds(lower(b.graph())).count("maxpool") == 1


def test_what_no_output_reads_is_left_out():
    b, s = start()
    b.conv(s, 8, 8)
    b.head(s, 288, 10)
    assert kinds(check(b.graph())).count("conv") == 2


def test_float_samples_are_quantised_ahead_of_a_fork():
    b = Builder((6, 6, 3))
    s = b.sign(b.norm("", 1.0, 0.25))
    x = b.add(SumOp((1, 1), op="Add"), b.conv(s, 3, 8), b.conv(s, 3, 8, 1))
    b.head(x, 288, 10)
    graph = b.graph(takes_floats=True)
    net = lower(graph)
    x = np.random.default_rng(0).standard_normal((9, 6, 6, 3)).astype(np.float32)
    want, got = float_scores(graph, x), net(x)
    assert (got.argsort(1, stable=True) == want.argsort(1, stable=True)).all()
    with pytest.raises(UnsupportedModel, match="several operations"):
        two = Builder((6, 6, 3))
        y = two.add(SumOp((1, 1), op="Add"), *(two.conv("", 3, 8) for _ in range(2)))
        two.head(y, 288, 10)
        lower(two.graph(takes_floats=True))


def test_products_beyond_float32_are_refused():
    b, s = start()
    x = b.conv(s, 8, 8, weights=(-127, 126))
    y = b.add(ProductOp(op="Mul"), x, x)
    b.head(y, 288, 10)
    with pytest.raises(UnsupportedModel, match="'n5': its products take more than 24 bits"):
        lower(b.graph())


def test_what_rounds_in_float32_is_done_behind_a_concatenation_as_it_is():
    """Thresholds of float32 operations stay where they are, between any two sums."""
    b, s = start()
    rng = np.random.default_rng(5)
    norms = []
    for channels in (3, 5):
        a, c = rng.uniform(-1, 1, channels), rng.uniform(-4, 4, channels)
        norms.append((np.float32(a), np.float32(c)))
    parts = [
        b.norm(b.conv(s, 8, n, weights=(-2, 1)), *norm)
        for n, norm in zip((3, 5), norms, strict=True)
    ]
    x = b.sign(b.add(ConcatOp(2, op="Concat"), *parts))
    b.head(b.conv(x, 8, 8), 288, 10)
    net = lower(b.graph())
    at = kinds(net).index("concat")
    threshold = next(x for x in net.layers[at:] if isinstance(x, ir.Threshold))
    signs = [x for x in net.layers[at:] if isinstance(x, ir.Add)]
    factor, offset = (np.concatenate(v) for v in zip(*norms, strict=True))
    falls = (signs[0].multiply[0] < 0) if signs else np.zeros(8, bool)
    assert (falls == (factor < 0)).all()
    for channel, (t,) in enumerate(threshold.thresholds):
        sums = np.arange(t - 1, t + 1) * (-1 if falls[channel] else 1)
        values = sums.astype(np.float32) * factor[channel] + offset[channel]
        assert (values >= 0).tolist() == [False, True]
