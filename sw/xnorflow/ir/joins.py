"""Layers that join several maps into one.

Maps that are joined value by value have the same size, or are broadcast: a map of one pixel goes to
all pixels, and a map of one channel to all channels. None of these layers quantises, so each is
exact.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, NoReturn

import numpy as np

from xnorflow.ir.alphabet import MAX_BITS, Alphabet, Ints
from xnorflow.ir.features import Features
from xnorflow.ir.field_checks import MAX_VALUE, integers, magnitude, need
from xnorflow.ir.layer import Layer, LayersBefore, Mask, NotMirrored

MAX_INPUTS = 256
"""Most maps that a layer may join."""


def broadcast_shape(inputs: Sequence[Features]) -> tuple[int, int, int]:
    """Return the height, width and channels of maps that are joined value by value.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    height = max(f.height for f in inputs)
    width = max(f.width for f in inputs)
    channels = max(f.channels for f in inputs)
    for f in inputs:
        fits = f.shape[:2] in ((height, width), (1, 1)) and f.channels in (channels, 1)
        if not fits:
            raise ValueError(
                f"a map of {f.shape} does not fit one of {(height, width, channels)}: it has to"
                " have its size or one pixel, and its channels or one"
            )
    return height, width, channels


def _every_value(lo: int, hi: int, step: int) -> Alphabet:
    """Return the alphabet of `lo` and every `step`-th integer up to `hi`."""
    step = max(1, step)
    return Alphabet(lo, step, (hi - lo) // step + 1)


class Join(Layer):
    """A layer that reads several maps."""

    @abstractmethod
    def output(self, *inputs: Features) -> Features:
        """Return the feature map that it makes of its inputs; ValueError if they do not fit."""

    @abstractmethod
    def check(self, *inputs: Features) -> None:
        """Raise ValueError if a field has a wrong type or an impossible value."""

    def depends(self, *alive: Mask) -> Mask:
        """Return which outputs depend on the frame: those for which any input does."""
        found = reduce(np.logical_or, np.broadcast_arrays(*alive))
        return np.asarray(found, np.bool_)

    def mirrored(self, mask: Mask, before: LayersBefore) -> NoReturn:
        """Raise NotMirrored: what is joined has other readers, or needs its own sign."""
        raise NotMirrored(
            "it falls behind a join of several maps.",
            op=type(self).__name__,
            hint="factors that are not negative behind the join.",
        )


def _check_number(inputs: Sequence[Features], least: int = 1) -> None:
    need(
        least <= len(inputs) <= MAX_INPUTS,
        f"{len(inputs)} maps cannot be joined: {least} to {MAX_INPUTS} can",
    )


def _check_factors(multiply: Ints, inputs: Sequence[Features]) -> None:
    """Check the factors of an `Add` or a `Maximum`."""
    channels = broadcast_shape(inputs)[2]
    factors = integers(multiply, 2, "factors")
    need(
        factors.shape in ((len(inputs), 1), (len(inputs), channels)),
        f"factors of {factors.shape} do not fit {len(inputs)} maps of {channels} channels",
    )
    need(magnitude(factors) <= MAX_VALUE, f"a factor exceeds {MAX_VALUE} in magnitude")


def _scaled(multiply: Ints, inputs: Sequence[Features]) -> tuple[Ints, Ints, int]:
    """Return the least and greatest value of each scaled input and the step of all of them.

    Returns
    -------
    low, high : int64 array [inputs, 1 or channels]
        Bounds.
    step : int
        All values of all inputs are one of the low bounds plus a multiple of it, 0 if none varies.
    """
    lo = np.array([f.alphabet.lo for f in inputs], np.int64)[:, None] * multiply
    hi = np.array([f.alphabet.hi for f in inputs], np.int64)[:, None] * multiply
    varies = np.array([f.alphabet.step * (f.alphabet.levels > 1) for f in inputs], np.int64)
    step = int(np.gcd.reduce(varies[:, None] * multiply, axis=None))
    return np.minimum(lo, hi), np.maximum(lo, hi), step


@dataclass(frozen=True, eq=False)
class Add(Join):
    """The sum of all maps, each times an integer.

    Parameters
    ----------
    multiply : int64 array [inputs, 1 or channels]
        Factor of each map, for all channels or for each of them.
    """

    multiply: Ints
    kind: ClassVar[str] = "add"

    def output(self, *inputs: Features) -> Features:
        """Return the maps' common size and, as alphabet, the integers between the bounds."""
        shape = broadcast_shape(inputs)
        if len(self.multiply) != len(inputs):
            raise ValueError(f"{len(self.multiply)} factors do not fit {len(inputs)} maps")
        lo, hi, step = _scaled(self.multiply, inputs)
        low, high = lo.sum(0), hi.sum(0)
        step = int(np.gcd.reduce(np.append(low - low[0], step)))
        return Features(*shape, _every_value(int(low.min()), int(high.max()), step))

    def check(self, *inputs: Features) -> None:
        """Check the factors and the width of the sums."""
        _check_number(inputs)
        _check_factors(self.multiply, inputs)
        _check_products(magnitude(self.multiply), inputs)


def _check_products(factor: int, inputs: Sequence[Features]) -> None:
    """Check that products and their sums are no wider than an accumulator."""
    largest = max(max(abs(f.alphabet.lo), abs(f.alphabet.hi)) for f in inputs)
    need(
        factor * largest * len(inputs) < 1 << MAX_BITS,
        f"its values could take more than {MAX_BITS} bits",
    )


@dataclass(frozen=True, eq=False)
class Multiply(Join):
    """The product of two maps."""

    kind: ClassVar[str] = "multiply"

    def output(self, *inputs: Features) -> Features:
        """Return the maps' common size and, as alphabet, integers that include all products."""
        shape = broadcast_shape(inputs)
        a, b = (f.alphabet for f in inputs)
        ends = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
        # (a.lo + i * a.step) * (b.lo + j * b.step) differs from a.lo * b.lo by multiples of these.
        parts = [
            a.lo * b.step * (b.levels > 1),
            b.lo * a.step * (a.levels > 1),
            a.step * b.step * (a.levels > 1) * (b.levels > 1),
        ]
        return Features(*shape, _every_value(min(ends), max(ends), int(np.gcd.reduce(parts))))

    def check(self, *inputs: Features) -> None:
        """Check that there are two maps, and the width of the products."""
        need(len(inputs) == 2, f"{len(inputs)} maps cannot be multiplied: two can")
        a, b = (max(abs(f.alphabet.lo), abs(f.alphabet.hi)) for f in inputs)
        need(a * b < 1 << MAX_BITS, f"its products could take more than {MAX_BITS} bits")


@dataclass(frozen=True, eq=False)
class Maximum(Join):
    """The greatest, or the least, of the maps' values, each times an integer.

    Parameters
    ----------
    multiply : int64 array [inputs, 1 or channels]
        Factor of each map, for all channels or for each of them; it may be negative.
    minimum : bool
        Whether the least value is taken.
    """

    multiply: Ints
    minimum: bool = False
    kind: ClassVar[str] = "maximum"

    def output(self, *inputs: Features) -> Features:
        """Return the maps' common size and, as alphabet, integers that include all values."""
        shape = broadcast_shape(inputs)
        if len(self.multiply) != len(inputs):
            raise ValueError(f"{len(self.multiply)} factors do not fit {len(inputs)} maps")
        lo, hi, step = _scaled(self.multiply, inputs)
        least = np.minimum if self.minimum else np.maximum
        step = int(np.gcd.reduce(np.append((lo - lo[0, 0]).ravel(), step)))
        # The alphabet begins at a value that has the others' distance from it.
        low, high = int(least.reduce(lo).min()), int(least.reduce(hi).max())
        return Features(*shape, _every_value(low, high, step))

    def check(self, *inputs: Features) -> None:
        """Check the factors and the width of the values."""
        _check_number(inputs)
        _check_factors(self.multiply, inputs)
        need(type(self.minimum) is bool, "its field minimum is not a bool")
        _check_products(magnitude(self.multiply), inputs)


@dataclass(frozen=True, eq=False)
class Concat(Join):
    """Maps side by side.

    Parameters
    ----------
    axis : int
        0 for rows, 1 for columns, 2 for channels; the maps have the same size along the others.
    """

    axis: int
    kind: ClassVar[str] = "concat"

    def output(self, *inputs: Features) -> Features:
        """Return the joined size and the smallest alphabet that holds those of all maps."""
        sizes = [list(f.shape) for f in inputs]
        total = sum(size.pop(self.axis) for size in sizes)
        if any(size != sizes[0] for size in sizes):
            shapes = [f.shape for f in inputs]
            raise ValueError(f"maps of {shapes} do not fit side by side along axis {self.axis}")
        height, width, channels = (
            total if k == self.axis else size for k, size in enumerate(inputs[0].shape)
        )
        return Features(height, width, channels, union([f.alphabet for f in inputs]))

    def check(self, *inputs: Features) -> None:
        """Check the axis and the number of maps."""
        _check_number(inputs)
        need(type(self.axis) is int and 0 <= self.axis <= 2, f"there is no axis {self.axis!r}")

    def depends(self, *alive: Mask) -> Mask:
        """Return what depends on the frame of all inputs, side by side."""
        return np.concatenate(alive, self.axis)


def union(alphabets: Sequence[Alphabet]) -> Alphabet:
    """Return the smallest alphabet that holds all values of several."""
    lo, hi = min(a.lo for a in alphabets), max(a.hi for a in alphabets)
    distances = [a.lo - lo for a in alphabets] + [a.step for a in alphabets if a.levels > 1]
    return _every_value(lo, hi, int(np.gcd.reduce(distances)))


@dataclass(frozen=True, eq=False)
class AllScores(Join):
    """The scores of several `Scores` layers, one layer after the other, as channels of one pixel.

    It is the last layer of a network with several outputs.
    """

    kind: ClassVar[str] = "all_scores"

    def output(self, *inputs: Features) -> Features:
        """Return one pixel with all scores, and the alphabet that holds all of them."""
        return Features(1, 1, sum(f.size for f in inputs), union([f.alphabet for f in inputs]))

    def check(self, *inputs: Features) -> None:
        """Check the number of maps."""
        _check_number(inputs)

    def depends(self, *alive: Mask) -> Mask:
        """Return which scores depend on the frame."""
        return np.concatenate([a.ravel() for a in alive]).reshape(1, 1, -1)
