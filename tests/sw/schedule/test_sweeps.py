"""The sweeps that search for a schedule: when they end, and when they give up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.schedule import flow, timing
from xnorflow.schedule.latest import Latest
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


def chain(layers: int) -> AcceleratorSpec:
    """Build a network of so many equal layers."""
    made: list[ir.Layer] = []
    for i in range(layers):
        window = ir.Window((3, 3), pads=(1, 1, 1, 1))
        made.append(
            ir.Conv(f"conv{i}", np.ones((2, 3, 3, 2), np.int64), ir.BIPOLAR, window, pad_value=1)
        )
        made.append(ir.Threshold(f"sign{i}", np.zeros((2, 1), np.int64), ir.BIPOLAR))
    made.append(ir.Conv("all", np.ones((3, 4, 4, 2), np.int64), ir.BIPOLAR, ir.Window((4, 4))))
    made.append(ir.Scores("scores", np.zeros(3, np.int64)))
    net = ir.IntegerNetwork("net", (4, 4, 2), tuple(made))
    return accelerator(net, (Fold(1, 1),) * (layers + 1), in_lanes=1, least=False)


def test_latest_times_pass_a_chain_of_any_length_in_as_many_sweeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep, sweeps = Latest._sweep, []

    def counted(self: Latest, *, forwards: bool) -> None:
        sweeps.append(forwards)
        sweep(self, forwards=forwards)

    monkeypatch.setattr(Latest, "_sweep", counted)
    needed = []
    for layers in (2, 4, 8, 16):
        known = flow.Flow(chain(layers), 3)
        assert known.solve()
        sweeps.clear()
        latest = Latest(known, known.sent)
        needed.append(len(sweeps))
        for k in range(layers + 1):
            issued = known.issued(k)
            assert (issued[-len(latest.issues[k]) :] <= latest.issues[k]).all()
    assert max(needed) <= needed[0] + 2, needed


def test_an_issue_later_than_allowed_ends_the_search() -> None:
    made = spec()
    free = flow.Flow(made, 3)
    assert free.solve()
    given = [free.issued(k) for k in range(2)]
    assert flow.Flow(made, 3).solve(free.sent, given)
    assert flow.Flow(made, 3).solve(free.sent, [times[-1:] for times in given])
    for k in range(2):
        earlier = [times - (i == k) for i, times in enumerate(given)]
        assert not flow.Flow(made, 3).solve(free.sent, earlier)


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
