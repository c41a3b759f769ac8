"""PE x SIMD array: sums, cycles, bubbles and the ROM's turn-around, against the NumPy model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.dot import DotArray, dot_latency

from .harness import pack, run_pulses, unpack, with_bubbles


def beats_of(codes, bits, rows):
    """Write reductions [n, beats, simd] as input beats; `i_row` is only right on the last one."""
    n, beats, _ = codes.shape
    for r in range(n):
        for b in range(beats):
            last = b == beats - 1
            yield {
                "i_data": pack(codes[r, b], bits), "i_first": int(b == 0), "i_last": int(last),
                "i_row": int((r if last else r + b + 1) % rows),
            }


def check(dut, codes, *, bubbles=0.0, seed=0):
    beats = with_bubbles(beats_of(codes, dut.bits, dut.rows), seed, bubbles)
    events = run_pulses(dut, beats, ["o_values", "o_row"], count=len(codes), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(beats) if beat and beat["i_last"]
    ]
    values = [unpack(out["o_values"], dut.acc_bits, dut.pe) for _, out in events]
    assert values == dut.model(codes).tolist()
    assert [out["o_row"] for _, out in events] == [r % dut.rows for r in range(len(codes))]


def make(rng, *, pe, simd, bits, coefficients, beats, rows, **kwargs):
    weights = rng.integers(0, 2, (rows * beats, len(coefficients), pe, simd)).astype(np.uint8)
    most = beats * simd * sum(coefficients) * ((1 << bits) - 1)
    return DotArray(
        pe=pe, simd=simd, bits=bits, coefficients=coefficients, weights=weights, rows=rows,
        acc_bits=most.bit_length(), **kwargs,
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 4), simd=st.integers(1, 12), bits=st.integers(1, 4),
    coefficients=st.sampled_from([(1,), (1, 1), (1, 1, 2), (1, 1, 2, 4), (3,)]),
    beats=st.integers(1, 5), rows=st.integers(1, 4), rom=st.sampled_from(["auto", "logic"]),
    register=st.booleans(), bubbles=st.sampled_from([0.0, 0.3, 0.8]), seed=st.integers(0, 999),
)
def test_array_sums(pe, simd, bits, coefficients, beats, rows, rom, register, bubbles, seed):
    rng = np.random.default_rng(seed)
    dut = make(
        rng, pe=pe, simd=simd, bits=bits, coefficients=coefficients, beats=beats, rows=rows,
        rom=rom, rom_register=register,
    )
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, simd))
    check(dut, codes, bubbles=bubbles, seed=seed)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_single_beat_reductions_every_cycle(depth):
    rng = np.random.default_rng(depth)
    dut = make(rng, pe=3, simd=9, bits=1, coefficients=(1,), beats=1, rows=depth)
    check(dut, rng.integers(0, 2, (40, 1, 9)))


def test_mixed_lengths_of_reductions():
    """Reductions need not be equally long: first and last alone decide."""
    rng = np.random.default_rng(5)
    dut = make(rng, pe=2, simd=4, bits=2, coefficients=(1, 1), beats=11, rows=1)
    codes = rng.integers(0, 4, (11, 4))
    bounds = [0, 1, 4, 5, 9, 11]
    beats = [
        {
            "i_data": pack(row, 2), "i_first": int(i in bounds), "i_last": int(i + 1 in bounds),
        }
        for i, row in enumerate(codes)
    ]
    events = run_pulses(dut, beats, ["o_values"], count=5)
    single = np.array([
        DotArray(
            pe=2, simd=4, bits=2, coefficients=(1, 1), weights=dut.weights[i : i + 1],
            acc_bits=dut.acc_bits,
        ).model(codes[i : i + 1, None])[0]
        for i in range(11)
    ])
    expected = [single[a:b].sum(0).tolist() for a, b in zip(bounds, bounds[1:], strict=False)]
    assert [unpack(out["o_values"], dut.acc_bits, 2) for _, out in events] == expected


def test_model_is_the_plain_sum_of_products():
    """The popcount domain against multiplication: P - sum(minus weights) = sum(w * u) for +-1."""
    rng = np.random.default_rng(2)
    dut = make(rng, pe=3, simd=6, bits=3, coefficients=(1,), beats=4, rows=1)
    codes = rng.integers(0, 8, (5, 4, 6))
    signs = 2 * dut.weights[:, 0].astype(int) - 1  # [beats, pe, simd]
    products = np.einsum("rbs,bps->rp", codes, signs)
    minus = 7 * (signs < 0).sum((0, 2))
    assert np.array_equal(dut.model(codes) - minus, products)


def test_padded_lanes_add_nothing():
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 2, (4, 1, 2, 5)).astype(np.uint8)
    codes = rng.integers(0, 4, (3, 4, 5))
    arguments = {"pe": 2, "bits": 2, "coefficients": (1,), "acc_bits": 7}
    narrow = DotArray(simd=5, weights=weights, **arguments)
    wide = DotArray(
        simd=8, weights=np.pad(weights, [(0, 0)] * 3 + [(0, 3)], constant_values=1), **arguments
    )
    padded = np.pad(codes, [(0, 0), (0, 0), (0, 3)])
    assert np.array_equal(narrow.model(codes), wide.model(padded))
    check(wide, padded)


def test_latency_is_known_without_the_component():
    arguments = {"simd": 64, "bits": 2, "planes": 2, "depth": 9}
    assert dot_latency(**arguments) == 2 + 3 + 1 + 1
    assert dot_latency(**arguments, rom_register=False) == 1 + 3 + 1 + 1
    assert dot_latency(**arguments, rom="logic") == 1 + 3 + 1 + 1
    assert dot_latency(simd=1, bits=1, planes=1, depth=1) == 1


GOOD = {
    "pe": 2, "simd": 3, "bits": 1, "coefficients": (1,), "acc_bits": 4,
    "weights": np.zeros((4, 1, 2, 3), np.uint8),
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pe": 0}, "pe is 0"),
        ({"rows": 0}, "rows is 0"),
        ({"coefficients": ()}, "coefficients"),
        ({"coefficients": (-1,)}, "-1"),
        ({"simd": 4}, r"\(4, 1, 2, 3\)"),
        ({"weights": np.zeros((0, 1, 2, 3), np.uint8)}, "shape"),
        ({"weights": np.full((4, 1, 2, 3), 2)}, "2"),
        ({"rom": "distributed"}, "distributed"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        DotArray(**GOOD | wrong)
