"""Labels that a network computes with: an arg-max whose label is made one-hot, as in votes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xnorflow.frontend.arrangement import ONE
from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.joins.alignment import grown, join, realised
from xnorflow.frontend.registry import Joined, Outcome, activation, handles
from xnorflow.frontend.values import Activation, Constant, Value
from xnorflow.graph import ops
from xnorflow.graph.function_ops import CastOp, FunctionOp
from xnorflow.graph.join_ops import OrderOp, StretchOp, SumOp
from xnorflow.ir import Window

ZERO = np.zeros((), np.float32)


@handles("OneHot", attributes="axis", inputs=(3, 3), any_type=True)
def one_hot(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a one-hot vector of the label that an arg-max makes.

    A class is the label if its score is the greatest, and no class before it has that score.
    """
    x = activation(node, inputs[0])
    if x.labels is None or math.prod(x.labels) != 1:
        raise node.unsupported(
            "its indices are not the label of one arg-max.", "ArgMax of all scores right before it."
        )
    depth, values = inputs[1:]
    if not isinstance(depth, Constant) or not isinstance(values, Constant):
        raise node.unsupported("its depth or its values are not constant.", "constants.")
    if depth.value.size != 1 or values.value.size != 2 or values.value.dtype.kind not in "bifu":
        raise node.unsupported(
            f"its depth has {depth.value.size} numbers, its values {values.value.size}.",
            "one depth, and the values of off and on.",
        )
    rank = len(x.labels) + 1
    axis = node.integer("axis", -1)
    if not -rank <= axis < rank:
        raise node.unsupported(f"axis {axis} does not fit {rank} dimensions.", "a smaller axis.")
    count = x.index.size
    size = int(depth.value.reshape(()))
    if size != count:
        raise node.unsupported(
            f"its depth is {size} for {count} classes.", "as many places as classes."
        )
    elements((count, count), MAX_WEIGHTS, what="its vote", node=node.name, op=node.op)
    hot = _first_greatest(node, replace(x, index=x.index.reshape(1, count), ended="", labels=None))
    off, on = (np.array(v) for v in values.value.ravel())
    choose = FunctionOp("Where", ((), on, off), node=node.name, op=node.op)
    shape = [*x.labels]
    shape.insert(axis % rank, count)
    made = grown(hot, choose)
    low = float(min(on, off))
    return Joined(replace(made, index=made.index.reshape(shape), dtype=values.value.dtype, low=low))


def _first_greatest(node: Node, x: Activation) -> Activation:
    """Return, as bool, which of the scores [1, classes] is the first of the greatest."""
    where = node.where
    x = realised(node, x)
    count = x.index.size
    if x.frame != (1, 1, count):
        x = replace(grown(x, ops.FlattenOp(**where)), frame=(1, 1, count))
    if count == 1:
        return grown(x, FunctionOp("Equal", ((), ()), **where))
    x = grown(x, OrderOp(**where))
    # The scores below each other, so that a pool finds the greatest.
    column = StretchOp((count, 1), "blocks", **where)
    greatest = replace(
        grown(x, column, ops.MaxPoolOp(Window((count, 1), (count, 1)), **where)),
        frame=(1, 1, 1),
        index=np.zeros((1, 1), np.int64),
    )
    behind = join(node, SumOp((1, -1), **where), [x, greatest], -np.inf)
    reached = grown(
        behind, FunctionOp("GreaterOrEqual", ((), ZERO), **where), CastOp("float32", **where)
    )
    # One less for each class before that has the greatest score, too.
    order = reached.index.ravel()
    weights = np.zeros((count, count), np.int64)
    weights[order[:, None], order] = np.eye(count) - np.tri(count, k=-1)
    first = ops.ConvOp(weights[:, None, None], ONE, **where)
    return grown(reached, first, FunctionOp("GreaterOrEqual", ((), ONE), **where))
