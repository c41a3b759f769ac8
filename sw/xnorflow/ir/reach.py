"""Finds what in a network does not depend on its input at all, by the geometry of its windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import Conv, Flatten, MaxPool, SumPool, Window


def _windows(x: NDArray[np.bool_], w: Window) -> NDArray[np.bool_]:
    """Tell of every window of `x`, [height, width, channels], whether a tap of it is true."""
    top, left, bottom, right = w.pads
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, w.extent, axis=(0, 1))
    view = view[:: w.stride[0], :: w.stride[1], :, :: w.dilation[0], :: w.dilation[1]]
    return np.asarray(view.any(axis=(3, 4)))


def reached(net: LayerGraph) -> NDArray[np.bool_]:
    """Tell which scores have a way to the input that is not all padding: bool [classes]."""
    alive: NDArray[np.bool_] = np.ones(net.shape, np.bool_)
    for layer, _, out in net:
        match layer:
            case Conv():
                alive = _windows(np.asarray(alive.any(axis=2, keepdims=True)), layer.window)
                alive = np.broadcast_to(alive, out.shape)
            case MaxPool() | SumPool():
                alive = _windows(alive, layer.window)
            case Flatten():
                alive = alive.reshape(out.shape)
    return alive.reshape(-1)


def verify_reached(net: LayerGraph) -> None:
    """Refuse a network with a score that padding alone decides.

    Its hardware would send that score without waiting for a frame.

    Raises
    ------
    UnsupportedModel
        Names the layer and the score.
    """
    alive = reached(net)
    if not alive.all():
        raise UnsupportedModel(
            f"score {int(np.argmin(alive))} does not depend on the input: every window on its way"
            " holds padding only",
            node=net.scores.name,
            op="Scores",
            hint="less padding, so that some input takes part in every score.",
        )
