"""Alphabets of weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.ir import BIPOLAR, TERNARY, UNIPOLAR, Alphabet
from xnorflow.ir.alphabet import weight_alphabet


@pytest.mark.parametrize(
    ("weights", "alphabet"),
    [
        ([-1, 1], BIPOLAR),
        ([1, 1], BIPOLAR),
        ([-1], BIPOLAR),
        ([0, 1], UNIPOLAR),
        ([0], UNIPOLAR),
        ([-1, 0], TERNARY),
        ([-1, 0, 1], TERNARY),
        ([-2, 1], Alphabet(-2, 1, 4)),
        ([-8, 7], Alphabet(-8, 1, 16)),
        ([-8, 8], Alphabet(-16, 1, 32)),
        ([-3, 1], Alphabet(-3, 2, 4)),
        ([2], Alphabet(-4, 1, 8)),
    ],
)
def test_names(weights, alphabet):
    assert weight_alphabet(np.array(weights)) == alphabet


@given(st.lists(st.integers(-70, 70), min_size=1))
def test_every_weight_and_its_negation_have_codes(weights):
    w = np.array(weights)
    for signed in (w, -w):
        alphabet = weight_alphabet(signed)
        assert all(alphabet.code_of(int(x)) is not None for x in signed)
