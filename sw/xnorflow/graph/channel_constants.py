"""What becomes of the constants of elementwise operations when channels are put together anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.ops import Elementwise


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

    made = op.mapped(gather)
    return made if same else None
