"""The sweeps that search for a schedule: when they end, and when they give up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.schedule import flow, timing
from xnorflow_hw.spec import AcceleratorSpec


def spec() -> AcceleratorSpec:
    """Build a network of two layers, of which the second is slower and holds the first one back."""
    layers = (
        ir.Conv("conv", np.ones((4, 3, 3, 2), np.int64), ir.BIPOLAR, ir.Window((3, 3))),
        ir.Threshold("sign", np.zeros((4, 1), np.int64), ir.BIPOLAR),
        ir.Conv("all", np.ones((3, 4, 4, 4), np.int64), ir.BIPOLAR, ir.Window((4, 4))),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    net = ir.IntegerNetwork("net", (6, 6, 2), layers)
    return accelerator(net, (Fold(4, 2), Fold(1, 1)), in_lanes=1)


def sweeps_needed(spec: AcceleratorSpec, monkeypatch: pytest.MonkeyPatch) -> int:
    count = 0
    for count in range(1, 100):
        monkeypatch.setattr(flow, "MAX_SWEEPS", count)
        try:
            assert flow.Flow(spec, 3).solve()
        except RuntimeError:
            continue
        break
    return count


def test_a_schedule_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    made = spec()
    needed = sweeps_needed(made, monkeypatch)
    assert 2 < needed < 100
    sent = flow.Flow(made, 3)
    assert sent.solve()
    monkeypatch.setattr(flow, "MAX_SWEEPS", needed - 1)
    with pytest.raises(RuntimeError, match=f"of net found no fixed point in {needed - 1} sweeps"):
        flow.Flow(made, 3).solve()


def test_a_schedule_may_be_as_late_as_allowed_and_no_later() -> None:
    made = spec()
    free = flow.Flow(made, 3)
    assert free.solve()
    assert flow.Flow(made, 3).solve(free.sent)
    assert flow.Flow(made, 3).solve(free.sent + 1)
    for at in (0, len(free.sent) // 2, len(free.sent) - 1):
        earlier = free.sent.copy()
        earlier[at] -= 1
        assert not flow.Flow(made, 3).solve(earlier)


def test_less_space_found_from_known_times_is_found_from_the_beginning_too() -> None:
    made = spec()
    known = flow.Flow(made, 3)
    assert known.solve()
    second = made.stages[1]
    least = replace(second.buffer, depth=second.buffer.depth - second.buffer.place_words)
    lesser = replace(second, buffer=least, queue_depth=1)
    onwards = known.with_stage(1, lesser)
    assert onwards.solve()
    stages = (made.stages[0], lesser)
    fresh = flow.Flow(replace(made, stages=stages), 3)
    assert fresh.solve()
    np.testing.assert_array_equal(onwards.sent, fresh.sent)
    np.testing.assert_array_equal(onwards.accepts, fresh.accepts)
    # The first flow has not changed.
    assert known.spec is made and (onwards.sent >= known.sent).all()


def test_more_frames_tell_the_same() -> None:
    made = spec()
    five = timing.predict(made)
    assert len(five.last_out) == 5
    assert np.diff(five.last_out)[1:].tolist() == [five.ii] * 3
    assert five.last_out[0] == five.latency == timing.latency(made)
    for frames in (2, 3, 7):
        other = timing.predict(made, frames)
        assert len(other.last_out) == frames
        assert other.last_out[:2] == five.last_out[:2] and other.latency == five.latency
        if frames > 2:
            assert other.ii == five.ii
    assert (five.bound, five.busiest) == (other.bound, other.busiest)


def test_a_buffer_of_one_row_takes_a_row_in_every_other_cycle() -> None:
    """Even the very first issue frees a place: rows of one word that are read once."""
    layers = (
        ir.Conv("conv", np.ones((1, 1, 1, 1), np.int64), ir.BIPOLAR),
        ir.Threshold("sign", np.zeros((1, 1), np.int64), ir.BIPOLAR),
        ir.Conv("all", np.ones((1, 5, 1, 1), np.int64), ir.BIPOLAR, ir.Window((5, 1))),
        ir.Scores("scores", np.zeros(1, np.int64)),
    )
    net = ir.IntegerNetwork("net", (5, 1, 1), layers)
    made = accelerator(net, (Fold(1, 1), Fold(1, 1)), in_lanes=1)
    first = made.stages[0]
    sent = {}
    for rows, accepts in ((2, [0, 1, 2, 3, 4]), (1, [0, 1, 3, 5, 7])):
        buffer = replace(first.buffer, depth=rows * first.buffer.place_words)
        stages = (replace(first, buffer=buffer), *made.stages[1:])
        found = flow.Flow(replace(made, stages=stages), 1)
        assert found.solve()
        # A word is written a cycle after it is accepted and read one later; its place is free then.
        assert found.accepts.tolist() == accepts
        sent[rows] = int(found.sent[-1])
    assert sent[1] - sent[2] == 4
