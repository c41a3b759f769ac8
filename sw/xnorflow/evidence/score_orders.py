"""Compares scores of two implementations: labels, the order of all scores, ties among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS = 1 << 23
"""Pairs of scores that are compared at a time."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Orders:
    """What differs between two implementations, frame by frame; all are bool [N].

    Parameters
    ----------
    labels : bool array
        Their highest scores are of different classes, the first of equal ones.
    order : bool array
        They order some pair of scores differently.
    ties : bool array
        They do, but only pairs that one of the two holds equal.
    """

    labels: Flags
    order: Flags
    ties: Flags

    @property
    def reversed(self) -> Flags:
        """Frames that have a pair which each of the two orders, one against the other."""
        return self.order & ~self.ties


def compare_orders(a: NDArray[Any], b: NDArray[Any]) -> Orders:
    """Compare the order of scores [N, K] pair by pair.

    Networks of a single score have no labels; there the scores of all frames are ordered.
    """
    n, k = a.shape
    order, against = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    if k == 1:
        others = (a.T, b.T)
        step = max(1, PAIRS // n)
    else:
        others = None
        step = max(1, PAIRS // (k * k))
    for first in range(0, n, step):
        part = slice(first, first + step)
        if others is None:
            signs = [_signs(s[part, :, None], s[part, None]) for s in (a, b)]
        else:
            signs = [_signs(s[part], o) for s, o in zip((a, b), others, strict=True)]
        differ = signs[0] != signs[1]
        axes = tuple(range(1, differ.ndim))
        order[part] = differ.any(axes)
        against[part] = (differ & (signs[0] != 0) & (signs[1] != 0)).any(axes)
    return Orders(a.argmax(1) != b.argmax(1), order, order & ~against)


def _signs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int8]:
    """Compare with no difference taken, which could round to 0 or overflow."""
    return (a > b).astype(np.int8) - (a < b)


def hanging(scores: NDArray[Any]) -> int:
    """Count the frames whose label hangs on a tie: several classes have the highest score."""
    return int(((scores == scores.max(1, keepdims=True)).sum(1) > 1).sum())
