"""A chain of float32 operations in integers: multiply, add, round to 24 significant bits.

A float32 value is an integer of at most 24 significant bits times a power of two. On a grid that is
fine enough for all values that a chain takes, each of its values is one integer; multiplying and
adding are then exact, and rounding is that of float32, half to even, at a place that follows from
the number of bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Ints
from xnorflow.ir.field_checks import integers, need

SIGNIFICANT = 24
"""Significant bits of a float32 value."""
MAX_SCORE_BITS = 62
"""No integer of a chain, between any two operations, has more bits, its sign aside."""
MAX_STEPS = 16
"""Most steps of a chain."""


@dataclass(frozen=True, eq=False)
class ScoreStep:
    """A step of the chain: ``rounded(value * multiply[class] + add[class]) >> shift``.

    Parameters
    ----------
    multiply, add : int64 array [classes]
        Constants of each class.
    shift : int
        Low bits that are dropped; they are 0 for all values that the network can reach.
    """

    multiply: Ints
    add: Ints
    shift: int


def rounded(values: NDArray[Any]) -> NDArray[Any]:
    """Round integers to 24 significant bits, ties to even, as float32 does.

    Parameters
    ----------
    values : int64 array, or object array of Python's integers
        Of at most `MAX_SCORE_BITS` bits.

    Examples
    --------
    >>> rounded(np.array([(1 << 24) + 1, (1 << 24) + 3, -(1 << 24) - 1])) - (1 << 24)
    array([        0,         4, -33554432])
    """
    magnitude = np.abs(values)
    dropped = sum(
        (magnitude >> (SIGNIFICANT + k)) > 0 for k in range(MAX_SCORE_BITS + 1 - SIGNIFICANT)
    )
    one = np.ones_like(values) << dropped
    half_less = (one >> 1) - (dropped > 0)
    odd = ((values >> dropped) & 1) * (dropped > 0)
    return np.asarray((values + half_less + odd) & -one)


def run(steps: Sequence[ScoreStep], values: NDArray[Any]) -> NDArray[Any]:
    """Run a chain on integers [..., classes]."""
    for step in steps:
        values = rounded(values * step.multiply + step.add) >> step.shift
    return values


@dataclass(frozen=True)
class StepRange:
    """Least and greatest integers of a step over all classes.

    Parameters
    ----------
    product, total, result : (int, int)
        Behind the multiplication, the addition, and the shift.
    """

    product: tuple[int, int]
    total: tuple[int, int]
    result: tuple[int, int]

    @property
    def bits(self) -> int:
        """Bits of the widest integer, its sign aside."""
        return max(abs(v) for pair in (self.product, self.total) for v in pair).bit_length()


def ranges(steps: Sequence[ScoreStep], low: NDArray[Any], high: NDArray[Any]) -> list[StepRange]:
    """Return what each step can reach from the integers low to high [classes].

    All of it is computed in Python's integers, so nothing wraps.
    """
    found = []
    ends = np.stack([low, high]).astype(object)
    for step in steps:
        product = np.sort(ends * step.multiply.astype(object), axis=0)
        total = product + step.add.astype(object)
        if max(int(abs(total).max()), int(abs(product).max())).bit_length() > MAX_SCORE_BITS:
            found.append(StepRange(_ends(product), _ends(total), _ends(total)))
            return found
        ends = rounded(total.astype(np.int64)).astype(object) >> step.shift
        found.append(StepRange(_ends(product), _ends(total), _ends(ends)))
    return found


def _ends(values: NDArray[Any]) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def check_steps(steps: object, classes: int, low: int, high: int) -> None:
    """Check the steps of a chain that may come from a file somebody else made.

    Parameters
    ----------
    steps : tuple of ScoreStep
        The chain.
    classes : int
        Number of classes.
    low, high : int
        Least and greatest value that enters.

    Raises
    ------
    ValueError
        If they are no steps for so many classes, or an integer could be too wide.
    """
    need(
        isinstance(steps, tuple)
        and len(steps) <= MAX_STEPS
        and all(isinstance(s, ScoreStep) for s in steps),
        "its steps are no chain",
    )
    assert isinstance(steps, tuple)
    for step in steps:
        for constants in (step.multiply, step.add):
            found = integers(constants, 1, "constants of a step")
            need(len(found) == classes, f"the constants of a step are not for {classes} classes")
        need(
            type(step.shift) is int and 0 <= step.shift <= MAX_SCORE_BITS,
            "a step's shift is out of range",
        )
    wide = max((r.bits for r in _joint(steps, classes, low, high)), default=0)
    need(wide <= MAX_SCORE_BITS, "a step reaches integers that are too wide")


def _joint(steps: Sequence[ScoreStep], classes: int, low: int, high: int) -> list[StepRange]:
    return ranges(steps, np.full(classes, low, object), np.full(classes, high, object))


def reached(steps: Sequence[ScoreStep], classes: int, low: int, high: int) -> tuple[int, int]:
    """Return the least and the greatest score, with the parameters of `check_steps`."""
    return _joint(steps, classes, low, high)[-1].result
