"""Whole networks that branch, drawn at random: golden model, hardware and schedule agree."""

from __future__ import annotations

from hypothesis import given, settings

from .bench import check, check_schedule
from .branching import branching_cases
from .strategies import Case
from .test_networks import quiet


@settings(max_examples=25, **quiet)
@given(branching_cases(frames=3))
def test_hardware_equals_golden_model_and_schedule(case: Case) -> None:
    check(case)


@settings(max_examples=200, **quiet)
@given(branching_cases(frames=1))
def test_interval_reaches_its_bound(case: Case) -> None:
    check_schedule(case)
