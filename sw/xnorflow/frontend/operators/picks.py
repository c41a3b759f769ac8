"""Features that are a regular pick from a frame, such as space to depth, crops, every second row.

A convolution with weights of 0 and 1 copies them into the order that a node needs; lowering folds
it into the layer after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from math import prod

import numpy as np

from xnorflow.frontend.arrangement import Moves, strided
from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import LayerHandler, Result
from xnorflow.frontend.values import Activation, LayoutError, Value, channels_first
from xnorflow.graph import ops


def also_picked(handler: LayerHandler) -> LayerHandler:
    """Return a handler of convolutions or pools that reads regular picks as well."""

    @wraps(handler)
    def picking(node: Node, inputs: Sequence[Value | None]) -> Result:
        try:
            return handler(node, inputs)
        except LayoutError:
            x = inputs[0]
            if not isinstance(x, Activation):
                raise
            # The host can put samples into any order, without a layer.
            layers = None if x.raw else pick(node, x)
            if layers is None:
                raise
        frame = (x.index.shape[2], x.index.shape[3], x.index.shape[1])
        picked = Activation(frame, channels_first(frame), low=x.low, dtype=x.dtype)
        result, behind = handler(node, [picked, *inputs[1:]])
        return result, (*layers, *behind)

    return picking


def pick(node: Node, x: Activation) -> Moves | None:
    """Return what picks features [1, channels, rows, columns]; None if nothing does.

    That is a flattening if they are in the order of the frame, or else a convolution.
    """
    if x.index.ndim != 4 or len(x.index) != 1 or x.padded:
        return None
    wanted = x.index[0].transpose(1, 2, 0)
    if wanted.shape[:2] == (1, 1) and np.array_equal(wanted[0, 0], np.arange(prod(x.frame))):
        return (ops.FlattenOp(node=node.name, op=node.op),)
    return strided(node, x.frame, wanted)
