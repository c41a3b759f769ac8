"""Input stage: codes of every kind of table, and cycles under stalls, equal the NumPy model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.stream.input import InputStage

from ..convert import STYLE, to_verilog
from ..harness import pack, run_stream, stalls, unpack
from ..verilog import lint


def make_table(rng, kind, channels, bits, sample_bits=8):
    x = np.arange(1 << sample_bits)
    if kind == "identity":
        return np.tile(x % (1 << bits), (channels, 1))
    if kind == "constant":
        return np.tile(rng.integers(0, 1 << bits, (channels, 1)), len(x))
    if kind == "few steps":
        cuts = rng.integers(0, len(x), (channels, 7))
        level = (x[None, :, None] >= cuts[:, None]).sum(2)
        return rng.integers(0, 1 << bits, (channels, 8))[np.arange(channels)[:, None], level]
    if kind == "step":
        cut = rng.integers(0, len(x) + 1, (channels, 1))
        low, high = rng.integers(0, 1 << bits, (2, channels, 1))
        return np.where(x >= cut, high, low)
    return rng.integers(0, 1 << bits, (channels, len(x)))


def send(dut, samples, seed, stalled):
    """Return the output beats, after checking every cycle by the rule of the document."""
    count = len(samples) * dut.beats
    unused = dut.beats * dut.lanes - dut.group
    # Lanes past the end of a group carry random values.
    rubbish = np.random.default_rng(seed).integers(0, 1 << dut.sample_bits, (len(samples), unused))
    beats = np.concatenate([samples, rubbish], 1).reshape(count, dut.lanes)
    i_stall = stalls(seed, stalled)
    o_stall = stalls(seed + 1, stalled)
    accepted, transfers = run_stream(
        dut, [pack(beat, dut.lane_bits) for beat in beats], count, i_stall=i_stall, o_stall=o_stall
    )
    offer, taken = 0, -1
    for i, (cycle, _) in enumerate(transfers):
        # Offered by the source from some cycle on; accepted when the register is or becomes free.
        offer = max(offer, accepted[i - 1] + 1 if i else 0)
        while i_stall(offer):
            offer += 1
        assert accepted[i] == max(offer, taken)
        taken = accepted[i] + 1
        while o_stall(taken):
            taken += 1
        assert cycle == taken
    return [unpack(payload, dut.bits, dut.lanes) for _, payload in transfers]


@settings(max_examples=60, deadline=None)
@given(
    lanes=st.integers(1, 6),
    bits=st.integers(1, 9),
    channels=st.integers(1, 4),
    pixels=st.integers(1, 4),
    seed=st.integers(0, 999),
    stalled=st.sampled_from([0.0, 0.5]),
    kind=st.sampled_from(["identity", "constant", "step", "few steps", "any", "same"]),
    sample_bits=st.sampled_from([8, 8, 9, 10]),
)
def test_codes_and_cycles(lanes, bits, channels, pixels, seed, stalled, kind, sample_bits):
    rng = np.random.default_rng(seed)
    table = make_table(rng, kind, channels, bits, sample_bits)
    if kind == "same":
        table[:] = table[0]
    dut = InputStage(lanes=lanes, bits=bits, table=table, group=channels * pixels)
    samples = rng.integers(0, 1 << sample_bits, (5, dut.group))
    beats = send(dut, samples, seed, stalled)
    assert beats == dut.model(samples).tolist()
    at = iter(code for beat in beats for code in beat)
    for row in samples:
        for i in range(dut.beats * lanes):
            expected = table[i % channels, row[i]] if i < dut.group else 0
            assert next(at) == expected


def test_every_sample_of_a_step():
    table = (np.arange(256) >= 100).astype(int)[None]
    dut = InputStage(lanes=1, bits=1, table=table, group=256)
    beats = send(dut, np.arange(256)[None], 0, 0.0)
    assert [code for (code,) in beats] == table[0].tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lanes": 0}, "lanes is 0"),
        ({"table": np.zeros((1, 255), int)}, r"\(1, 255\)"),
        ({"table": np.full((1, 256), 4)}, "2 bits"),
        ({"table": np.full((1, 256), -1)}, "-1"),
        ({"table": np.zeros((2, 256), int), "group": 3}, "group is 3"),
    ],
)
def test_bad_parameters(wrong, message):
    good = {"lanes": 2, "bits": 2, "table": np.zeros((1, 256), int), "group": 4}
    with pytest.raises(ValueError, match=message):
        InputStage(**good | wrong)


@pytest.mark.rtl
@pytest.mark.parametrize("kind", ["identity", "step", "any"])
def test_verilog_is_clean(tmp_path, kind):
    bits = 8 if kind == "identity" else 2
    table = make_table(np.random.default_rng(1), kind, 3, bits)
    lint(to_verilog(InputStage(lanes=2, bits=bits, table=table, group=9)), tmp_path, *STYLE)
