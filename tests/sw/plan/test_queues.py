"""Queues in front of joins: deep enough that nothing waits, and no deeper."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.folding import narrowest
from xnorflow.plan.depths import with_depths
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.queues import with_queues
from xnorflow.schedule import timing
from xnorflow.schedule.latest import most_held
from xnorflow_hw.spec import AcceleratorSpec

from ...small_graphs import SMALL
from ..schedule.graphs import accelerator as drawn
from ..schedule.held import check_times


def built(name: str, cycles: int) -> AcceleratorSpec:
    net = SMALL[name]()
    parts = reductions(net)
    target = max(cycles, *(narrowest.fastest(part) for part in parts))
    return accelerator(net, narrowest.for_cycles(parts, target), in_lanes=1)


def unlimited(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Return an accelerator whose queues, where it has some, are never full."""
    streams = [replace(s, queue=100_000) if s.queue else s for s in spec.streams]
    return replace(spec, streams=tuple(streams))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("cycles", [1, 200, 700])
def test_interval_and_latency_are_those_of_unlimited_queues(name: str, cycles: int) -> None:
    spec = built(name, cycles)
    found, most = timing.predict(spec), timing.predict(unlimited(spec))
    assert found.ii == found.bound == most.ii
    assert found.latency == most.latency and found.last_out == most.last_out


@pytest.mark.parametrize("name", ["residual", "concat", "upsample", "nested"])
def test_one_place_less_makes_some_frame_late(name: str) -> None:
    spec = built(name, 200)
    frames = 12
    timely = timing.predict(spec, frames).last_out
    queued = [k for k, stream in enumerate(spec.streams) if stream.queue > 1]
    assert queued
    for k in queued:
        stream = spec.streams[k]
        lesser = replace(stream, queue=stream.queue - 1)
        streams = (*spec.streams[:k], lesser, *spec.streams[k + 1 :])
        try:
            late = timing.predict(replace(spec, streams=streams), frames).last_out
        except RuntimeError:
            continue  # A deadlock.
        assert late != timely and all(a >= b for a, b in zip(late, timely, strict=True))


def test_a_gate_keeps_about_a_whole_map() -> None:
    """What is scaled by a sum of all pixels waits until the last of them has come."""
    spec = built("gate", 200)
    (scaled,) = [k for k, s in enumerate(spec.stages) if s.name == "scaled"]
    ports = {s.port: s for s in spec.streams if s.sink == scaled}
    whole = 4 * 6 * -(-4 // ports[0].box.lanes_out)
    assert whole <= ports[0].queue <= 2 * whole
    assert ports[1].queue <= 1


@pytest.mark.parametrize("seed", [1_014_615, 1_015_026, 1_018_714])
def test_a_longest_way_whose_lack_of_room_locks_up_gets_some(seed: int) -> None:
    """Take drawn accelerators, of 6 to 9 stages, that lock up without queues on longest ways."""
    rng = random.Random(seed)
    spec = with_depths(drawn(rng.randint, rng.randint(4, 12)))
    found, most = timing.predict(spec), timing.predict(unlimited(spec))
    assert found.ii == found.bound == most.ii
    check_times([spec], 5)


@pytest.mark.parametrize("seed", [1_002_232, 1_007_390])
def test_no_second_frame_takes_longer_than_the_bound(seed: int) -> None:
    """Take drawn accelerators in which little room costs every second frame some cycles."""
    rng = random.Random(seed)
    spec = with_depths(drawn(rng.randint, rng.randint(4, 14)))
    ends = np.array(timing.predict(spec, 30).last_out)
    assert set(np.diff(ends[-10:])) == {timing.bound(spec)[0]}


def test_a_schedule_that_locks_up_is_given_up() -> None:
    spec = built("residual", 200)
    queues = [stream.queue for stream in spec.streams]
    k = queues.index(max(queues))
    streams = (*spec.streams[:k], replace(spec.streams[k], queue=1), *spec.streams[k + 1 :])
    alone = timing.latency(spec)
    assert timing.steady_within(spec, 5, alone) is not None
    assert timing.steady_within(replace(spec, streams=streams), 5, alone) is None


def test_a_chain_has_no_queues() -> None:
    net = SMALL["residual"]()
    chain = replace(net, layers=(*net.layers[:7], *net.layers[9:]))
    chain = replace(chain, layers=tuple(replace(la, inputs=()) for la in chain.layers))
    assert chain.chain
    spec = accelerator(chain, narrowest.for_cycles(reductions(chain), 500), in_lanes=1)
    queued = replace(spec, streams=tuple(replace(s, queue=1) for s in spec.streams))
    for before in (spec, queued):
        after = with_queues(before)
        assert after.stages == spec.stages and not any(s.queue for s in after.streams)


def test_depths_are_found_from_any_depths() -> None:
    spec = built("upsample", 300)
    deep = replace(unlimited(spec), stages=tuple(replace(s, queue_depth=99) for s in spec.stages))
    again = [with_depths(made) for made in (spec, deep)]
    assert [s.queue for s in again[0].streams] == [s.queue for s in again[1].streams]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 20))
def test_the_room_of_a_queue_is_that_of_its_fullest_moment(gaps: list[int], wait: int) -> None:
    entered = np.cumsum(gaps) + np.arange(len(gaps))
    left = np.maximum.accumulate(entered + 1 + wait * (np.arange(len(gaps)) % 3 == 0))
    left = np.maximum.accumulate(left - np.arange(len(gaps))) + np.arange(len(gaps))
    held = 0
    for beat, cycle in enumerate(entered):
        # The place of a beat that leaves is free in the cycle after.
        held = max(held, beat + 1 - int((left < cycle).sum()))
    assert most_held(entered, left) == held
