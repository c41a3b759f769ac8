"""Bounds on a framework's own float32 sums."""

import itertools

import numpy as np
import pytest

from xnorflow.graph import ops
from xnorflow.lower.evaluate import Expression, Reach, steps
from xnorflow.lower.rounding import close_decisions, significand, sum_error, uncertain_channels


@pytest.mark.parametrize(("value", "odd"), [(1.0, 1), (0.375, 3), (2.0**-140, 1), (40.0, 5)])
def test_significand(value, odd):
    assert significand(value) == odd


def test_small_multiples_of_a_power_of_two_add_exactly():
    total, terms = np.array([1000, 1 << 23, 1 << 24]), np.array([9, 9, 9])
    error = sum_error(np.array(0.25), total, terms, exact=True)
    assert (error[:2] == 0).all() and error[2] > 0
    assert sum_error(np.array(0.75), total, terms, exact=True)[0] == 0
    assert (sum_error(np.array(0.1), total, terms, exact=True) > 0).all()
    assert (sum_error(np.array(0.25), total, terms, exact=False) > 0).all()
    assert (sum_error(np.array([1.0, 0.1, 1.0]), total // 4, terms, exact=True) > 0)[1]


def test_sums_in_any_order_stay_within_the_bound():
    r = np.random.default_rng(0)
    unit = float(np.float32(0.1))
    for _ in range(50):
        terms = r.integers(-3, 4, 6)
        floats = (terms * unit).astype(np.float32)
        sums = [np.add.reduce(np.array(p, np.float32)) for p in itertools.permutations(floats)]
        mine = np.float32(terms.sum() * unit)
        bound = sum_error(np.array(unit), np.array([18]), 6, exact=True)
        assert np.abs(np.array(sums, np.float64) - mine).max() <= bound


def test_only_decisions_near_a_tie_are_uncertain():
    # Thresholds at 3 units, halfway to the next, and where no sum comes.
    unit = float(np.float32(0.1))
    shift = np.array([0.3, 0.35, 9], np.float32)
    e = Expression(np.array(unit), (ops.SubtractOp(shift), ops.BipolarQuantOp(np.float32(1))))
    reach = Reach(np.full(3, -10), np.full(3, 10))
    found = steps(e, reach, ops.Op())
    assert uncertain_channels(e, found, 1, np.full(3, 1e-6)) == 1
    assert uncertain_channels(e, found, 1, np.full(3, 0.06)) == 2
    assert uncertain_channels(e, found, 1, np.zeros(3)) == 0


def test_errors_that_decide_nothing_are_said_to_decide_nothing():
    assert close_decisions(0, 24, "errors").startswith("no decision lies within")
    assert close_decisions(2, 24, "errors").startswith("in 2 of 24 channels a decision lies")
