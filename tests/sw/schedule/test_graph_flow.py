"""The schedule of accelerators that fork and join, against a simulation cycle by cycle."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from xnorflow.schedule import bounds, timing
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec

from ...bench import Bench
from .clocked import Deadlock, simulate
from .graphs import accelerators

FRAMES = 3


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    deadline=None,
)
@given(accelerators())
def test_every_transfer_happens_when_the_schedule_says(spec: AcceleratorSpec) -> None:
    assume(bounds.bound(spec)[0] <= 400)
    try:
        accepts, sent = simulate(spec, FRAMES)
    except Deadlock:
        assume(False)
    flow = Flow(spec, FRAMES)
    assert flow.solve()
    assert flow.accepts.tolist() == accepts
    assert flow.sent.tolist() == sent


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    deadline=None,
)
@given(accelerators())
def test_with_ample_space_nothing_is_late(spec: AcceleratorSpec) -> None:
    assume(bounds.bound(spec)[0] <= 400)
    queued = [replace(s, queue=max(1, s.queue)) for s in spec.streams[:-1]]
    spec = replace(spec, streams=(*queued, spec.streams[-1]))
    found = timing.predict(timing.ample(spec, 5))
    assert found.ii == found.bound
    needed, pipelines = timing.latency_bound(spec)
    assert needed < found.latency <= needed + pipelines


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    deadline=None,
)
@given(accelerators())
def test_the_hardware_does_what_the_schedule_says(spec: AcceleratorSpec) -> None:
    """Where it stops, so does the simulation by cycles."""
    assume(bounds.bound(spec)[0] <= 300)
    try:
        simulate(spec, FRAMES)
    except Deadlock:
        stuck = pytest.raises(AssertionError, match="stuck")
    else:
        stuck = nullcontext()
    frames = np.zeros((FRAMES, spec.input.frame), np.uint8)
    found = []

    def script(bench: Bench) -> None:
        bench.reset()
        found.append(bench.send(frames))

    with stuck:
        Bench(spec, script)
    if not found:
        return
    flow = Flow(spec, FRAMES)
    assert flow.solve()
    start = found[0].accepted[0]
    assert found[0].accepted == (flow.accepts + start).tolist()
    assert found[0].sent == (flow.sent + start).tolist()
