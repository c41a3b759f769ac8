"""Tails: codes and scores at their latency equal NumPy, written in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.tail import OffsetTail, TableTail, ThresholdTail
from xnorflow_hw.spec.latency import OFFSET_LATENCY, TABLE_LATENCY, threshold_latency

from ..convert import STYLE, to_verilog
from ..harness import pack, run_pulses, unpack, with_bubbles
from ..verilog import lint

drawn = settings(max_examples=30, deadline=None, derandomize=True)


def check(dut, values, rows, expected, *, signed=False, bubbles=0.0, seed=0):
    """Feed values [n, pe] and rows [n]; expect the results, each `latency` cycles later."""
    beats = with_bubbles(
        (
            {"i_values": pack(value, dut.acc_bits), "i_row": int(row)}
            for value, row in zip(values, rows, strict=True)
        ),
        seed,
        bubbles,
    )
    events = run_pulses(dut, beats, ["o_values"], count=len(values))
    sent = [cycle for cycle, beat in enumerate(beats) if beat is not None]
    assert [cycle for cycle, _ in events] == [cycle + dut.latency for cycle in sent]
    results = [
        unpack(o["o_values"], dut.out_bits, dut.pixels * dut.pe, signed=signed) for _, o in events
    ]
    assert results == np.asarray(expected).tolist()
    by_pixel = np.asarray(expected).reshape(len(values), dut.pixels, dut.pe)
    for pixel in range(dut.pixels):
        own = values.reshape(by_pixel.shape)[:, pixel]
        assert np.array_equal(dut.model(own, rows, pixel), by_pixel[:, pixel])


@drawn
@given(
    pe=st.integers(1, 4),
    acc_bits=st.integers(1, 9),
    levels=st.integers(2, 17),
    rows=st.integers(1, 5),
    rom=st.sampled_from(["auto", "block", "logic"]),
    wider=st.integers(0, 2),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_threshold_codes(pe, acc_bits, levels, rows, rom, wider, bubbles, seed):
    rng = np.random.default_rng(seed)
    # Some are always reached (below 1), some never (above the range), and some are equal.
    thresholds = np.sort(rng.integers(-5, (1 << acc_bits) + 6, (rows, pe, levels - 1)), axis=2)
    steps = (levels - 1).bit_length()
    dut = ThresholdTail(
        pe=pe, acc_bits=acc_bits, thresholds=thresholds, out_bits=steps + wider, rom=rom
    )
    assert dut.latency == threshold_latency(bits=steps) == 2 * steps
    values = rng.integers(0, 1 << acc_bits, (40, pe))
    row = rng.integers(0, rows, 40)
    expected = [
        [np.searchsorted(thresholds[r, k], v, side="right") for k, v in enumerate(vs)]
        for r, vs in zip(row, values, strict=True)
    ]
    check(dut, values, row, expected, bubbles=bubbles, seed=seed)


@pytest.mark.parametrize("threshold", [-(2**40), -1, 0, 1, 7, 8, 15, 16, 17, 2**40])
def test_one_threshold_exhaustively(threshold):
    dut = ThresholdTail(pe=1, acc_bits=4, thresholds=np.array([[[threshold]]]))
    values = np.arange(16)[:, None]
    check(dut, values, np.zeros(16, int), (values >= threshold).astype(int))


def test_many_rows_share_a_wide_memory():
    rng = np.random.default_rng(0)
    thresholds = np.sort(rng.integers(0, 1 << 10, (130, 5, 3)), axis=2)
    dut = ThresholdTail(
        pe=5, acc_bits=10, thresholds=thresholds, style="verilog", name="t", image_bits=0
    )
    assert sorted(dut.images) == ["t_0.hex", "t_1.hex"]
    dut = ThresholdTail(pe=5, acc_bits=10, thresholds=thresholds)
    values, rows = rng.integers(0, 1 << 10, (200, 5)), rng.integers(0, 130, 200)
    expected = (values[:, :, None] >= thresholds[rows]).sum(2)
    check(dut, values, rows, expected, bubbles=0.2)


@drawn
@given(
    pe=st.integers(1, 4),
    acc_bits=st.integers(1, 10),
    multiply=st.sampled_from([1, 2, 3, 4, 10]),
    shift=st.integers(0, 3),
    rows=st.integers(1, 4),
    seed=st.integers(0, 999),
    bubbles=st.sampled_from([0.0, 0.5]),
)
def test_offset_scores(pe, acc_bits, multiply, shift, rows, seed, bubbles):
    rng = np.random.default_rng(seed)
    offset = rng.integers(-2000, rng.choice([-1900, 0, 1, 2000]), (rows, pe))
    most = ((1 << acc_bits) - 1) * multiply + 2000
    dut = OffsetTail(
        pe=pe,
        acc_bits=acc_bits,
        multiply=multiply,
        offset=offset,
        shift=shift,
        out_bits=max(most, 2000).bit_length() + 1,
    )
    assert dut.latency == OFFSET_LATENCY == 2
    values = rng.integers(0, 1 << acc_bits, (30, pe))
    row = rng.integers(0, rows, 30)
    expected = np.floor((values * multiply + offset[row]) / 2.0**shift).astype(int)
    check(dut, values, row, expected, signed=True, bubbles=bubbles, seed=seed)


def test_offset_results_may_be_codes():
    """Unsigned results of the full width do not wrap, as signed ones would."""
    values = np.arange(16)[:, None]
    offset = np.array([[0]])
    dut = OffsetTail(pe=1, acc_bits=4, multiply=1, offset=offset, shift=0, out_bits=4, signed=False)
    check(dut, values, np.zeros(16, int), values)
    assert OffsetTail(pe=1, acc_bits=4, multiply=1, offset=offset, shift=0, out_bits=4).model(
        np.array([[15]]), np.array([0])
    ).tolist() == [[-1]]


@drawn
@given(
    pe=st.integers(1, 4),
    acc_bits=st.integers(1, 6),
    out_bits=st.integers(1, 9),
    rows=st.integers(1, 4),
    signed=st.booleans(),
    seed=st.integers(0, 999),
)
def test_table_results(pe, acc_bits, out_bits, rows, signed, seed):
    rng = np.random.default_rng(seed)
    low, high = (-(1 << out_bits >> 1), 1 << out_bits >> 1) if signed else (0, 1 << out_bits)
    table = rng.integers(low, high, (rows, pe, 1 << acc_bits))
    dut = TableTail(pe=pe, acc_bits=acc_bits, table=table, out_bits=out_bits)
    assert dut.latency == TABLE_LATENCY == 1
    values, row = rng.integers(0, 1 << acc_bits, (40, pe)), rng.integers(0, rows, 40)
    expected = [
        [table[r, k, v] for k, v in enumerate(vs)] for r, vs in zip(row, values, strict=True)
    ]
    check(dut, values, row, expected, signed=signed, bubbles=0.3, seed=seed)


@pytest.mark.rtl
@pytest.mark.parametrize("levels", [2, 4])
def test_thresholds_that_are_always_reached_are_lint_clean(levels, tmp_path):
    dut = ThresholdTail(
        pe=2, acc_bits=3, thresholds=np.zeros((1, 2, levels - 1), int), style="verilog"
    )
    lint(to_verilog(dut), tmp_path, *STYLE)


@pytest.mark.parametrize("kind", ["codes", "block", "scores", "ranks"])
@pytest.mark.parametrize("rows", [1, 3])
def test_several_pixels_share_their_constants(kind, rows):
    rng = np.random.default_rng(rows)
    pixels, pe, options = 3, 2, {"pe": 2, "acc_bits": 4, "pixels": 3}
    if kind in ("codes", "block"):
        rom = "block" if kind == "block" else "auto"
        thresholds = np.sort(rng.integers(0, 17, (rows, pe, 4)), axis=2)
        dut = ThresholdTail(thresholds=thresholds, rom=rom, **options)
    elif kind == "scores":
        offset = rng.integers(-50, 50, (rows, pe))
        dut = OffsetTail(multiply=3, offset=offset, shift=1, out_bits=8, **options)
    else:
        dut = TableTail(table=rng.integers(0, 32, (rows, pe, 16)), out_bits=5, **options)
    values, row = rng.integers(0, 16, (40, pixels, pe)), rng.integers(0, rows, 40)
    if kind in ("codes", "block"):
        expected = (values[..., None] >= thresholds[row][:, None]).sum(3)
    elif kind == "scores":
        expected = np.floor((values * 3 + offset[row][:, None]) / 2).astype(int)
    else:
        expected = dut.table[row[:, None, None], np.arange(pe), values]
    flat = values.reshape(40, -1), row, expected.reshape(40, -1)
    check(dut, *flat, signed=kind == "scores", bubbles=0.2)


@pytest.mark.parametrize("kind", ["codes", "block", "scores", "ranks"])
@pytest.mark.parametrize("rows", [1, 3])
def test_pixels_have_sets_of_constants(kind, rows):
    rng, sets = np.random.default_rng(rows), (1, 0, 2, 1)
    pe, options = 2, {"pe": 2, "acc_bits": 4, "pixels": 4, "sets": sets}
    if kind in ("codes", "block"):
        rom = "block" if kind == "block" else "auto"
        constants = np.sort(rng.integers(0, 17, (rows, 3 * pe, 4)), axis=2)
        constants[:, 2:4] = 0  # Only pixels of set 1 always reach the first thresholds.
        dut = ThresholdTail(thresholds=constants, rom=rom, **options)
    elif kind == "scores":
        constants = rng.integers(-50, 50, (rows, 3 * pe))
        dut = OffsetTail(multiply=3, offset=constants, shift=1, out_bits=8, **options)
    else:
        constants = rng.integers(0, 32, (rows, 3 * pe, 16))
        dut = TableTail(table=constants, out_bits=5, **options)
    values, row = rng.integers(0, 16, (40, 4, pe)), rng.integers(0, rows, 40)
    expected = np.zeros((40, 4, pe), int)
    for n, j, k in np.ndindex(expected.shape):
        value, own = values[n, j, k], constants[row[n], pe * sets[j] + k]
        if kind in ("codes", "block"):
            expected[n, j, k] = sum(value >= t for t in own)
        elif kind == "scores":
            expected[n, j, k] = (3 * value + own) // 2
        else:
            expected[n, j, k] = own[value]
    flat = values.reshape(40, -1), row, expected.reshape(40, -1)
    check(dut, *flat, signed=kind == "scores", bubbles=0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ThresholdTail(pe=2, acc_bits=4, thresholds=np.zeros((1, 2, 0), int)),
            r"\(1, 2, 0\)",
        ),
        (
            lambda: ThresholdTail(pe=2, acc_bits=4, thresholds=np.zeros((0, 2, 1), int)),
            r"\(0, 2, 1\)",
        ),
        (lambda: ThresholdTail(pe=1, acc_bits=4, thresholds=np.array([[[3, 2]]])), "ascending"),
        (
            lambda: ThresholdTail(pe=1, acc_bits=4, thresholds=np.array([[[2, 3]]]), out_bits=1),
            "need 2",
        ),
        (lambda: ThresholdTail(pe=1, acc_bits=0, thresholds=np.array([[[2]]])), "acc_bits is 0"),
        (lambda: ThresholdTail(pe=1, acc_bits=4, thresholds=np.array([[[2]]]), rom="x"), "'x'"),
        (lambda: ThresholdTail(pe=1, acc_bits=4, thresholds=np.array([[[2]]]), pixels=0), "is 0"),
        (lambda: ThresholdTail(pe=2, acc_bits=4, thresholds=np.array([[[2]]])), "not .rows, pe 2"),
        (
            lambda: ThresholdTail(
                pe=1, acc_bits=4, thresholds=np.array([[[2]]]), pixels=2, sets=(0, 1)
            ),
            "2 sets . pe 1",
        ),
        (
            lambda: ThresholdTail(
                pe=1, acc_bits=4, thresholds=np.array([[[2]]]), pixels=2, sets=(0,)
            ),
            "each of 2 pixels",
        ),
        (
            lambda: TableTail(pe=1, acc_bits=2, table=np.zeros((1, 1, 3), int), out_bits=2),
            r"\(1, 1, 3\)",
        ),
        (lambda: TableTail(pe=1, acc_bits=1, table=np.array([[[0, 4]]]), out_bits=2), "0 to 4"),
        (
            lambda: OffsetTail(
                pe=1, acc_bits=2, multiply=1, offset=np.zeros((1, 1), int), shift=-1, out_bits=3
            ),
            "shift is -1",
        ),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
