"""Alphabets of weights."""

from __future__ import annotations

from xnorflow.ir import BIPOLAR, TERNARY, UNIPOLAR, Alphabet, Ints


def weight_alphabet(weights: Ints) -> Alphabet:
    """Give the narrowest alphabet with a common name that holds `weights`.

    Bipolar, unipolar or ternary where they fit; else odd integers only, or intN.
    """
    low, high = int(weights.min()), int(weights.max())
    for known in (BIPOLAR, UNIPOLAR, TERNARY):
        if low >= known.lo and high <= known.hi and not ((weights - known.lo) % known.step).any():
            return known
    bits = max(high.bit_length(), (-1 - low).bit_length() if low < 0 else 0) + 1
    if (weights % 2 != 0).all():
        return Alphabet(1 - (1 << (bits - 1)), 2, 1 << (bits - 1))
    return Alphabet(-(1 << (bits - 1)), 1, 1 << bits)
