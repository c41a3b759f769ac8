"""Arithmetic of one tensor and a constant that may be larger, or differ from pixel to pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_FEATURES, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.broadcast import apply
from xnorflow.frontend.operators.joins.alignment import realised
from xnorflow.frontend.operators.quantise import float_parameter
from xnorflow.frontend.steps import extended
from xnorflow.frontend.values import Activation, LayoutError
from xnorflow.graph import ops
from xnorflow.graph.join_ops import AddMapOp

Make = Callable[[NDArray[Any]], ops.Elementwise]


def widened(node: Node, x: Activation, constant: NDArray[Any]) -> Activation:
    """Return a tensor that is broadcast to a larger constant, in positions alone."""
    try:
        shape = np.broadcast_shapes(x.index.shape, constant.shape)
    except ValueError:
        return x  # The operation says that they do not fit.
    if math.prod(shape) <= x.index.size:
        return x
    elements(shape, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    return replace(x, index=np.broadcast_to(x.index, shape))


def repeats(x: Activation) -> bool:
    """Return whether a feature of a tensor stands in several places of it."""
    inside = x.index[x.index >= 0]
    return len(np.unique(inside)) < inside.size


def on_each(node: Node, x: Activation, constant: NDArray[Any], make: Make) -> Activation:
    """Return the result of an elementwise operation of a tensor and a constant.

    Raises
    ------
    LayoutError
        If the constant differs from pixel to pixel.
    """
    x = widened(node, x, constant)
    try:
        made, done = apply(node, x, [constant], make)
    except LayoutError:
        if not repeats(x):
            raise
        x = realised(node, x)
        made, done = apply(node, x, [constant], make)
    return replace(made, made_by=extended(x.made_by, done, x.frame))


def times(node: Node, x: Activation, constant: NDArray[Any]) -> Activation:
    """Return a product with a constant; LayoutError if that differs from pixel to pixel."""
    value = float_parameter(node, constant, "constant")
    return on_each(node, x, value, lambda c: ops.MultiplyOp(c, node=node.name, op=node.op))


def plus(node: Node, x: Activation, constant: NDArray[Any]) -> Activation:
    """Return a sum with a constant, which may differ from pixel to pixel."""
    value = float_parameter(node, constant, "constant")
    try:
        return on_each(node, x, value, lambda c: ops.AddOp(c, node=node.name, op=node.op))
    except LayoutError:
        return plus_map(node, x, value)


def plus_map(
    node: Node, x: Activation, constant: NDArray[Any], *, negated: bool = False
) -> Activation:
    """Return the sum of a tensor, or of its negative, and a constant of the same or larger shape.

    Raises
    ------
    UnsupportedModel
        If the tensor is padded.
    """
    x = widened(node, x, constant)
    if x.padded:
        raise node.unsupported(
            "it adds values that differ from pixel to pixel to padded features.",
            "padding just before the convolution or pool.",
        )
    if repeats(x):
        x = realised(node, x)
    value = np.zeros(math.prod(x.frame), np.float32)
    value[x.index] = np.broadcast_to(constant, x.index.shape)
    where = {"node": node.name, "op": node.op}
    done: tuple[ops.Op, ...] = (AddMapOp(value.reshape(x.frame), **where),)
    if negated:
        # c - x and -x + c are the same float.
        done = (ops.MultiplyOp(np.array(-1, np.float32), **where), *done)
    return replace(x, low=-np.inf, raw=False, made_by=extended(x.made_by, done, x.frame))
