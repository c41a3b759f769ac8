"""Import of convolutions, pools and padding, which depend on rows, columns and channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.frame_view import Pads, Pair, View, view
from xnorflow.frontend.limits import MAX_FEATURES, MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.one_dimensional import also_along_a_line
from xnorflow.frontend.operators.picks import also_picked
from xnorflow.frontend.operators.quantise import float_parameter
from xnorflow.frontend.operators.weights import layer_weights
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import (
    Activation,
    Constant,
    Value,
)
from xnorflow.graph import ops
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints, Window

GEOMETRY = "auto_pad dilations kernel_shape pads strides"
"""Attributes that describe a window."""


def _pair(node: Node, name: str, default: tuple[int, ...] = (1, 1)) -> Pair:
    """Return an attribute of two positive numbers, for rows and columns."""
    values = node.integers(name) or default
    if len(values) != 2 or not all(1 <= v < 1 << 16 for v in values):
        raise node.unsupported(f"its {name} are {values}.", "two positive numbers.")
    return values[0], values[1]


def _window(node: Node, x: Activation, seen: View, kernel: Pair, *, ceil: bool = True) -> Window:
    """Return a node's window, with rows and columns as the node sees them.

    Its pads are the node's own, without those of a Pad node before it. With `ceil_mode`, the output
    size is rounded up by more padding at the end, unless `ceil` is false.
    """
    stride, dilation = _pair(node, "strides"), _pair(node, "dilations")
    inner, own = seen.pads, seen.size(x)
    size = (own[0] + inner[0] + inner[2], own[1] + inner[1] + inner[3])
    given = node.integers("pads") or (0, 0, 0, 0)
    if len(given) != 4 or not all(0 <= p < 1 << 16 for p in given):
        raise node.unsupported(f"its pads are {given}.", "four numbers, none negative.")
    starts, ends = list(given[:2]), list(given[2:])
    auto = node.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.unsupported(
            f"auto_pad {auto!r} is unknown.", "NOTSET, VALID, SAME_UPPER or SAME_LOWER."
        )
    for axis in (0, 1):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        if auto == "VALID":
            starts[axis] = ends[axis] = 0
        elif auto != "NOTSET":
            last = (size[axis] - 1) // stride[axis] * stride[axis]
            total = max(0, last + extent - size[axis])
            small, large = total // 2, total - total // 2
            starts[axis], ends[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)
        if ceil and node.integer("ceil_mode", 0) and not auto.startswith("SAME"):
            span = size[axis] + starts[axis] + ends[axis] - extent
            ends[axis] += -span % stride[axis]
            last = -(-span // stride[axis]) * stride[axis]
            if last >= size[axis] + starts[axis]:
                raise node.unsupported(
                    "ceil_mode gives it a window of padding only.", "ceil_mode=0."
                )
    pads = (starts[0], starts[1], ends[0], ends[1])
    window = Window(kernel, stride, dilation, pads)
    out = _total(window, inner).output(*own)
    if min(out) < 1:
        raise node.unsupported(
            f"a window of {window.extent} does not fit {size} pixels.",
            "a larger input, more padding or a smaller kernel.",
        )
    full = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3], x.frame[2])
    elements(full, MAX_FEATURES, what="its padded input", node=node.name, op=node.op)
    return window


def _total(window: Window, inner: Pads) -> Window:
    """Return a window with the padding of a Pad node added to its own."""
    t, left, b, r = (p + q for p, q in zip(window.pads, inner, strict=True))
    return replace(window, pads=(t, left, b, r))


def axes_of(node: Node, axes: Iterable[int], rank: int) -> list[int]:
    """Return axes as numbers from 0; UnsupportedModel if they repeat or are out of range."""
    listed = list(axes)
    normal = [a + rank if a < 0 else a for a in listed]
    if len(set(normal)) < len(normal) or not all(0 <= a < rank for a in normal):
        raise node.unsupported(
            f"its axes {listed} do not fit {rank} dimensions.",
            f"different axes from {-rank} to {rank - 1}.",
        )
    return normal


@handles("Pad", attributes="mode pads value", inputs=(1, 4))
def pad(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import padding by a constant, which the next convolution or pool takes over."""
    x = activation(node, inputs[0])
    if node.text("mode", "constant") != "constant":
        raise node.unsupported(
            f"padding mode {node.text('mode', '')!r} is unknown.", "padding by a constant."
        )
    operands = [v.value if isinstance(v, Constant) else None for v in inputs[1:]]
    if any(v is not None and o is None for v, o in zip(inputs[1:], operands, strict=True)):
        raise node.unsupported("its parameters are not constant.", "constant pads and value.")
    amounts, value, axes = (*operands, None, None, None)[:3]
    pads = node.integers("pads") if amounts is None else node.whole(amounts, "pads")
    if value is not None and value.size != 1:
        raise node.unsupported("it pads by more than one value.", "one value for all padding.")
    number = node.number("value", 0.0) if value is None else float(value.reshape(()))
    rank = x.index.ndim
    picked = axes_of(node, range(rank) if axes is None else node.whole(axes, "axes"), rank)
    if pads is None or len(pads) != 2 * len(picked) or min(pads, default=0) < 0:
        raise node.unsupported(f"its pads are {pads}.", "two numbers per axis, none negative.")
    per_axis = [(0, 0)] * rank
    for axis, start, end in zip(picked, pads, pads[len(picked) :], strict=False):
        per_axis[axis] = (start, end)
    if any(map(any, per_axis)) and x.padded and number != x.pad_value:
        raise node.unsupported(
            f"it pads by {number:g}, but the Pad node before it by {x.pad_value:g}.",
            "one value for all padding.",
        )
    shape = [n + sum(p) for n, p in zip(x.index.shape, per_axis, strict=True)]
    elements(shape, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    return replace(x, index=np.pad(x.index, per_axis, constant_values=-1), pad_value=number), ()


@handles("Conv", attributes=f"{GEOMETRY} group", inputs=(2, 3))
@also_along_a_line
@also_picked
def conv(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a convolution."""
    x = activation(node, inputs[0])
    stored = inputs[1]
    if not isinstance(stored, Constant):
        raise node.unsupported("its weights depend on the input.", "constant weights.")
    if stored.value.ndim != 4 or not stored.value.size:
        raise node.unsupported(
            f"its weights have shape {stored.value.shape}.", "two-dimensional convolutions."
        )
    seen = view(node, x)
    inner, channels = seen.pads, len(seen.channels)
    out, per_group, *kernel = stored.value.shape
    groups = node.integer("group", 1)
    if groups < 1 or per_group * groups != channels or out % groups:
        raise node.unsupported(
            f"weights {stored.value.shape} in {groups} groups do not fit {channels} channels.",
            "weights [out, channels / group, rows, columns], with a group that divides both.",
        )
    if (node.integers("kernel_shape") or tuple(kernel)) != tuple(kernel):
        raise node.unsupported(
            f"its kernel_shape {node.integers('kernel_shape')} is not that of its weights,"
            f" {tuple(kernel)}.",
            "no kernel_shape, or that of the weights.",
        )
    window = _window(node, x, seen, (kernel[0], kernel[1]))
    if any(inner) and any(window.pads) and x.pad_value != 0:
        raise node.unsupported(
            "it pads by 0 what was already padded by another value.",
            "one kind of padding for each convolution.",
        )
    order, kept = seen.channels[None], groups
    if (within := _within_groups(seen.channels, x.frame[2], groups)) is not None:
        order = within
    else:
        # Groups whose channels lie apart in the frame become zeros in a full set of weights.
        kept = 1
    for depth in (channels // kept, x.frame[2] // kept):
        elements((out, *kernel, depth), MAX_WEIGHTS, what="its weights", node=node.name, op=node.op)
    weights, scale = layer_weights(node, stored, 0)
    weights = weights.transpose(0, 2, 3, 1)
    if kept != groups:
        weights = ops.widened(weights, groups)
    weights = _of_frame(weights, order, x.frame[2] // kept)
    window = seen.window(_total(window, inner))
    op = ops.ConvOp(
        np.ascontiguousarray(weights.transpose(0, 2, 1, 3) if seen.swapped else weights),
        scale,
        window,
        x.pad_value if any(inner) else 0.0,
        bias(node, inputs[2] if len(inputs) > 2 else None, out),
        kept,
        node=node.name,
        op=node.op,
    )
    frame = (*window.output(*x.frame[:2]), out)
    elements(frame, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    return seen.result(x, window, out, -np.inf), (op,)


def _within_groups(channels: Ints, frame: int, groups: int) -> Ints | None:
    """Return the channel within its group that each of the node's channels is: [groups, in].

    None if some group's channels are not those of the frame's equal part.
    """
    if frame % groups or len(channels) % groups:
        return None
    parts = channels.reshape(groups, -1) - (frame // groups) * np.arange(groups)[:, None]
    return parts if parts.min() >= 0 and parts.max() < frame // groups else None


def _of_frame(weights: NDArray[Any], order: Ints, channels: int) -> NDArray[Any]:
    """Bring the inputs of weights [out, rows, columns, in] into the order of the frame.

    Each group of inputs then has so many `channels`; input k of group g is ``order[g, k]`` of them.
    """
    groups, (out, *kernel, _) = len(order), weights.shape
    by_input = np.moveaxis(weights.reshape(groups, out // groups, *weights.shape[1:]), 4, 1)
    made = np.zeros((groups, channels, out // groups, *kernel), weights.dtype)
    # A channel that the node reads twice has the sum of both weights.
    np.add.at(made, (np.arange(groups)[:, None], order), by_input)
    return np.moveaxis(made, 1, 4).reshape(out, *kernel, channels)


def bias(node: Node, value: Value | None, out: int) -> Floats | None:
    """Return an optional bias as float32 [out]; UnsupportedModel if it is not constant."""
    if value is None:
        return None
    if not isinstance(value, Constant) or value.value.size not in (1, out):
        raise node.unsupported(
            "its bias is not one constant per output channel.", f"a constant bias of {out} values."
        )
    return np.broadcast_to(float_parameter(node, value.value, "bias").ravel(), out).copy()


def _real_taps(window: Window, size: Pair) -> bool:
    """Return whether every window has a tap that is not padding."""
    for axis in (0, 1):
        count = window.output(*size)[axis]
        taps = (
            np.arange(count)[:, None] * window.stride[axis]
            - window.pads[axis]
            + np.arange(window.kernel[axis]) * window.dilation[axis]
        )
        if not ((taps >= 0) & (taps < size[axis])).any(1).all():
            return False
    return True


@handles("MaxPool", attributes=f"{GEOMETRY} ceil_mode storage_order", any_type=True)
@also_along_a_line
@also_picked
def max_pool(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a max-pool; a Pad node before it must pad by a value that no feature is below."""
    x = activation(node, inputs[0])
    seen = view(node, x)
    inner = seen.pads
    own = _window(node, x, seen, _pair(node, "kernel_shape", ()))
    if any(inner) and x.pad_value > x.low:
        raise node.unsupported(
            f"it takes maxima over padding by {x.pad_value:g}.",
            "padding by a value that no feature is below, or by the pool's own pads.",
        )
    window = seen.window(_total(own, inner))
    if not _real_taps(window, x.frame[:2]):
        raise node.unsupported(
            "a window of it holds padding only.",
            "less padding, so that every window includes a pixel.",
        )
    return replace(seen.result(x, window, None, x.low), dtype=x.dtype), (
        ops.MaxPoolOp(window, node=node.name, op=node.op),
    )


@handles("AveragePool", attributes=f"{GEOMETRY} ceil_mode count_include_pad")
@also_along_a_line
@also_picked
def average_pool(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import an average-pool.

    The divisor counts the zeros of a Pad node; it counts the pool's own padding only with
    `count_include_pad`.
    """
    x = activation(node, inputs[0])
    seen = view(node, x)
    inner = seen.pads
    kernel = _pair(node, "kernel_shape", ())
    own = _window(node, x, seen, kernel)
    counted = bool(node.integer("count_include_pad", 0))
    if counted and own != _window(node, x, seen, kernel, ceil=False):
        raise node.unsupported(
            "with ceil_mode, executors count padding in different ways.",
            "ceil_mode=0, or count_include_pad=0.",
        )
    if any(inner) and x.pad_value != 0:
        raise node.unsupported(f"it averages padding by {x.pad_value:g}.", "padding by 0.")
    window = seen.window(_total(own, inner))
    low = min(x.low, 0.0) if any(window.pads) else x.low
    uncounted = (0, 0, 0, 0) if counted else seen.window(own).pads
    op = ops.AveragePoolOp(window, uncounted, node=node.name, op=node.op)
    if not op.counts(*x.frame[:2]).all():
        raise node.unsupported(
            "a window of it holds padding only.",
            "less padding, so that every window includes a pixel.",
        )
    return seen.result(x, window, None, low), (op,)


@handles("GlobalAveragePool", "GlobalMaxPool")
@also_along_a_line
@also_picked
def global_pool(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a pool over the whole frame."""
    x = activation(node, inputs[0])
    seen = view(node, x)
    if any(seen.pads):
        raise node.unsupported("its input is padded.", "no padding before a global pool.")
    window = Window(x.frame[:2], x.frame[:2])
    kind = ops.MaxPoolOp if node.op == "GlobalMaxPool" else ops.AveragePoolOp
    return seen.result(x, window, None, x.low), (kind(window, node=node.name, op=node.op),)
