"""Runs an imported network in float64: what it computes where rounding plays no part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp, Operand
from xnorflow.graph.join_ops import AddMapOp, JoinOp, OrderOp, StretchOp
from xnorflow.ir import Window

Doubles = NDArray[np.float64]
BATCH = 64
"""Frames that are computed at a time."""


def run(graph: g.Graph, x: Doubles) -> Iterator[tuple[g.Op, Doubles]]:
    """Compute what enters each operation, and yield it with the operation.

    Parameters
    ----------
    graph : Graph
        Its constants are taken as float64; its input scale is not applied.
    x : float64 array [frames, height, width, channels]
        What the first operation reads.

    Yields
    ------
    op : Op
        The operation that reads the values; last, an empty one that stands for the end.
    values : float64 array [frames, height, width, channels]
        Its input, the first of several, or at the end the output: of several outputs, those of
        `Graph.outputs` one after the other as channels of one pixel.

    Raises
    ------
    UnsupportedModel
        If an operation is of no known kind.
    """
    made = {op.name: k for k, op in enumerate(graph.ops) if op.name}
    last_read = {at: k for k, reads in enumerate(graph.reads) for at in reads}
    last_read |= {made[o.value]: len(graph.ops) for o in graph.outputs}
    values = {-1: x}
    for k, (op, reads) in enumerate(zip(graph.ops, graph.reads, strict=True)):
        inputs = [values[at] for at in reads]
        yield op, inputs[0]
        values[k] = x = op.apply(*inputs) if isinstance(op, JoinOp) else _apply(op, *inputs)
        for at in [at for at in values if last_read.get(at, k) <= k and at != k]:
            del values[at]
    if graph.outputs:
        parts = [values[made[o.value]].reshape(len(x), -1)[:, o.gather] for o in graph.outputs]
        x = np.concatenate(parts, 1)[:, None, None]
    yield g.Op(node=graph.name, op="output"), x


def values(graph: g.Graph, x: Doubles) -> Iterator[Doubles]:
    """Yield the input, and then what each operation makes; the parameters are those of `run`."""
    last_read = {at: k for k, reads in enumerate(graph.reads) for at in reads}
    made = {-1: x}
    yield x
    for k, (op, reads) in enumerate(zip(graph.ops, graph.reads, strict=True)):
        inputs = [made[at] for at in reads]
        made[k] = op.apply(*inputs) if isinstance(op, JoinOp) else _apply(op, *inputs)
        yield made[k]
        for at in [at for at in made if last_read.get(at, -1) <= k]:
            del made[at]


def scores(graph: g.Graph, x: Doubles) -> Doubles:
    """Compute the output of each frame, [frames, classes]; the parameters are those of `run`."""
    made = []
    for first in range(0, len(x), BATCH):
        *_, (_, values) = run(graph, x[first : first + BATCH])
        made.append(values.reshape(len(values), -1))
    return np.concatenate(made)


def _apply(op: g.Op, x: Doubles) -> Doubles:
    match op:
        case g.Elementwise():
            with np.errstate(all="ignore"):
                values: Any = x
                return np.asarray(_in_double(op).apply(values), np.float64)
        case g.ConvOp():
            return _convolve(op, x)
        case g.MaxPoolOp():
            return _windows(x, op.window, -np.inf).max(axis=(3, 4))
        case g.SumPoolOp():
            return _sums(x, op.window)
        case g.AveragePoolOp():
            return _sums(x, op.window) / op.counts(*x.shape[1:3])[None, :, :, None]
        case g.FlattenOp():
            return x.reshape(len(x), 1, 1, -1)
        case AddMapOp():
            return x + op.value
        case OrderOp():
            return x
        case StretchOp():
            return op.layer.stretched(x, 0.0)
        case _:
            raise UnsupportedModel("it cannot be computed in float64.", node=op.node, op=op.op)


def _in_double(op: g.Elementwise) -> g.Elementwise:
    """Return the operation with float64 constants."""
    if isinstance(op, FunctionOp):
        return replace(op, operands=tuple(_operand_in_double(o) for o in op.operands))
    changed: dict[str, Any] = {}
    for f in fields(op):
        value = getattr(op, f.name)
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            changed[f.name] = value.astype(np.float64)
    return replace(op, **changed)


def _operand_in_double(operand: Operand) -> Operand:
    if isinstance(operand, np.ndarray):
        return operand.astype(np.float64) if operand.dtype == np.float32 else operand
    return tuple(_in_double(op) for op in operand)


def _convolve(op: g.ConvOp, x: Doubles) -> Doubles:
    weights = g.widened(op.weights, op.groups).astype(np.float64)
    weights *= np.asarray(op.scale, np.float64).reshape(-1, 1, 1, 1)
    patches = _windows(x, op.window, op.pad_value)
    with np.errstate(all="ignore"):
        # What overflowed before stays infinite, or becomes NaN.
        sums = patches.reshape(*patches.shape[:3], -1) @ weights.reshape(len(weights), -1).T
    return sums if op.bias is None else sums + op.bias.astype(np.float64)


def _sums(x: Doubles, window: Window) -> Doubles:
    with np.errstate(all="ignore"):
        return np.asarray(_windows(x, window, 0).sum(axis=(3, 4)))


def _windows(x: Doubles, window: Window, pad: float) -> Doubles:
    """Return every window, [frames, rows, columns, kernel rows, kernel columns, channels]."""
    top, left, bottom, right = window.pads
    if any(window.pads):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=pad)
    view = np.lib.stride_tricks.sliding_window_view(x, window.extent, axis=(1, 2))
    view = view[:, :: window.stride[0], :: window.stride[1]]
    view = view[..., :: window.dilation[0], :: window.dilation[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)
