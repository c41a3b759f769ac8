"""Constants with which a float32 value is ``factor * integer + offset`` in each channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints
from xnorflow.lower.common_scale import ROUNDING
from xnorflow.lower.evaluate import Expression, Reach
from xnorflow.lower.fixed_point import affine
from xnorflow.lower.pending import MAX_THRESHOLDS

Doubles = NDArray[np.float64]
SAMPLED = 1 << 12
"""Integers per channel that are tried where all would be too many."""
TOLERANCE = 8 * ROUNDING
"""Greatest difference, relative to the terms, that counts as rounding of float32."""


@dataclass(frozen=True, eq=False)
class AffineForm:
    """A value as ``factor * integer + offset``.

    Parameters
    ----------
    factor, offset : float64 array [channels]
        Constants.
    exact : bool
        Whether float32 gives just that for all integers.
    error : float64 array [channels]
        Greatest difference seen.
    """

    factor: Doubles
    offset: Doubles
    exact: bool
    error: Doubles


def find(expression: Expression, reach: Reach) -> AffineForm | None:
    """Find the affine form of an expression; None if it is not affine but for rounding.

    Parameters
    ----------
    expression : Expression
        Float32 value of an integer.
    reach : Reach
        Integers that can occur; if they are very many, some of them are tried.
    """
    channels = len(reach.lo)
    if not expression.ops:
        return AffineForm(
            np.broadcast_to(expression.unit, channels).astype(np.float64),
            np.zeros(channels),
            True,
            np.zeros(channels),
        )
    found = []
    for factor, offset in _candidates(expression, reach):
        form = _tried(factor, offset, expression, reach)
        if form is not None and form.exact:
            return form
        found.append(form)
    return next((form for form in found if form is not None), None)


def _candidates(expression: Expression, reach: Reach) -> Iterator[tuple[Doubles, Doubles]]:
    """Yield guesses of factors and offsets."""
    channels = len(reach.lo)
    value = affine(expression.ops)
    if value is not None and not value.clips:
        yield (
            np.broadcast_to(value.factor * expression.unit, channels).astype(np.float64),
            np.broadcast_to(value.offset, channels).astype(np.float64),
        )
    span = (reach.hi - reach.lo).astype(np.float64)
    low, high = (expression(end).astype(np.float64) for end in (reach.lo, reach.hi))
    factor = np.where(span > 0, (high - low) / np.where(span > 0, span, 1), 0.0)
    yield factor, low - factor * reach.lo


def _tried(
    factor: Doubles, offset: Doubles, expression: Expression, reach: Reach
) -> AffineForm | None:
    """Return the form with these constants; None if they do not give the values.

    All integers are tried where float32 gives just that for some.
    """
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        return None
    error = np.zeros(len(reach.lo))
    for integers in _integers(reach):
        products = factor * integers
        off = np.abs(expression(integers) - (products + offset))
        if (off > TOLERANCE * (np.abs(products) + np.abs(offset))).any():
            return None
        error = np.maximum(error, off.max(0))
        if error.any():
            break
    return AffineForm(factor, offset, not error.any(), error)


def _integers(reach: Reach) -> Iterator[Ints]:
    """Yield many integers, among them the ends, and then all, unless they are very many."""
    if reach.rows > SAMPLED:
        rows = np.random.default_rng(0).integers(0, reach.rows, SAMPLED)
        ends = np.arange(SAMPLED // 4)
        picked = np.unique(np.concatenate([rows, ends, reach.rows - 1 - ends]))
        yield np.minimum(reach.lo + reach.step * picked[:, None], reach.hi)
    if reach.rows * len(reach.lo) <= MAX_THRESHOLDS:
        yield from reach.chunks()
