"""Integer scores at a network's end, with exactly the order and the ties of the float scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.graph.ops import Op
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints
from xnorflow.lower.evaluate import Expression, Reach, change

MAX_VALUES = 1 << 26
"""Most scores, over all classes, that are computed."""

MAX_RANKS = 1 << 22
"""Most entries of a table of ranks."""

MAX_FLOATS = 1 << 20
"""Most entries of a table of float scores."""


@dataclass(frozen=True, eq=False)
class ScoreTail:
    """The fields of an `xnorflow.ir.Scores` layer, and whether it takes negated accumulators.

    Parameters
    ----------
    offsets, ranks, rank_lo, floats, floats_lo
        As in `xnorflow.ir.Scores`.
    falls : bool
        Whether the accumulators have to be negated first; never with ranks.
    """

    offsets: Ints
    ranks: Ints | None = None
    rank_lo: Ints | None = None
    floats: Floats | None = None
    floats_lo: int = 0
    falls: bool = False


def find(expression: Expression, reach: Reach, where: Op) -> ScoreTail:
    """Return the simplest integer scores that have the order of all reachable float32 scores.

    It tries the accumulators, then the accumulators with an integer offset per class, then ranks.
    Without ranks, a single score is above 0 exactly if its float is above its `cut`.

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
        for offsets in (np.zeros(classes, np.int64), _estimate(towards, values)):
            table = _table(towards + offsets, values) if offsets is not None else None
            if offsets is not None and table is not None:
                low, floats = table
                kept = floats if len(floats) <= MAX_FLOATS else None
                if classes == 1:
                    # Shift the scores so that those up to 0 are the floats up to the cut.
                    first = 1 - int(np.searchsorted(floats, cut(values), side="right"))
                    offsets, low = offsets + (first - low), first
                return ScoreTail(offsets, floats=kept, floats_lo=low, falls=falls)
    return _ranks(integers, values, reach, where)


def cut(values: Floats) -> np.float32:
    """Return the float above which a single score means label 1.

    It is 0, or 0.5 if all values lie between 0 and 1, as probabilities do.
    """
    return np.float32(0.5 if values.min() >= 0 and values.max() <= 1 else 0)


def _estimate(integers: Ints, values: Floats) -> Ints | None:
    """Estimate integer offsets, as if the scores were affine functions with a common factor.

    Returns None if there is no factor, or if an offset would be too large. `_table` has to check
    the result.
    """
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
    if np.abs(start).max() >= 1 << 24:
        return None
    # Round relative to one class, so that a fraction that all offsets share rounds in one way.
    first = np.rint(start[0])
    return (first + np.rint(start - start[0])).astype(np.int64)


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
        hint="one scale for all classes after the last layer, or a narrower last layer.",
    )
