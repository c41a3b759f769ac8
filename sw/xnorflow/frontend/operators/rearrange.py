"""Nodes that only move, drop or repeat features: they are followed on positions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xnorflow.frontend.constants import Folder
from xnorflow.frontend.limits import MAX_FEATURES, elements
from xnorflow.frontend.node import STANDARD, Node
from xnorflow.frontend.operators.reshape import MOVES, WITH_OPERAND, move
from xnorflow.frontend.operators.stretches.resizing import ATTRIBUTES, resized
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, Value
from xnorflow.ir import Ints

PICKS = {
    "Slice": ("starts ends axes", (1, 5)),
    "Gather": ("axis", (2, 2)),
    "Split": ("axis split num_outputs", (1, 2)),
    "SpaceToDepth": ("blocksize", (1, 1)),
    "DepthToSpace": ("blocksize mode", (1, 1)),
    "Tile": ("", (2, 2)),
    "Expand": ("", (2, 2)),
    "Resize": (ATTRIBUTES, (1, 4)),
    "Upsample": (ATTRIBUTES, (1, 2)),
}
"""Operators that pick positions: attributes, least and most inputs."""


def moves_alone(node: Node) -> bool:
    """Return whether a node only moves, drops or repeats features."""
    return node.family == STANDARD and (node.op in MOVES or node.op in PICKS)


def rearrange(node: Node, inputs: Sequence[Value | None], folder: Folder) -> tuple[Activation, ...]:
    """Return each output of a node that only moves, drops or repeats features.

    Parameters
    ----------
    node : Node
        A node for which `moves_alone` is true.
    inputs : sequence of Value
        Its inputs, at least one of which is an `Activation`.
    folder : Folder
        Evaluator for positions.

    Raises
    ------
    UnsupportedModel
        If shapes do not fit, if no feature is left, or if what it picks depends on the input.
    """
    if node.op in MOVES:
        x = activation(node, inputs[0])
        operands = [v.value if isinstance(v, Constant) else None for v in inputs[1:]]
        return (replace(x, index=move(node, x.index, operands)),)
    x = activation(node, inputs[0])
    if node.op in ("Resize", "Upsample"):
        if any(isinstance(v, Activation) for v in inputs[1:]):
            raise node.unsupported("its sizes depend on the input.", "constant sizes or scales.")
        given = [None if v is None else _values(v) for v in inputs[1:]]
        return (replace(x, index=resized(node, x.index, given)),)
    elements(_size(node, inputs), MAX_FEATURES, what="its result", node=node.name, op=node.op)
    values = [None if v is None else _values(v) for v in inputs]
    made = folder.evaluate(node, values)
    if not all(m.size for m in made):
        raise node.unsupported("it picks no features.", "at least one feature in each output.")
    return tuple(replace(x, index=np.asarray(m, np.int64)) for m in made)


def _values(v: Value) -> Ints:
    return v.index if isinstance(v, Activation) else v.value


def _size(node: Node, inputs: Sequence[Value | None]) -> tuple[int, ...]:
    """Return a shape of at least as many elements as the result, before memory is allocated."""
    given = [_values(v) for v in inputs if v is not None]
    try:
        match node.op:
            case "Gather":
                axis = given[0].shape[node.integer("axis", 0)]
                return (given[0].size // max(axis, 1), given[1].size)
            case "Tile":
                return (given[0].size, *node.whole(given[1], "repeats"))
            case "Expand":
                return np.broadcast_shapes(given[0].shape, node.whole(given[1], "shape's numbers"))
            case _:
                return (sum(g.size for g in given),)
    except (ValueError, IndexError, OverflowError, TypeError) as e:
        raise node.unsupported(f"its inputs do not fit: {e}.") from e


def _never(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Return the scores unchanged: after a network's end, moves do not matter.

    Elsewhere `rearrange` follows moves, and this is not called.
    """
    x = activation(node, inputs[0])
    if not x.ended:
        raise TypeError(f"{node.op} is a move and never imported")
    if x.labels is None:
        return x, ()
    labels: tuple[int, ...] | None = None
    if node.op in MOVES:
        operands = [v.value if isinstance(v, Constant) else None for v in inputs[1:]]
        labels = move(node, np.zeros(x.labels, np.int64), operands).shape
    return replace(x, labels=labels), ()


for _op, (_, _names) in MOVES.items():
    _most = 2 if _op in WITH_OPERAND else 1
    handles(_op, attributes=" ".join(_names), inputs=(1, _most), any_type=True)(_never)
for _op, (_text, _inputs) in PICKS.items():
    handles(_op, attributes=_text, inputs=_inputs, any_type=True)(_never)
