"""Outputs of the imported file, which are parts of a frame's scores in a shape of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Ints


@dataclass(frozen=True, eq=False)
class Output:
    """An output of the imported file.

    Parameters
    ----------
    name : str
        Its name in the file.
    shape : tuple of int
        Its shape without the axis of frames.
    gather : int64 array [elements]
        Index among a frame's scores of each element, in the order of the output's own shape.
    """

    name: str
    shape: tuple[int, ...]
    gather: Ints

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def of(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the output [frames, *shape] of scores [frames, score_count], of any dtype."""
        return np.asarray(scores)[:, self.gather].reshape(len(scores), *self.shape)
