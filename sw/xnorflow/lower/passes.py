"""Passes over the imported graph: check its constants, and bring it to a plain form."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.channel_constants import per_channel
from xnorflow.ir import Window

Shape = tuple[int, int, int]


def output_shape(op: g.Op, shape: Shape) -> Shape:
    """Give the height, width and channels after `op`.

    Raises
    ------
    UnsupportedModel
        If its window or weights do not fit.
    """
    height, width, channels = shape
    if isinstance(op, g.FlattenOp):
        return 1, 1, height * width * channels
    if not isinstance(op, g.ConvOp | g.MaxPoolOp | g.SumPoolOp | g.AveragePoolOp):
        return shape
    out = op.window.output(height, width)
    if min(out) < 1:
        raise UnsupportedModel(
            f"a window of {op.window.extent} does not fit a map of {height} x {width}.",
            node=op.node,
            op=op.op,
            hint="larger images, or padding.",
        )
    if not isinstance(op, g.ConvOp):
        return *out, channels
    if op.weights.shape[1:] != (*op.window.kernel, channels):
        raise UnsupportedModel(
            f"its weights [out, rows, columns, in] are {list(op.weights.shape)}, but its input has"
            f" {channels} channels and its kernel is {list(op.window.kernel)}.",
            node=op.node,
            op=op.op,
        )
    return *out, len(op.weights)


def check_constants(graph: g.Graph) -> g.Graph:
    """Refuse NaN, infinity, division by zero and constants that do not fit their channels."""
    shape = graph.shape
    factor = graph.input_scale.factor
    if not (np.isfinite(np.float32(factor)) and factor > 0):
        raise UnsupportedModel(
            f"the input scale {factor} is not a positive number.", node=graph.name
        )
    for op in graph.ops:
        out = output_shape(op, shape)
        channels = out[2]
        for f in fields(op):
            value = getattr(op, f.name)
            if isinstance(value, float | np.ndarray) and f.name != "weights":
                _check_constant(op, f.name, np.asarray(value), channels)
        bad = ""
        if isinstance(op, g.ConvOp) and (np.asarray(op.scale) <= 0).any():
            bad = "its weight scale is not positive"
        elif isinstance(op, g.QuantOp) and (np.asarray(op.scale) == 0).any():
            bad = "its scale is zero"
        elif isinstance(op, g.DivideOp) and (op.value == 0).any():
            bad = "it divides by zero"
        elif isinstance(op, g.BatchNormOp) and (op.var + np.float32(op.epsilon) <= 0).any():
            bad = "its variance plus epsilon is not positive"
        if bad:
            raise UnsupportedModel(
                f"{bad}.",
                node=op.node,
                op=op.op,
                hint="parameters of a trained network; export it again.",
            )
        shape = out
    return graph


def _check_constant(op: g.Op, name: str, value: NDArray[Any], channels: int) -> None:
    # An infinite bound or threshold is one that is never reached.
    may_be_infinite = name in ("lo", "hi", "thresholds")
    if np.isnan(value).any() or not (may_be_infinite or np.isfinite(value).all()):
        what = "NaN" if np.isnan(value).any() else "infinity"
        raise UnsupportedModel(
            f"its {name} holds {what}.", node=op.node, op=op.op, hint="finite parameters."
        )
    if value.ndim and value.shape[0] not in (1, channels):
        raise UnsupportedModel(
            f"its {name} has {value.shape[0]} entries for {channels} channels.",
            node=op.node,
            op=op.op,
            hint="one value for all, or one per channel.",
        )


def split_bias(graph: g.Graph) -> g.Graph:
    """Make each convolution's bias an addition of its own."""
    ops: list[g.Op] = []
    for op in graph.ops:
        if isinstance(op, g.ConvOp) and op.bias is not None:
            ops += [replace(op, bias=None), g.AddOp(op.bias, node=op.node, op=op.op)]
        else:
            ops.append(op)
    return replace(graph, ops=tuple(ops))


def drop_identities(graph: g.Graph) -> g.Graph:
    """Drop flattening of a single pixel, and pools of a single tap."""
    ops, shape = [], graph.shape
    for op in graph.ops:
        flat = isinstance(op, g.FlattenOp) and shape[:2] == (1, 1)
        single = (
            isinstance(op, g.MaxPoolOp | g.SumPoolOp | g.AveragePoolOp) and op.window == Window()
        )
        if not flat and not single:
            ops.append(op)
        shape = output_shape(op, shape)
    return replace(graph, ops=tuple(ops))


def hoist_elementwise(graph: g.Graph) -> g.Graph:
    """Move operations behind a Flatten ahead of it, where all pixels share their constants.

    There they become thresholds per channel of the layer whose values they act on.
    """
    ops: list[g.Op] = []
    flattened: int | None = None  # channels before a Flatten that stands last in ops
    shape = graph.shape
    for op in graph.ops:
        before, shape = shape, output_shape(op, shape)
        shared = _shared(op, flattened) if flattened and isinstance(op, g.Elementwise) else None
        if shared is not None:
            ops.insert(len(ops) - 1, shared)
            continue
        ops.append(op)
        flattened = before[2] if isinstance(op, g.FlattenOp) else None
    return replace(graph, ops=tuple(ops))


def _shared(op: g.Elementwise, channels: int) -> g.Elementwise | None:
    """Give `op` with the constants of one pixel, or None where pixels differ."""
    same = True

    def first_pixel(c: NDArray[Any]) -> NDArray[Any]:
        nonlocal same
        pixels = c.reshape(-1, channels, *c.shape[1:])
        same = same and bool((pixels == pixels[0]).all())
        return pixels[0]

    one = per_channel(op, first_pixel)
    return one if same else None


PASSES = (check_constants, split_bias, hoist_elementwise, drop_identities)
"""In order; each gives a graph of the same function."""
