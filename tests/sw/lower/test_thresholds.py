"""Staircases to thresholds, for rising, falling and constant channels."""

import numpy as np
import pytest

from xnorflow.graph import ops as g
from xnorflow.lower.common_scale import find
from xnorflow.lower.evaluate import Expression, Reach, steps
from xnorflow.lower.thresholds import mirrored, thresholds

WHERE = g.Op()


def f32(a):
    return np.asarray(a, np.float32)


def make(seed, step):
    """Eight channels of random slopes, some of them 0, and three-bit codes."""
    r = np.random.default_rng(seed)
    gamma = f32(r.choice([-1, 0, 1], 8) * r.uniform(0.1, 2, 8))
    ops = (
        g.BatchNormOp(
            gamma, f32(r.normal(0, 3, 8)), f32(r.normal(0, 9, 8)), f32(r.uniform(5, 20, 8)), 1e-5
        ),
        g.QuantOp(f32(0.5), f32(0), 3.0, True, False),
    )
    lo = r.integers(-30, 5, 8)
    return Expression(np.array(0.25), ops), Reach(lo, lo + step * r.integers(0, 40, 8), step)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("mirror", [0, 3])
def test_counting_thresholds_gives_every_code(seed, step, mirror):
    expression, reach = make(seed, step)
    found = steps(expression, reach, WHERE)
    grid = find(found.values)
    falling = found.direction < 0
    rising, turned = mirrored(found, reach, np.full(8, mirror))
    t = thresholds(rising, turned, grid)
    assert (np.diff(t, axis=1) >= 0).all()
    assert (t >= turned.lo[:, None]).all() and (t <= turned.hi[:, None] + 1).all()
    assert ((t - turned.lo[:, None]) % step == 0)[t <= turned.hi[:, None]].all()
    assert (rising.direction >= 0).all()
    integers = reach.integers(0, reach.rows)
    seen = np.where(falling, mirror - integers, integers)
    assert (seen >= turned.lo).all() and (seen <= turned.hi).all()
    codes = (seen[:, :, None] >= t).sum(2)
    np.testing.assert_array_equal(codes, grid.codes(expression(integers)))


def test_constant_channels_are_reached_always_or_never():
    zero = np.zeros(2, np.float32)
    ops = (g.BatchNormOp(zero, f32([0, -1e-30]), zero, zero + 1, 0.0), g.BipolarQuantOp(f32(1)))
    reach = Reach(np.array([-5, -5]), np.array([5, 5]), 2)
    found = steps(Expression(np.array(1.0), ops), reach, WHERE)
    np.testing.assert_array_equal(thresholds(found, reach, find(found.values)), [[-5], [6]])
