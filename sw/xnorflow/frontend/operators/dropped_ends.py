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


SATURATING = frozenset({"Softmax", "LogSoftmax"})
"""Operators at a network's end that saturate in floats, which makes different scores equal."""


def _along(node: Node, x: Activation, axis: int) -> bool:
    """Return whether the scores along an axis are those of a pixel, rather than all scores.

    Raises
    ------
    UnsupportedModel
        If they are neither.
    """
    rank = x.index.ndim
    inside = -rank <= axis < rank
    if inside and x.index.shape[axis] == x.index.size:
        return False
    if not inside or rank < 3 or x.index.shape[axis] == 1:
        raise node.unsupported(
            f"it works along axis {axis} of scores of shape {x.index.shape}.",
            "the axis of the classes.",
        )
    return True


def _ended(node: Node, x: Activation, *, of_pixels: bool) -> Activation:
    """Return the scores, of which only the order matters from here on."""
    of_what = " of a pixel" if of_pixels else ""
    text = (
        f"{node.op} {node.name!r} at the end was dropped: it does not change the order of the"
        f" scores{of_what}."
    )
    if node.op in SATURATING:
        text += (
            " Where it saturates in float32 it makes different scores equal, so that a label of the"
            " file itself, the first of equal ones, can differ there."
        )
    return replace(x, ended=node.name, end_note=x.end_note or text)


@handles("Softmax", "LogSoftmax", attributes="axis")
def softmax(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop a softmax, which keeps the order of the scores."""
    x = activation(node, inputs[0])
    axis = node.integer("axis", -1 if node.opset >= COERCED_BEFORE else 1)
    rank = x.index.ndim
    flattened = math.prod(x.index.shape[axis % rank :]) if -rank <= axis < rank else 0
    of_pixels = False
    if node.opset >= COERCED_BEFORE or flattened != x.index.size:
        of_pixels = _along(node, x, axis)
        if of_pixels and node.opset < COERCED_BEFORE and flattened != x.index.shape[axis]:
            raise node.unsupported(
                f"before operator set {COERCED_BEFORE} it works along several axes together.",
                "the axis of the classes as the last.",
            )
    return _ended(node, x, of_pixels=of_pixels), ()


@handles("ArgMax", attributes="axis keepdims select_last_index")
def arg_max(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop an arg-max: labels are computed from the scores, as the first of the greatest."""
    x = activation(node, inputs[0])
    axis = node.integer("axis", 0)
    of_pixels = _along(node, x, axis)
    if node.integer("select_last_index", 0):
        raise node.unsupported("it takes the last of equal scores.", "select_last_index=0.")
    shape = [1 if a == axis % x.index.ndim else n for a, n in enumerate(x.index.shape)]
    if not node.integer("keepdims", 1):
        shape.pop(axis)
    return replace(_ended(node, x, of_pixels=of_pixels), labels=tuple(shape)), ()


@handles("TopK", attributes="axis k largest sorted", inputs=(1, 2))
def top_k(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Drop a choice of the greatest scores."""
    x = activation(node, inputs[0])
    of_pixels = _along(node, x, node.integer("axis", -1))
    if not node.integer("largest", 1) or not all(isinstance(v, Constant) for v in inputs[1:]):
        raise node.unsupported(
            "it takes the least scores, or its k is not constant.", "largest=1 and a constant k."
        )
    return _ended(node, x, of_pixels=of_pixels), ()
