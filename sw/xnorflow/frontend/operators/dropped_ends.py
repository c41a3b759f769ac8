"""Operators at a network's end that keep the order of the scores: they are dropped, with a note."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, Value

COERCED_BEFORE = 13
"""Before this operator set, a softmax works along its axis and all later axes together."""


def _one_axis(node: Node, x: Activation, axis: int) -> None:
    """Check that all scores lie along one axis."""
    rank = x.index.ndim
    if not -rank <= axis < rank or x.index.shape[axis] != x.index.size:
        raise node.unsupported(
            f"it works along axis {axis} of scores of shape {x.index.shape}.",
            "the axis of the classes.",
        )


@handles("Softmax", "LogSoftmax", attributes="axis")
def softmax(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop a softmax, which keeps the order of the scores."""
    x = activation(node, inputs[0])
    axis = node.integer("axis", -1 if node.opset >= COERCED_BEFORE else 1)
    rank = x.index.ndim
    flattened = math.prod(x.index.shape[axis % rank :]) if -rank <= axis < rank else 0
    if node.opset >= COERCED_BEFORE or flattened != x.index.size:
        _one_axis(node, x, axis)
    return replace(x, ended=node.name), ()


@handles("ArgMax", attributes="axis keepdims select_last_index")
def arg_max(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop an arg-max: labels are computed from the scores, as the first of the greatest."""
    x = activation(node, inputs[0])
    _one_axis(node, x, node.integer("axis", 0))
    if node.integer("select_last_index", 0):
        raise node.unsupported("it takes the last of equal scores.", "select_last_index=0.")
    axis = node.integer("axis", 0)
    shape = [1 if a == axis % x.index.ndim else n for a, n in enumerate(x.index.shape)]
    if not node.integer("keepdims", 1):
        shape.pop(axis)
    return replace(x, ended=node.name, labels=tuple(shape)), ()


@handles("TopK", attributes="axis k largest sorted", inputs=(1, 2))
def top_k(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop a choice of the greatest scores."""
    x = activation(node, inputs[0])
    _one_axis(node, x, node.integer("axis", -1))
    if not node.integer("largest", 1) or not all(isinstance(v, Constant) for v in inputs[1:]):
        raise node.unsupported(
            "it takes the least scores, or its k is not constant.", "largest=1 and a constant k."
        )
    return replace(x, ended=node.name), ()
