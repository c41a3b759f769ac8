"""Integer scores at a network's end, with exactly the order and the ties of the float scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph.ops import Op
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints
from xnorflow.lower import score_chain
from xnorflow.lower.evaluate import Expression, Reach, change
from xnorflow.lower.fixed_point import ASK
from xnorflow.lower.score_chain import ScoreChain

MAX_FACTOR = 1 << 12
"""Largest factor that is tried."""

MAX_VALUES = 1 << 26
"""Most scores, over all classes, that are computed."""

MAX_RANKS = 1 << 22
"""Most entries of a table of ranks."""

MAX_FLOATS = 1 << 20
"""Most entries of a table of float scores."""

SMALL_TABLE_BITS = 1 << 12
"""Most bits of a table of ranks that is smaller in hardware than a chain of operations."""

APART = (2.0**-10, 2.0**-20)
"""Least distances at which two classes' offsets count as different, as parts of a sum's unit."""


@dataclass(frozen=True, eq=False)
class ScoreTail:
    """The fields of an `xnorflow.ir.Scores` layer, and whether it takes negated accumulators.

    Parameters
    ----------
    offsets, ranks, rank_lo, floats, floats_lo
        As in `xnorflow.ir.Scores`.
    falls : bool
        Whether the accumulators have to be negated first; never with ranks or a chain.
    """

    offsets: Ints
    ranks: Ints | None = None
    rank_lo: Ints | None = None
    floats: Floats | None = None
    floats_lo: int = 0
    falls: bool = False
    factor: int = 1
    chain: ScoreChain | None = None


def find(expression: Expression, reach: Reach, where: Op) -> ScoreTail:
    """Return the simplest integer scores that have the order of all reachable float32 scores.

    It tries, in turn: the accumulators; the accumulators with an integer offset per class; a
    multiple of them with such offsets; where a table of ranks would not be small, the float32
    operations in integers; and ranks. Without ranks, a single score is above 0 exactly if its float
    is above its `cut`.

    Parameters
    ----------
    expression : Expression
        The float scores as a function of the accumulators.
    reach : Reach
        Accumulators that can occur.
    where : Op
        Operation that errors name.

    Raises
    ------
    UnsupportedModel
        If there are more than `MAX_VALUES` scores, or more than `MAX_RANKS` ranks.
    """
    classes = len(reach.lo)
    if reach.rows * classes > MAX_VALUES:
        raise _too_large(reach.rows * classes, where)
    integers = reach.integers(0, reach.rows)
    values = expression(integers)
    direction = change(values[0], values[-1])
    if not (direction > 0).any() or not (direction < 0).any():
        falls = bool((direction < 0).any())
        towards = -integers if falls else integers
        for factor, offsets in _affine_forms(towards, values):
            table = _table(factor * towards + offsets, values)
            if table is not None:
                low, floats = table
                kept = floats if len(floats) <= MAX_FLOATS else None
                if classes == 1:
                    # Shift the scores so that those up to 0 are the floats up to the cut.
                    first = 1 - int(np.searchsorted(floats, cut(values), side="right"))
                    offsets, low = offsets + (first - low), first
                return ScoreTail(offsets, floats=kept, floats_lo=low, falls=falls, factor=factor)
    if classes > 1 and _table_bits(reach) > SMALL_TABLE_BITS:
        chain = score_chain.find(expression, reach)
        if chain is not None:
            return ScoreTail(np.zeros(classes, np.int64), chain=chain)
    return _ranks(integers, values, reach, where)


def _table_bits(reach: Reach) -> int:
    """Return about how many bits a table of ranks takes, if all values are different."""
    width, classes = int((reach.hi - reach.lo).max()) + 1, len(reach.lo)
    return classes * width * (width * classes // reach.step).bit_length()


def _affine_forms(integers: Ints, values: Floats) -> Iterator[tuple[int, Ints]]:
    """Yield factors and offsets per class with which scores may be affine, simple ones first."""
    yield 1, np.zeros(integers.shape[1], np.int64)
    start = _starts(integers, values)
    if start is None:
        return
    # All relative to one class, so that a common fraction rounds alike.
    first = np.rint(start[0])
    yield 1, (first + np.rint(start - start[0])).astype(np.int64)
    for apart in APART:
        # What offsets lack to whole numbers only has to have an order.
        relative = start - start[0]
        whole = np.floor(relative + apart)
        order = np.sort(relative - whole)
        places = order[np.append(True, np.diff(order) > apart)]
        if len(places) > MAX_FACTOR:
            return
        rank = np.searchsorted(places, relative - whole, side="right") - 1
        yield len(places), (len(places) * (first + whole) + rank).astype(np.int64)


def cut(values: Floats) -> np.float32:
    """Return the float above which a single score means label 1.

    It is 0, or 0.5 if all values lie between 0 and 1, as probabilities do.
    """
    return np.float32(0.5 if values.min() >= 0 and values.max() <= 1 else 0)


def _starts(integers: Ints, values: Floats) -> NDArray[np.float64] | None:
    """Guess offsets, in units of a sum, from float scores as affine functions of one slope."""
    x, y = integers.astype(np.float64), values.astype(np.float64)
    span = x[-1] - x[0]
    widest = int(np.abs(span).argmax())
    factor = (y[-1] - y[0])[widest] / span[widest] if span[widest] else 0.0
    if factor == 0 or not np.isfinite(y).all():
        return None
    middle = len(x) // 2
    start = y[middle] / factor - x[middle]
    if np.abs(start).max() >= 1 << 24:
        start = start - start[0]
    return None if np.abs(start).max() >= 1 << 24 else start


def _table(scores: Ints, values: Floats) -> tuple[int, Floats] | None:
    """Return the least integer score, and the float of each score from there on.

    Returns None if the float is not a strictly rising function of the integer score.
    """
    low = int(scores.min())
    size = int(scores.max()) - low + 1
    if size > MAX_VALUES:
        return None
    floats = np.zeros(size, np.float32)
    known = np.zeros(size, bool)
    floats[(scores - low).ravel()] = values.ravel()
    known[(scores - low).ravel()] = True
    if (floats[scores - low] != values).any() or (np.diff(floats[known]) <= 0).any():
        return None
    # Unreachable scores get the float of the next reachable score below.
    return low, floats[np.maximum.accumulate(np.where(known, np.arange(size), 0))]


def _ranks(integers: Ints, values: Floats, reach: Reach, where: Op) -> ScoreTail:
    width = int((reach.hi - reach.lo).max()) + 1
    classes = len(reach.lo)
    if width * classes > MAX_RANKS:
        raise _too_large(width * classes, where)
    floats, inverse = np.unique(values, return_inverse=True)
    ranks = np.repeat(inverse.reshape(values.shape), reach.step, axis=0)[:width].T
    beyond = np.arange(width) > (reach.hi - reach.lo)[:, None]
    return ScoreTail(
        np.zeros(classes, np.int64),
        np.where(beyond, -1, ranks).astype(np.int64),
        reach.lo.copy(),
        floats if len(floats) <= MAX_FLOATS else None,
    )


def _too_large(count: int, where: Op) -> UnsupportedModel:
    return UnsupportedModel(
        f"its scores need a table of {count} entries, which is too large.",
        node=where.node,
        op=where.op,
        hint=f"one scale for all classes after the last layer, a narrower last layer, or {ASK}.",
    )
