"""Float32 values of a chain of elementwise operations, over all integers that can reach it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph.ops import Elementwise, Op
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints

CHUNK = 1 << 21
"""Values that are evaluated at a time."""

EXHAUSTIVE = 1 << 28
"""Values beyond which steps are found by bisection instead."""

MAX_LEVELS = 1 << 16
"""Most values of one channel that still count as quantised."""


def change(before: Floats, after: Floats) -> Ints:
    """Return +1, -1 or 0 where values rise, fall or stay, infinite ones too."""
    return (after > before).astype(np.int64) - (after < before)


@dataclass(frozen=True, eq=False)
class Reach:
    """Integers that can occur: ``lo, lo + step, ... hi`` in each channel.

    Parameters
    ----------
    lo, hi : int64 array [channels]
        Least and greatest.
    step : int
        At least 1, the same in all channels.
    """

    lo: Ints
    hi: Ints
    step: int = 1

    @property
    def rows(self) -> int:
        """Integers of the channel that has most."""
        return int((self.hi - self.lo).max()) // self.step + 1

    def integers(self, first: int, last: int) -> Ints:
        """Return rows `first` to `last` of all channels; one that has fewer repeats its hi."""
        rows = np.arange(first, last, dtype=np.int64)[:, None]
        return np.minimum(self.lo + self.step * rows, self.hi)

    def chunks(self) -> Iterator[Ints]:
        """Return all integers in pieces; the last row of each piece is the next one's first."""
        size = max(2, CHUNK // len(self.lo))
        for first in range(0, max(1, self.rows - 1), size - 1):
            yield self.integers(first, min(first + size, self.rows))


@dataclass(frozen=True, eq=False)
class Expression:
    """A float32 value as a function of an integer: ``ops`` applied to ``integer * unit``.

    The product is exact (float64) and rounded once to float32.

    Parameters
    ----------
    unit : float64 array, [] or [channels]
        At least 0.
    ops : tuple of Elementwise
        In order.
    """

    unit: NDArray[np.float64]
    ops: tuple[Elementwise, ...] = ()

    def start(self, integers: Ints) -> Floats:
        """Return the float32 values before the first operation."""
        return (integers * self.unit).astype(np.float32)

    def apply(self, x: Floats) -> Floats:
        """Run the operations alone, on float32 [..., channels].

        Raises
        ------
        UnsupportedModel
            Where one of them makes a NaN.
        """
        for op in self.ops:
            with np.errstate(all="ignore"):
                x = op.apply(x)
            if np.isnan(x).any():
                raise UnsupportedModel(
                    "it yields NaN for values that can reach it.",
                    node=op.node,
                    op=op.op,
                    hint="parameters that keep all values finite.",
                )
        return self._float32(x)

    def _float32(self, x: NDArray[Any]) -> Floats:
        """Return values of any element type as float32, without rounding them."""
        if x.dtype == np.float32:
            return x
        floats = x.astype(np.float32)
        if (floats.astype(x.dtype) != x).any():
            raise UnsupportedModel(
                f"it gives {x.dtype} values that float32 cannot hold.",
                node=self.ops[-1].node,
                op=self.ops[-1].op,
                hint="a network in float32.",
            )
        return floats

    @property
    def monotone(self) -> bool:
        """Whether it rises or falls throughout in every channel, as its operations tell."""
        return all(op.monotone for op in self.ops)

    def __call__(self, integers: Ints) -> Floats:
        """Evaluate for int64 [..., channels]."""
        return self.apply(self.start(integers))

    def select(self, channels: Ints) -> Expression:
        """Take the given channels only, in that order; they may repeat."""
        unit = self.unit[channels] if self.unit.ndim else self.unit
        return Expression(unit, tuple(op.mapped(lambda c: c[channels]) for op in self.ops))

    def direction(self, reach: Reach) -> Ints:
        """Return +1, -1 or 0 per channel for a value that rises, falls or stays over `reach`.

        Right only where the expression is monotone.
        """
        return change(self(reach.lo), self(reach.hi))


@dataclass(frozen=True, eq=False)
class Steps:
    """A staircase per channel: where its value changes, and to what.

    Parameters
    ----------
    first : float32 array [channels]
        Value at the channel's least integer.
    channel, at : int64 array [steps]
        The first integer with the new value; sorted by channel, then integer.
    before, after : float32 array [steps]
        Value just below `at`, and from `at` on.
    """

    first: Floats
    channel: Ints
    at: Ints
    before: Floats
    after: Floats

    @property
    def values(self) -> Floats:
        """All values taken, float32 [n]."""
        return np.unique(np.concatenate([self.first, self.after]))

    @property
    def direction(self) -> Ints:
        """+1, -1 or 0 per channel for a staircase that rises, falls or is flat."""
        out = np.zeros(len(self.first), np.int64)
        out[self.channel] = np.where(self.after > self.before, 1, -1)
        return out

    @property
    def monotone(self) -> bool:
        """Whether each channel only rises or only falls."""
        rises = np.where(self.after > self.before, 1, -1)
        return bool((rises == self.direction[self.channel]).all())


def steps(expression: Expression, reach: Reach, where: Op) -> Steps:
    """Find every change of value over all reachable integers.

    Parameters
    ----------
    where : Op
        Named in errors.

    Raises
    ------
    UnsupportedModel
        If a channel takes more than `MAX_LEVELS` values, or is not known to be monotone and has
        too many integers to try them all.
    """
    every = reach.rows * len(reach.lo) <= EXHAUSTIVE
    if not every and not expression.monotone:
        raise UnsupportedModel(
            f"it neither rises nor falls throughout, and {reach.rows * len(reach.lo)} values can"
            " reach it.",
            node=where.node,
            op=where.op,
            hint="a function that rises or falls throughout, or a narrower layer before it.",
        )
    channel, at, before, after = (_exhaust if every else _bisect)(expression, reach, where)
    order = np.lexsort((at, channel))
    return Steps(
        expression(reach.lo[None])[0], channel[order], at[order], before[order], after[order]
    )


def monotone(expression: Expression, reach: Reach) -> bool:
    """Tell whether a value rises or falls throughout in every channel over `reach`."""
    if expression.monotone:
        return True
    if reach.rows * len(reach.lo) > EXHAUSTIVE:
        return False
    rises = np.zeros(len(reach.lo), bool)
    falls = np.zeros(len(reach.lo), bool)
    for integers in reach.chunks():
        values = expression(integers)
        rises |= (values[1:] > values[:-1]).any(0)
        falls |= (values[1:] < values[:-1]).any(0)
    return not (rises & falls).any()


_Found = tuple[Ints, Ints, Floats, Floats]


def _exhaust(expression: Expression, reach: Reach, where: Op) -> _Found:
    parts: list[_Found] = []
    count = np.zeros(len(reach.lo), np.int64)
    for integers in reach.chunks():
        values = expression(integers)
        row, channel = np.nonzero(values[1:] != values[:-1])
        parts.append(
            (
                channel,
                integers[row + 1, channel],
                values[row, channel],
                values[row + 1, channel],
            )
        )
        count += np.bincount(channel, minlength=len(count))
        _check_levels(int(count.max()), where)
    channel, at, before, after = (np.concatenate(p) for p in zip(*parts, strict=True))
    return channel, at, before, after


def _bisect(expression: Expression, reach: Reach, where: Op) -> _Found:
    """Halve each interval whose ends differ, down to neighbouring integers."""
    channel = np.arange(len(reach.lo), dtype=np.int64)
    low, high = np.zeros_like(channel), (reach.hi - reach.lo) // reach.step
    below, above = expression(reach.lo[None])[0], expression(reach.hi[None])[0]
    while True:
        differ = below != above
        channel, low, high, below, above = (a[differ] for a in (channel, low, high, below, above))
        _check_levels(int(np.bincount(channel, minlength=1).max()), where)
        wide = high - low > 1
        if not wide.any():
            return channel, reach.lo[channel] + reach.step * high, below, above
        middle = np.where(wide, (low + high) // 2, low)
        values = expression.select(channel)(reach.lo[channel] + reach.step * middle)
        channel = np.concatenate([channel, channel])
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        below, above = np.concatenate([below, values]), np.concatenate([values, above])


def _check_levels(count: int, where: Op) -> None:
    if count >= MAX_LEVELS:
        raise UnsupportedModel(
            f"its values are not quantised: a channel takes more than {MAX_LEVELS} of them.",
            node=where.node,
            op=where.op,
            hint="a quantiser (BipolarQuant, Quant, MultiThreshold, Sign) before the next layer.",
        )
