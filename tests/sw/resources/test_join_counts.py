"""Counts of joins and streams, by hand and in drawn networks."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xnorflow.compiler import DEFAULT_CLOCK
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpgas
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources import join_counts
from xnorflow.resources.engine import StreamSummary
from xnorflow.resources.usage import design_resources, engine_blocks, engine_parts, memory
from xnorflow_hw.spec import JoinedSpec
from xnorflow_hw.spec.arrays import JoinedOp

from ...graph_strategies import GraphCase, graph_cases

ECP5 = fpgas()["ulx3s-85f"].family


def array(op: JoinedOp, factors: list[int], offsets: list[int], bits: int = 4) -> JoinedSpec:
    """Return an array of two lanes, with the same constants in each."""
    ports = len(factors)
    spread = [np.array(values)[None, :, None].repeat(2, 2) for values in (factors, offsets)]
    return JoinedSpec(op, (bits,) * ports, spread[0], spread[1], 6, (False,) * ports)


@given(st.integers(-(1 << 40), 1 << 40))
def test_digits_are_those_of_the_fewest_powers_of_two(factor: int) -> None:
    found, rest = 0, abs(factor)
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            rest -= digit
            found += 1
        rest >>= 1
    assert join_counts.digits(factor) == found


@pytest.mark.parametrize("op", get_args(JoinedOp))
def test_every_way_of_joining_is_counted(op: JoinedOp) -> None:
    luts, ffs = join_counts.array_counts(array(op, [1, 1], [0, 0]))
    # Each of two lanes holds two codes of 4 bits twice, but in turn once, and a result of 6 bits.
    codes = 2 * 4 if op == "copy" else 4 * 4
    assert luts > 0 and ffs == codes + 4 * 4 + 2 * 6


def test_what_needs_no_adder_takes_no_luts() -> None:
    assert join_counts.array_counts(array("sum", [1], [0]))[0] == 0
    assert join_counts.array_counts(array("sum", [4], [3]))[0] == 0
    assert join_counts.array_counts(array("sum", [1], [3]))[0] == 2 * 5
    assert join_counts.array_counts(array("sum", [3], [0]))[0] == 2 * 6
    assert join_counts.array_counts(array("sum", [1, 1], [0, 0]))[0] == 2 * 6


def test_constants_that_vary_are_in_a_memory() -> None:
    values = np.zeros((8, 1, 2), np.int64)
    assert join_counts.constant_words(values) is None
    values[3, 0, 1] = 5
    assert join_counts.constant_words(values) == (8, 3)
    values[:, 0, 0] = np.arange(8) - 4
    assert join_counts.constant_words(values) == (8, 2 * 4)


def test_queues_and_forks_are_counted() -> None:
    wires = StreamSummary(None, 0, 8)
    assert join_counts.extra_counts([wires]) == (0, 0)
    fork = StreamSummary(None, 0, 8, forked=True)
    assert join_counts.extra_counts([fork, fork]) == (2 * join_counts.FORK_LUTS, 2)
    for depth, ram in ((1, "auto"), (16, "auto"), (16, "distributed")):
        luts, ffs = join_counts.extra_counts([StreamSummary(None, depth, 8, ram)])
        assert luts > 0 and ffs >= depth.bit_length()
    block, distributed = (
        join_counts.extra_counts([StreamSummary(None, 16, 8, ram)])
        for ram in ("auto", "distributed")
    )
    assert block[1] - distributed[1] == 9


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(graph_cases(frames=1, forms=False), st.sampled_from(sorted(fpgas())))
def test_drawn_networks_take_what_their_parts_take(case: GraphCase, board: str) -> None:
    folds = [Fold(1, 1)] * len(reductions(case.net))
    made = Design.assemble(
        case.net, folds, in_lanes=1, out_lanes=1, board=board, clock=DEFAULT_CLOCK
    )
    family = fpgas()[board].family
    total = design_resources(made.shape, family)
    parts = [engine_parts(engine, family) for engine in made.shape.engines]
    assert total.luts > sum(found.luts for part in parts for found in part.values()) > 0
    queues = sum(
        memory(s.queue, s.box.bits * s.box.lanes_out, family, s.ram).ram_blocks
        for s in made.spec.streams
        if s.queue > 1
    )
    blocks = [engine_blocks(engine, family) for engine in made.shape.engines]
    assert sum(found.get("streams", 0) for found in blocks) == queues
