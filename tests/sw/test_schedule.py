"""The cycle model's parts: gearboxes against the geometry, bounds, and depths that suffice.

That the hardware keeps to the whole of it is the matter of ``tests/test_networks.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import schedule
from xnorflow.compiler import compile_network
from xnorflow.depths import with_depths
from xnorflow.mapping import accelerator
from xnorflow_hw import geometry
from xnorflow_hw.buffer import FeatureBuffer
from xnorflow_hw.spec import GearboxSpec
from xnorflow_hw.stage import feature_buffer

from ..strategies import Case, cases
from .test_fold import network


@st.composite
def boxes(draw: st.DrawFn) -> tuple[GearboxSpec, int]:
    """A gearbox and the elements of a frame."""
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
    groups = {"group_in": box.group_in, "lanes_in": box.lanes_in, "group_out": box.group_out,
              "lanes_out": box.lanes_out}
    possible, first_for = schedule.gearbox_counts(box, elements * frames)
    for beat, count in enumerate(possible.tolist()):
        assert count == geometry.output_beats(beat + 1, **groups)
    assert possible[-1] == len(first_for)
    for beat, first in enumerate(first_for.tolist()):
        assert possible[first] > beat and (first == 0 or possible[first - 1] <= beat)


@given(boxes())
def test_gearboxes_are_solved_as_a_step_by_step_model_runs(
    drawn: tuple[GearboxSpec, int]
) -> None:
    """The rules of docs/hardware.md, one cycle after another."""
    box, elements = drawn
    rng = np.random.default_rng(elements)
    possible, first_for = schedule.gearbox_counts(box, 3 * elements)
    offered = np.cumsum(rng.integers(0, 4, len(possible)))
    blocked = np.cumsum(rng.integers(0, 4, len(first_for)))
    accepts, emits = schedule.Gearbox(box, 3 * elements).solve(offered, blocked)
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
    possible, _ = schedule.gearbox_counts(box, elements * frames)
    accepts, _ = schedule.Gearbox(box, elements * frames).solve(np.zeros(len(possible), int), None)
    if box.needed:
        per_frame = len(possible) // frames
        interval = np.diff(accepts[::per_frame])
        assert interval[-1] == schedule.gearbox_cycles(box, elements)


@settings(max_examples=60)
@given(cases(frames=1))
def test_the_bound_is_that_of_the_busiest(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    limit, busiest = schedule.bound(spec)
    cycles = {s.name: s.buffer.cycles for s in spec.stages}
    assert limit >= max(spec.input.beats, spec.output_beats, *cycles.values())
    assert cycles.get(busiest, limit) == limit


@settings(max_examples=60)
@given(cases(frames=1))
def test_depths_suffice_and_deeper_ones_gain_nothing(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    for stage in spec.stages:
        b = stage.buffer
        assert b.depth >= FeatureBuffer.minimum_depth(
            b.height, b.width, b.words, b.kernel, b.stride, b.dilation, b.pads)
        assert b.depth <= 2 * b.frame_words + 2 * b.words + 2
    deep = replace(spec, stages=tuple(
        replace(s, buffer=replace(s.buffer, depth=9 * s.buffer.depth), queue_depth=99)
        for s in spec.stages
    ))
    assert schedule.predict(deep).ii == schedule.predict(spec).ii == schedule.bound(spec)[0]
    again = with_depths(deep)
    assert [s.buffer.depth for s in again.stages] == [s.buffer.depth for s in spec.stages]


def test_buffers_are_not_much_deeper_than_they_have_to_be() -> None:
    """Two words less than the rule gives, and some engine of these has to wait."""
    waits = 0
    for channels in ((8, 8, 8), (6, 9, 7), (16, 4, 12)):
        spec = compile_network(network(*channels), cycles=160).spec
        for k, stage in enumerate(spec.stages):
            b = replace(stage.buffer, depth=max(1, stage.buffer.depth - 2 * stage.buffer.words))
            least = FeatureBuffer.minimum_depth(
                b.height, b.width, b.words, b.kernel, b.stride, b.dilation, b.pads)
            if b.depth < least:
                waits += 1
                continue
            stages = list(spec.stages)
            stages[k] = replace(stage, buffer=b)
            short = replace(spec, stages=tuple(stages))
            waits += schedule.predict(short).ii > schedule.bound(short)[0]
    assert waits


@settings(max_examples=80)
@given(cases(frames=1))
def test_first_reads_are_found_by_walking_every_window(case: Case) -> None:
    spec = accelerator(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    for stage in spec.stages:
        b = stage.buffer
        buffer = feature_buffer(b)
        words = np.arange(b.frame_words).reshape(1, b.height, b.width, b.words)
        beats = buffer.model(words)
        first = schedule.first_reads(b)
        for word in range(b.frame_words):
            reads = np.flatnonzero((beats["data"] == word) & ~beats["pad"])
            assert first[word] == (reads[0] if len(reads) else -1)
        ends, freed = schedule.row_ends(b)
        assert ends[-1] == b.cycles - 1 and freed[-1] == b.frame_words
        for end, gone in zip(ends, freed, strict=True):
            later = beats["data"][end + 1 :][~beats["pad"][end + 1 :]]
            assert not len(later) or later.min() >= gone


def test_a_folding_of_millions_of_cycles_is_predicted_at_once() -> None:
    """What takes memory is what can be held back, not the cycles."""
    design = compile_network(network(64, 512, 512), cycles=10**7)
    assert design.folds[0].pe == design.folds[0].simd == 1
    assert design.ii == design.timing.bound > 10**6
