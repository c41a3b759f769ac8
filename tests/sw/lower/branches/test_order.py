"""Values of which nothing but the order is of interest become codes of it, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.join_ops import OrderOp, StretchOp, SumOp
from xnorflow.ir import Window
from xnorflow.lower import lower
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

from ..reference import run
from .branching import Builder, f32, samples, scores

CLASSES = 4


def winners(b: Builder, x: str, *, ordered: bool = True) -> str:
    """Add what is 1 where a score is the greatest of all."""
    x = b.add(OrderOp(op="OneHot"), x) if ordered else x
    column = b.add(StretchOp((CLASSES, 1), "blocks", op="OneHot"), x)
    pool = b.add(g.MaxPoolOp(Window((CLASSES, 1), (CLASSES, 1)), op="OneHot"), column)
    behind = b.add(SumOp((1, -1), op="OneHot"), x, pool)
    return b.add(FunctionOp("GreaterOrEqual", ((), f32(0)), op="OneHot"), behind)


def voters(norms: int = 3, *, weights: float = 1.0, ordered: bool = True) -> g.Graph:
    """Return voters with scores of their own scales, and the sums of their votes."""
    b = Builder((1, 1, 6), np.random.default_rng(7))
    s = b.sign(b.norm("", 1.0, -127.5))
    votes = []
    for _ in range(norms):
        x = b.conv(s, 6, CLASSES, 1, scale=np.full(CLASSES, weights))
        gains, shifts = b.rng.normal(0, 1, (2, CLASSES))
        norm = g.BatchNormOp(f32(gains), f32(shifts), f32(shifts * 3), f32(gains**2 + 0.1), 1e-5)
        votes.append(winners(b, b.add(norm, x), ordered=ordered))
    b.add(SumOp((1,) * norms, op="Add"), *votes)
    return b.graph()


def test_votes_over_normalised_scores_are_exact() -> None:
    graph = voters()
    net = lower(graph)
    x = samples(graph, 200)
    want = run(graph, x)
    assert len(np.unique(want)) > 2
    assert (scores(net, x) == want).all()
    tables = [layer for layer in net.layers if isinstance(layer, ir.CodeTable)]
    assert len(tables) == 3 and not any(isinstance(x, ir.Rescale) for x in net.layers)
    assert not net.notes


def test_without_the_order_it_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="no integer multiples"):
        lower(voters(ordered=False))


def test_codes_are_equal_where_floats_are() -> None:
    b = Builder((1, 1, 6), np.random.default_rng(3))
    x = b.conv(b.sign(b.norm("", 1.0, -127.5)), 6, CLASSES, 1)
    x = b.add(g.MultiplyOp(f32([0.3, 0.3, -0.3, 0.7])), x)
    x = b.add(g.AddOp(f32([0.0, 0.6, 0.0, 0.1])), x)
    winners(b, x)
    graph = b.graph()
    net = lower(graph)
    table = next(layer for layer in net.layers if isinstance(layer, ir.CodeTable))
    codes = table.table[0][::2]
    assert (np.diff(codes) > 0).all()
    mirrored = table.table[2][::2][::-1]
    assert (codes == mirrored).all()
    frames = samples(graph, 100)
    assert (scores(net, frames) == run(graph, frames)).all()


def test_sums_of_one_unit_are_codes_already() -> None:
    b = Builder((1, 1, 6), np.random.default_rng(3))
    winners(b, b.conv(b.sign(b.norm("", 1.0, -127.5)), 6, CLASSES, 1))
    net = lower(b.graph())
    assert not any(isinstance(layer, ir.CodeTable | ir.Rescale) for layer in net.layers)


def test_a_table_that_is_too_large_is_not_written() -> None:
    b = Builder((1, 1, 600), np.random.default_rng(3))
    wide = b.rng.integers(-2000, 2000, (CLASSES, 1, 1, 600))
    x = b.add(g.ConvOp(wide, f32(1.0), op="Conv"), b.sign(b.norm("", 1.0, -127.5)))
    winners(b, b.add(g.MultiplyOp(f32([0.3, 0.31, 0.37, 0.7])), x))
    with pytest.raises(UnsupportedModel, match="no integer multiples"):
        lower(b.graph())


def test_sums_that_a_framework_rounds_are_noted() -> None:
    net = lower(voters(weights=0.1))
    assert sum(ORDER_OF_SUMMATION in note for note in net.notes) == 3
