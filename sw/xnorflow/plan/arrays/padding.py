"""Compute what padding that is no value of the alphabet adds to sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.plan.reductions import Reduction
from xnorflow_hw.spec import geometry


def _padded_taps(reduction: Reduction) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which kernel taps fall on padding in each border class, for rows and for columns.

    Each of the two results is a bool array [classes, kernel].
    """
    w, inp = reduction.layer.window, reduction.inp
    out = (reduction.out.height, reduction.out.width)
    size = (inp.height, inp.width)
    axes = []
    for axis in (0, 1):
        _, patterns = geometry.border_classes(
            size[axis], w.kernel[axis], w.stride[axis], w.dilation[axis], w.pads[axis], out[axis]
        )
        axes.append(np.array(patterns, bool).reshape(-1, w.kernel[axis]))
    return axes[0], axes[1]


def at_padding(reduction: Reduction) -> ir.Ints:
    """Return what padding adds that is no value of the alphabet: [classes, channels].

    Where the padding is a value of the alphabet there is a single class, with zeros.
    """
    layer, inp = reduction.layer, reduction.inp
    assert isinstance(layer, ir.Conv | ir.Gather)
    if reduction.pad_code() is not None:
        return np.zeros((1, reduction.out_channels), np.int64)
    rows, cols = _padded_taps(reduction)
    padded = rows[:, None, :, None] | cols[None, :, None, :]
    padded = padded.reshape(-1, *layer.window.kernel)
    if isinstance(layer, ir.Gather):
        signs = np.where(layer.negative, -layer.tables, layer.tables)
        taps = np.broadcast_to(signs[:, None, None], layer.indices.shape[:3])
    else:
        taps = layer.weights.sum(3)
    at_pad = np.einsum("kyx,oyx->ko", padded.astype(np.int64), taps)
    return np.asarray((layer.pad_value - inp.alphabet.lo) * at_pad, np.int64)
