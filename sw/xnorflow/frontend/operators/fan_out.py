"""Concatenation: of branches, of parts of one tensor, and of several functions of one.

The last is such as a thermometer code of the input: a layer with weights of 1 repeats the channels
of the tensor, then each copy has its own function.
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
from xnorflow.frontend.operators.joins.side_by_side import beside
from xnorflow.frontend.registry import Joined, Outcome, Result, handles
from xnorflow.frontend.steps import extended, fork
from xnorflow.frontend.values import Activation, Constant, Value, agreed_source, dtype_of
from xnorflow.graph import ops
from xnorflow.graph.function_ops import Chain, FunctionOp, Operand


@handles("Concat", attributes="axis", inputs=(1, 1024), any_type=True, joins=True)
def concat(node: Node, inputs: Sequence[Value | None]) -> Outcome:
    """Import a concatenation of branches, of functions of one tensor, or of parts of one."""
    parts = [v for v in inputs if v is not None]
    features = [v for v in parts if isinstance(v, Activation)]
    axis = _axis(node, parts)
    first = features[0]
    if len({dtype_of(p) for p in parts}) > 1:
        raise node.unsupported("it joins tensors of different types.", "one type for all.")
    shape = [*first.index.shape]
    shape[axis] = sum(_shape(p)[axis] for p in parts)
    elements(shape, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    if len(features) < len(parts):
        return _with_padding(node, parts, axis)
    padding = {p.pad_value for p in features if p.padded}
    together = merged(features, axis)
    if len(together) == 1 and len(padding) < 2:
        return Joined(replace(together[0], pad_value=max(padding, default=0.0)))
    if not padding and all(p.frame == first.frame for p in features):
        parted = fork([p.made_by for p in features])
        ways = [parted.operations(k) for k in range(len(features))] if parted else []
        chains = [tuple(op for op in way if isinstance(op, ops.Elementwise)) for way in ways]
        if parted and [*map(len, chains)] == [*map(len, ways)]:
            made, done = _repeated(node, features, chains, axis)
            step = extended(parted.start, done, first.frame)
            return Joined(replace(made, made_by=step, source=agreed_source(features)))
    return Joined(beside(node, together, axis))


def _shape(value: Value) -> tuple[int, ...]:
    return value.index.shape if isinstance(value, Activation) else value.value.shape


def _axis(node: Node, parts: Sequence[Value]) -> int:
    """Return the axis of a concatenation from 0 on; UnsupportedModel if shapes do not fit."""
    shapes = [_shape(p) for p in parts]
    rank = len(shapes[0])
    axis = node.integer("axis", 0)
    axis += rank if axis < 0 else 0
    if not 0 <= axis < rank or len({(*s[:axis], -1, *s[axis + 1 :]) for s in shapes}) > 1:
        raise node.unsupported(
            f"the shapes {shapes[:8]} do not fit along axis {axis}.",
            "equal sizes in all other axes.",
        )
    return axis


def merged(parts: Sequence[Activation], axis: int) -> list[Activation]:
    """Return the parts with neighbours that are parts of one tensor put together."""
    found: list[Activation] = []
    for p in parts:
        last = found[-1] if found else None
        alike = last is not None and last.made_by is p.made_by and last.frame == p.frame
        padded = last is not None and last.padded and p.padded and last.pad_value != p.pad_value
        if last is None or not alike or padded:
            found.append(p)
            continue
        index = np.concatenate([last.index, p.index], axis)
        pad = p.pad_value if p.padded else last.pad_value
        found[-1] = replace(last, index=index, pad_value=pad, low=min(last.low, p.low))
    return found


def _with_padding(node: Node, parts: Sequence[Value], axis: int) -> Outcome:
    """Import a concatenation with constants of one value, which become padding."""
    values = {float(v) for p in parts if isinstance(p, Constant) for v in np.unique(p.value)[:2]}
    features = [p for p in parts if isinstance(p, Activation)]
    values |= {p.pad_value for p in features if p.padded}
    if len(values) > 1:
        raise node.unsupported(
            "it joins features and constants of several values.",
            "constants of one value, such as zeros.",
        )
    together = merged(features, axis)
    x = together[0] if len(together) == 1 else beside(node, together, axis)
    taken, places = 0, []
    for p in parts:
        size = _shape(p)[axis]
        if isinstance(p, Constant):
            places.append(np.full(_shape(p), -1, np.int64))
        else:
            places.append(np.take(x.index, np.arange(taken, taken + size), axis))
            taken += size
    return Joined(replace(x, index=np.concatenate(places, axis), pad_value=max(values, default=0)))


def _repeated(
    node: Node, parts: Sequence[Activation], chains: Sequence[Chain], axis: int
) -> Result:
    """Repeat the channels of the common tensor, once for each function."""
    x = parts[0]
    h, w, c = x.frame
    count = len(parts)
    elements((count * c, c), MAX_WEIGHTS, what="its result", node=node.name, op=node.op)
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
