"""Features that are a regular pick from a frame, such as space to depth, crops, every second row.

A convolution with weights of 0 and 1 copies them into the order that a node needs; lowering folds
it into the layer after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps

import numpy as np

from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import Handler, Result
from xnorflow.frontend.values import Activation, LayoutError, Value, channels_first
from xnorflow.graph import ops
from xnorflow.ir import Ints, Window


def also_picked(handler: Handler) -> Handler:
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
            layer = None if x.raw else pick(node, x)
            if layer is None:
                raise
        frame = (x.index.shape[2], x.index.shape[3], x.index.shape[1])
        picked = Activation(frame, channels_first(frame), low=x.low, dtype=x.dtype)
        result, behind = handler(node, [picked, *inputs[1:]])
        return result, (layer, *behind)

    return picking


def pick(node: Node, x: Activation) -> ops.ConvOp | None:
    """Build the convolution that picks features [1, channels, height, width]; None if irregular.

    In a regular pick, the row and the column of each feature in the frame are an offset of its
    channel plus a common stride times its own row and column.
    """
    if x.index.ndim != 4 or len(x.index) != 1 or x.padded:
        return None
    height, width, channels = x.frame
    found = x.index[0]
    start, stride, kernel = [], [], []
    axes = ((found // channels // width, 1, height), (found // channels % width, 2, width))
    for at, axis, size in axes:
        first = np.take(at, [0], axis)
        count = found.shape[axis]
        step = int((np.take(at, [1], axis) - first).ravel()[0]) if count > 1 else size
        shape = [-1 if a == axis else 1 for a in range(3)]
        regular = first[:, :1, :1] + step * np.arange(count).reshape(shape)
        if step < 1 or not (at == regular).all():
            return None
        start.append(first[:, 0, 0])
        stride.append(step)
        kernel.append(size - step * (count - 1))
    channel = (found % channels)[:, 0, 0]
    if not (found % channels == channel[:, None, None]).all():
        return None
    deep = (len(found), kernel[0], kernel[1], channels)
    elements(deep, MAX_WEIGHTS, what="its pick of features", node=node.name, op=node.op)
    weights: Ints = np.zeros(deep, np.int64)
    weights[np.arange(len(found)), start[0], start[1], channel] = 1
    window = Window((kernel[0], kernel[1]), (stride[0], stride[1]))
    return ops.ConvOp(weights, np.ones((), np.float32), window, node=node.name, op=node.op)
