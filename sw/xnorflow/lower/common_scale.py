"""The search for one scale that makes the float values of a tensor integers."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.quantisers import Floats
from xnorflow.ir import BIPOLAR, UNIPOLAR, Alphabet, Ints

MAX_CODE_BITS = 16
"""Widest activation code that a layer may read."""

MAX_DENOMINATOR = 128
"""Largest product of the two denominators that `find` tries."""

MAX_PARTS = 10_000
"""Most parts into which the spacing of normalised samples is divided: means have four decimals."""

LARGEST_NORMALISED = 1 << 20
"""Limit of the integers' magnitudes in `_normalised`; they have few codes, so it may be larger."""

LARGEST = 1 << MAX_CODE_BITS
"""Limit of the integers' magnitudes, so that sums of several fit an accumulator."""

ROUNDING = 2.0**-23
"""Greatest difference of neighbouring float32 values, relative to their magnitude."""

_DENORMAL = 2.0**-149

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Values ``scale * integer`` with integers from an alphabet.

    Parameters
    ----------
    scale : float
        Value of the integer 1; greater than 0.
    alphabet : Alphabet
        An alphabet that contains all integers; it may contain others.
    exact : bool
        Whether each value equals the product exactly; otherwise they differ by at most the rounding
        of the largest value.
    """

    scale: float
    alphabet: Alphabet
    exact: bool

    def codes(self, values: Floats) -> Ints:
        """Return the codes of values that lie on the grid, int64 of the same shape."""
        integers = np.rint(values.astype(np.float64) / self.scale).astype(np.int64)
        return (integers - self.alphabet.lo) // self.alphabet.step


def find(values: Floats) -> Grid | None:
    """Return the coarsest grid that holds all `values`, or None if there is none.

    The first of these grids that exists is taken:

    1. one that holds the values exactly;
    2. one with each value within its own rounding;
    3. one with each value within the rounding of the largest value, as in sums such as scaled
       pixels less a mean;
    4. one of equally spaced values with zero anywhere between two of them (`_normalised`).

    Parameters
    ----------
    values : float32 array
        All values that a tensor takes, in any order and shape.
    """
    v = np.unique(values).astype(np.float64)
    if not np.isfinite(v).all() or len(v) > 1 << MAX_CODE_BITS:
        return None
    if len(v) == 1:
        scale = float(abs(v[0]))
        return Grid(scale or 1.0, BIPOLAR if scale else UNIPOLAR, exact=True)
    grid = _exact(v)
    if grid:
        return grid
    own = np.abs(v) * ROUNDING + _DENORMAL
    steps = _steps(v)
    ratios = [
        (d, q) for d in range(1, MAX_DENOMINATOR + 1) for q in range(1, MAX_DENOMINATOR // d + 1)
    ]
    ratios.sort(key=lambda r: (r[0] * r[1], r))
    spaced: dict[int, Doubles | None] = {}
    for tolerance in (own, np.full_like(own, own.max())):
        for d, q in ratios:
            if d not in spaced:
                spaced[d] = _spaced(v, steps, d, own.max())
            k = spaced[d]
            grid = None if k is None else _try(v, k, q, tolerance)
            if grid:
                return grid
    return _normalised(v, np.full_like(own, own.max()))


def _normalised(v: Doubles, tolerance: Doubles) -> Grid | None:
    """Return the grid of equally spaced values with zero anywhere between two of them, or None.

    Samples that are normalised, ``(x - mean) / deviation``, are such values. The spacing is divided
    into the least number `q` of parts for which zero is a whole number of parts away. Two values
    have one spacing, so bits are such values, too.
    """
    count = len(v) - 1
    spacing = (v[-1] - v[0]) / count
    steps = np.arange(count + 1)
    if (np.abs(v[0] + spacing * steps - v) > 2 * tolerance).any():
        return None
    offset = v[0] / spacing
    for q in range(MAX_DENOMINATOR + 1, MAX_PARTS + 1):
        start = round(offset * q)
        if abs(start / q - offset) * spacing > tolerance[0]:
            continue
        integers = (q * steps + start).astype(np.int64)
        if np.abs(integers).max() >= LARGEST_NORMALISED:
            return None
        scale = _scale(v, integers, spacing / q, tolerance)
        if scale is not None:
            alphabet = _alphabet(integers)
            return None if alphabet is None else Grid(scale, alphabet, exact=False)
    return None


def _exact(v: Doubles) -> Grid | None:
    """Return the grid of the values' greatest common divisor; None if its integers are too large.

    Floats are integers times powers of two, so they always have a common divisor.
    """
    ratios = [x.as_integer_ratio() for x in v.tolist()]
    denominator = max(d for _, d in ratios)
    numerators = [n * (denominator // d) for n, d in ratios]
    common = gcd(*numerators)
    if max(map(abs, numerators)) // common >= LARGEST:
        return None
    alphabet = _alphabet(np.array([n // common for n in numerators]))
    return Grid(common / denominator, alphabet, exact=True) if alphabet else None


def _alphabet(integers: Ints) -> Alphabet | None:
    """Return the alphabet of ascending integers, or None if it is too wide for a code."""
    step = int(np.gcd.reduce(np.diff(integers)))
    alphabet = Alphabet(int(integers[0]), step, int(integers[-1] - integers[0]) // step + 1)
    return alphabet if alphabet.bits <= MAX_CODE_BITS else None


def _steps(v: Doubles) -> Doubles:
    """Return the differences of neighbouring values, as multiples of the least difference.

    The least is averaged over all that are nearly as small. Differences are local, so that the
    rounding errors of many values do not add up.
    """
    distances = np.diff(v)
    least = distances.min()
    return distances / distances[distances < 1.25 * least].mean()


def _spaced(v: Doubles, steps: Doubles, d: int, tolerance: float) -> Doubles | None:
    """Return how many spacings each value is above the first, if the least difference is `d`.

    Returns None if the values are not so spaced within twice the tolerance.
    """
    k = np.concatenate([[0], np.cumsum(np.rint(steps * d))])
    spacing = (v[-1] - v[0]) / k[-1]
    fits = spacing != 0 and not (np.abs(v[0] + spacing * k - v) > 2 * tolerance).any()
    return k if fits else None


def _try(v: Doubles, k: Doubles, q: int, tolerance: Doubles) -> Grid | None:
    """Return a grid in which values lie `k` spacings above the first, and zero on `q`-ths of one.

    Returns None if the values do not fit it within `tolerance`.
    """
    spacing = (v[-1] - v[0]) / k[-1]
    integers = (q * k + np.rint(v[0] / spacing * q)).astype(np.int64)
    common = int(np.gcd.reduce(integers))
    largest = int(np.abs(integers).max())
    if common == 0 or largest >= LARGEST or (np.diff(integers) < 1).any():
        return None
    integers //= common
    scale = _scale(v, integers, spacing / q * common, tolerance)
    if scale is None:
        return None
    alphabet = _alphabet(integers)
    if alphabet is None:
        return None
    return Grid(scale, alphabet, exact=bool((scale * integers == v).all()))


def _scale(v: Doubles, integers: Ints, guess: float, tolerance: Doubles) -> float | None:
    """Choose the scale that makes `integers` the values `v`, or None if none is near enough.

    An exact scale is preferred, then one whose rounded products are the values, then any other
    within `tolerance`.
    """
    at = [int(np.abs(integers[integers != 0]).min()), int(np.abs(integers).max())]
    candidates: list[Any] = [guess, np.float32(guess)]
    candidates += [abs(v[np.abs(integers) == n][0]) / n for n in at]
    near = [float(c) for c in candidates if (np.abs(c * integers - v) <= tolerance).all()]
    exact = [c for c in near if (c * integers == v).all()]
    rounded = [c for c in near if ((c * integers).astype(np.float32) == v).all()]
    return next(iter(exact + rounded + near), None)
