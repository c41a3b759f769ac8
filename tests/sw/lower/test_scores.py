"""The tail: order and ties of float scores as integers."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.lower import scores
from xnorflow.lower.evaluate import Expression, Reach

WHERE = g.Op(node="last", op="Mul")


def f32(a):
    return np.asarray(a, np.float32)


def reach(classes=3, step=2):
    lo = -10 - step * np.arange(classes)
    return Reach(lo, lo + 20 + step * np.arange(classes), step)


def integer_scores(tail, integers):
    if tail.ranks is not None:
        return tail.ranks[np.arange(integers.shape[1]), integers - tail.rank_lo]
    return tail.factor * (-integers if tail.falls else integers) + tail.offsets


def check(unit, ops, where=None):
    """Compare every pair of classes over every reachable value."""
    where = where or reach()
    expression = Expression(np.asarray(unit, np.float64), tuple(ops))
    tail = scores.find(expression, where, WHERE)
    integers = where.integers(0, where.rows)
    truth, mine = expression(integers), integer_scores(tail, integers)
    np.testing.assert_array_equal(tail.floats[mine - tail.floats_lo], truth)
    np.testing.assert_array_equal(
        np.sign(np.subtract.outer(mine, mine)), np.sign(np.subtract.outer(truth, truth))
    )
    return tail


@pytest.mark.parametrize(
    "ops",
    [
        (),
        (g.MultiplyOp(f32(0.3)), g.AddOp(f32(-1.7))),
        (g.DivideOp(f32(7)),),
        (g.BatchNormOp(f32(2), f32(1), f32(3), f32(4), 1e-3),),
    ],
)
def test_uniform_and_rising_is_dropped(ops):
    tail = check(0.5, ops)
    assert tail.ranks is None and not tail.offsets.any() and not tail.falls


def test_uniform_and_falling_negates():
    tail = check(0.5, [g.MultiplyOp(f32(-0.3))])
    assert tail.ranks is None and not tail.offsets.any() and tail.falls
    tail = check(1, [g.SubtractOp(f32([1, 5, 3]), reverse=True)])
    assert tail.falls and tail.ranks is None
    np.testing.assert_array_equal(tail.offsets, [1, 5, 3])


def test_integer_offsets_are_kept_as_they_are():
    tail = check(1, [g.SubtractOp(f32([304, 266, 264]))])
    np.testing.assert_array_equal(tail.offsets, [-304, -266, -264])
    tail = check(0.25, [g.AddOp(f32([0.5, 0.75, -1]))])
    np.testing.assert_array_equal(tail.offsets, [2, 3, -4])


@pytest.mark.parametrize(
    "ops",
    [
        (
            g.BatchNormOp(
                f32([1, -2, 0]), f32([0.1, 0.2, 0.3]), f32([1, 2, 3]), f32([4, 5, 6]), 1e-5
            ),
        ),
        (g.MultiplyOp(f32([0.5, 1, 2])),),
        (g.BipolarQuantOp(f32(1)),),
        (g.AddOp(f32(2.0**22)), g.MultiplyOp(f32(0.1))),
        (g.ClipOp(0.0),),
        (g.MultiplyOp(f32([-1, 1, 1])),),
        # So large that neighbours round to one float.
        (g.AddOp(f32(2.0**25)),),
    ],
)
def test_all_else_is_ranked(ops):
    tail = check(1 if len(ops) == 1 else 0.1, ops)
    assert tail.ranks is not None
    width = (reach().hi - reach().lo)[:, None]
    np.testing.assert_array_equal(tail.ranks == -1, np.arange(tail.ranks.shape[1]) > width)


def test_units_per_class_are_ranked():
    assert check([1, 0.5, 0.3], []).ranks is not None


def test_constant_scores():
    check(1, [g.MultiplyOp(f32(0))])
    check(1, [], Reach(np.zeros(2, np.int64), np.zeros(2, np.int64)))


def test_large_tables_are_refused_or_left_out():
    wide = Reach(np.zeros(4, np.int64), np.full(4, scores.MAX_FLOATS + 5))
    assert scores.find(Expression(np.array(1.0)), wide, WHERE).floats is None
    ranked = Expression(np.array(1.0), (g.MultiplyOp(f32([1, 2, 3, 4])), g.ClipOp(0.0)))
    with pytest.raises(UnsupportedModel, match="Mul node 'last'.*table"):
        scores.find(ranked, wide, WHERE)
    with pytest.raises(UnsupportedModel, match="table"):
        scores.find(ranked, Reach(wide.lo, np.full(4, 1 << 25)), WHERE)
