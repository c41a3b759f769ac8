"""Evaluation over reachable integers: exhaustive, by bisection, and its refusals."""

from dataclasses import dataclass

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.lower import evaluate
from xnorflow.lower.evaluate import Expression, Reach, monotone, steps

WHERE = ops.Op(node="here", op="Quant")


def expression(channels, seed):
    r = np.random.default_rng(seed)

    def f32(a):
        return np.asarray(a, np.float32)

    return Expression(
        r.uniform(0.1, 1, channels),
        (
            ops.BatchNormOp(
                f32(r.standard_normal(channels)),
                f32(r.standard_normal(channels)),
                f32(r.normal(0, 30, channels)),
                f32(r.uniform(1, 100, channels)),
                1e-5,
            ),
            ops.MultiThresholdOp(f32(np.sort(r.normal(0, 2, (channels, 5)), 1)), 0.5, -1.0),
        ),
    )


def reach(channels, seed, step=2):
    r = np.random.default_rng(seed)
    lo = r.integers(-200, 0, channels)
    return Reach(lo, lo + step * r.integers(0, 300, channels), step)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_every_step_is_found(monkeypatch, seed, chunk):
    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    e, where = expression(6, seed), reach(6, seed)
    found = steps(e, where, WHERE)
    for c in range(6):
        integers = np.arange(where.lo[c], where.hi[c] + 1, 2)
        values = e.select(np.array([c]))(integers[:, None])[:, 0]
        at = np.flatnonzero(np.diff(values)) + 1
        mine = found.channel == c
        assert found.first[c] == values[0]
        np.testing.assert_array_equal(found.at[mine], integers[at])
        np.testing.assert_array_equal(found.before[mine], values[at - 1])
        np.testing.assert_array_equal(found.after[mine], values[at])


@pytest.mark.parametrize("limit", ["EXHAUSTIVE", "FEW"])
@pytest.mark.parametrize("seed", range(10))
def test_bisection_finds_the_same(monkeypatch, seed, limit):
    e, where = expression(9, seed), reach(9, seed, step=3)
    every = steps(e, where, WHERE)
    monkeypatch.setattr(evaluate, limit, 0)
    halved = steps(e, where, WHERE)
    assert len(every.at) > 10
    for name in ("first", "channel", "at", "before", "after", "direction"):
        np.testing.assert_array_equal(getattr(every, name), getattr(halved, name))


def test_direction_is_that_of_each_channel():
    gamma = np.array([1, -1, 0], np.float32)
    zero = np.zeros(3, np.float32)
    e = Expression(
        np.array(1.0),
        (ops.BatchNormOp(gamma, zero, zero, zero + 1, 0.0), ops.BipolarQuantOp(np.float32(1))),
    )
    where = Reach(np.full(3, -3), np.full(3, 3))
    np.testing.assert_array_equal(steps(e, where, WHERE).direction, [1, -1, 0])
    np.testing.assert_array_equal(e.direction(where), [1, -1, 0])


def test_product_is_rounded_once():
    e = Expression(np.array(1 / 3))
    integers = np.arange(-(1 << 20), 1 << 20, 97)[:, None]
    np.testing.assert_array_equal(e(integers), (integers / 3.0).astype(np.float32))


def test_select_repeats_channels_of_every_constant():
    e, where = expression(4, 1), reach(4, 1)
    order = np.array([3, 0, 0, 2])
    integers = where.integers(0, 7)
    np.testing.assert_array_equal(e.select(order)(integers[:, order]), e(integers)[:, order])


def test_per_channel_leaves_scalars_alone():
    op = ops.QuantOp(np.float32(2), np.array([1, 2], np.float32), 4.0, True, False)
    turned = op.mapped(lambda c: c[::-1])
    assert turned.scale == 2
    np.testing.assert_array_equal(turned.zero_point, [2, 1])


def test_nan_is_refused_with_the_node_that_makes_it():
    big = np.float32(3e38)
    e = Expression(
        np.array(1.0),
        (ops.MultiplyOp(big, node="up"), ops.SubtractOp(np.float32(np.inf), node="down", op="Sub")),
    )
    with pytest.raises(UnsupportedModel, match="Sub node 'down'.*NaN"):
        e(np.array([[9]]))


def test_values_without_a_quantiser_are_refused():
    where = Reach(np.zeros(1, np.int64), np.full(1, 1 << 17))
    with pytest.raises(UnsupportedModel, match="'here'.*not quantised"):
        steps(Expression(np.array(1.0)), where, WHERE)


@dataclass(frozen=True, eq=False)
class Absolute(ops.Elementwise):
    """Not monotone."""

    monotone = False

    def apply(self, x):
        return np.abs(x)


def test_what_is_not_monotone_is_said_to_be_so(monkeypatch):
    where = Reach(np.array([-5, 0]), np.array([5, 5]))
    e = Expression(np.array(1.0), (Absolute(),))
    assert not steps(e, where, WHERE).monotone and not monotone(e, where)
    rises = Reach(np.zeros(2, np.int64), np.full(2, 5))
    assert steps(e, rises, WHERE).monotone and monotone(e, rises)
    monkeypatch.setattr(evaluate, "EXHAUSTIVE", 0)
    assert not monotone(e, rises), "nothing is known without trying them all"
    with pytest.raises(UnsupportedModel, match="'here'.*neither rises nor falls"):
        steps(e, rises, WHERE)
