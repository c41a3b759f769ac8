"""Chains: float32 scores in integers for every reachable sum, or none."""

import numpy as np
import pytest

from xnorflow.graph import ops as g
from xnorflow.ir.score_steps import run
from xnorflow.lower import score_chain, scores
from xnorflow.lower.evaluate import Expression, Reach

WHERE = g.Op(node="last", op="Mul")


def f32(a):
    return np.asarray(a, np.float32)


def reach(classes=10, largest=512, step=2):
    return Reach(np.full(classes, -largest), np.full(classes, largest), step)


def check(unit, ops, where=None):
    """Find the chain, and compare it with float32 itself over all sums."""
    where = where or reach()
    expression = Expression(np.asarray(unit, np.float64), tuple(ops))
    found = score_chain.find(expression, where)
    if found is not None:
        integers = where.integers(0, where.rows)
        truth = expression(integers)
        mine = np.ldexp(run(found.steps, integers).astype(np.float64), found.exponent)
        np.testing.assert_array_equal(mine.astype(np.float32), truth)
    return found


def norm(classes, seed=0):
    r = np.random.default_rng(seed)
    return g.BatchNormOp(
        f32(r.normal(0, 1, classes)),
        f32(r.normal(0, 1, classes)),
        f32(r.normal(0, 20, classes)),
        f32(r.uniform(20, 400, classes)),
        1e-5,
    )


PER_CLASS = f32(np.random.default_rng(1).uniform(0.001, 0.02, 10))


@pytest.mark.parametrize(
    ("unit", "ops", "steps"),
    [
        (1, [norm(10)], 2),
        (0.25, [norm(10)], 2),
        (float(np.float32(0.0123)), [norm(10)], 3),
        (PER_CLASS, [g.AddOp(f32(np.linspace(-1, 1, 10)))], 2),
        (1, [g.MultiplyOp(PER_CLASS)], 1),
        (1, [g.MultiplyOp(PER_CLASS), g.SubtractOp(f32(0.1))], 2),
        (1, [g.MultiplyOp(PER_CLASS), g.SubtractOp(f32(0.1), reverse=True)], 3),
        (1, [g.DivideOp(f32([2, 4] * 5)), g.AddOp(PER_CLASS)], 2),
        (1, [g.MultiplyOp(f32(-PER_CLASS)), g.AddOp(f32(0))], 1),
        (1, [g.MultiplyOp(f32([0, 1] * 5)), g.AddOp(PER_CLASS)], 2),
    ],
)
def test_chains(unit, ops, steps):
    found = check(unit, ops)
    assert found is not None and len(found.steps) == steps


@pytest.mark.parametrize(
    "ops",
    [
        [g.DivideOp(f32(3)), g.AddOp(PER_CLASS)],
        [g.MultiplyOp(PER_CLASS), g.ClipOp(0.0)],
        [g.QuantOp(f32(0.1), f32(0), 8, True, False)],
        # The results are denormal, whose place of rounding does not depend on their bits.
        [g.MultiplyOp(f32(PER_CLASS * 1e-38)), g.MultiplyOp(f32(0.3))],
        # Grids that are too far apart for 62 bits.
        [g.MultiplyOp(f32(np.geomspace(1e-15, 1, 10)))],
        [g.MultiplyOp(f32([1e30] * 10)), g.MultiplyOp(f32([1e30] * 10))],
        [],
    ],
)
def test_what_has_no_chain(ops):
    assert check(1, ops) is None


def test_one_sum_that_differs_is_enough_to_have_none(monkeypatch):
    assert check(1, [norm(10)]) is not None
    truth = Expression.__call__

    def off(self, integers):
        values = truth(self, integers)
        return np.where(integers == 510, np.nextafter(values, f32(np.inf)), values)

    monkeypatch.setattr(Expression, "__call__", off)
    assert score_chain.find(Expression(np.array(1.0), (norm(10),)), reach()) is None


@pytest.mark.parametrize(
    ("values", "exponent"),
    [
        ([1, 2], 0),
        ([2, 6], 1),
        ([0.75], -2),
        ([0, -0.5], -1),
        ([2.0**-149], -149),
        ([2.0**127, 2.0**126], 126),
    ],
)
def test_lowest_bit(values, exponent):
    assert score_chain.lowest_bit(f32(values)) == exponent


def test_a_small_table_stays_a_table():
    """Up to 4096 bits a table of ranks takes less logic than a chain."""
    expression = Expression(np.array(1.0), (norm(10),))
    small, large = reach(largest=24), reach(largest=26)
    assert scores._table_bits(small) <= scores.SMALL_TABLE_BITS < scores._table_bits(large)
    assert scores.find(expression, small, WHERE).ranks is not None
    assert scores.find(expression, large, WHERE).chain is not None


def test_a_chain_where_a_table_would_be_too_large():
    wide = Reach(np.full(4, -(1 << 20)), np.full(4, 1 << 20), 1)
    found = scores.find(Expression(np.array(1.0), (g.MultiplyOp(f32([1, 2, 3, 5])),)), wide, WHERE)
    assert found.chain is not None and found.ranks is None


def integer_scores(tail, integers):
    return tail.factor * (-integers if tail.falls else integers) + tail.offsets


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("bias", "factor"),
    [
        ([0.25, 0.5, 0.75, 0.25], 3),
        ([0.1, 5.3, -7.6, 3.85], 4),
        ([0.1, 0.2, 1.3, -0.55], 4),
        ([5.0, -3.0, 0.0, 8.0], 1),
    ],
)
def test_biases_become_offsets_of_multiples(bias, factor, sign):
    where = reach(4, 100, 1)
    expression = Expression(np.array(1.0), (g.MultiplyOp(f32(sign)), g.AddOp(f32(bias))))
    tail = scores.find(expression, where, WHERE)
    assert (tail.factor, tail.falls, tail.ranks, tail.chain) == (factor, sign < 0, None, None)
    integers = where.integers(0, where.rows)
    truth, mine = expression(integers).ravel(), integer_scores(tail, integers).ravel()
    order = np.argsort(truth, kind="stable")
    rises = np.diff(truth[order]) > 0
    np.testing.assert_array_equal(np.diff(mine[order]) > 0, rises)
    np.testing.assert_array_equal(np.diff(mine[order]) == 0, ~rises)
    np.testing.assert_array_equal(tail.floats[mine - tail.floats_lo], truth)


def test_biases_whose_rounding_ties_are_no_multiples():
    """Neighbouring sums that round to one float, or equal fractions that round apart."""
    where = reach(10, 512, 1)
    for unit, bias in ((0.1, np.linspace(1e5, 2e6, 10)), (1.0, [0.1, -7.9, *range(8)])):
        expression = Expression(np.array(unit), (g.AddOp(f32(bias)),))
        tail = scores.find(expression, where, WHERE)
        assert tail.factor == 1 and tail.chain is not None
