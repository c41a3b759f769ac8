"""Affine codes equal those of thresholds for every value that can occur, or there are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.plan.affine_codes import (
    MAX_FACTOR_BITS,
    ROUNDS_UP,
    TIES_TO_EVEN,
    TIES_TO_ODD,
    Staircase,
    codes,
    fit,
)

drawn = settings(max_examples=80, deadline=None, derandomize=True)


def stairs(thresholds, low, high, step=1):
    t = np.array(thresholds, np.int64).reshape(-1, np.shape(thresholds)[-1])
    low, high = (np.broadcast_to(np.array(v, np.int64), len(t)).copy() for v in (low, high))
    return Staircase(t, low, high, step)


def check(s):
    """Fit, and compare over all values of every channel; return the fit."""
    found = fit(s)
    if found is not None:
        levels = s.thresholds.shape[1] + 1
        for k in range(len(s.low)):
            values = np.arange(s.low[k], s.high[k] + 1, s.step)
            wanted = [int((s.thresholds[k] <= v).sum()) for v in values]
            every = np.tile(values, (len(s.low), 1))
            np.testing.assert_array_equal(codes(found, every, levels, s.step)[k], wanted)
    return found


def rounded(scale, levels, low, high, shift=0.0):
    """Return the thresholds of ``rint(value * scale + shift)``, as lowering writes them."""
    values = np.arange(low, high + 1)
    code = np.clip(np.rint(values * scale + shift), 0, levels - 1)
    return [int(values[code >= k].min(initial=high + 1)) for k in range(1, levels)]


@pytest.mark.parametrize("levels", [5, 8, 16, 255, 256])
def test_a_plain_quantiser(levels):
    found = check(stairs(rounded(0.0371, levels, -200, 900), -200, 900))
    assert found is not None and found.late is None and (found.ties == ROUNDS_UP).all()


def test_the_least_shift_is_taken():
    found = check(stairs([2, 4, 6, 8, 10, 12, 14], 0, 15))
    assert found.shift == 1 and found.multiply.tolist() == [1]


def test_ties_go_to_even_codes():
    found = check(stairs(rounded(1 / 8, 16, -50, 300), -50, 300))
    assert found.late is None and found.ties.tolist() == [TIES_TO_EVEN] and found.shift == 3


def test_ties_go_to_odd_codes_where_a_channel_is_mirrored():
    t = rounded(1 / 8, 16, -300, 300)
    mirrored = [-v + 1 for v in reversed(t)]
    found = check(stairs([t, mirrored], -300, 300))
    assert found.late is None and found.ties.tolist() == [TIES_TO_EVEN, TIES_TO_ODD]


def test_ties_that_go_anywhere_begin_late():
    rng = np.random.default_rng(0)
    ties = np.arange(1, 64) * 8 + rng.integers(0, 2, (3, 63))
    found = check(stairs(ties, 0, 600))
    assert found is not None and found.late is not None
    assert not found.late[:, 0].any() and found.late.any(axis=1).all()


def test_one_threshold_too_far_is_no_affine_code():
    t = np.array(rounded(1 / 8, 64, 0, 600))
    for off in (1, 2):
        moved = t.copy()
        moved[19] += off
        assert (check(stairs(moved, 0, 600)) is None) == (off == 2)


def test_thresholds_out_of_reach_bind_nothing():
    t = rounded(0.11, 64, 100, 300)
    assert (np.diff(t) == 0).any()
    wild = [-(1 << 40) if v <= 100 else 1 << 40 if v > 300 else v for v in t]
    found, same = check(stairs(wild, 100, 300)), check(stairs(t, 100, 300))
    assert found.multiply.tolist() == same.multiply.tolist()


@pytest.mark.parametrize("always", [-5, 99])
def test_constant_channels(always):
    found = check(stairs([[always] * 7, [1, 2, 3, 4, 5, 6, 7]], 0, 20))
    assert found is not None


def test_only_values_that_occur_bind():
    """Thresholds between two values may be anywhere between them."""
    t = np.array(rounded(0.07, 16, 1, 401))
    t += (t % 2 == 0) & (np.arange(15) % 3 == 0)
    found = check(stairs(t, 1, 401, step=2))
    assert found is not None and found.late is None


def test_a_quantiser_that_is_not_uniform_has_none():
    assert check(stairs([1, 2, 4, 8, 16, 32, 64], 0, 100)) is None
    assert check(stairs([[1, 2, 4, 8, 16, 32, 64], [1, 2, 3, 4, 5, 6, 7]], 0, 100)) is None


def test_factors_stay_narrow():
    """A slope that only a wide factor could follow over so many values has none."""
    far = 1 << 24
    found = check(stairs([1, 2, 3, 4, 5, 6, far], far - 40, far))
    assert found is None or int(found.multiply.max()) < 1 << MAX_FACTOR_BITS


@drawn
@given(
    seed=st.integers(0, 10_000),
    levels=st.integers(5, 256),
    span=st.integers(1, 3000),
    channels=st.integers(1, 4),
    step=st.sampled_from([1, 1, 2, 4]),
    noise=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
)
def test_random_quantisers(seed, levels, span, channels, step, noise):
    rng = np.random.default_rng(seed)
    low = rng.integers(-50, 50, channels)
    high = low + step * rng.integers(0, span + 1, channels)
    slope = levels / max(1, span * step) * rng.uniform(0.2, 3, (channels, 1))
    at = low[:, None] + (np.arange(1, levels) - rng.uniform(-3, 9, (channels, 1))) / slope
    t = np.ceil(at).astype(np.int64)
    t += rng.random(t.shape) < noise * 0.3
    t = np.maximum.accumulate(t, axis=1)
    t = np.clip(t, low[:, None], high[:, None] + 1)
    found = check(Staircase(t, low, high, step))
    # Where nothing was moved there is always a form, for wide steps one with late codes.
    assert found is not None or noise


def test_every_float32_quantiser_of_a_batch_norm_has_a_form():
    """The operations of a file, each rounded to float32, in scales that no binary float holds."""
    rng = np.random.default_rng(5)
    values = np.arange(-3000, 3001)
    for scale in (0.1, 1 / 3, 0.05):
        x = values.astype(np.float32)[:, None] * np.float32(0.01)
        gamma = rng.normal(1, 0.2, 6).astype(np.float32)
        gamma = np.abs(gamma) * np.float32(1)
        y = x * gamma + np.rint(rng.normal(0, 100, 6)).astype(np.float32) * np.float32(0.01)
        code = np.clip(np.rint(y / np.float32(scale)), 0, 255).astype(int)
        t = np.array(
            [[values[c >= k].min(initial=3001) for k in range(1, 256)] for c in code.T], np.int64
        )
        assert check(stairs(t, -3000, 3000)) is not None
