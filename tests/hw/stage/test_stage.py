"""A stage takes as many cycles as its specs say; what it computes is tested in whole networks."""

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow_hw.stage.stage import Stage


def test_an_array_of_another_latency_than_its_spec_is_named(monkeypatch):
    layers = ir.SumPool("pool", ir.Window((4, 4))), ir.Scores("scores", np.array([0, 3]))
    net = ir.IntegerNetwork("net", (4, 4, 2), layers)
    (spec,) = accelerator(net, (Fold(2, 2),), in_lanes=1, out_lanes=1).stages
    assert Stage(spec).latency == 2 + 1 + 2  # Buffer, accumulator and offsets.
    monkeypatch.setattr("xnorflow_hw.spec.arrays.SUM_LATENCY", 2)
    with pytest.raises(AssertionError, match="SumSpec or a tail has another latency"):
        Stage(spec)
