"""Whole networks, drawn at random: golden model, hardware and schedule agree on every beat."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from .bench import check, check_schedule
from .strategies import Case, cases

quiet = {"deadline": None, "derandomize": True, "database": None,
         "suppress_health_check": list(HealthCheck)}


@settings(max_examples=25, **quiet)
@given(cases(frames=3))
def test_hardware_equals_golden_model_and_schedule(case: Case) -> None:
    check(case)


@settings(max_examples=300, **quiet)
@given(cases(frames=1))
def test_interval_reaches_its_bound(case: Case) -> None:
    check_schedule(case)
