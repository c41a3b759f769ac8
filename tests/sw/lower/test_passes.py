"""Passes over the imported graph."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import Window
from xnorflow.lower import passes as tidy

from . import reference


def f32(a):
    return np.asarray(a, np.float32)


def conv(out, inp, **kwargs):
    weights = np.random.default_rng(0).choice([-1, 1], (out, 1, 1, inp))
    return g.ConvOp(weights, f32(0.5), node="conv", op="Conv", **kwargs)


def graph(*ops, shape=(2, 3, 2)):
    return g.Graph("net", shape, ops)


def same_scores(a, b):
    x = np.random.default_rng(1).integers(0, 256, (4, *a.shape), np.uint8)
    np.testing.assert_array_equal(reference.run(a, x), reference.run(b, x))


def test_biases_become_additions():
    old = graph(conv(3, 2, bias=f32([1, 2, 3])))
    new = tidy.split_bias(old)
    assert [type(op) for op in new.ops] == [g.ConvOp, g.AddOp] and new.ops[0].bias is None
    same_scores(old, new)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("of_pick", [1, 4])
def test_a_pick_before_groups_is_folded(groups, of_pick):
    rng = np.random.default_rng(3)
    if of_pick == 1:
        pick = g.ConvOp(np.eye(4, dtype=np.int64)[[2, 0, 3, 1]].reshape(4, 1, 1, 4), f32(1))
    else:
        pick = g.ConvOp(np.ones((4, 1, 1, 1), np.int64), f32(1), groups=4)
    weights = rng.choice([-1, 1], (8, 2, 2, 4 // groups))
    old = graph(pick, g.ConvOp(weights, f32(1), Window((2, 2)), groups=groups), shape=(3, 4, 4))
    new = tidy.fold_picks(old)
    assert len(new.ops) == 1 and new.ops[0].groups == 1
    same_scores(old, new)


def test_a_pick_that_would_make_groups_too_large_is_left(monkeypatch):
    pick = g.ConvOp(np.ones((4, 1, 1, 1), np.int64), f32(1), groups=4)
    layer = g.ConvOp(np.ones((8, 2, 2, 1), np.int64), f32(1), Window((2, 2)), groups=4)
    old = graph(pick, layer, shape=(3, 4, 4))
    monkeypatch.setattr(tidy, "MAX_FOLDED_WEIGHTS", 8 * 2 * 2 * 4)
    assert len(tidy.fold_picks(old).ops) == 1
    monkeypatch.setattr(tidy, "MAX_FOLDED_WEIGHTS", 8 * 2 * 2 * 4 - 1)
    assert len(tidy.fold_picks(old).ops) == 2


def test_identities_are_dropped():
    one = g.MaxPoolOp(Window((2, 3)))
    old = graph(
        one,
        g.FlattenOp(),
        g.MaxPoolOp(Window()),
        g.SumPoolOp(Window()),
        conv(3, 2),
        g.FlattenOp(),
    )
    new = tidy.drop_identities(old)
    assert [type(op) for op in new.ops] == [g.MaxPoolOp, g.ConvOp]
    same_scores(old, new)
    kept = graph(g.FlattenOp(), g.MaxPoolOp(Window(stride=(2, 2))))
    assert tidy.drop_identities(kept).ops == kept.ops


def test_elementwise_goes_ahead_of_flatten_where_pixels_agree():
    shared = f32(np.tile([1, 2], 6))
    old = graph(g.FlattenOp(), g.AddOp(shared), g.BipolarQuantOp(f32(1)), conv(3, 12))
    new = tidy.hoist_elementwise(old)
    assert [type(op) for op in new.ops] == [g.AddOp, g.BipolarQuantOp, g.FlattenOp, g.ConvOp]
    np.testing.assert_array_equal(new.ops[0].value, [1, 2])
    same_scores(old, new)


def test_elementwise_stays_behind_flatten_where_pixels_differ():
    old = graph(g.FlattenOp(), g.AddOp(f32(np.arange(12))), g.MultiplyOp(f32(2)))
    assert tidy.hoist_elementwise(old).ops == old.ops
    t = f32(np.tile([[1, 2], [3, 4]], (6, 1)))
    new = tidy.hoist_elementwise(graph(g.FlattenOp(), g.MultiThresholdOp(t)))
    assert new.ops[0].thresholds.shape == (2, 2)


NAN, INF = f32([np.nan, 1]), f32([np.inf, 1])
ONE = f32([1, 1])


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (g.AddOp(NAN), "value holds NaN"),
        (g.MultiplyOp(INF), "value holds infinity"),
        (g.BatchNormOp(ONE, ONE, NAN, ONE, 1e-5), "mean holds NaN"),
        (g.BatchNormOp(INF, ONE, ONE, ONE, 1e-5), "gamma holds infinity"),
        (g.BatchNormOp(ONE, ONE, ONE, -ONE, 1e-5), "variance"),
        (g.BatchNormOp(ONE, ONE, ONE, ONE, float("nan")), "epsilon holds NaN"),
        (g.DivideOp(f32([1, 0])), "divides by zero"),
        (g.QuantOp(f32(0), f32(0), 4.0, True, False), "scale is zero"),
        (g.BipolarQuantOp(NAN), "scale holds NaN"),
        (g.MultiThresholdOp(f32([[np.nan]])), "thresholds holds NaN"),
        (g.ClipOp(float("nan")), "lo holds NaN"),
        (g.AddOp(f32([1, 2, 3])), "3 entries for 2 channels"),
        (g.ConvOp(np.ones((2, 1, 1, 2), np.int64), f32([1, -1])), "not positive"),
        (g.ConvOp(np.ones((2, 1, 1, 2), np.int64), f32([1, np.inf])), "scale holds infinity"),
        (g.ConvOp(np.ones((2, 1, 1, 3), np.int64), ONE), "2 channels"),
        (g.ConvOp(np.ones((3, 1, 1, 1), np.int64), ONE, groups=2), "in 2 groups"),
        (g.ConvOp(np.ones((2, 1, 1, 2), np.int64), ONE, groups=2), "in 2 groups"),
        (g.ConvOp(np.ones((2, 1, 1, 2), np.int64), ONE, groups=0), "in 0 groups"),
        (g.ConvOp(np.ones((2, 1, 1, 2), np.int64), ONE, bias=NAN), "bias holds NaN"),
        (g.ConvOp(np.ones((2, 5, 1, 2), np.int64), ONE, Window((5, 1))), "does not fit"),
        (g.MaxPoolOp(Window((5, 1))), "does not fit"),
    ],
)
def test_bad_constants_are_refused_by_name(op, message):
    object.__setattr__(op, "node", "culprit")
    object.__setattr__(op, "op", "Op")
    with pytest.raises(UnsupportedModel, match=f"Op node 'culprit'.*{message}"):
        tidy.check_constants(graph(op))


def test_bad_input_scale_is_refused():
    for scale in (float("nan"), 0.0, -1.0):
        with pytest.raises(UnsupportedModel, match="input scale"):
            tidy.check_constants(g.Graph("net", (1, 1, 1), (), input_scale=InputScale(scale)))


def test_infinite_bounds_and_thresholds_are_fine():
    ops = (g.ClipOp(0.0), g.MultiThresholdOp(f32([[-np.inf, 0, np.inf]])))
    assert tidy.check_constants(graph(*ops)).ops == ops
