"""The sweeps that search for a schedule: when they end, and when they give up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.schedule import flow
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
