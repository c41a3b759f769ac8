"""Parts of networks that branch: which there are, and what their arrays compute of all codes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.plan.joints.joint import Joint, JointRule
from xnorflow.plan.layer_rules import reductions, rule_of
from xnorflow.plan.mapping import describe_stage, mapped
from xnorflow.plan.reductions import Fold
from xnorflow.plan.verify_spec import verify_spec
from xnorflow_hw.array.joined import JoinedArray
from xnorflow_hw.spec import JoinedSpec, JoinSpec, OffsetSpec, StretchSpec, TableSpec

from ...small_graphs import CODES, SMALL, codes, conv, ends, network, table

ALPHABETS = st.builds(
    ir.Alphabet, st.integers(-9, 9), st.integers(1, 5), st.integers(1, 6)
) | st.sampled_from([ir.BIPOLAR, ir.UNIPOLAR, ir.TERNARY])


def check_codes(layer: ir.Layer, alphabets: list[ir.Alphabet], value: Callable[..., Any]) -> None:
    """Check the codes that a part makes of all codes of maps of one channel."""
    all_codes = np.array(list(product(*(range(a.levels) for a in alphabets))))
    maps = tuple(ir.Features(1, len(all_codes), 1, a) for a in alphabets)
    out, rule = layer.output(*maps), rule_of(layer)  # type: ignore[call-arg]
    assert isinstance(rule, JointRule)
    part = Joint(layer, rule, maps, out, (0,) * len(maps))
    stage = describe_stage(part, Fold(1, 1), last=False, steps=False)
    assert isinstance(stage.array, JoinedSpec)
    found = JoinedArray(stage.array).model(*(all_codes[:, [k]] for k in range(len(maps))))
    for tail in stage.tails:
        assert isinstance(tail, OffsetSpec)
        found = ((found * tail.multiply + tail.offset[0]) >> tail.shift) % (1 << tail.out_bits)
    want = value(*(a.values(all_codes[:, k]) for k, a in enumerate(alphabets)))
    np.testing.assert_array_equal(out.alphabet.values(found[:, 0]), want)
    assert found.max() < out.alphabet.levels and stage.out_bits == out.alphabet.bits


@given(ALPHABETS, ALPHABETS, st.integers(-4, 4), st.integers(-4, 4))
def test_sums_of_all_codes(a: ir.Alphabet, b: ir.Alphabet, m: int, n: int) -> None:
    layer = ir.Add("add", np.array([[m], [n]]), inputs=("x", "y"))
    check_codes(layer, [a, b], lambda x, y: m * x + n * y)


@given(ALPHABETS, ALPHABETS)
def test_products_of_all_codes(a: ir.Alphabet, b: ir.Alphabet) -> None:
    check_codes(ir.Multiply("multiply", inputs=("x", "y")), [a, b], lambda x, y: x * y)


@given(ALPHABETS, ALPHABETS, st.integers(-4, 4), st.integers(-4, 4), st.booleans())
def test_extremes_of_all_codes(
    a: ir.Alphabet, b: ir.Alphabet, m: int, n: int, minimum: bool
) -> None:
    layer = ir.Maximum("maximum", np.array([[m], [n]]), minimum, inputs=("x", "y"))
    least = np.minimum if minimum else np.maximum
    check_codes(layer, [a, b], lambda x, y: least(m * x, n * y))


@given(ALPHABETS, st.integers(-50, 50))
def test_sums_with_a_constant_of_all_codes(a: ir.Alphabet, value: int) -> None:
    check_codes(ir.AddMap("add_map", np.full((1, 1, 1), value)), [a], lambda x: x + value)


@given(ALPHABETS, ALPHABETS)
def test_codes_of_maps_side_by_side(a: ir.Alphabet, b: ir.Alphabet) -> None:
    maps = [ir.Features(1, 1, 2, a), ir.Features(1, 1, 3, b)]
    layer = ir.Concat("concat", 2, inputs=("x", "y"))
    rule, out = rule_of(layer), layer.output(*maps)
    assert isinstance(rule, JointRule)
    made = rule.array(Joint(layer, rule, tuple(maps), out, (0, 0)), 1)[0]
    for port, alphabet in enumerate((a, b)):
        given_codes = np.arange(alphabet.levels)
        ports = np.full(alphabet.levels, port)
        found = JoinedArray(made).model(given_codes[:, None], given_codes[:, None], port=ports)
        np.testing.assert_array_equal(
            out.alphabet.values(found[:, 0]), alphabet.values(given_codes)
        )


def test_constants_that_differ_between_channels_and_pixels() -> None:
    values = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    net = network(
        (2, 3, 5),
        ir.AddMap("add_map", values),
        ir.SumPool("pool", ir.Window()),
        *ends(2, 3, 5, "pool"),
    )
    stage = mapped(net, [Fold(2, 2), Fold(5, 5), Fold(1, 1)], in_lanes=1, out_lanes=1).stages[0]
    assert isinstance(stage.array, JoinedSpec)
    # Three beats per pixel, the last with an unused lane.
    assert stage.array.factors.shape == (1, 1, 2) and stage.array.offsets.shape == (18, 1, 2)
    want = np.concatenate([values, np.zeros((2, 3, 1), int)], axis=2).reshape(18, 1, 2)
    np.testing.assert_array_equal(stage.array.offsets, want)


@pytest.mark.parametrize("name", SMALL)
def test_small_graphs_have_one_part_per_reduction_and_join(name: str) -> None:
    net = SMALL[name]()
    parts = reductions(net)
    spec = mapped(net, [Fold(1, 1)] * len(parts), in_lanes=1, out_lanes=1)
    verify_spec(spec)
    joins = [layer for layer in net.layers if isinstance(layer, ir.Join | ir.Stretch)]
    joints = [part for part in parts if isinstance(part, Joint) and part.kind != "copy"]
    assert [part.name for part in joints] == [layer.name for layer in joins]
    for part in joints:
        index = net.layers.index(part.layer)
        assert len(part.reads) == len(net.reads[index])
    assert [s.source for s in spec.streams[:-1]] == [r for part in parts for r in part.reads]


def test_the_parts_of_a_residual_block() -> None:
    parts = reductions(SMALL["residual"]())
    assert [(p.name, p.reads, len(p.tails)) for p in parts] == [
        ("conv0", (0,), 1),
        ("conv1", (1,), 1),
        ("conv2", (2,), 1),
        ("add", (3, 1), 1),
        ("all", (4,), 1),
    ]


def test_thresholds_of_sums_that_others_read_have_a_part_of_their_own() -> None:
    parts = reductions(SMALL["nested"]())
    first, second = parts[:2]
    assert (first.name, first.tails) == ("conv0", ())
    assert isinstance(second, Joint)
    assert (second.name, second.kind, second.reads) == ("codes0", "copy", (1,))
    assert [layer.name for layer, _, _ in second.tails] == ["codes0"]


def test_a_gate_is_held() -> None:
    net = SMALL["gate"]()
    parts = reductions(net)
    folds = [Fold(2, 2) if p.name == "scaled" else Fold(1, 1) for p in parts]
    spec = mapped(net, folds, in_lanes=1, out_lanes=1)
    front = next(s.buffer for s in spec.stages if s.name == "scaled")
    assert isinstance(front, JoinSpec)
    assert [(p.hold, p.lanes, p.words) for p in front.ports] == [("none", 2, 2), ("frame", 2, 2)]


def test_a_map_of_one_channel_is_held_for_a_pixel() -> None:
    net = network(
        (3, 2, 4),
        table(),
        conv("mask", 4, 1, 1),
        ir.Threshold("codes", np.array([[0]]), ir.UNIPOLAR),
        ir.Multiply("masked", inputs=("input", "codes")),
        *ends(3, 2, 4, "masked"),
    )
    front = (
        mapped(net, [Fold(1, 1), Fold(4, 4), Fold(1, 1)], in_lanes=1, out_lanes=1).stages[1].buffer
    )
    assert isinstance(front, JoinSpec)
    assert [(p.hold, p.lanes, p.words) for p in front.ports] == [("none", 4, 1), ("pixel", 1, 1)]


def test_a_table_of_samples_that_others_read_is_a_tail() -> None:
    net = network(
        (2, 2, 3),
        table(),
        ir.Add("add", np.ones((2, 1), np.int64), inputs=("input", ir.FRAME)),
        *ends(2, 2, 3, "add"),
    )
    spec = mapped(net, [Fold(1, 1)] * 3, in_lanes=1, out_lanes=1)
    (tail,) = spec.stages[0].tails
    assert isinstance(tail, TableSpec)
    np.testing.assert_array_equal(tail.table[0, 0], np.arange(256) >> 6)
    np.testing.assert_array_equal(spec.input.table[0], np.arange(256))


def test_zeros_that_codes_lack_and_cropped_blocks_have_a_part_before() -> None:
    layers = (
        ir.InputTable("input", np.arange(256)[None] >> 7, ir.BIPOLAR),
        ir.Stretch("spread", (2, 2), "zeros"),
        ir.Stretch("cells", (2, 1), "blocks", (1, 0, 0, 0)),
        *ends(7, 4, 2, "cells"),
    )
    net = network((2, 2, 4), *layers)
    parts = reductions(net)
    assert [p.name for p in parts] == ["spread_codes", "spread", "cells_whole", "cells", "all"]
    spec = mapped(net, [Fold(1, 1)] * 5, in_lanes=1, out_lanes=1)
    spread = spec.stages[1].buffer
    assert isinstance(spread, StretchSpec) and spread.zero_word == 1  # {-1, 0, 1}
    assert [getattr(s.buffer, "crop", None) for s in spec.stages[2:4]] == [(0,) * 4, (1, 0, 0, 0)]


def test_scores_of_several_outputs_are_joined_and_signed() -> None:
    net = SMALL["two_outputs"]()
    parts = reductions(net)
    spec = mapped(net, [Fold(1, 1)] * len(parts), in_lanes=1, out_lanes=1)
    assert (spec.classes, spec.score_signed) == (4 * 5 * 2 + 3, True)
    front, (tail,) = spec.stages[-1].buffer, spec.stages[-1].tails
    assert isinstance(front, JoinSpec) and front.turns == (40, 3)
    assert isinstance(tail, OffsetSpec) and (tail.offset == net.features[-1].alphabet.lo).all()


@pytest.mark.parametrize(("lanes", "works"), [(1, True), (2, True), (3, False), (4, True)])
def test_channels_side_by_side_fill_whole_beats(lanes: int, works: bool) -> None:
    net = SMALL["concat"]()
    parts = reductions(net)
    both = next(p for p in parts if p.name == "both")
    assert isinstance(both, Joint) and both.widths == [1, 2, 4]
    if works:
        both.check(Fold(lanes, lanes))
        assert both.cycles(Fold(lanes, lanes)) == 5 * 6 * (4 // lanes + -(-6 // lanes))
    else:
        with pytest.raises(BadInput, match="'both' cannot have PE 3 .* have to divide 4"):
            both.check(Fold(lanes, lanes))
    with pytest.raises(BadInput, match="'both' cannot have PE 1 and SIMD 2"):
        both.check(Fold(1, 2))


def test_a_stretch_of_which_nothing_is_left_is_refused() -> None:
    net = network(
        (1, 1, 2),
        table(),
        ir.Stretch("spread", (2, 2), "zeros", (1, 0, 0, 0)),
        ir.Add("add", np.ones((2, 1), np.int64), inputs=("spread", "input")),
        *ends(1, 2, 2, "add"),
    )
    with pytest.raises(UnsupportedModel, match="leaves nothing but zeros"):
        mapped(net, [Fold(1, 1)] * 3, in_lanes=1, out_lanes=1)


def test_thresholds_of_the_samples_are_no_chain() -> None:
    """Where the samples are read by others, too, thresholds on them are possible."""
    net = network(
        (2, 2, 3),
        codes("codes", 3),
        ir.Add("add", np.ones((2, 1), np.int64), inputs=("codes", ir.FRAME)),
        *ends(2, 2, 3, "add"),
    )
    assert [p.name for p in reductions(net)] == ["codes", "add", "all"]
    assert reductions(net)[0].final.alphabet == CODES
