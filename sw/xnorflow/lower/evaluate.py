"""The float32 values of a chain of elementwise operations, over all integers that can reach it.

`Reach` says which integers can occur, an `Expression` turns them into float32 values, and `steps`
finds the integers at which the value changes, which a layer can use as thresholds.
"""

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
"""Number of values that are evaluated at a time."""

EXHAUSTIVE = 1 << 28
"""Most values that are all evaluated; with more, steps are found by bisection."""

FEW = 1 << 18
"""Most values of an expression that is known to be monotone that are all evaluated."""

MAX_LEVELS = 1 << 16
"""Most values of one channel that still count as quantised."""


def change(before: Floats, after: Floats) -> Ints:
    """Return +1 where `after` is greater than `before`, -1 where it is less, and 0 elsewhere.

    There is no subtraction, so infinite values may be compared.
    """
    return (after > before).astype(np.int64) - (after < before)


@dataclass(frozen=True, eq=False)
class Reach:
    """The integers that can occur in each channel: ``lo, lo + step, ... hi``.

    Parameters
    ----------
    lo, hi : int64 array [channels]
        Least and greatest integer.
    step : int
        Difference of neighbouring integers in all channels, at least 1.
    """

    lo: Ints
    hi: Ints
    step: int = 1

    @property
    def rows(self) -> int:
        """Number of integers in the channel that has most."""
        return int((self.hi - self.lo).max()) // self.step + 1

    def integers(self, first: int, last: int) -> Ints:
        """Return integers number `first` to `last - 1` of each channel, [last - first, channels].

        A channel that has fewer repeats its greatest.
        """
        rows = np.arange(first, last, dtype=np.int64)[:, None]
        return np.minimum(self.lo + self.step * rows, self.hi)

    def chunks(self) -> Iterator[Ints]:
        """Yield all integers in pieces [rows, channels]; consecutive pieces share one row."""
        size = max(2, CHUNK // len(self.lo))
        for first in range(0, max(1, self.rows - 1), size - 1):
            yield self.integers(first, min(first + size, self.rows))


@dataclass(frozen=True, eq=False)
class Expression:
    """A float32 value as a function of an integer: `ops` applied to ``integer * unit``.

    The product is computed in float64 and rounded once to float32.

    Parameters
    ----------
    unit : float64 array, [] or [channels]
        Float value of the integer 1, at least 0.
    ops : tuple of Elementwise
        Operations in order of execution.
    """

    unit: NDArray[np.float64]
    ops: tuple[Elementwise, ...] = ()

    def start(self, integers: Ints) -> Floats:
        """Return the float32 values of int64 [..., channels] before the first operation."""
        return (integers * self.unit).astype(np.float32)

    def apply(self, x: Floats) -> Floats:
        """Compute the result of the operations for float32 values [..., channels].

        Raises
        ------
        UnsupportedModel
            If an operation makes a NaN, or the last one makes values that float32 cannot hold.
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
        """Whether it is known to be monotone in every channel, from the kinds of its operations."""
        return all(op.monotone for op in self.ops)

    def __call__(self, integers: Ints) -> Floats:
        """Compute the float32 values of integers, int64 [..., channels]."""
        return self.apply(self.start(integers))

    def select(self, channels: Ints) -> Expression:
        """Return the expression for the given channels, in that order; they may repeat."""
        unit = self.unit[channels] if self.unit.ndim else self.unit
        return Expression(unit, tuple(op.mapped(lambda c: c[channels]) for op in self.ops))

    def direction(self, reach: Reach) -> Ints:
        """Return +1, -1 or 0 for each channel whose value rises, falls or stays over `reach`.

        The result is meaningful only if the expression is monotone.
        """
        return change(self(reach.lo), self(reach.hi))


@dataclass(frozen=True, eq=False)
class Steps:
    """A step function of each channel: the integers at which its value changes, and the values.

    Parameters
    ----------
    first : float32 array [channels]
        Value at the channel's least integer.
    channel, at : int64 array [steps]
        Channel of each step, and the first integer with the new value; sorted by channel, then by
        integer.
    before, after : float32 array [steps]
        Value just below `at`, and value from `at` on.
    """

    first: Floats
    channel: Ints
    at: Ints
    before: Floats
    after: Floats

    @property
    def values(self) -> Floats:
        """All values that occur in any channel, float32 [n], ascending."""
        return np.unique(np.concatenate([self.first, self.after]))

    @property
    def direction(self) -> Ints:
        """+1, -1 or 0 for each channel that rises, falls or is constant, if it is monotone."""
        out = np.zeros(len(self.first), np.int64)
        out[self.channel] = np.where(self.after > self.before, 1, -1)
        return out

    @property
    def monotone(self) -> bool:
        """Whether each channel only rises, or only falls."""
        rises = np.where(self.after > self.before, 1, -1)
        return bool((rises == self.direction[self.channel]).all())


def steps(expression: Expression, reach: Reach, where: Op) -> Steps:
    """Return every change of an expression's value over all reachable integers.

    All values are computed if there are at most `EXHAUSTIVE`, or `FEW` if the expression is known
    to be monotone; otherwise its changes are found by bisection.

    Parameters
    ----------
    expression : Expression
        The function.
    reach : Reach
        The integers that can occur.
    where : Op
        Operation that errors name.

    Raises
    ------
    UnsupportedModel
        If a channel takes more than `MAX_LEVELS` values, or if the expression is not known to be
        monotone and has more than `EXHAUSTIVE` values.
    """
    count = reach.rows * len(reach.lo)
    every = count <= min(EXHAUSTIVE, FEW if expression.monotone else EXHAUSTIVE)
    if not every and not expression.monotone:
        raise UnsupportedModel(
            f"it neither rises nor falls throughout, and {count} values can reach it, of which at"
            f" most {EXHAUSTIVE} can be tried.",
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
    """Return whether an expression is monotone in every channel over `reach`.

    False if this is not known, and there are too many values to compute them all.
    """
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
"""`channel`, `at`, `before` and `after` of `Steps`, in any order of the steps."""


def _exhaust(expression: Expression, reach: Reach, where: Op) -> _Found:
    """Find the steps by computing all values."""
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
    """Find the steps of a monotone expression by bisection, for all channels at once.

    An interval whose ends have different values is halved until its ends are neighbours.
    """
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
