"""What a network's input is of a sample: the sample divided by a number, or multiplied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.graph.quantisers import Floats

LARGEST_DIVISOR = 1 << 24
"""Whole numbers up to here are float32 numbers."""


@dataclass(frozen=True)
class InputScale:
    """The network takes ``sample / divisor`` in float32, or ``sample * factor``.

    ``x / 255`` and ``x * float32(1 / 255)`` differ in the last place for half of all x, so which
    of them a network was trained with decides.

    Parameters
    ----------
    factor : float
        What the sample is multiplied by, as float32, where `divisor` is 0.
    divisor : int
        A whole number, or 0.
    """

    factor: float = 1.0
    divisor: int = 0

    @classmethod
    def of(cls, value: float | Fraction | str) -> InputScale:
        """Read what a user gave: 1/n divides, in whatever form; any other number multiplies.

        Parameters
        ----------
        value : float, Fraction or str
            A float divides by n where it is the double 1/n, as ``1 / 255`` in Python is;
            ``np.float32(1 / 255)`` is another number and multiplies. A text is a number or a
            quotient of two.

        Raises
        ------
        BadInput
            If it is no positive number.
        """
        number = _number(value)
        try:
            real = float(number)
        except OverflowError:
            real = math.inf
        if not (0 < real < math.inf and 0 < float(np.float32(real)) < math.inf):
            raise BadInput(f"input scale {value} is not a positive number that float32 holds")
        exact = number if isinstance(number, Fraction) else None
        divisor = round(1 / real) if real <= 1 else 0
        whole = exact == Fraction(1, divisor) if exact and divisor else 1 / max(divisor, 1) == real
        if divisor > 1 and divisor <= LARGEST_DIVISOR and whole:
            # Dividing by a power of two is multiplying by another.
            return cls(real) if divisor & (divisor - 1) == 0 else cls(real, divisor)
        return cls(real)

    def values(self, samples: NDArray[Any]) -> Floats:
        """Compute what the network takes, float32, of whole samples."""
        x = np.asarray(samples).astype(np.float32)
        return x / np.float32(self.divisor) if self.divisor else x * np.float32(self.factor)

    def __str__(self) -> str:
        if self.divisor:
            return f"x / {self.divisor}"
        if self.factor == 1:
            return "x"
        return f"x * {float(np.float32(self.factor)):.9g} (float32)"


def _number(value: float | Fraction | str) -> float | Fraction:
    if isinstance(value, Fraction):
        return value
    try:
        if not isinstance(value, str):
            return float(value)
        numerator, slash, denominator = value.partition("/")
        if not slash:
            return float(value)
        if "/" in denominator:
            raise ValueError("more than one division")
        return Fraction(numerator.strip()) / Fraction(denominator.strip())
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as e:
        raise BadInput(f"{value!r} is not a number or a quotient such as 1/255") from e
