"""The constants of elementwise operations when features are regrouped into other channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.ops import Elementwise


def gathered(op: Elementwise, positions: NDArray[np.int64]) -> Elementwise | None:
    """Return `op` for a frame whose pixels and channels are regrouped features of the old frame.

    Parameters
    ----------
    op : Elementwise
        Operation with constants for all channels or per channel.
    positions : int64 array [pixels, channels]
        Position of each new feature in the old frame, in row, column, channel order.

    Returns
    -------
    Elementwise or None
        None if a constant would differ from pixel to pixel.
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

    made = op.mapped(gather)
    return made if same else None
