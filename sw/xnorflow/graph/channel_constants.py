"""The constants of elementwise operations that have one entry per channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.ops import Elementwise

Change = Callable[[NDArray[Any]], NDArray[Any]]


def per_channel(op: Elementwise, change: Change) -> Elementwise:
    """Change each constant of `op` that has one entry per channel, along its first axis."""
    constants = {f.name: getattr(op, f.name) for f in fields(op)}
    changed: dict[str, Any] = {
        name: change(c)
        for name, c in constants.items()
        if isinstance(c, np.ndarray) and c.ndim and len(c) > 1
    }
    return replace(op, **changed)


def gathered(op: Elementwise, positions: NDArray[np.int64]) -> Elementwise | None:
    """Return `op` for other pixels and channels made of the features that it acted on.

    Parameters
    ----------
    op : Elementwise
        With constants for all, or per channel.
    positions : int64 array [pixels, channels]
        Which feature of the old frame, in row, column, channel order, each new one is.

    Returns
    -------
    Elementwise, or None where a constant would differ from pixel to pixel
    """
    same = True

    def gather(c: NDArray[Any]) -> NDArray[Any]:
        nonlocal same
        old = positions % len(c)
        if not (old == old[0]).all():
            rows = np.unique(c.reshape(len(c), -1), axis=0, return_inverse=True)[1].reshape(-1)
            labels = rows[old]
            same = same and bool((labels == labels[0]).all())
        return c[old[0]]

    made = per_channel(op, gather)
    return made if same else None
