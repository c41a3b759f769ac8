"""The scaling of samples to a network's input: by a division, or by a multiplication."""

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
"""Largest whole number up to which float32 holds every whole number."""


@dataclass(frozen=True)
class InputScale:
    """The scaling of samples: the network's input is ``sample / divisor`` or ``sample * factor``.

    Both are computed in float32. ``x / 255`` and ``x * float32(1 / 255)`` differ in the last place
    for about half of all x, so the scaling has to be the one that the network was trained with.

    Parameters
    ----------
    factor : float
        Multiplier, rounded to float32; used if `divisor` is 0.
    divisor : int
        Divisor, a whole number; 0 for a multiplication.
    """

    factor: float = 1.0
    divisor: int = 0

    @classmethod
    def of(cls, value: float | Fraction | str) -> InputScale:
        """Build the scaling for a user's number: 1/n divides by n, any other number multiplies.

        Parameters
        ----------
        value : float, Fraction or str
            A float divides by n if it is the float64 value of 1/n, such as ``1 / 255`` in Python;
            ``np.float32(1 / 255)`` is another number, and multiplies. A string holds a number, or a
            quotient such as ``"1/255"``.

        Raises
        ------
        BadInput
            If it is not a positive number that float32 can hold.
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
            # Division by a power of two is exact, and so is the multiplication by its inverse.
            return cls(real) if divisor & (divisor - 1) == 0 else cls(real, divisor)
        return cls(real)

    def values(self, samples: NDArray[Any]) -> Floats:
        """Compute the network's input, float32 of the same shape, from integer samples."""
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
