"""The PE x SIMD array equals its NumPy model: sums, cycles, bubbles, and the ROM's wrap-around."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.spec import RomSpec
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.spec.borders import ConstantSets
from xnorflow_hw.spec.latency import dot_latency

from ..harness import pack, run_pulses, unpack, with_bubbles


def beats_of(codes, bits, rows, turns=(), first_row=False):
    """Return reductions [n, beats, ...] as input beats; `i_row` is right only where it counts."""
    n, beats = codes.shape[:2]
    for r in range(n):
        for b in range(beats):
            first, last = b == 0, b == beats - 1
            right = last or (first and first_row)
            beat = {
                "i_data": pack(codes[r, b].ravel(), bits),
                "i_first": int(first),
                "i_last": int(last),
                "i_row": int((r if right else r + b + 1) % rows),
            }
            yield beat | ({"i_turn": int(b in turns)} if codes.ndim == 4 else {})


def check(dut, codes, *, turns=(), bubbles=0.0, seed=0):
    """Feed reductions [n, beats, (pixels,) simd]; expect the model's results at their cycles."""
    fused = dut.thresholds is not None
    beats = with_bubbles(beats_of(codes, dut.bits, dut.rows, turns, fused), seed, bubbles)
    events = run_pulses(dut, beats, ["o_values", "o_row"], count=len(codes), drain=20)
    assert [cycle for cycle, _ in events] == [
        cycle + dut.latency for cycle, beat in enumerate(beats) if beat and beat["i_last"]
    ]
    number = dut.pixels * dut.pe
    values = np.array([unpack(out["o_values"], dut.out_bits, number) for _, out in events])
    rows = np.arange(len(codes)) % dut.rows
    expected = dut.model(codes, rows=rows, turns=turns)
    assert values.reshape(expected.shape).tolist() == expected.tolist()
    assert [out["o_row"] for _, out in events] == rows.tolist()


def make(rng, *, pe, simd, bits, coefficients, beats, rows, blocks=1, **kwargs):
    shape = (rows * beats, len(coefficients), pe, simd // blocks)
    weights = rng.integers(0, 2, shape).astype(np.uint8)
    most = beats * simd * sum(coefficients) * ((1 << bits) - 1)
    return DotArray(
        pe=pe,
        simd=simd,
        bits=bits,
        coefficients=coefficients,
        weights=weights,
        rows=rows,
        acc_bits=most.bit_length(),
        blocks=blocks,
        **kwargs,
    )


@pytest.mark.parametrize(
    ("pe", "simd", "beats", "rows", "fused"),
    [
        (3, 7, 2, 2, True),
        (2, 16, 1, 5, False),
        (1, 6, 3, 4, True),
        (4, 5, 4, 4, False),
    ],
)
def test_weights_stored_in_the_sums(pe, simd, beats, rows, fused):
    rng = np.random.default_rng(pe * simd)
    thresholds = rng.integers(0, beats * simd + 2, (rows, pe)) if fused else None
    kind = {"form": "stored", "fabric": "xilinx7", "rom": RomSpec("logic")}
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=1,
        coefficients=(1,),
        beats=beats,
        rows=rows,
        thresholds=thresholds,
        **kind,
    )
    depth = rows * beats
    assert dut.latency == dot_latency(simd=simd, bits=1, coefficients=(1,), depth=depth, **kind)
    check(dut, rng.integers(0, 2, (3 * rows, beats, simd)), bubbles=0.3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 4),
    simd=st.integers(1, 12),
    bits=st.integers(1, 4),
    coefficients=st.sampled_from([(1,), (1, 1), (1, 1, 2), (1, 1, 2, 4), (3,)]),
    beats=st.integers(1, 5),
    rows=st.integers(1, 4),
    rom=st.sampled_from(["block", "logic"]),
    register=st.booleans(),
    bubbles=st.sampled_from([0.0, 0.3, 0.8]),
    seed=st.integers(0, 999),
    form=st.sampled_from(["tree", "add"]),
)
def test_array_sums(pe, simd, bits, coefficients, beats, rows, rom, register, bubbles, seed, form):
    rng = np.random.default_rng(seed)
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=bits,
        coefficients=coefficients,
        beats=beats,
        rows=rows,
        rom=RomSpec(rom),
        rom_register=register,
        form=form,
    )
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, simd))
    check(dut, codes, bubbles=bubbles, seed=seed)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 3),
    simd=st.integers(2, 9),
    bits=st.integers(1, 3),
    beats=st.integers(1, 5),
    rows=st.integers(1, 4),
    pixels=st.integers(1, 3),
    form=st.sampled_from(["tree", "add"]),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_codes_of_sums(pe, simd, bits, beats, rows, pixels, form, bubbles, seed):
    """Thresholds lie around the sums; some are always reached, some never."""
    rng = np.random.default_rng(seed)
    middle = beats * simd * ((1 << bits) - 1) // 2
    thresholds = middle + rng.integers(-3, 4, (rows, pe))
    far = rng.integers(0, 12, (rows, pe))
    for at, value in enumerate((-(2**40), -1, 0, 2 * middle + 2, 2**40)):
        thresholds[far == at] = value
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=bits,
        coefficients=(1,),
        beats=beats,
        rows=rows,
        thresholds=thresholds,
        pixels=pixels,
        lanes=range(pixels),
        form=form,
    )
    assert dut.out_bits == 1
    codes = rng.integers(0, 1 << bits, (2 * rows + 5, beats, pixels, simd))
    check(dut, codes if pixels > 1 else codes[:, :, 0], bubbles=bubbles, seed=seed)


