"""Sums along axes: of pixels, of channels or of any features, as layers with weights of 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, Value
from xnorflow.frontend.windows import axes_of
from xnorflow.graph import ops
from xnorflow.ir import Ints, Window

ONE = np.ones((), np.float32)


def reduced_axes(node: Node, inputs: Sequence[Value | None], rank: int) -> list[int]:
    """Give the axes of a reduction, an attribute or an input; none given means all.

    With `noop_with_empty_axes`, none given means none.
    """
    axes: NDArray[Any] | None = None
    if len(inputs) > 1 and inputs[1] is not None:
        if not isinstance(inputs[1], Constant):
            raise node.unsupported("its axes depend on the input.", "constant axes.")
        axes = inputs[1].value
    listed = node.integers("axes") if axes is None else tuple(int(a) for a in axes.ravel())
    if listed:
        return axes_of(node, listed, rank)
    return [] if node.integer("noop_with_empty_axes", 0) else list(range(rank))


@handles("ReduceSum", attributes="axes keepdims noop_with_empty_axes", inputs=(1, 2))
def reduce_sum(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a sum."""
    x = activation(node, inputs[0])
    axes = reduced_axes(node, inputs, x.index.ndim)
    if not axes:
        return x, ()
    if x.padded:
        raise node.unsupported("its input is padded.", "padding before a convolution or pool.")
    kept = [n for a, n in enumerate(x.index.shape) if a not in axes]
    groups = np.moveaxis(x.index, axes, range(-len(axes), 0)).reshape(*kept, -1)
    frame, index, made = _summed(node, x, groups)
    if node.integer("keepdims", 1):
        index = np.expand_dims(index, tuple(axes))
    return Activation(frame, index), made


def _summed(
    node: Node, x: Activation, groups: Ints
) -> tuple[tuple[int, int, int], Ints, tuple[ops.Op, ...]]:
    """Sum groups of features [..., n]; give the sums' frame, where each is, and the layers."""
    h, w, c = x.frame
    shape, flat = groups.shape[:-1], np.sort(groups.reshape(-1, groups.shape[-1]), 1)
    channel, pixel = flat[:, :1] % c, flat[:, :1] // c
    if flat.shape[1] == h * w and np.array_equal(flat, channel + np.arange(h * w) * c):
        pool = ops.SumPoolOp(Window((h, w), (h, w)), node=node.name, op=node.op)
        return (1, 1, c), channel.reshape(shape), (pool,)
    if h * w > 1 and flat.shape[1] == c and np.array_equal(flat, pixel * c + np.arange(c)):
        ones = np.ones((1, 1, 1, c), np.int64)
        return (
            (h, w, 1),
            pixel.reshape(shape),
            (ops.ConvOp(ones, ONE, node=node.name, op=node.op),),
        )
    count, size = len(flat), h * w * c
    elements((count, size), MAX_WEIGHTS, what="its sum", node=node.name, op=node.op)
    weights = np.zeros((count, size), np.int64)
    np.add.at(weights, (np.arange(count)[:, None], flat), 1)
    before = (ops.FlattenOp(node=node.name, op=node.op),) if h * w > 1 else ()
    layer = ops.ConvOp(weights.reshape(count, 1, 1, size), ONE, node=node.name, op=node.op)
    return (1, 1, count), np.arange(count).reshape(shape), (*before, layer)
