"""Pooling arrays equal their NumPy models: values, cycles, bubbles, padded beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.pool import MaxArray, SumArray

from ..convert import STYLE, to_verilog
from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint


def beats_of(codes, bits, rows, pad=None):
    """Return reductions [n, beats, lanes] as input beats; `rows` holds each reduction's row."""
    n, beats, _ = codes.shape
    for r in range(n):
        for b in range(beats):
            beat = {
                "i_data": pack(codes[r, b], bits),
                "i_first": int(b == 0),
                "i_last": int(b == beats - 1),
                "i_row": int(rows[r]),
            }
            if pad is not None:
                beat["i_pad"] = int(pad[r, b])
            yield beat


def check(dut, beats, expected, rows, out_bits):
    events = run_pulses(dut, beats, ["o_values", "o_row"], count=len(expected))
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(beats) if beat and beat["i_last"]
    ]
    values = [unpack(out["o_values"], out_bits, dut.lanes) for _, out in events]
    assert values == expected.tolist()
    assert [out["o_row"] for _, out in events] == list(rows)


SHAPES = {
    "lanes": st.integers(1, 5),
    "bits": st.integers(1, 4),
    "beats": st.integers(1, 5),
    "rows": st.integers(1, 4),
    "bubbles": st.sampled_from([0.0, 0.3, 0.8]),
    "seed": st.integers(0, 999),
}


@settings(max_examples=40, deadline=None)
@given(**SHAPES, mixed=st.booleans())
def test_max(lanes, bits, beats, rows, bubbles, seed, mixed):
    rng = np.random.default_rng(seed)
    minimum = rng.integers(0, 2, (rows if mixed else 1, lanes)).astype(bool)
    minimum = np.broadcast_to(minimum, (rows, lanes))
    dut = MaxArray(lanes=lanes, bits=bits, minimum=minimum)
    codes = rng.integers(0, 1 << bits, (12, beats, lanes))
    pad = rng.random((12, beats)) < 0.3
    row = rng.integers(0, rows, 12).tolist()
    # The model equals the definition, reduction by reduction; padding alone gives the worst code.
    expected = dut.model(codes, pad, np.array(row))
    for r in range(12):
        real = codes[r][~pad[r]]
        for lane in range(lanes):
            least = minimum[row[r], lane]
            worst = (1 << bits) - 1 if least else 0
            best = (min if least else max)([worst, *real[:, lane].tolist()])
            assert expected[r, lane] == best
    sent = with_bubbles(beats_of(codes, bits, row, pad), seed, bubbles)
    check(dut, sent, expected, row, bits)


@settings(max_examples=40, deadline=None)
@given(**SHAPES, cut=st.booleans())
def test_sum(lanes, bits, beats, rows, bubbles, seed, cut):
    rng = np.random.default_rng(seed)
    most = beats * ((1 << bits) - 1)
    out_bits = max(1, most.bit_length() - cut)
    dut = SumArray(lanes=lanes, bits=bits, out_bits=out_bits, rows=rows)
    codes = rng.integers(0, 1 << bits, (12, beats, lanes))
    row = rng.integers(0, rows, 12).tolist()
    expected = np.zeros((12, lanes), int)
    for r in range(12):
        for beat in codes[r]:
            expected[r] = (expected[r] + beat) % (1 << out_bits)
    assert np.array_equal(dut.model(codes), expected)
    sent = with_bubbles(beats_of(codes, bits, row), seed, bubbles)
    check(dut, sent, expected, row, out_bits)


def test_single_beat_reductions_every_cycle():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 8, (40, 1, 3))
    row = [0] * 40
    dut = SumArray(lanes=3, bits=3, out_bits=3)
    check(dut, list(beats_of(codes, 3, row)), codes[:, 0], row, 3)
    dut = MaxArray(lanes=3, bits=3, minimum=np.array([[False, True, False]]))
    pad = np.zeros((40, 1), bool)
    check(dut, list(beats_of(codes, 3, row, pad)), codes[:, 0], row, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxArray(lanes=0, bits=1, minimum=np.zeros((1, 0), bool)), "lanes is 0"),
        (lambda: MaxArray(lanes=2, bits=1, minimum=np.zeros((1, 3), bool)), r"\(1, 3\)"),
        (lambda: MaxArray(lanes=2, bits=1, minimum=np.zeros((0, 2), bool)), r"\(0, 2\)"),
        (lambda: MaxArray(lanes=1, bits=1, minimum=np.array([[2]])), "boolean"),
        (lambda: SumArray(lanes=1, bits=0, out_bits=1), "bits is 0"),
        (lambda: SumArray(lanes=1, bits=1, out_bits=1, rows=-1), "rows is -1"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.rtl
def test_verilog_is_clean(tmp_path):
    minimum = np.array([[True, False, True], [False, False, True]])
    for dut in (
        MaxArray(lanes=3, bits=2, minimum=minimum),
        SumArray(lanes=3, bits=2, out_bits=5, rows=2),
    ):
        lint(to_verilog(dut), tmp_path, *STYLE)