@pytest.mark.parametrize("threshold", [-9, -1, 0, 1, 6, 7, 8, 15, 2**40])
def test_every_sum_against_a_threshold(threshold):
    """All sums from 0 to the highest are compared, with one word of weights."""
    dut = DotArray(
        pe=1,
        simd=7,
        bits=1,
        coefficients=(1,),
        weights=np.ones((1, 1, 1, 7), np.uint8),
        acc_bits=3,
        thresholds=np.array([[threshold]]),
    )
    codes = np.tril(np.ones((8, 7), int), -1)[:, None]
    assert dut.model(codes).ravel().tolist() == [int(s >= threshold) for s in range(8)]
    check(dut, codes)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    blocks=st.integers(1, 4),
    pe=st.integers(1, 3),
    lanes=st.integers(1, 7),
    bits=st.integers(1, 3),
    coefficients=st.sampled_from([(1,), (1, 1), (1, 1, 2)]),
    beats=st.integers(1, 4),
    rows=st.integers(1, 3),
    pixels=st.integers(1, 2),
    fused=st.booleans(),
    form=st.sampled_from(["tree", "add"]),
    seed=st.integers(0, 999),
)
def test_blocks(blocks, pe, lanes, bits, coefficients, beats, rows, pixels, fused, form, seed):
    """Each block computes what an array of its own would."""
    rng = np.random.default_rng(seed)
    size = {"bits": bits, "coefficients": coefficients, "beats": beats, "rows": rows}
    limits = rng.integers(0, beats * lanes << bits, (rows, blocks * pe))
    dut = make(
        rng,
        pe=blocks * pe,
        simd=blocks * lanes,
        blocks=blocks,
        thresholds=limits if fused and (rows == 1 or beats > 1) else None,
        pixels=pixels,
        lanes=range(pixels),
        form=form,
        **size,
    )
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, pixels, blocks * lanes))
    codes = codes if pixels > 1 else codes[:, :, 0]
    row = np.arange(len(codes)) % rows
    for block in range(blocks):
        own = slice(block * pe, (block + 1) * pe)
        one = DotArray(
            pe=pe,
            simd=lanes,
            bits=bits,
            coefficients=coefficients,
            weights=dut.weights[:, :, own],
            acc_bits=dut.acc_bits,
            rows=rows,
            thresholds=None if dut.thresholds is None else dut.thresholds[:, own],
            pixels=pixels,
            lanes=range(pixels),
        )
        inputs = codes[..., block * lanes : (block + 1) * lanes]
        expected = one.model(inputs, rows=row)
        assert np.array_equal(dut.model(codes, rows=row)[..., own], expected)
    check(dut, codes, bubbles=0.3, seed=seed)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    pixels=st.integers(2, 4),
    pe=st.integers(1, 3),
    simd=st.integers(1, 5),
    bits=st.integers(1, 2),
    beats=st.integers(1, 6),
    rows=st.integers(1, 3),
    turn=st.integers(0, 5),
    bubbles=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_sums_go_from_lane_to_lane(pixels, pe, simd, bits, beats, rows, turn, bubbles, seed):
    rng = np.random.default_rng(seed)
    lanes = rng.permutation(pixels)
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=bits,
        coefficients=(1, 1),
        beats=beats,
        rows=rows,
        pixels=pixels,
        turn=turn,
        lanes=lanes,
    )
    turns = [b for b in range(1, beats) if rng.random() < 0.5]
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, pixels, simd))
    # The model follows each window through the lanes; here the sums move from lane to lane.
    single = make(rng, pe=pe, simd=simd, bits=bits, coefficients=(1, 1), beats=1, rows=1)
    sums = np.zeros((len(codes), pixels, pe), int)
    word = 0
    for r, reduction in enumerate(codes):
        for b, beat in enumerate(reduction):
            if b in turns:
                sums[r] = sums[r, (np.arange(pixels) - turn) % pixels]
            single.weights = dut.weights[word : word + 1]
            sums[r] += single.model(beat[:, None])
            word = (word + 1) % len(dut.weights)
    assert np.array_equal(dut.model(codes, turns=turns), sums[:, lanes])
    check(dut, codes, turns=turns, bubbles=bubbles, seed=seed)


