"""The samples that fixed point is calibrated on: a user's own, or drawn ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.graph.ops import Graph
from xnorflow.ir.input_order import natural

DRAWN = 256
"""Samples that are drawn where a user gives none."""
SEED = 1


@dataclass(frozen=True, eq=False)
class Samples:
    """Frames in the order of the stream.

    Parameters
    ----------
    x : array [frames, height, width, channels]
        Samples before the network's input scale.
    drawn : bool
        Nobody gave them: they are random.
    """

    x: NDArray[Any]
    drawn: bool = False

    def values(self, graph: Graph) -> NDArray[np.float64]:
        """Return what the network's first operation reads, float64 of the same shape."""
        scale = graph.input_scale
        x = self.x.astype(np.float64)
        return x / scale.divisor if scale.divisor else x * scale.factor


def given(graph: Graph, x: NDArray[Any]) -> Samples:
    """Bring a user's samples into the order of the stream.

    Parameters
    ----------
    graph : Graph
        Network as the frontend read it.
    x : array [frames, ...]
        Samples as for calling the network.

    Raises
    ------
    BadInput
        If they are none, of another type or another shape.
    """
    x = np.asarray(x)
    if x.ndim < 2 or not len(x):
        raise BadInput(
            f"calibration data of shape {list(x.shape)} hold no frames: they need one axis for the"
            " frames and those of a sample"
        )
    wrong = ""
    if graph.takes_floats:
        wrong = "" if x.dtype.kind in "fiub" else "floats are needed"
        if not wrong and not np.isfinite(x.astype(np.float64)).all():
            wrong = "a sample is not a finite number"
    else:
        wrong = graph.samples.fits(x)
    if wrong:
        raise BadInput(f"calibration data of type {x.dtype} do not fit {graph.name}; {wrong}")
    order = natural(graph.shape) if graph.order is None else graph.order
    frames = order.frames(x, graph.shape)
    if not graph.takes_floats:
        a = graph.samples.alphabet
        frames = a.values(graph.samples.encode(frames))
    return Samples(frames)


def drawn(graph: Graph, count: int = DRAWN) -> Samples:
    """Draw samples: noise of every mean and contrast, or normal numbers for float samples."""
    rng = np.random.default_rng(SEED)
    shape = (count, *graph.shape)
    if graph.takes_floats:
        return Samples(rng.standard_normal(shape).astype(np.float32), drawn=True)
    a = graph.samples.alphabet
    middle = rng.random((count, 1, 1, 1))
    spread = rng.random((count, 1, 1, 1))
    # Half of them use the whole range, as data often do.
    spread[: count // 2], middle[: count // 2] = 1, 0.5
    noise = np.clip(middle + spread * (rng.random(shape) - 0.5), 0, 1)
    return Samples(a.values(np.rint(noise * (a.levels - 1)).astype(np.int64)), drawn=True)
