"""Nodes that only move elements: one NumPy function for both constants and activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_RANK
from xnorflow.frontend.node import Node

Move = Callable[[NDArray[Any]], NDArray[Any]]


def _axes(node: Node, operands: list[NDArray[Any] | None], rank: int) -> tuple[int, ...] | None:
    """Return the axes of Squeeze or Unsqueeze, which are an attribute before operator set 13."""
    axes = node.integers("axes")
    if axes is None and operands and operands[0] is not None:
        axes = node.whole(operands[0], "axes")
    if axes is None:
        return None
    if any(not -rank <= a < rank for a in axes):
        raise node.unsupported(
            f"axes {axes} do not fit {rank} dimensions.", f"axes from {-rank} to {rank - 1}."
        )
    return axes


def _reshape(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    target = operands[0] if operands else None
    if target is None:
        raise node.unsupported("it has no constant shape.", "a constant shape as second input.")
    shape = list(node.whole(target, "shape's numbers"))
    if len(shape) > MAX_RANK or any(d < -1 for d in shape):
        raise node.unsupported(
            f"it asks for the shape {shape[:MAX_RANK]}.",
            f"at most {MAX_RANK} numbers, each at least -1.",
        )
    if not node.integer("allowzero", 0):
        shape = [x.shape[i] if d == 0 else d for i, d in enumerate(shape)]
    return x.reshape(shape)


def _flatten(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    axis = node.integer("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        raise node.unsupported(
            f"axis {axis} does not fit {x.ndim} dimensions.", f"an axis from {-x.ndim} to {x.ndim}."
        )
    axis += x.ndim if axis < 0 else 0
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _transpose(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    return x.transpose(node.integers("perm"))


def _squeeze(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    return x.squeeze(_axes(node, operands, x.ndim) or None)


def _unsqueeze(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    count = len(node.integers("axes") or ()) or (
        operands[0].size if operands and operands[0] is not None else 0
    )
    axes = _axes(node, operands, min(x.ndim + count, MAX_RANK))
    if axes is None:
        raise node.unsupported("it has no constant axes.", "constant axes.")
    return np.expand_dims(x, axes)


def _identity(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    return x


MOVES = {
    "Reshape": (_reshape, {"allowzero"}),
    "Flatten": (_flatten, {"axis"}),
    "Transpose": (_transpose, {"perm"}),
    "Squeeze": (_squeeze, {"axes"}),
    "Unsqueeze": (_unsqueeze, {"axes"}),
    "Identity": (_identity, set[str]()),
}
"""Operators that only move elements, with a function and the known attributes of each."""

WITH_OPERAND = frozenset({"Reshape", "Squeeze", "Unsqueeze"})
"""Operators that may take their shape or axes from a second input."""


def move(node: Node, x: NDArray[Any], operands: list[NDArray[Any] | None]) -> NDArray[Any]:
    """Compute the output of a node that only moves elements.

    Parameters
    ----------
    node : Node
        A node with an operator in `MOVES`.
    x : array
        Elements of its first input, of any type.
    operands : list of array or None
        Values of its further inputs; None for one that is absent or not constant.

    Raises
    ------
    UnsupportedModel
        If the shapes do not fit.
    """
    function, _ = MOVES[node.op]
    try:
        return function(node, x, operands)
    except (ValueError, TypeError, OverflowError, IndexError) as e:
        shape = "x".join(map(str, x.shape))
        raise node.unsupported(f"it cannot be applied to a tensor of {shape}: {e}.") from e