@pytest.mark.parametrize("form", ["tree", "add"])
@pytest.mark.parametrize(("pixels", "stride", "dilation", "pad"), [(3, 1, 1, 1), (5, 2, 3, 2)])
def test_windows_have_sets_of_thresholds(form, pixels, stride, dilation, pad):
    """A sum starts with the threshold of the window that begins in its lane, in each of 3 sets."""
    rng, (kernel, pe, simd, rows) = np.random.default_rng(pixels), (3, 2, 4, 3)
    banks = Banks(pixels, 4 * pixels, kernel, stride, dilation, pad, pad)
    windows = tuple(int(n) for n in rng.permutation([*range(3), *rng.integers(0, 3, pixels - 3)]))
    sets = ConstantSets(windows, tuple(windows[banks.window(b, 0)] for b in range(pixels)))
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=1,
        coefficients=(1,),
        beats=kernel,
        rows=rows,
        thresholds=rng.integers(0, kernel * simd + 2, (rows, 3 * pe)),
        sets=sets,
        pixels=pixels,
        turn=banks.turn,
        lanes=banks.lanes,
        form=form,
    )
    turns = range(1, kernel)
    codes = rng.integers(0, 2, (4 * rows, kernel, pixels, simd))
    check(dut, codes, turns=turns, bubbles=0.2)
    # The same in plain loops: window j meets the lane of its tap's bank.
    got = dut.model(codes, rows=np.arange(len(codes)) % rows, turns=turns)
    for n, j, k in np.ndindex(got.shape):
        agree = sum(
            int(codes[n, kx, banks.tap(j, kx) % pixels, s])
            == dut.weights[(n * kernel + kx) % len(dut.weights), 0, k, s]
            for kx in range(kernel)
            for s in range(simd)
        )
        assert got[n, j, k] == (agree >= dut.thresholds[n % rows, windows[j] * pe + k])


@pytest.mark.parametrize(
    ("pixels", "stride", "dilation", "pad"),
    [
        (2, 1, 1, 0),
        (2, 1, 1, 1),
        (4, 1, 1, 1),
        (3, 2, 1, 1),
        (4, 3, 2, 0),
        (5, 2, 3, 4),
        (2, 1, 2, 2),
    ],
)
def test_windows_of_a_row_over_banks(pixels, stride, dilation, pad):
    """Column c of a row lies in bank c mod M; the array reads banks, the results are windows."""
    rng = np.random.default_rng(pixels)
    kernel, pe, simd = 3, 2, 4
    groups = 3
    columns = (groups * pixels - 1) * stride + (kernel - 1) * dilation + 1
    row = rng.integers(0, 2, (columns, simd))  # With its padding.
    dut = make(
        rng,
        pe=pe,
        simd=simd,
        bits=1,
        coefficients=(1,),
        beats=kernel,
        rows=1,
        pixels=pixels,
        turn=dilation,
        lanes=[(stride * j + (kernel - 1) * dilation - pad) % pixels for j in range(pixels)],
    )
    codes = np.zeros((groups, kernel, pixels, simd), int)
    windows = np.zeros((groups, pixels, kernel, simd), int)
    for g, j, k in np.ndindex(groups, pixels, kernel):
        at = stride * (pixels * g + j) + k * dilation
        codes[g, k, (at - pad) % pixels] = row[at]
        windows[g, j, k] = row[at]
    agree = windows[:, :, :, None] == dut.weights[None, None, :, 0]
    assert np.array_equal(dut.model(codes, turns=[1, 2]), agree.sum((2, 4)))
    check(dut, codes, turns=[1, 2], bubbles=0.3)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_single_beat_reductions_every_cycle(depth):
    rng = np.random.default_rng(depth)
    dut = make(rng, pe=3, simd=9, bits=1, coefficients=(1,), beats=1, rows=depth)
    check(dut, rng.integers(0, 2, (40, 1, 9)))


