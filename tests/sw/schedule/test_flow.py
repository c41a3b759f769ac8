"""The cycle model's parts: gearboxes against the geometry, bounds, and depths that suffice.

``tests/test_networks.py`` checks that whole accelerators keep to the cycle model.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.plan import depths
from xnorflow.plan.depths import buffer_depth, buffer_depths, queue_depths, shrunk, with_depths
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.schedule import bounds, buffer_order, regrouping, timing
from xnorflow.schedule.flow import Flow
from xnorflow_hw.spec import BufferSpec, GearboxSpec, StageSpec
from xnorflow_hw.stage.pixel_queue import PixelQueue
from xnorflow_hw.stage.stage import feature_buffer

from ...hw.regrouped import output_beats
from ...strategies import Case, cases
from ..folding.test_narrowest import network


@st.composite
def boxes(draw: st.DrawFn) -> tuple[GearboxSpec, int]:
    """Draw a gearbox and the number of elements of a frame."""
    small, times = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    lanes = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    larger_out = draw(st.booleans())
    group_in, group_out = (small, small * times) if larger_out else (small * times, small)
    return GearboxSpec(1, group_in, lanes[0], group_out, lanes[1]), small * times


@given(boxes(), st.integers(1, 3))
def test_gearbox_counts_are_those_of_the_geometry(
    drawn: tuple[GearboxSpec, int], frames: int
) -> None:
    box, elements = drawn
    groups = {
        "group_in": box.group_in,
        "lanes_in": box.lanes_in,
        "group_out": box.group_out,
        "lanes_out": box.lanes_out,
    }
    possible, first_for = regrouping.gearbox_counts(box, elements * frames)
    for beat, count in enumerate(possible.tolist()):
        assert count == output_beats(beat + 1, **groups)
    assert possible[-1] == len(first_for)
    for beat, first in enumerate(first_for.tolist()):
        assert possible[first] > beat and (first == 0 or possible[first - 1] <= beat)


@given(boxes())
def test_gearboxes_are_solved_as_a_step_by_step_model_runs(drawn: tuple[GearboxSpec, int]) -> None:
    """Simulate the rules of docs/hardware.md cycle by cycle."""
    box, elements = drawn
    rng = np.random.default_rng(elements)
    possible, first_for = regrouping.gearbox_counts(box, 3 * elements)
    offered = np.cumsum(rng.integers(0, 4, len(possible)))
    blocked = np.cumsum(rng.integers(0, 4, len(first_for)))
    accepts, emits = regrouping.GearboxTimes(box, 3 * elements).solve(offered, blocked)
    taken = given_out = 0
    for cycle in range(int(emits[-1]) + 1):
        ready = possible[taken - 1] if taken else 0
        now_valid = given_out < ready
        emit = now_valid and cycle >= blocked[given_out]
        after = given_out + emit
        accept = taken < len(possible) and cycle >= offered[taken] and after >= ready
        if emit:
            assert emits[given_out] == cycle
            given_out += 1
        if accept:
            assert accepts[taken] == cycle
            taken += 1
    assert (taken, given_out) == (len(possible), len(first_for))


@given(boxes())
def test_a_gearbox_takes_as_long_as_it_says(drawn: tuple[GearboxSpec, int]) -> None:
    box, elements = drawn
    frames = 4
    possible, _ = regrouping.gearbox_counts(box, elements * frames)
    accepts, _ = regrouping.GearboxTimes(box, elements * frames).solve(
        np.zeros(len(possible), int), None
    )
    if box.needed:
        per_frame = len(possible) // frames
        interval = np.diff(accepts[::per_frame])
        assert interval[-1] == regrouping.gearbox_cycles(box, elements)


@settings(max_examples=60)
@given(cases(frames=1))
def test_the_bound_is_that_of_the_busiest(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    limit, busiest = bounds.bound(spec)
    cycles = {s.name: s.buffer.cycles for s in spec.stages}
    assert limit >= max(spec.input.beats, spec.output_beats, *cycles.values())
    assert cycles.get(busiest, limit) == limit


@settings(max_examples=60)
@given(cases(frames=1))
def test_depths_suffice_and_deeper_ones_gain_nothing(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    for stage in spec.stages:
        b = stage.buffer
        assert b.depth >= b.minimum_depth
        frame = b.height * b.row_places * b.place_words
        assert b.depth <= (2 * frame + 2 * b.words + 2) * (1 if b.pixels == 1 else 2)
    deep = replace(
        spec,
        stages=tuple(
            replace(s, buffer=replace(s.buffer, depth=9 * s.buffer.depth), queue_depth=99)
            for s in spec.stages
        ),
    )
    assert timing.predict(deep).ii == timing.predict(spec).ii == bounds.bound(spec)[0]
    again = shrunk(with_depths(deep))
    assert [s.buffer.depth for s in again.stages] == [s.buffer.depth for s in spec.stages]


@settings(max_examples=60)
@given(cases(frames=1))
def test_of_space_one_less_makes_some_frame_late(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    frames = 40
    timely = timing.predict(with_depths(spec), frames).last_out
    assert timing.predict(spec, frames).last_out == timely
    few = Flow(spec, 4 + ceil(timing.predict(spec).latency / timing.predict(spec).ii))
    few.solve()
    for k, stage in enumerate(spec.stages):
        less = [
            replace(stage, buffer=replace(stage.buffer, depth=d))
            for d in buffer_depths(stage.buffer)[-2:-1]
        ] + [replace(stage, queue_depth=q) for q in queue_depths(stage)[-2:-1]]
        for lesser in less:
            stages = (*spec.stages[:k], lesser, *spec.stages[k + 1 :])
            # Solve from the beginning, not from the known times.
            flow = Flow(replace(spec, stages=stages), few.frames)
            flow.solve()
            assert (flow.sent >= few.sent).all() and (flow.sent > few.sent).any()


@settings(max_examples=60)
@given(cases(frames=1))
def test_a_frame_takes_as_long_as_its_data_and_pipelines_do(case: Case) -> None:
    """The latency is bounded by the chain of needed inputs plus the depth of all pipelines."""
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    needed, pipelines = timing.latency_bound(spec)
    assert needed < timing.predict(spec).latency <= needed + pipelines


def windows(*channels: int) -> ir.IntegerNetwork:
    """Build a network of 3 x 3 convolutions on 8 x 10 pixels."""
    layers: list[ir.Layer] = []
    for k, (before, after) in enumerate(pairwise(channels)):
        ones = np.ones((after, 3, 3, before), np.int64)
        layers.append(ir.Conv(f"conv{k}", ones, ir.BIPOLAR, ir.Window((3, 3))))
        layers.append(ir.Threshold(f"sign{k}", np.zeros((after, 1), np.int64), ir.BIPOLAR))
    ones = np.ones((3, 4, 6, channels[-1]), np.int64)
    layers.append(ir.Conv("all", ones, ir.BIPOLAR, ir.Window((4, 6))))
    layers.append(ir.Scores("scores", np.zeros(3, np.int64)))
    return ir.IntegerNetwork("net", (8, 10, channels[0]), tuple(layers))


def test_of_several_pixels_one_place_less_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    exact: list[int] = []

    def seen(b: BufferSpec, link: Any) -> int:
        exact.append(depth := buffer_depth(b, link))
        return depth

    monkeypatch.setattr(depths, "buffer_depth", seen)
    spec = with_depths(
        accelerator(windows(4, 6, 5), (Fold(1, 4, 8), Fold(1, 6, 6), Fold(3, 2)), in_lanes=2)
    )
    first, bound = spec.stages[0], bounds.bound(spec)

    def interval(stage: StageSpec) -> int:
        return timing.predict(replace(spec, stages=(stage, *spec.stages[1:]))).ii

    assert bound == (first.buffer.cycles, "conv0") and interval(first) == bound[0]
    # The depth of banks is a power of two, although `exact[0]` words would be enough.
    assert exact[0] < first.buffer.depth < 2 * exact[0]
    buffer = replace(first.buffer, depth=exact[0])
    assert interval(replace(first, buffer=buffer)) == bound[0]
    assert interval(replace(first, buffer=replace(buffer, depth=exact[0] - 1))) > bound[0]
    # Because of rounding there may be one place too many, but never two.
    assert interval(replace(first, queue_depth=first.queue_depth - 2)) > bound[0]


@settings(max_examples=80)
@given(cases(frames=1))
def test_first_reads_are_found_by_walking_every_window(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    for stage in spec.stages:
        b = stage.buffer
        words = np.arange(b.frame_words).reshape(1, b.height, b.width, b.words)
        beats = feature_buffer(replace(b, pad_word=0, pad_word_last=0)).model(words + 1)
        read = beats["data"].reshape(len(beats["first"]), -1) - 1
        if b.pixels > 1:
            read = np.where(beats["real"], read, -1)
        first = buffer_order.first_reads(b)
        # No beat reads a word beyond those that it or an earlier beat has waited for.
        awaited = np.full(b.cycles, -1)
        awaited[first[first >= 0]] = np.flatnonzero(first >= 0)
        there = np.maximum.accumulate(awaited)
        assert (read.max(axis=1) <= there).all()
        if b.pixels == 1:
            for word in range(b.frame_words):
                reads = np.flatnonzero(read[:, 0] == word)
                assert first[word] == (reads[0] if len(reads) else -1)
        ends, freed = buffer_order.row_ends(b)
        assert ends[-1] == b.cycles - 1 and freed[-1] == b.height * b.row_places
        places = buffer_order.places(b, words.ravel())
        assert places[0] == 0 and places[-1] == freed[-1] - 1
        for end, gone in zip(ends, freed, strict=True):
            later = read[end + 1 :][read[end + 1 :] >= 0]
            assert not len(later) or places[later].min() >= gone


@settings(max_examples=40)
@given(cases(frames=1))
def test_results_leave_as_the_queue_gives_them(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    for b in (stage.buffer for stage in spec.stages):
        reduction, freeing = buffer_order.result_order(b)
        numbers = np.arange(b.reductions)
        if b.pixels > 1:
            queue = PixelQueue(width=1, banks=b.banks, repeat=b.repeat, depth=b.repeat)
            given_out = queue.model(np.repeat(numbers[:, None], b.pixels, 1))
            assert reduction.tolist() == given_out.tolist()
        else:
            assert reduction.tolist() == numbers.tolist()
        for number in numbers:
            assert freeing[number] == np.flatnonzero(reduction == number)[-1]


@pytest.mark.slow
def test_a_folding_of_millions_of_cycles_is_predicted_at_once() -> None:
    """The memory needed depends on the number of events that can be held back, not on cycles."""
    design = compile_network(network(64, 512, 512), cycles=10**7)
    assert design.folds[0].pe == design.folds[0].simd == 1
    assert design.ii == design.timing.bound > 10**6
