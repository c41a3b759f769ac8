"""The schedule of accelerators that fork and join, against a simulation cycle by cycle."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.schedule import bounds, timing
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import AcceleratorSpec

from ...bench import Bench
from .clocked import Deadlock, simulate, simulate_all
from .graphs import accelerator, accelerators
from .held import check_least, check_stalls, check_times

FRAMES = 3


def drawn(count: int, most: int) -> list[AcceleratorSpec]:
    """Draw accelerators with few cycles per frame."""
    every = (accelerator(random.Random(seed).randint, most) for seed in range(10 * count))
    return list(islice((spec for spec in every if bounds.bound(spec)[0] <= 200), count))


def test_every_transfer_happens_when_the_schedule_says() -> None:
    specs = drawn(150, 10)
    runs = simulate_all(specs, [FRAMES] * len(specs))
    free = [k for k, run in enumerate(runs) if not run.stuck]
    assert 50 < len(free) < 150  # Queues that are drawn may be too short.
    for k in free:
        flow = Flow(specs[k], FRAMES)
        assert flow.solve()
        assert flow.accepts.tolist() == runs[k].accepts.tolist(), k
        assert flow.sent.tolist() == runs[k].sent.tolist(), k


def test_with_chosen_depths_nothing_is_late_and_nothing_locks_up() -> None:
    specs = [with_depths(spec) for spec in drawn(20, 30)]
    check_times(specs, FRAMES)
    check_stalls(specs, FRAMES, (0.5, 0.5), seed=1)


def test_no_place_less_is_enough() -> None:
    tried = Counter[str]()
    for spec in drawn(6, 12):
        tried.update(check_least(shrunk(with_depths(spec))))
    assert all(tried[kind] for kind in ("buffers", "queues of results", "queues of streams"))


def test_a_place_that_is_not_needed_is_noticed() -> None:
    spec = shrunk(with_depths(drawn(1, 12)[0]))
    first = replace(spec.stages[0], queue_depth=spec.stages[0].queue_depth + 5)
    with pytest.raises(AssertionError, match="can lose a place"):
        check_least(replace(spec, stages=(first, *spec.stages[1:])))


def test_the_interval_is_that_of_the_steady_state() -> None:
    """Frames that have waited for a slow way leave faster than the input can accept them."""
    spec = with_depths(accelerator(random.Random(147).randint, 12))
    found = timing.predict(spec)
    assert found.last_out[-1] - found.last_out[-2] < found.bound
    assert found.ii == found.bound


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