def test_mixed_lengths_of_reductions():
    """Reductions may differ in length: only first and last delimit them."""
    rng = np.random.default_rng(5)
    dut = make(rng, pe=2, simd=4, bits=2, coefficients=(1, 1), beats=11, rows=1)
    codes = rng.integers(0, 4, (11, 4))
    bounds = [0, 1, 4, 5, 9, 11]
    beats = [
        {
            "i_data": pack(row, 2),
            "i_first": int(i in bounds),
            "i_last": int(i + 1 in bounds),
        }
        for i, row in enumerate(codes)
    ]
    events = run_pulses(dut, beats, ["o_values"], count=5)
    single = np.array(
        [
            DotArray(
                pe=2,
                simd=4,
                bits=2,
                coefficients=(1, 1),
                weights=dut.weights[i : i + 1],
                acc_bits=dut.acc_bits,
            ).model(codes[i : i + 1, None])[0]
            for i in range(11)
        ]
    )
    expected = [single[a:b].sum(0).tolist() for a, b in zip(bounds, bounds[1:], strict=False)]
    assert [unpack(out["o_values"], dut.acc_bits, 2) for _, out in events] == expected


def test_model_is_the_plain_sum_of_products():
    """The popcounts equal multiplication: P - sum(minus weights) = sum(w * u) for weights +-1."""
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
    arguments = {"simd": 63, "bits": 2, "coefficients": (1, 1), "depth": 9}
    assert dot_latency(**arguments) == 2 + 3 + 1 + 1
    assert dot_latency(**arguments, rom=RomSpec(registers=True)) == 3 + 3 + 1 + 1
    assert dot_latency(**arguments, rom_register=False) == 1 + 3 + 1 + 1
    assert dot_latency(**arguments, rom=RomSpec("logic")) == 1 + 3 + 1 + 1
    assert dot_latency(**arguments, form="add") == 2 + 3 + 1 + 1
    single = {"bits": 1, "coefficients": (1,)}
    assert dot_latency(simd=1, **single, depth=1) == 1
    # The accumulator takes one lane of a power of two.
    assert [dot_latency(simd=simd, **single, depth=1) for simd in (31, 32, 33)] == [3, 3, 4]
    assert dot_latency(simd=3, bits=8, coefficients=(1,), depth=9, form="add") == 2 + 1 + 1


GOOD = {
    "pe": 2,
    "simd": 3,
    "bits": 1,
    "coefficients": (1,),
    "acc_bits": 4,
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
        ({"rom": RomSpec("x")}, "'x'"),
        ({"form": "sub"}, "'sub'"),
        ({"blocks": 0}, "blocks is 0"),
        ({"blocks": 2}, "blocks is 2; it has to divide pe, which is 2, and simd, which is 3"),
        ({"blocks": 3}, "blocks is 3"),
        (
            {
                "form": "stored",
                "blocks": 2,
                "simd": 2,
                "weights": np.zeros((4, 1, 2, 1), np.uint8),
                "fabric": "xilinx7",
                "rom": RomSpec("logic"),
            },
            "one block",
        ),
        ({"lanes": (1,)}, "permutation"),
        ({"pixels": 2, "lanes": (0, 0)}, "permutation"),
        ({"thresholds": np.zeros((2, 2), int)}, r"\(2, 2\), not \(rows 1, pe 2\)"),
    ],
)
def test_bad_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        DotArray(**GOOD | wrong)
