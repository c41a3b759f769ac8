"""Whole networks that branch: golden model, hardware and schedule agree on every beat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from xnorflow.folding import narrowest
from xnorflow.plan.layer_rules import reductions

from .bench import check, check_schedule
from .branching import branching_cases
from .small_graphs import SMALL
from .strategies import Case
from .test_networks import quiet


@settings(max_examples=10, **quiet)
@given(branching_cases(frames=3))
def test_hardware_equals_golden_model_and_schedule(case: Case) -> None:
    check(case)


@settings(max_examples=40, **quiet)
@given(branching_cases(frames=1, forks=2))
def test_interval_reaches_its_bound(case: Case) -> None:
    check_schedule(case)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("cycles", [150, 400])
def test_the_usual_ways_to_branch(name: str, cycles: int) -> None:
    net = SMALL[name]()
    parts = reductions(net)
    target = max(cycles, *(narrowest.fastest(part) for part in parts))
    x = np.random.default_rng(3).integers(0, 256, (3, *net.shape)).astype(np.uint8)
    check(Case(net, narrowest.for_cycles(parts, target), 1, 1, x))
