"""The comparison of two implementations' scores: labels, the order of all scores, and ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir

PAIRS = 1 << 23
"""Number of pairs of scores that are compared at a time."""
FEW = 256
"""Most scores of a frame that are compared pair by pair; more are sorted."""

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


def compare_orders(a: NDArray[Any], b: NDArray[Any], sizes: Sequence[int] = ()) -> Orders:
    """Compare the order of two arrays of scores [N, K], pair by pair.

    Scores are compared within each frame. For networks with a single score, those of all frames are
    compared with each other, and labels never differ.

    Parameters
    ----------
    a, b : array [N, K]
        Scores.
    sizes : sequence of int
        Number of scores of each output, whose scores are only compared with each other; all are of
        one output if it is empty.
    """
    if len(sizes) > 1:
        cuts = np.cumsum(sizes)[:-1]
        parts = [
            compare_orders(x, y)
            for x, y in zip(np.split(a, cuts, 1), np.split(b, cuts, 1), strict=True)
        ]
        order = np.any([p.order for p in parts], axis=0)
        against = np.any([p.reversed for p in parts], axis=0)
        return Orders(np.any([p.labels for p in parts], axis=0), order, order & ~against)
    n, k = a.shape
    if k > FEW:
        found = np.array([_sorted_orders(x, y) for x, y in zip(a, b, strict=True)]).reshape(-1, 2)
        order, against = found.T
        return Orders(a.argmax(1) != b.argmax(1), order, order & ~against)
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


def _sorted_orders(a: NDArray[Any], b: NDArray[Any]) -> tuple[bool, bool]:
    """Return whether any pair of scores [K] has another order, and whether the opposite one."""
    (_, ranks_a), (_, ranks_b) = (np.unique(s, return_inverse=True) for s in (a, b))
    if (ranks_a == ranks_b).all():
        return False, False
    by = np.lexsort([ranks_b, ranks_a])
    first = np.flatnonzero(np.diff(ranks_a[by], prepend=-1))
    least = np.minimum.reduceat(ranks_b[by], first)
    most = np.maximum.accumulate(np.maximum.reduceat(ranks_b[by], first))
    return True, bool((most[:-1] > least[1:]).any())


def _signs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int8]:
    """Return the sign of ``a - b`` without the subtraction, which could round to 0 or overflow."""
    return (a > b).astype(np.int8) - (a < b)


def hanging(scores: NDArray[Any], axis: int = 1) -> int:
    """Count the frames in which several classes share the highest score, in any pixel.

    Parameters
    ----------
    scores : array [N, K], or with more axes
        Scores.
    axis : int
        The axis of the classes.
    """
    tied = (scores == scores.max(axis, keepdims=True)).sum(axis) > 1
    return int(tied.reshape(len(scores), -1).any(1).sum())


def tied(net: ir.IntegerNetwork, scores: NDArray[Any]) -> int:
    """Count the frames in which a label of the file's first output depends on a tie.

    Parameters
    ----------
    net : IntegerNetwork
        The network.
    scores : int64 array [N, score_count]
        Scores in the golden model's order.
    """
    first = net.named[0]
    axis = net.class_axis(first)
    return 0 if axis is None else hanging(first.of(scores), axis)
