"""Arrays with masked weights: sums of -1, 0 and 1 in every form, in simulators and in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.spec import IN_BLOCKS, RomSpec
from xnorflow_hw.spec.latency import dot_latency

from .test_dot import check


def planes_of(weights):
    """Return the signs and masks of weights [depth, pe, simd]; weights of 0 have any sign."""
    signs = np.where(weights == 0, np.arange(weights.size).reshape(weights.shape) % 2, weights > 0)
    return np.stack([signs, weights != 0], axis=1).astype(np.uint8)


def make(rng, *, pe, simd, bits, beats, rows, blocks=1, **options):
    weights = rng.integers(-1, 2, (rows * beats, pe, simd // blocks))
    most = beats * simd * ((1 << bits) - 1)
    return weights, DotArray(
        pe=pe,
        simd=simd,
        bits=bits,
        coefficients=(1,),
        weights=planes_of(weights),
        rows=rows,
        acc_bits=most.bit_length(),
        blocks=blocks,
        masked=True,
        **options,
    )


def test_model_is_the_plain_sum_of_products():
    """P less all ones for each weight of -1 is the sum of codes times weights."""
    rng = np.random.default_rng(2)
    weights, dut = make(rng, pe=3, simd=6, bits=3, beats=4, rows=1)
    codes = rng.integers(0, 8, (5, 4, 6))
    products = np.einsum("rbs,bps->rp", codes, weights)
    assert np.array_equal(dut.model(codes) - 7 * (weights < 0).sum((0, 2)), products)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 3),
    lanes=st.integers(1, 9),
    blocks=st.integers(1, 2),
    bits=st.integers(1, 3),
    beats=st.integers(1, 4),
    rows=st.integers(1, 3),
    pixels=st.integers(1, 2),
    fused=st.booleans(),
    rom=st.sampled_from(["block", "logic"]),
    bubbles=st.sampled_from([0.0, 0.5]),
    form=st.sampled_from(["tree", "add"]),
    seed=st.integers(0, 999),
)
def test_sums(pe, lanes, blocks, bits, beats, rows, pixels, fused, rom, bubbles, form, seed):
    """Thresholds lie around the sums, which the hardware and the model reach alike."""
    rng = np.random.default_rng(seed)
    limits = rng.integers(0, beats * lanes << bits, (rows, blocks * pe))
    _, dut = make(
        rng,
        pe=blocks * pe,
        simd=blocks * lanes,
        bits=bits,
        beats=beats,
        rows=rows,
        blocks=blocks,
        pixels=pixels,
        lanes=range(pixels),
        thresholds=limits if fused and (rows == 1 or beats > 1) else None,
        rom=RomSpec(rom),
        form=form,
    )
    kind = {"bits": bits, "coefficients": (1,), "form": form, "rom": RomSpec(rom)}
    assert dut.latency == dot_latency(simd=lanes, depth=rows * beats, **kind)
    codes = rng.integers(0, 1 << bits, (2 * rows + 1, beats, pixels, blocks * lanes))
    check(dut, codes if pixels > 1 else codes[:, :, 0], bubbles=bubbles, seed=seed)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    pe=st.integers(1, 4),
    simd=st.integers(2, 17),
    beats=st.integers(2, 4),
    rows=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_weights_stored_in_the_sums(pe, simd, beats, rows, seed):
    rng = np.random.default_rng(seed)
    kind = {"form": "stored", "fabric": "xilinx7", "rom": stored.ROM}
    _, dut = make(rng, pe=pe, simd=simd, bits=1, beats=beats, rows=rows, **kind)
    check(dut, rng.integers(0, 2, (2 * rows, beats, simd)), bubbles=0.3)


def test_padded_lanes_add_nothing():
    rng = np.random.default_rng(3)
    weights, narrow = make(rng, pe=2, simd=5, bits=2, beats=4, rows=1)
    codes = rng.integers(0, 4, (3, 4, 5))
    wide = DotArray(
        pe=2,
        simd=8,
        bits=2,
        coefficients=(1,),
        weights=np.pad(planes_of(weights), [(0, 0)] * 3 + [(0, 3)], constant_values=1),
        acc_bits=7,
        masked=True,
    )
    padded = np.pad(codes, [(0, 0), (0, 0), (0, 3)])
    assert np.array_equal(narrow.model(codes), wide.model(padded))
    check(wide, padded)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": np.ones((4, 1, 2, 3), np.uint8)}, r"not \(depth, \*\(2, 2, 3\)\)"),
        ({"form": "recoded", "fabric": "ice40"}, "'ice40' has tree, dense, add"),
        ({"form": "stored", "fabric": "xilinx7", "rom": IN_BLOCKS}, "storage 'logic'"),
    ],
)
def test_bad_parameters(wrong, message):
    good = {"weights": np.ones((4, 2, 2, 3), np.uint8), "coefficients": (1,), "masked": True}
    with pytest.raises(ValueError, match=message):
        DotArray(pe=2, simd=3, bits=1, acc_bits=4, **good | wrong)
