"""Float values as a scale times integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.ir import BIPOLAR, TERNARY, UNIPOLAR, Alphabet
from xnorflow.lower.common_scale import MAX_CODE_BITS, find

f = np.float32
U = np.arange(256).astype(f)


@pytest.mark.parametrize(
    ("values", "alphabet", "exact"),
    [
        ([-f(0.1), f(0.1)], BIPOLAR, True),
        ([0, f(0.37)], UNIPOLAR, True),
        ([-f(0.37), 0, f(0.37)], TERNARY, True),
        ([f(0.7)], BIPOLAR, True),
        ([-f(0.7)], BIPOLAR, True),
        ([0], UNIPOLAR, True),
        ([2, 3], Alphabet(2, 1, 2), True),
        ([-3, -1, 1, 3], Alphabet(-3, 2, 4), True),
        ([0, 2, 5], Alphabet(0, 1, 6), True),
        (f(0.1) * np.arange(-7, 8).astype(f), Alphabet(-7, 1, 15), False),
        (U, Alphabet(0, 1, 256), True),
        (U * f(1 / 255), Alphabet(0, 1, 256), False),
        (U / f(255) * f(2) - f(1), Alphabet(-255, 2, 256), False),
        (U / f(127.5) - f(1), Alphabet(-255, 2, 256), False),
        ((U / f(255) - f(0.485)) / f(0.229), Alphabet(-4947, 40, 256), False),
        (np.array([-1, 1], f) * f(1e-40), BIPOLAR, True),
        (np.arange(65536).astype(f) * f(0.001), Alphabet(0, 1, 65536), False),
    ],
)
def test_grids(values, alphabet, exact):
    values = np.asarray(values, f)
    grid = find(values)
    assert grid.alphabet == alphabet and grid.exact == exact
    codes = grid.codes(values)
    assert codes.min() >= 0 and codes.max() < alphabet.levels
    off = np.abs(alphabet.values(codes) * grid.scale - values)
    assert off.max() <= np.abs(values).max() * 2.0**-23


@pytest.mark.parametrize(
    "values",
    [
        [1, np.sqrt(2), 7],
        [0, 1, np.inf],
        [0.1, 0.1000001, 7],
        np.sqrt(np.arange(300)),
        np.arange(2.0**MAX_CODE_BITS + 1),
    ],
)
def test_no_grid(values):
    assert find(np.asarray(values, f)) is None


@pytest.mark.parametrize("mean", [0.1307, 0.4914, 0.5071])
@pytest.mark.parametrize("samples", [[0, 1], [-1, 1]])
def test_two_normalised_values_are_one_bit(samples, mean):
    values = (np.array(samples, f) - f(mean)) / f(0.3081)
    grid = find(values)
    assert grid.alphabet.levels == 2
    off = np.abs(grid.alphabet.values(np.arange(2)) * grid.scale - values)
    assert off.max() <= np.abs(values).max() * 2.0**-23


@given(
    st.integers(-20, 20),
    st.lists(st.integers(-500, 500), min_size=1, max_size=20),
    st.sampled_from([1.0, 0.75, 1.25]),
)
def test_exact_grids_are_found(exponent, integers, scale):
    scale *= 2.0**exponent
    values = (np.array(integers) * scale).astype(f)
    grid = find(values)
    assert grid.exact
    np.testing.assert_array_equal(grid.alphabet.values(grid.codes(values)) * grid.scale, values)


@given(
    st.integers(-20, 20),
    st.lists(st.integers(-64, 63), min_size=1, max_size=20),
    st.sampled_from([0.1, 1 / 3, 1.2345]),
)
def test_integers_come_back(exponent, integers, scale):
    scale = float(f(scale * 2.0**exponent))
    values = (np.array(integers) * scale).astype(f)
    grid = find(values)
    found = grid.alphabet.values(grid.codes(values))
    assert (np.abs(found * grid.scale - values) <= np.abs(values) * 2.0**-23).all()
    assert set(np.sign(found)) == set(np.sign(integers))


def test_small_values_keep_their_own_precision():
    # Within the rounding of the largest these would be -1 and 16384 times something.
    values = np.array([-1, 16387], f)
    grid = find(values)
    assert grid.exact and set(grid.alphabet.values(grid.codes(values))) == {-1, 16387}
