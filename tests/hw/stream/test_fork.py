"""Fork: every sink gets every beat once, in cycles that the documented rules predict."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.stream.fork import Fork

from ..convert import STYLE, to_verilog
from ..harness import Sink, Source, run, stalls
from ..verilog import lint


def predict(beats, i_stall, o_stalls):
    """Return the cycles of the source's transfers and of each sink's, by docs/hardware.md."""
    accepts, takes = [], [[] for _ in o_stalls]
    for _ in range(beats):
        offer = accepts[-1] + 1 if accepts else 0
        while i_stall(offer):
            offer += 1
        for own, stall in zip(takes, o_stalls, strict=True):
            take = offer
            while stall(take):
                take += 1
            own.append(take)
        accepts.append(max(own[-1] for own in takes))
    return accepts, takes


@settings(max_examples=60, deadline=None)
@given(
    sinks=st.integers(2, 4),
    width=st.integers(1, 9),
    seed=st.integers(0, 999),
    stalled=st.lists(st.sampled_from([0.0, 0.2, 0.7]), min_size=5, max_size=5),
)
def test_any(sinks, width, seed, stalled):
    dut = Fork(width=width, sinks=sinks)
    payloads = [(seed + 5 * k * k) % (1 << width) for k in range(40)]
    i_stall, *o_stalls = (stalls(seed + k, p) for k, p in enumerate(stalled[: sinks + 1]))
    source = Source(dut.i, payloads, i_stall)
    takers = [Sink(o, len(payloads), s) for o, s in zip(dut.outputs, o_stalls, strict=True)]
    run(dut, source, *takers)
    accepts, takes = predict(len(payloads), i_stall, o_stalls)
    assert source.cycles == accepts
    for taker, own in zip(takers, takes, strict=True):
        assert taker.transfers == list(zip(own, payloads, strict=True))


def test_full_speed_has_no_bubble():
    dut = Fork(width=8, sinks=3)
    source = Source(dut.i, range(50))
    run(dut, source, *(Sink(o, 50) for o in dut.outputs))
    assert source.cycles == list(range(50))


@pytest.mark.parametrize(
    ("wrong", "message"), [({"width": 0}, "width is 0"), ({"sinks": 1}, "sinks is 1")]
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        Fork(**{"width": 3, "sinks": 2} | wrong)


@pytest.mark.rtl
def test_verilog_is_clean(tmp_path):
    lint(to_verilog(Fork(width=3, sinks=3)), tmp_path, *STYLE)
