"""Alphabets: the integers that an activation or a weight can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MAX_BITS = 48
"""Widest accumulator; float64 holds sums of integers of this width exactly."""


@dataclass(frozen=True)
class Alphabet:
    """The integers that one activation or weight can be: ``lo + step * code``.

    Parameters
    ----------
    lo : int
        Value of code 0.
    step : int
        Difference between neighbouring values, at least 1.
    levels : int
        Number of values, at least 1.
    """

    lo: int
    step: int
    levels: int

    def __post_init__(self) -> None:
        if self.step < 1 or self.levels < 1:
            raise ValueError(f"an alphabet needs step and levels of at least 1, not {self}")

    @property
    def hi(self) -> int:
        """Largest value."""
        return self.lo + self.step * (self.levels - 1)

    @property
    def bits(self) -> int:
        """Width of a code in bits, at least 1."""
        return max(1, (self.levels - 1).bit_length())

    def code_of(self, value: int) -> int | None:
        """Return the code of `value`, or None where the alphabet has no such value."""
        code, rest = divmod(value - self.lo, self.step)
        return code if rest == 0 and 0 <= code < self.levels else None

    def values(self, codes: NDArray[Any]) -> Ints:
        """Turn an array of codes into int64 values."""
        return self.lo + self.step * np.asarray(codes, np.int64)

    def __str__(self) -> str:
        for name, known in NAMED_ALPHABETS.items():
            if self == known:
                return name
        if self.step == 1 and self.lo == 0 and self.levels == 1 << self.bits:
            return f"uint{self.bits}"
        if self.step == 1 and self.levels == 1 << self.bits and self.lo == -(self.levels // 2):
            return f"int{self.bits}"
        return f"{{{self.lo}..{self.hi}" + (f" step {self.step}" if self.step > 1 else "") + "}"


BIPOLAR = Alphabet(-1, 2, 2)
UNIPOLAR = Alphabet(0, 1, 2)
TERNARY = Alphabet(-1, 1, 3)
UINT8 = Alphabet(0, 1, 256)
NAMED_ALPHABETS = {
    "bipolar": BIPOLAR,
    "unipolar": UNIPOLAR,
    "ternary": TERNARY,
}


def weight_alphabet(weights: Ints) -> Alphabet:
    """Return the narrowest alphabet with a common name that holds `weights`.

    It is the first that fits of bipolar, unipolar and ternary; otherwise the odd integers of the
    fewest bits if all weights are odd, or else intN.
    """
    low, high = int(weights.min()), int(weights.max())
    for known in (BIPOLAR, UNIPOLAR, TERNARY):
        if low >= known.lo and high <= known.hi and not ((weights - known.lo) % known.step).any():
            return known
    bits = max(high.bit_length(), (-1 - low).bit_length() if low < 0 else 0) + 1
    if (weights % 2 != 0).all():
        return Alphabet(1 - (1 << (bits - 1)), 2, 1 << (bits - 1))
    return Alphabet(-(1 << (bits - 1)), 1, 1 << bits)
