"""Import of elementwise nodes: their constants are broadcast and become constants per channel.

A node that reads several tensors, each an elementwise function of one tensor, is imported as one
operation on that tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend.input_frame import Frame
from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import Joined, Outcome, Result
from xnorflow.frontend.steps import Step, extended, fork
from xnorflow.frontend.values import (
    Activation,
    Constant,
    LayoutError,
    Rearrangement,
    Value,
    same_source,
)
from xnorflow.graph import ops
from xnorflow.graph.function_ops import Chain, FunctionOp, Operand, compute, same

Make = Callable[..., ops.Elementwise]
MAX_OPERATIONS = 200
"""Most operations in one function of a tensor; an operation that is read twice counts twice."""


class NotOneTensor(UnsupportedModel):
    """Error for tensors that are not elementwise functions of one tensor."""

    def __init__(self, error: UnsupportedModel) -> None:
        """Copy the message of `error`."""
        super().__init__(error.reason, node=error.node, op=error.op, hint=error.hint)


def per_channel(node: Node, x: Activation, constant: NDArray[Any]) -> NDArray[Any] | None:
    """Return a constant, broadcast as in the file, as a scalar or as [channels] of the frame.

    Returns None if it differs from pixel to pixel; UnsupportedModel if its shape does not fit.
    """
    try:
        full = np.broadcast_to(constant, x.index.shape)
    except ValueError as e:
        raise node.unsupported(
            f"a constant of shape {constant.shape} does not fit features of shape {x.index.shape}.",
            "constants per tensor or per channel.",
        ) from e
    if constant.size == 1:
        return constant.reshape(())
    c = x.frame[2]
    inside = x.index >= 0
    channel = x.index[inside] % c
    # A channel that the node does not read may have any value.
    row = np.full(c, full[inside].flat[0] if inside.any() else 0, constant.dtype)
    row[channel] = full[inside]
    if not (row[channel] == full[inside]).all():
        return None
    return row[:1].reshape(()) if (row == row[0]).all() else row


def apply(node: Node, x: Activation, constants: Sequence[NDArray[Any]], make: Make) -> Result:
    """Import an elementwise operation.

    Parameters
    ----------
    node : Node
        The node to import.
    x : Activation
        Its features.
    constants : sequence of array
        Its constants, in shapes that broadcast against the features as in the file.
    make : callable
        Builds the operation from the constants, each a scalar or [channels].

    Raises
    ------
    LayoutError
        If a constant differs from pixel to pixel.
    """
    rank = max((c.ndim for c in constants), default=0)
    if rank > x.index.ndim:  # Broadcasting prepends dimensions of size 1.
        x = replace(x, index=x.index.reshape((1,) * (rank - x.index.ndim) + x.index.shape))
    before: tuple[ops.Op, ...] = ()
    values = [per_channel(node, x, c) for c in constants]
    if any(v is None for v in values) and x.index.ndim <= 2 and not x.padded:
        # After a flattening every feature is a channel of its own.
        before = (ops.FlattenOp(node=node.name, op=node.op),)
        x = replace(x, frame=(1, 1, math.prod(x.frame)))
        values = [per_channel(node, x, c) for c in constants]
    if any(v is None for v in values):
        raise LayoutError(
            node.unsupported(
                "its constant differs from pixel to pixel.", "constants per tensor or per channel."
            ),
            *_choices(x),
            by_layers=False,
        )
    op = make(*values)
    with np.errstate(all="ignore"):
        ends = op.apply(np.repeat(np.array([[x.low], [np.inf]], np.float32), x.frame[2], 1))
    low = -np.inf if np.isnan(ends).any() else float(ends.min())
    return replace(x, low=low, pad_value=_pad_value(node, x, op)), (*before, op)


def _choices(x: Activation) -> Iterator[Rearrangement]:
    """Yield frames with other channels: axis 1 of the file, its last axis, then all features."""
    if x.padded:
        return
    if 3 <= x.index.ndim <= 4 and len(x.index) == 1:
        for axis in (1, x.index.ndim - 1):
            last = np.moveaxis(x.index, axis, -1)
            at = np.arange(last.size, dtype=np.int64).reshape(last.shape)
            yield Rearrangement(last.reshape((1, *last.shape)[-3:]), np.moveaxis(at, -1, axis))
    size = math.prod(x.frame)
    yield Rearrangement(np.arange(size, dtype=np.int64).reshape(1, 1, size), x.index)


def _pad_value(node: Node, x: Activation, op: ops.Elementwise) -> float:
    """Return the value of padding after the operation."""
    if not x.padded:
        return 0.0
    with np.errstate(all="ignore"):
        pad = op.apply(np.full(x.frame[2], x.pad_value, np.float32))
    if not (pad == pad[0]).all():
        raise node.unsupported(
            "it changes padding differently in each channel.",
            "padding just before the convolution or pool.",
        )
    return float(pad[0])


def combined(
    node: Node,
    function: str,
    inputs: Sequence[Value | None],
    *,
    dtype: np.dtype[Any] | None = None,
) -> Outcome:
    """Import a function of one tensor, of `xnorflow.graph.function_ops`.

    Parameters
    ----------
    node : Node
        The node to import.
    function : str
        Name of the function.
    inputs : sequence of Activation and Constant
        Its arguments; at least one is an activation.
    dtype : dtype, optional
        Element type of the result; by default that of the first activation.

    Raises
    ------
    NotOneTensor
        If the activations are not all elementwise functions of one tensor, or if the function has
        more than `MAX_OPERATIONS` operations.
    LayoutError
        If a constant differs from pixel to pixel.
    """
    arguments = [v for v in inputs if v is not None]
    features = [v for v in arguments if isinstance(v, Activation)]
    constants = [v.value for v in arguments if isinstance(v, Constant)]
    for constant in constants:
        if constant.dtype.kind not in "biuf":
            raise node.unsupported(f"its constant has type {constant.dtype}.", "numbers.")
    x = _aligned(node, features, max((c.ndim for c in constants), default=0))
    parted = fork([v.made_by for v in features])
    if parted is None:
        raise _branch(node)
    ways = [parted.operations(k) for k in range(len(features))]
    values = [per_channel(node, x, c) for c in constants]
    before: tuple[ops.Op, ...] = ()
    flattened = parted.flattened()
    base = flattened or x.frame
    if flattened or (any(v is None for v in values) and x.index.ndim <= 2 and not x.padded):
        # After a flattening every feature is a channel of its own.
        before = (ops.FlattenOp(node=node.name, op=node.op),)
        size = math.prod(x.frame)
        pixels = base[0] * base[1]
        x = replace(x, frame=(1, 1, size))
        ways = [_flattened(way, pixels) for way in ways]
        values = [per_channel(node, x, c) for c in constants]
    chains = [_elementwise(node, way) for way in ways]
    kept = [v for v in values if v is not None]
    if len(kept) < len(values):
        raise LayoutError(
            node.unsupported(
                "its constant differs from pixel to pixel.", "constants per tensor or per channel."
            ),
            *_choices(x),
            by_layers=False,
        )
    of_chains, of_values = iter(chains), iter(kept)
    operands: tuple[Operand, ...] = tuple(
        next(of_chains) if isinstance(v, Activation) else next(of_values) for v in arguments
    )
    # Straight-through estimators leave y - t + t in the file.
    rest = without_residue(function, operands)
    if rest is not None:
        node.notes.append(residue_note(node))
        return _made(features, parted.start, base, replace(x, low=-np.inf), (*before, *rest))
    op = FunctionOp(function, operands, node=node.name, op=node.op)
    if op.size > MAX_OPERATIONS:
        raise NotOneTensor(
            node.unsupported(
                f"it is a function of one tensor with {op.size} operations.",
                f"at most {MAX_OPERATIONS} operations between two layers that read a tensor again.",
            )
        )
    made = replace(x, dtype=x.dtype if dtype is None else dtype, low=_low(op, features))
    if x.padded:
        made = replace(made, pad_value=_pad(node, function, arguments, iter(kept), x.frame[2]))
    return _made(features, parted.start, base, made, (*before, op))


def _made(
    features: Sequence[Activation],
    start: Step | None,
    frame: Frame,
    made: Activation,
    done: tuple[ops.Op, ...],
) -> Outcome:
    """Return the result of operations on the value of `start`, a map of a frame."""
    if len(features) == 1:
        return made, done
    return Joined(replace(made, made_by=extended(start, done, frame)))


def residue_note(node: Node) -> str:
    """Return the note on a node whose straight-through residue was removed."""
    return (
        f"{node.op} {node.name!r} computes y - t + t, as straight-through estimators do, and was"
        " imported as y: the file's own sums may differ from y in their last places."
    )


def without_residue(function: str, operands: Sequence[Operand]) -> Chain | None:
    """Return y if a function of these operands is ``y - t + t`` or ``y + t - t``, else None.

    Both t have to be the same function of the same tensor, operation by operation.
    """
    if len(operands) != 2 or function not in ("Add", "Sub"):
        return None
    pairs = [(operands[0], operands[1])]
    if function == "Add":
        pairs.append((operands[1], operands[0]))
    for sum_, other in pairs:
        if not isinstance(sum_, tuple) or len(sum_) != 1 or not isinstance(other, tuple):
            continue
        (inner,) = sum_
        if not isinstance(inner, FunctionOp) or len(inner.operands) != 2:
            continue
        y, t = inner.operands
        if function == "Add" and inner.function == "Sub":
            found = [(y, t)]
        elif function == "Sub" and inner.function == "Add":
            found = [(y, t), (t, y)]
        else:
            continue
        for kept, gone in found:
            if isinstance(kept, tuple) and same(gone, other):
                return kept
    return None


def _aligned(node: Node, features: Sequence[Activation], rank: int) -> Activation:
    """Return the first of `features`, which all have to hold the same features in the same places.

    It is broadcast to at least `rank` dimensions. NotOneTensor if the tensors differ.
    """
    x = features[0]
    try:
        shape = np.broadcast_shapes(*(v.index.shape for v in features))
        shape = (1,) * (rank - len(shape)) + shape
        if math.prod(shape) != x.index.size:
            raise _branch(node)
        index = np.broadcast_to(x.index, shape)
        equal = all(
            math.prod(v.frame) == math.prod(x.frame)
            and same_source(v, x)
            and np.array_equal(np.broadcast_to(v.index, shape), index)
            for v in features[1:]
        )
    except ValueError:
        equal = False
    if not equal:
        raise _branch(node)
    return x if index.shape == x.index.shape else replace(x, index=index)


def _elementwise(node: Node, way: Sequence[ops.Op]) -> Chain:
    """Return elementwise operations; NotOneTensor if others are among them."""
    chain = tuple(op for op in way if isinstance(op, ops.Elementwise))
    if len(chain) < len(way):
        raise _branch(node)
    return chain


def _flattened(way: Sequence[ops.Op], pixels: int) -> tuple[ops.Op, ...]:
    """Return operations as they are after a flattening of `pixels` pixels.

    A flattening among them is left out, and constants before it are repeated for each pixel.
    """
    at = next((i for i, op in enumerate(way) if isinstance(op, ops.FlattenOp)), len(way))
    before = (
        op.mapped(lambda c: np.concatenate([c] * pixels)) if isinstance(op, ops.Elementwise) else op
        for op in way[:at]
    )
    return (*before, *way[at + 1 :])


def _branch(node: Node) -> NotOneTensor:
    return NotOneTensor(
        node.unsupported(
            "it combines branches: tensors that depend on the input in different ways.",
            "sums, products, maxima, minima, comparisons and concatenations of branches.",
        )
    )


def _low(op: FunctionOp, features: Sequence[Activation]) -> float:
    """Return a lower bound of the function's values."""
    if op.function in ("Abs", "Sigmoid", "HardSigmoid", "Exp", "Softplus", "Sqrt"):
        return 0.0
    numeric = all(x.dtype == np.float32 for x in features)
    lows = iter([x.low for x in features])
    bounds = [float(o.min()) if isinstance(o, np.ndarray) else next(lows) for o in op.operands]
    if op.function in ("Where", "Choose") and numeric:
        return min(bounds[1:])
    if op.function == "Max" and numeric:
        return max(bounds)
    if op.function in ("Min", "Round", "Floor", "Ceil") and numeric:
        low = min(bounds)
        return math.floor(low) if math.isfinite(low) else low
    return -np.inf


def _pad(node: Node, function: str, arguments: Sequence[Value], kept: Any, channels: int) -> float:
    """Return the value of padding after the function."""
    values = [
        np.full(channels, v.pad_value, v.dtype) if isinstance(v, Activation) else next(kept)
        for v in arguments
    ]
    with np.errstate(all="ignore"):
        pad = np.broadcast_to(compute(function, values), channels)
    if not (pad == pad[0]).all():
        raise node.unsupported(
            "it changes padding differently in each channel.",
            "padding just before the convolution or pool.",
        )
    return float(pad[0])
