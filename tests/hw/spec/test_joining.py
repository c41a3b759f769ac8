"""Specs of joins and stretches: which beats they take, keep and read, worked out by hand."""

import numpy as np
import pytest

from xnorflow_hw.spec import (
    JoinedSpec,
    JoinSpec,
    OffsetSpec,
    PortSpec,
    StageSpec,
    StretchSpec,
    ThresholdSpec,
)
from xnorflow_hw.spec.stage_latency import stage_latency


def test_a_join_takes_beats_where_they_are_first_needed():
    ports = (
        PortSpec(4, 2, 2),
        PortSpec(3, 1, 1, "pixel"),
        PortSpec(2, 2, 2, "frame"),
        PortSpec(1, 1, 1, "frame"),
    )
    join = JoinSpec(ports, 1, 3, 2)
    assert join.cycles == join.results == join.reductions == 6 and join.rows == 2
    assert join.word_bits == 8 + 3 + 4 + 1 and join.output == (1, 3)
    assert join.takes(0).tolist() == [0, 1, 2, 3, 4, 5]
    assert join.takes(1).tolist() == [0, 2, 4]
    assert join.takes(2).tolist() == [0, 1]
    assert join.takes(3).tolist() == [0]
    assert [join.port_beats(k) for k in range(4)] == [6, 3, 2, 1]
    with pytest.raises(ValueError, match="'row'"):
        JoinSpec((PortSpec(1, 1, 1, "row"),), 1, 1, 1).takes(0)


def test_a_join_takes_beats_in_turn():
    join = JoinSpec((PortSpec(4, 1, 1), PortSpec(2, 3, 2)), 1, 2, 3, (1, 2))
    assert join.word_bits == 6
    assert join.takes(0).tolist() == [0, 3] and join.takes(1).tolist() == [1, 2, 4, 5]


def stretch(height, width, words, factors, fill, crop=(0, 0, 0, 0)):
    return StretchSpec(8, words, height, width, factors, fill, crop, 0, 0, depth=99)


@pytest.mark.parametrize(
    ("spec", "kept", "reads", "depth"),
    [
        (stretch(1, 2, 1, (2, 2), "repeat"), "11", [0, 0, 1, 1] * 2, 2),
        (stretch(1, 1, 2, (1, 2), "repeat"), "11", [0, 1, 0, 1], 2),
        # The first column of the output is the second half of a cell.
        (stretch(1, 3, 1, (1, 2), "repeat", (0, 1, 0, 3)), "110", [0, 1], 1),
        (stretch(1, 2, 1, (1, 2), "zeros"), "11", [0, -1, 1, -1], 1),
        (stretch(1, 2, 1, (1, 2), "zeros", (0, 1, 0, 0)), "01", [-1, 0, -1], 1),
        (stretch(2, 2, 1, (1, 1), "repeat", (1, 0, 0, 1)), "0010", [0], 1),
        (stretch(1, 2, 4, (2, 2), "blocks"), "1" * 8, [0, 1, 4, 5, 2, 3, 6, 7], 4),
        (stretch(1, 1, 4, (2, 2), "blocks", (0, 1, 0, 0)), "1111", [1, 3], 1),
    ],
)
def test_words_that_a_stretch_keeps_and_reads(spec, kept, reads, depth):
    assert "".join(map(str, spec.kept().astype(int))) == kept
    assert spec.reads().tolist() == reads and spec.cycles == len(reads)
    assert spec.minimum_depth == depth and spec.rows == spec.out_words


def test_a_ragged_joined_stage_has_unused_lanes_that_are_not_0():
    """Their constants are those of the lane, so a gearbox has to clear them."""
    array = JoinedSpec("sum", (2,), np.ones((1, 1, 2), int), np.ones((1, 1, 2), int), 3, (False,))
    front = JoinSpec((PortSpec(2, 2, 2),), 1, 1, 2)
    thresholds = ThresholdSpec(np.full((2, 2, 1), 2), 1)
    offsets = OffsetSpec(1, np.zeros((2, 2), int), 0, 4)
    for channels, tails, clean in (
        (4, (), True),
        (3, (), False),
        (3, (thresholds,), True),
        (3, (offsets,), False),
    ):
        stage = StageSpec("add", front, array, tails, channels, 4)
        assert stage.unused_lanes_hold_0 == clean
        assert stage_latency(array, tails) == 2 + 3 + sum(tail.latency for tail in tails)
