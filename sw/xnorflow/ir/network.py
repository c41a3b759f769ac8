"""The integer network as users hold it: layers that can be called and that have a digest."""

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

    It is the class of the greatest score, the first of equal ones; a single score means label 1
    where it is above 0, else label 0.

    Parameters
    ----------
    scores : int64 array [frames, classes]
        The scores.
    """
    found = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.asarray(found, np.int64)


@dataclass(frozen=True, eq=False)
class IntegerNetwork(LayerGraph):
    """A trained network in integers only; calling it runs the golden model.

    Its parameters are those of `LayerGraph`.
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
        x : uint8 array [frames, height, width, channels], [frames, height, width] or [frames, n]
            Raw samples; the latter two where the shapes allow it.

        Returns
        -------
        int64 array [frames, classes]
            The scores.

        Raises
        ------
        xnorflow.errors.BadInput
            If `x` is not uint8 or has another shape.
        """
        # The one import upwards: users call a network, and the golden model says what that means.
        from xnorflow_sim import golden

        return golden.run(self, x)
