"""Cutting graphs into chains, and passes over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import execute
from xnorflow.graph import ops as g
from xnorflow.graph.join_ops import AddMapOp, SumOp
from xnorflow.ir import FRAME, Window
from xnorflow.lower import tidy
from xnorflow.lower.branches.common_unit import common_unit, exact_unit
from xnorflow.lower.branches.segments import behind_input, branches, cut

from .branching import Builder, f32, float_scores, samples


def diamond() -> g.Graph:
    b = Builder((4, 4, 2))
    s = b.sign(b.conv(b.norm("", 1 / 128, -1.0), 2, 4))
    a = b.norm(b.conv(s, 4, 4), 0.5, 1.0)
    x = b.add(SumOp((1, -1), op="Sub"), a, s)
    b.head(x, 64, 3)
    return b.graph()


def test_chains_end_at_forks_and_joins():
    pieces = cut(diamond()).pieces
    assert [len(p.ops) for p in pieces] == [4, 3, 1, 3]
    assert pieces[0].sources == (FRAME,) and pieces[2].sources == (
        pieces[1].value,
        pieces[0].value,
    )
    assert [p.place for p in pieces] == [4, 7, 8, 11]
    assert isinstance(pieces[2].between, SumOp) and pieces[3].between is None


def test_a_graph_and_its_pieces_compute_the_same():
    graph = diamond()
    again = cut(graph).assembled()
    x = samples(graph, 3)
    assert (float_scores(graph, x) == float_scores(again, x)).all()
    assert branches(graph) and not branches(replace(graph, ops=graph.ops[:1]))


def test_passes_act_on_every_chain():
    graph = diamond()
    steps = dict(tidy(graph))
    x = samples(graph, 3)
    for made in steps.values():
        assert (float_scores(made, x) == float_scores(graph, x)).all()
    flat = replace(graph.ops[-2], name="", inputs=())
    assert isinstance(flat, g.FlattenOp)


def test_a_pass_may_leave_nothing_of_a_chain():
    b = Builder((4, 4, 2))
    s = b.sign(b.conv(b.norm("", 1 / 128, -1.0), 2, 4))
    same = b.add(g.MaxPoolOp(Window(), op="MaxPool"), s)
    x = b.add(SumOp((1, 1), op="Add"), b.conv(same, 4, 4), s)
    b.head(x, 64, 3)
    *_, (_, made) = tidy(b.graph())
    assert not any(isinstance(op, g.MaxPoolOp) for op in made.ops)
    x = samples(b.graph(), 3)
    assert (float_scores(made, x) == float_scores(b.graph(), x)).all()


def test_constants_of_joins_are_checked():
    b = Builder((4, 4, 2))
    s = b.sign(b.conv("", 2, 4))
    b.head(b.add(AddMapOp(np.full((4, 4, 1), np.nan, np.float32), op="Add"), s), 64, 3)
    with pytest.raises(UnsupportedModel, match="NaN"):
        list(tidy(b.graph()))
    b = Builder((4, 4, 2))
    a, c = b.conv("", 2, 4), b.conv("", 2, 3)
    b.head(b.add(SumOp((1, 1), op="Add"), a, c), 64, 3)
    with pytest.raises(UnsupportedModel, match="do not fit"):
        list(tidy(b.graph()))


def test_an_operation_goes_behind_the_input_of_all_readers():
    b = Builder((4, 4, 2))
    x = b.add(SumOp((1, 1), op="Add"), b.conv("", 2, 4), b.conv("", 2, 4))
    b.head(x, 64, 3)
    graph = b.graph()
    double = behind_input(graph, g.MultiplyOp(f32(2.0)))
    x = samples(graph, 3).astype(np.float64)
    assert (execute.scores(double, x) == execute.scores(graph, 2 * x)).all()
    assert [v.shape for v in execute.values(graph, x)][1] == (3, 4, 4, 4)


def test_units_are_greatest_common_divisors():
    assert exact_unit(np.array([0.75, -0.5, 0.0, 2.0])) == 0.25
    assert exact_unit(np.zeros(3)) == 1.0
    assert exact_unit(np.array([1.0, 2.0**-25])) is None
    unit, multiples = common_unit([np.array([0.5, -0.25]), np.array([0.75])])
    assert unit == 0.25 and [m.tolist() for m in multiples] == [[2, -1], [3]]
    tenth = np.float32(0.1)
    unit, multiples = common_unit([np.array([tenth]), np.array([np.float32(0.3)])])
    assert np.isclose(unit, 0.1) and [m.tolist() for m in multiples] == [[1], [3]]
    assert common_unit([np.array([0.731]), np.array([0.402])]) is None
