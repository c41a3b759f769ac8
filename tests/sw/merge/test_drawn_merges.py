"""Every merge of drawn networks leaves all scores as they were."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from tests.graph_strategies import GraphCase, graph_cases
from tests.parallel_networks import parallel_cases

from xnorflow import ir
from xnorflow.merge.merging import PASSES, merged, merging_steps
from xnorflow_sim import golden

QUIET = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def every(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> bool:
    return True


@settings(QUIET, max_examples=80)
@given(parallel_cases())
def test_parallel_chains(case: GraphCase) -> None:
    want = golden.run(case.net, case.x)
    for step, made in merging_steps(case.net, every):
        assert (golden.run(made, case.x) == want).all(), step.name


@settings(QUIET, max_examples=30)
@given(graph_cases())
def test_graphs_of_all_kinds(case: GraphCase) -> None:
    want = golden.run(case.net, case.x)
    for step, made in merging_steps(case.net, every):
        assert (golden.run(made, case.x) == want).all(), step.name


@pytest.mark.parametrize("step", PASSES, ids=[step.name for step in PASSES])
def test_each_candidate_by_itself(step) -> None:
    @settings(QUIET, max_examples=25)
    @given(parallel_cases())
    def check(case: GraphCase) -> None:
        want = golden.run(case.net, case.x)
        for made in step.run(case.net):
            assert len(made.layers) <= len(case.net.layers)
            assert (golden.run(made, case.x) == want).all()

    check()


def test_what_is_refused_stays_as_it_is() -> None:
    @settings(QUIET, max_examples=10)
    @given(parallel_cases())
    def check(case: GraphCase) -> None:
        plain = [net for step, net in merging_steps(case.net) if step.always][0]
        assert merged(plain, lambda before, after: False).digest == plain.digest

    check()
