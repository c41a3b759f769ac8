"""Passes over the imported graph, which check its constants and bring it to a plain form."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.gather_op import GatherOp
from xnorflow.ir import Window

Shape = tuple[int, int, int]
MAX_FOLDED_WEIGHTS = 1 << 26
"""Most weights that a layer may have after `fold_picks`."""


def output_shape(op: g.Op, shape: Shape) -> Shape:
    """Return the height, width and channels after `op`, for an input of `shape`.

    Raises
    ------
    UnsupportedModel
        If the window or the weights do not fit the input, or the kind of operation is unknown.
    """
    height, width, channels = shape
    if isinstance(op, g.Elementwise):
        return shape
    if isinstance(op, g.FlattenOp):
        return 1, 1, height * width * channels
    if not isinstance(op, g.WindowReduction):
        raise UnsupportedModel(
            "there is no integer form of this operation.",
            node=op.node,
            op=op.op,
        )
    out = op.window.output(height, width)
    if min(out) < 1:
        raise UnsupportedModel(
            f"a window of {op.window.extent} does not fit a map of {height} x {width}.",
            node=op.node,
            op=op.op,
            hint="larger images, or padding.",
        )
    if isinstance(op, GatherOp):
        return *out, len(op.indices)
    if not isinstance(op, g.ConvOp):
        return *out, channels
    out_channels, *kernel, per_group = op.weights.shape
    divided = op.groups >= 1 and per_group * op.groups == channels and not out_channels % op.groups
    if tuple(kernel) != op.window.kernel or not divided:
        groups = f" in {op.groups} groups" if op.groups != 1 else ""
        raise UnsupportedModel(
            f"its weights [out, rows, columns, in] are {list(op.weights.shape)}{groups}, but its"
            f" input has {channels} channels and its kernel is {list(op.window.kernel)}.",
            node=op.node,
            op=op.op,
        )
    return *out, len(op.weights)


def check_constants(graph: g.Graph) -> g.Graph:
    """Return `graph` if its constants are valid.

    Raises
    ------
    UnsupportedModel
        For NaN, infinity, division by zero, a scale that is not positive, and constants that do not
        fit their channels.
    """
    shape = graph.shape
    factor = graph.input_scale.factor
    with np.errstate(over="ignore"):
        scale = np.float32(factor)
    if not (np.isfinite(scale) and scale > 0):
        raise UnsupportedModel(
            f"the input scale {factor} is not a positive number.", node=graph.name
        )
    for op in graph.ops:
        out = output_shape(op, shape)
        channels = out[2]
        for f in fields(op):
            value = getattr(op, f.name)
            if isinstance(value, float | np.ndarray) and f.name not in ("weights", "edges"):
                _check_constant(op, f.name, np.asarray(value), channels)
        if isinstance(op, FunctionOp):
            for name, constant in op.constants():
                _check_constant(op, name, constant, channels)
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
    # An infinite bound or threshold is never reached, so it is valid.
    may_be_infinite = name in ("lo", "hi", "thresholds", "constant")
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
    """Replace each convolution's bias by an addition after the convolution."""
    ops: list[g.Op] = []
    for op in graph.ops:
        if isinstance(op, g.ConvOp) and op.bias is not None:
            ops += [replace(op, bias=None), g.AddOp(op.bias, node=op.node, op=op.op)]
        else:
            ops.append(op)
    return replace(graph, ops=tuple(ops))


def drop_identities(graph: g.Graph) -> g.Graph:
    """Remove each flattening of a single pixel and each pool of a single tap."""
    ops, shape = [], graph.shape
    for op in graph.ops:
        flat = isinstance(op, g.FlattenOp) and shape[:2] == (1, 1)
        single = isinstance(op, g.MaxPoolOp | g.SumPoolOp) and op.window == Window()
        if not flat and not single:
            ops.append(op)
        shape = output_shape(op, shape)
    return replace(graph, ops=tuple(ops))


def hoist_elementwise(graph: g.Graph) -> g.Graph:
    """Move elementwise operations from after a Flatten to before it, if pixels share constants.

    There they become thresholds per channel of the layer before, rather than per feature.
    """
    ops: list[g.Op] = []
    flattened: int | None = None  # Channels before the Flatten that is the last of ops, if any.
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
    """Return `op` with the constants of one pixel, or None if pixels have different constants."""
    same = True

    def first_pixel(c: NDArray[Any]) -> NDArray[Any]:
        nonlocal same
        pixels = c.reshape(-1, channels, *c.shape[1:])
        same = same and bool((pixels == pixels[0]).all())
        return pixels[0]

    one = op.mapped(first_pixel)
    return one if same else None


def fold_picks(graph: g.Graph) -> g.Graph:
    """Fold convolutions that only pick features into the weights of the convolutions after them."""
    ops: list[g.Op] = []
    shape = before = graph.shape
    for op in graph.ops:
        last = ops[-1] if ops else None
        folded = None
        if isinstance(op, g.ConvOp) and isinstance(last, g.ConvOp):
            folded = _picked(last, op, before)
        if folded is not None:
            ops[-1] = folded
        else:
            ops.append(op)
            before = shape
        shape = output_shape(op, shape)
    return replace(graph, ops=tuple(ops))


def _picked(pick: g.ConvOp, layer: g.ConvOp, shape: Shape) -> g.ConvOp | None:
    """Return `layer` with `pick`, which reads a map of `shape`, folded into its weights.

    Returns None if `pick` does not copy one feature to each of its outputs, is padded or dilated,
    or does not fit the padding of `layer`, or if there would be too many weights.
    """
    one, two = pick.window, layer.window
    ones = pick.weights.reshape(len(pick.weights), -1)
    picks = (np.isin(ones, (0, 1)).all() and (ones.sum(1) == 1).all()) and pick.bias is None
    if any(op.weights.size * op.groups > MAX_FOLDED_WEIGHTS for op in (pick, layer)):
        return None
    if layer.edges is not None or pick.edges is not None:
        return None
    if not picks or any(one.pads) or pick.scale != 1 or one.dilation != (1, 1):
        return None
    size = [
        (k - 1) * d * s + p
        for k, d, s, p in zip(two.kernel, two.dilation, one.stride, one.kernel, strict=True)
    ]
    if any(two.pads) and (
        one.kernel != one.stride or any(n % s for n, s in zip(shape[:2], one.stride, strict=True))
    ):
        return None
    wide = np.zeros((len(layer.weights), *size, shape[2]), layer.weights.dtype)
    if wide.size > MAX_FOLDED_WEIGHTS:
        return None
    picked, weights = (g.widened(op.weights, op.groups) for op in (pick, layer))
    for row in range(two.kernel[0]):
        for col in range(two.kernel[1]):
            top, left = row * two.dilation[0] * one.stride[0], col * two.dilation[1] * one.stride[1]
            wide[:, top : top + one.kernel[0], left : left + one.kernel[1]] += np.einsum(
                "oi,iyxc->oyxc", weights[:, row, col], picked
            )
    (top, left, bottom, right), (rows, cols) = two.pads, one.stride
    window = Window(
        (size[0], size[1]),
        (two.stride[0] * rows, two.stride[1] * cols),
        (1, 1),
        (top * rows, left * cols, bottom * rows, right * cols),
    )
    return replace(layer, weights=wide, window=window, groups=1)
