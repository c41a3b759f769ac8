"""Functions of several tensors, value by value: of one tensor behind them all, or of branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.broadcast import NotOneTensor, combined
from xnorflow.frontend.operators.joins.alignment import grown, join
from xnorflow.frontend.operators.joins.on_branches import on_each, plus, times
from xnorflow.frontend.registry import Joined, Outcome
from xnorflow.frontend.steps import extended
from xnorflow.frontend.values import FLOAT32, Activation, Constant, Value
from xnorflow.graph import ops
from xnorflow.graph.function_ops import CastOp, FunctionOp
from xnorflow.graph.join_ops import MaximumOp, ProductOp, SumOp

BOOL = np.dtype(np.bool_)
ZERO = np.zeros((), np.float32)


def function_of(
    node: Node,
    function: str,
    inputs: Sequence[Value | None],
    *,
    dtype: np.dtype[Any] | None = None,
) -> Outcome:
    """Import a function of constants and of tensors that depend on the input.

    Where the tensors are elementwise functions of one tensor, so is the result; otherwise branches
    are joined.

    Parameters
    ----------
    node : Node
        The node to import.
    function : str
        Name of the function, in `xnorflow.graph.function_ops`.
    inputs : sequence of Activation and Constant
        Its arguments; at least one is an activation.
    dtype : dtype, optional
        Element type of the result; by default that of the first activation.

    Raises
    ------
    UnsupportedModel
        If the function cannot be computed of branches, or their shapes or layouts do not fit.
    """
    arguments = [v for v in inputs if v is not None]
    try:
        return combined(node, function, arguments, dtype=dtype)
    except NotOneTensor:
        return Joined(meet(node, function, arguments))


def tensor(outcome: Outcome, inputs: Sequence[Value | None]) -> Activation:
    """Return the tensor of an outcome, with the operations that make it."""
    if isinstance(outcome, Joined):
        return outcome.made
    made, done = outcome
    x = next(v for v in inputs if isinstance(v, Activation))
    return replace(made, made_by=extended(x.made_by, done, x.frame), source=x.source)


def meet(node: Node, function: str, arguments: Sequence[Value]) -> Activation:
    """Return a function of branches, as operations that join maps; see `function_of`."""
    for v in arguments:
        if isinstance(v, Constant) and v.value.dtype.kind not in "biuf":
            raise node.unsupported(f"its constant has type {v.value.dtype}.", "numbers.")
    types = {v.dtype for v in arguments if isinstance(v, Activation)}
    dtype = next((v.dtype for v in reversed(arguments) if isinstance(v, Activation)), FLOAT32)
    if len(types - {BOOL}) > 1:
        raise node.unsupported(
            f"it joins branches of types {sorted(map(str, types))}.", "one type."
        )
    values = [_as_floats(node, v) for v in arguments]
    match function:
        case "Add" | "Sum":
            made = total(node, values)
        case "Sub":
            made = _difference(node, *values)
        case "Mul":
            made = _product(node, *values)
        case "Max" | "Min":
            made = _extreme(node, values, function)
        case "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal":
            compared = _difference(node, *values)
            test = FunctionOp(function, ((), ZERO), node=node.name, op=node.op)
            return replace(grown(compared, test), dtype=BOOL, low=0.0)
        case "And":
            made = _product(node, *values)
        case "Or":
            made = _extreme(node, values, "Max")
        case "Xor":
            made = _difference(node, *values)
        case "Where":
            made = _chosen(node, arguments)
            kept = arguments[1]
            dtype = kept.dtype if isinstance(kept, Activation) else kept.value.dtype
        case _:
            raise node.unsupported(
                f"it computes {function} of two branches.",
                "sums, products, maxima, minima, comparisons and selections of branches.",
            )
    if dtype == FLOAT32:
        return made
    return replace(grown(made, CastOp(dtype.name, node=node.name, op=node.op)), dtype=dtype)


def _as_floats(node: Node, value: Value) -> Value:
    """Return a value as float32, which holds integers of up to 24 bits."""
    if isinstance(value, Constant):
        return value if value.value.dtype == FLOAT32 else Constant(value.value.astype(np.float32))
    if value.dtype == FLOAT32:
        return value
    cast = CastOp("float32", node=node.name, op=node.op)
    low = max(value.low, 0.0) if value.dtype == BOOL else value.low
    return replace(grown(value, cast), dtype=FLOAT32, low=low)


def total(node: Node, values: Sequence[Value]) -> Activation:
    """Return the sum of values from left to right, each rounded as the executors do."""
    done: Value | None = None
    waiting: list[Activation] = []

    def flushed() -> Value | None:
        nonlocal done
        terms = ([done] if isinstance(done, Activation) else []) + waiting
        if len(terms) > 1:
            low = sum(x.low for x in terms)
            made = join(node, SumOp((1,) * len(terms), node=node.name, op=node.op), terms, low)
        else:
            made = terms[0]
        waiting.clear()
        return made

    for value in values:
        if isinstance(value, Activation) and not isinstance(done, Constant):
            waiting.append(value)
            continue
        if waiting:
            done = flushed()
        if done is None:
            done = value
        elif isinstance(done, Constant) and isinstance(value, Constant):
            done = Constant(np.asarray(done.value + value.value))
        elif isinstance(done, Constant):
            assert isinstance(value, Activation)
            done = plus(node, value, done.value)
        else:
            assert isinstance(done, Activation) and isinstance(value, Constant)
            done = plus(node, done, value.value)
    if waiting:
        done = flushed()
    assert isinstance(done, Activation)
    return done


def _difference(node: Node, first: Value, second: Value) -> Activation:
    if isinstance(first, Constant) or isinstance(second, Constant):
        raise TypeError("a difference from a constant is a function of one tensor")
    return join(node, SumOp((1, -1), node=node.name, op=node.op), [first, second], -np.inf)


def _product(node: Node, first: Value, second: Value) -> Activation:
    if isinstance(first, Constant) or isinstance(second, Constant):
        raise TypeError("a product with a constant is a function of one tensor")
    low = first.low * second.low if min(first.low, second.low) >= 0 else -np.inf
    return join(node, ProductOp(node=node.name, op=node.op), [first, second], low)


def _extreme(node: Node, values: Sequence[Value], function: str) -> Activation:
    """Return the greatest or least of values; constants are compared with the first tensor."""
    features = [v for v in values if isinstance(v, Activation)]
    for v in values:
        if isinstance(v, Constant):
            features[0] = on_each(node, features[0], v.value, _extreme_op(node, function))
    lows = [x.low for x in features]
    op = MaximumOp(function == "Min", node=node.name, op=node.op)
    return join(node, op, features, max(lows) if function == "Max" else min(lows))


def _extreme_op(node: Node, function: str) -> Callable[[NDArray[Any]], ops.Elementwise]:
    return lambda c: FunctionOp(function, ((), c), node=node.name, op=node.op)


def _chosen(node: Node, arguments: Sequence[Value]) -> Activation:
    """Return a selection as products with truths of 0 and 1, one of which is 0, and their sum."""
    condition, *sides = arguments
    if isinstance(condition, Constant):
        return _masked(node, condition.value, sides)
    truth = _as_floats(node, condition)
    negation = FunctionOp("Not", ((),), node=node.name, op=node.op)
    untruth = _as_floats(node, grown(condition, negation))
    parts: list[Activation] = []
    for k, side in enumerate(sides):
        gate = (truth, untruth)[k]
        assert isinstance(gate, Activation)
        if isinstance(side, Constant):
            value = side.value.astype(np.float32)
            if value.any():
                parts.append(times(node, gate, value))
            continue
        zero = Constant(np.zeros((), side.dtype))
        both: list[Value] = [condition, side, zero] if k == 0 else [condition, zero, side]
        try:
            outcome = combined(node, "Where", both, dtype=side.dtype)
        except NotOneTensor:
            parts.append(_product(node, gate, _as_floats(node, side)))
        else:
            assert isinstance(outcome, Joined)
            part = _as_floats(node, outcome.made)
            assert isinstance(part, Activation)
            parts.append(part)
    return total(node, parts)


def _masked(node: Node, mask: NDArray[Any], sides: Sequence[Value]) -> Activation:
    """Return a selection of features by a constant mask."""
    parts: list[Activation] = []
    for side, kept in zip(sides, (mask, ~mask), strict=True):
        x = _as_floats(node, side)
        assert isinstance(x, Activation)
        parts.append(times(node, x, kept.astype(np.float32)))
    return total(node, parts)
