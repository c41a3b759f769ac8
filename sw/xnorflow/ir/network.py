"""The integer network that users hold: it can be called on samples, and it has a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Ints
from xnorflow.ir.encoding import to_arrays
from xnorflow.ir.layer_graph import LayerGraph


def labels(scores: NDArray[Any]) -> Ints:
    """Return the label of each frame.

    It is the class with the greatest score, the first of these if several are equal. With a single
    score it is 1 if the score is above 0, else 0.

    Parameters
    ----------
    scores : int64 array [frames, classes]
        Scores of a network.

    Returns
    -------
    int64 array [frames]
    """
    found = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.asarray(found, np.int64)


@dataclass(frozen=True, eq=False)
class IntegerNetwork(LayerGraph):
    """A trained network in integers only; calling it runs the golden model.

    It has the parameters of `LayerGraph`.
    """

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides a score, in hexadecimal."""
        h = hashlib.sha256()
        text, arrays = to_arrays(self)
        h.update(text.encode())
        for name in sorted(arrays):
            a = np.ascontiguousarray(arrays[name])
            h.update(f"{name} {a.dtype.str} {a.shape}".encode())
            h.update(a.tobytes())
        return h.hexdigest()

    def __call__(self, x: NDArray[Any]) -> Ints:
        """Compute the golden model's scores.

        Parameters
        ----------
        x : array [frames, ...]
            Samples of the network's kind (`samples`; uint8 by default) in any shape that
            `input_order` can read, such as [frames, height, width, channels] or [frames, n].

        Returns
        -------
        int64 array [frames, classes]
            The scores.

        Raises
        ------
        xnorflow.errors.BadInput
            If the type, the shape or a value of `x` does not fit the network.
        """
        # The one import of a higher room: users call a network, and the golden model computes it.
        from xnorflow_sim import golden

        return golden.run(self, x)
