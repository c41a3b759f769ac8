"""Whole networks, drawn at random: golden model, hardware and schedule agree on every beat."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from xnorflow import schedule
from xnorflow.mapping import accelerator

from .bench import check
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
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    timing = schedule.predict(spec)
    assert timing.ii == timing.bound
