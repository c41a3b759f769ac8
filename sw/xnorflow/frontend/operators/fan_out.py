"""Concatenation of several functions of one tensor, such as a thermometer code of the input.

A layer with weights of 1 repeats the channels of the tensor, then each copy has its own function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_FEATURES, MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.broadcast import chain_of
from xnorflow.frontend.registry import Result, handles
from xnorflow.frontend.values import Activation, Value, fork, same_source
from xnorflow.graph import ops
from xnorflow.graph.function_ops import Chain, FunctionOp, Operand


@handles("Concat", attributes="axis", inputs=(1, 1024), any_type=True, joins=True)
def concat(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a concatenation of functions of one tensor, or of parts of one tensor."""
    parts = [v for v in inputs if isinstance(v, Activation)]
    if len(parts) < len(inputs):
        raise node.unsupported(
            "it joins features and constants.", "padding by a Pad node, or a network without it."
        )
    first = parts[0]
    if len({p.dtype for p in parts}) > 1 or not all(
        p.frame == first.frame and same_source(p, first) for p in parts
    ):
        raise node.unsupported(
            "it joins tensors of different shape or type: a branch.",
            "functions of one tensor, value by value, or parts of one tensor.",
        )
    padding = {p.pad_value for p in parts if p.padded}
    if len(padding) > 1:
        raise node.unsupported(
            f"it joins features that are padded with different values: {sorted(padding)}.",
            "one value for all padding.",
        )
    rank = first.index.ndim
    axis = node.integer("axis", 0)
    axis += rank if axis < 0 else 0
    fits = (
        all(
            p.index.ndim == rank
            and np.delete(p.index.shape, axis).tolist()
            == np.delete(first.index.shape, axis).tolist()
            for p in parts
        )
        if 0 <= axis < rank
        else False
    )
    if not fits:
        raise node.unsupported(
            f"the shapes {[p.index.shape for p in parts[:8]]} do not fit along axis {axis}.",
            "equal sizes in all other axes.",
        )
    size = [*first.index.shape, sum(p.index.shape[axis] for p in parts)]
    size.pop(axis)
    elements(size, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    start = fork([p.made_by for p in parts])
    chains = [chain_of(node, start, p) for p in parts]
    if all(p.made_by is first.made_by for p in parts):
        index = np.concatenate([p.index for p in parts], axis)
        return replace(first, index=index, pad_value=max(padding, default=0.0)), ()
    return _repeated(node, parts, chains, axis)


def _repeated(
    node: Node, parts: Sequence[Activation], chains: Sequence[Chain], axis: int
) -> Result:
    """Repeat the channels of the common tensor, once for each function."""
    x = parts[0]
    h, w, c = x.frame
    count = len(parts)
    elements((count * c, c), MAX_WEIGHTS, what="its result", node=node.name, op=node.op)
    if any(p.padded for p in parts):
        raise node.unsupported("it joins padded tensors.", "padding after the concatenation.")
    copies = np.tile(np.eye(c, dtype=np.int64), (count, 1)).reshape(count * c, 1, 1, c)
    repeat = ops.ConvOp(copies, np.array(1, np.float32), node=node.name, op=node.op)
    # Copy k has channels k * c to (k + 1) * c - 1.
    wide = [p.index // c * (count * c) + k * c + p.index % c for k, p in enumerate(parts)]
    which = np.repeat(np.arange(count), c)
    operands: tuple[Operand, ...] = (which, *(_widened(chain, count) for chain in chains))
    choose = FunctionOp("Choose", operands, node=node.name, op=node.op)
    made = Activation((h, w, count * c), np.concatenate(wide, axis), dtype=x.dtype)
    return replace(made, low=min(p.low for p in parts)), (repeat, choose)


def _widened(chain: Chain, count: int) -> Chain:
    return tuple(op.mapped(partial(_tiled, count=count)) for op in chain)


def _tiled(constant: NDArray[Any], count: int) -> NDArray[Any]:
    return np.concatenate([constant] * count)
