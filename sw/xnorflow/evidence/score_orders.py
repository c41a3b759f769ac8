"""The comparison of two implementations' scores: labels, the order of all scores, and ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS = 1 << 23
"""Number of pairs of scores that are compared at a time."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Orders:
    """The differences between two implementations' scores, frame by frame.

    Parameters
    ----------
    labels : bool array [N]
        Frames whose highest scores, the first of equal ones, are of different classes.
    order : bool array [N]
        Frames in which some pair of scores has a different order.
    ties : bool array [N]
        Frames of `order` in which all such pairs are equal in one of the implementations.
    """

    labels: Flags
    order: Flags
    ties: Flags

    @property
    def reversed(self) -> Flags:
        """Frames with a pair of scores that the implementations put in opposite order, bool [N]."""
        return self.order & ~self.ties


def compare_orders(a: NDArray[Any], b: NDArray[Any]) -> Orders:
    """Compare the order of two arrays of scores [N, K], pair by pair.

    Scores are compared within each frame. For networks with a single score, those of all frames are
    compared with each other, and labels never differ.
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
    """Return the sign of ``a - b`` without the subtraction, which could round to 0 or overflow."""
    return (a > b).astype(np.int8) - (a < b)


def hanging(scores: NDArray[Any]) -> int:
    """Count the frames in which several classes share the highest score [N, K]."""
    return int(((scores == scores.max(1, keepdims=True)).sum(1) > 1).sum())
