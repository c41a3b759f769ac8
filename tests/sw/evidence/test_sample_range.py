"""Which samples a first layer tells apart, and the warning of a forgotten input scale."""

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo, ir
from xnorflow.evidence.sample_range import SampleRange, sample_range, saturated

from ...small_graphs import conv


def quantised(*steps: int) -> ir.LayerGraph:
    """Return a network whose codes change from one sample to the next at `steps`."""
    table = np.searchsorted(np.array(steps), np.arange(256), side="left")[None]
    alphabet = ir.Alphabet(0, 1, max(2, len(steps) + 1))
    scores = ir.Scores("scores", np.ones(2, np.int64), np.zeros(2, np.int64), 0)
    layers = (ir.InputTable("input", table, alphabet), conv("c", 1, 2), scores)
    return ir.LayerGraph("net", (4, 4, 1), layers)


def test_the_range_is_that_between_the_first_and_the_last_change() -> None:
    assert sample_range(quantised(3, 9)) == SampleRange(3, 10)
    assert str(SampleRange(3, 10)) == "3 to 10"
    assert sample_range(quantised()) is None
    net = quantised(3)
    assert sample_range(ir.LayerGraph("net", net.shape, net.layers[1:])) is None


def test_bytes_for_a_network_of_small_numbers_are_warned_of() -> None:
    x = np.arange(256, dtype=np.uint8)
    text = saturated(quantised(0), x)
    assert "only samples from 0 to 1, but yours go from 0 to 255: 99 % of them lie above" in text
    assert "--input-scale 1/255" in text
    assert "below" in saturated(quantised(250), x)


@pytest.mark.parametrize("step", [40, 127, 200])
def test_a_threshold_within_the_data_is_no_reason_to_warn(step: int) -> None:
    assert saturated(quantised(step), np.arange(256, dtype=np.uint8)) == ""


def test_data_without_a_range_are_not_judged() -> None:
    assert saturated(quantised(0), np.full(5, 200, np.uint8)) == ""
    assert saturated(quantised(0), np.zeros(0, np.uint8)) == ""


def test_the_demo_gets_no_warning() -> None:
    net = xf.load(demo.model_path())
    assert sample_range(net) == SampleRange(0, 15)
    assert saturated(net, demo.data()["x_test"]) == ""
