"""Convolutions, pools and padding: what needs rows, columns and channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xnorflow.frontend.limits import MAX_FEATURES, MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.one_dimensional import also_along_a_line
from xnorflow.frontend.picks import also_picked
from xnorflow.frontend.quantise import float_parameter
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import (
    Activation,
    Constant,
    LayoutError,
    Rearrangement,
    Value,
    channels_first,
)
from xnorflow.frontend.weights import integer_weights
from xnorflow.graph import ops
from xnorflow.ir import Ints, Window

Pads = tuple[int, int, int, int]
Pair = tuple[int, int]

GEOMETRY = "auto_pad dilations kernel_shape pads strides"


@dataclass(frozen=True, eq=False)
class View:
    """How a node sees the features of a frame.

    Parameters
    ----------
    pads : tuple of int
        Padding around them: top, left, bottom, right.
    channels : int64 array
        Channel of the frame that each of the node's channels is.
    swapped : bool
        The node's rows are the frame's columns.
    """

    pads: Pads
    channels: Ints
    swapped: bool

    def size(self, x: Activation) -> Pair:
        """Return rows and columns as the node sees them, without padding."""
        return (x.frame[1], x.frame[0]) if self.swapped else x.frame[:2]

    def window(self, w: Window) -> Window:
        """Turn a window of the node into one of the frame."""
        if not self.swapped:
            return w
        t, left, b, r = w.pads
        return Window(w.kernel[::-1], w.stride[::-1], w.dilation[::-1], (left, t, r, b))

    def result(self, x: Activation, window: Window, channels: int | None, low: float) -> Activation:
        """Return what a window of the frame makes of it.

        Channels are new ones, so many and in order, or, where None, those of the frame.
        """
        frame = (*window.output(*x.frame[:2]), x.frame[2] if channels is None else channels)
        index = channels_first(frame)
        if channels is None:
            index = index[:, self.channels]
        if self.swapped:
            index = index.transpose(0, 1, 3, 2)
        return Activation(frame, index, low=low)


def view(node: Node, x: Activation) -> View:
    """Find out how a node sees channels, rows and columns, with padding around.

    Raises
    ------
    LayoutError
        If they are in an order that its weights cannot make good.
    """
    if x.index.ndim != 4 or x.index.shape[0] != 1:
        raise node.unsupported(
            f"its input has shape {x.index.shape}.",
            "two-dimensional features [1, channels, height, width].",
        )
    inside = x.index[0] >= 0
    rows, cols = (np.flatnonzero(inside.any(axes)) for axes in ((0, 2), (0, 1)))
    if not rows.size:
        raise node.unsupported("its input is padding only.")
    found = x.index[:, :, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    if (found < 0).any():
        raise node.unsupported(
            "its input is padded along the channels.", "padding of rows and columns only."
        )
    pads = (
        int(rows[0]),
        int(cols[0]),
        inside.shape[1] - 1 - int(rows[-1]),
        inside.shape[2] - 1 - int(cols[-1]),
    )
    plain = channels_first(x.frame)
    channels = found[0, :, 0, 0] % x.frame[2]
    if not x.raw or np.array_equal(np.sort(channels), np.arange(x.frame[2])):
        for swapped in (False, True):
            seen = plain[:, channels]
            seen = seen.transpose(0, 1, 3, 2) if swapped else seen
            if np.array_equal(found, seen):
                return View(pads, channels, swapped)
    wanted = found[0].transpose(1, 2, 0)
    index = np.where(x.index < 0, -1, 0)
    index[:, :, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = channels_first(wanted.shape)
    raise LayoutError(
        node.unsupported(
            "its input features are in an order other than channels, rows, columns.",
            "the plain layout [1, channels, height, width].",
        ),
        Rearrangement(wanted, index),
    )


def _pair(node: Node, name: str, default: tuple[int, ...] = (1, 1)) -> Pair:
    values = node.integers(name) or default
    if len(values) != 2 or not all(1 <= v < 1 << 16 for v in values):
        raise node.unsupported(f"its {name} are {values}.", "two positive numbers.")
    return values[0], values[1]


def _window(node: Node, x: Activation, seen: View, kernel: Pair, *, ceil: bool = True) -> Window:
    """Read the geometry; the pads are the node's own, without those of a Pad node before it.

    Rows and columns are as the node sees them.

    Output shapes round up with `ceil_mode`, by padding more at the end, unless not `ceil`.
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
        raise node.unsupported(f"auto_pad {auto!r} is unknown.")
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
        raise node.unsupported(f"a window of {window.extent} does not fit {size} pixels.")
    full = (size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3], x.frame[2])
    elements(full, MAX_FEATURES, what="its padded input", node=node.name, op=node.op)
    return window


def _total(window: Window, inner: Pads) -> Window:
    """Add the padding of a Pad node."""
    t, left, b, r = (p + q for p, q in zip(window.pads, inner, strict=True))
    return replace(window, pads=(t, left, b, r))


def axes_of(node: Node, axes: Iterable[int], rank: int) -> list[int]:
    """Return different axes as numbers from 0."""
    listed = list(axes)
    normal = [a + rank if a < 0 else a for a in listed]
    if len(set(normal)) < len(normal) or not all(0 <= a < rank for a in normal):
        raise node.unsupported(f"its axes {listed} do not fit {rank} dimensions.")
    return normal


@handles("Pad", attributes="mode pads value", inputs=(1, 4))
def pad(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Mark padding by a constant; the next convolution or pool takes it over."""
    x = activation(node, inputs[0])
    if node.text("mode", "constant") != "constant":
        raise node.unsupported(
            f"padding mode {node.text('mode', '')!r} is unknown.", "padding by a constant."
        )
    operands = [v.value if isinstance(v, Constant) else None for v in inputs[1:]]
    if any(v is not None and o is None for v, o in zip(inputs[1:], operands, strict=True)):
        raise node.unsupported("its parameters are not constant.")
    amounts, value, axes = (*operands, None, None, None)[:3]
    pads = node.integers("pads") if amounts is None else node.whole(amounts, "pads")
    if value is not None and value.size != 1:
        raise node.unsupported("it pads by more than one value.")
    number = node.number("value", 0.0) if value is None else float(value.reshape(()))
    rank = x.index.ndim
    picked = axes_of(node, range(rank) if axes is None else node.whole(axes, "axes"), rank)
    if pads is None or len(pads) != 2 * len(picked) or min(pads, default=0) < 0:
        raise node.unsupported(f"its pads are {pads}.", "two numbers per axis, none negative.")
    per_axis = [(0, 0)] * rank
    for axis, start, end in zip(picked, pads, pads[len(picked) :], strict=False):
        per_axis[axis] = (start, end)
    if any(map(any, per_axis)) and x.padded and number != x.pad_value:
        raise node.unsupported("it pads by another value than the Pad before it.")
    shape = [n + sum(p) for n, p in zip(x.index.shape, per_axis, strict=True)]
    elements(shape, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    return replace(x, index=np.pad(x.index, per_axis, constant_values=-1), pad_value=number), ()


@handles("Conv", attributes=f"{GEOMETRY} group", inputs=(2, 3))
@also_along_a_line
@also_picked
def conv(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a convolution; groups become zeros in a full set of weights."""
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
            f"weights {stored.value.shape} in {groups} groups do not fit {channels} input channels."
        )
    if (node.integers("kernel_shape") or tuple(kernel)) != tuple(kernel):
        raise node.unsupported(f"its kernel_shape is not that of its weights, {kernel}.")
    window = _window(node, x, seen, (kernel[0], kernel[1]))
    if any(inner) and any(window.pads) and x.pad_value != 0:
        raise node.unsupported(
            "it pads by 0 what was already padded by another value.",
            "one kind of padding for each convolution.",
        )
    for depth in (channels, x.frame[2]):
        elements((out, *kernel, depth), MAX_WEIGHTS, what="its weights", node=node.name, op=node.op)
    weights, scale = integer_weights(node, stored, 0)
    wide = np.zeros((out, kernel[0], kernel[1], channels), np.int64)
    for g in range(groups):
        rows = slice(g * out // groups, (g + 1) * out // groups)
        cols = slice(g * per_group, (g + 1) * per_group)
        wide[rows, :, :, cols] = weights[rows].transpose(0, 2, 3, 1)
    window = seen.window(_total(window, inner))
    op = ops.ConvOp(
        _of_frame(wide, seen, x.frame[2]),
        scale,
        window,
        x.pad_value if any(inner) else 0.0,
        bias(node, inputs[2] if len(inputs) > 2 else None, out),
        node=node.name,
        op=node.op,
    )
    frame = (*window.output(*x.frame[:2]), out)
    elements(frame, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    return seen.result(x, window, out, -np.inf), (op,)


def _of_frame(weights: Ints, seen: View, channels: int) -> Ints:
    """Bring weights [out, rows, columns, in] as a node sees them into the order of the frame."""
    made = np.zeros((channels, *weights.shape[:3]), np.int64)
    # A channel that the node reads twice has the sum of both weights.
    np.add.at(made, seen.channels, np.moveaxis(weights, 3, 0))
    made = np.moveaxis(made, 0, 3)
    return np.ascontiguousarray(made.transpose(0, 2, 1, 3) if seen.swapped else made)


def bias(node: Node, value: Value | None, out: int) -> ops.Floats | None:
    """Read an optional bias per output channel."""
    if value is None:
        return None
    if not isinstance(value, Constant) or value.value.size not in (1, out):
        raise node.unsupported("its bias is not one constant per output channel.")
    return np.broadcast_to(float_parameter(node, value.value, "bias").ravel(), out).copy()


def _real_taps(window: Window, size: Pair) -> bool:
    """Whether every window holds a tap that is not padding."""
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
    """Import a maximum; padding by a value that never wins counts as none."""
    x = activation(node, inputs[0])
    seen = view(node, x)
    inner = seen.pads
    own = _window(node, x, seen, _pair(node, "kernel_shape", ()))
    if any(inner) and x.pad_value > x.low:
        raise node.unsupported(
            f"it takes maxima over padding by {x.pad_value:g}.",
            "padding by the least value, or the pool's own.",
        )
    window = seen.window(_total(own, inner))
    if not _real_taps(window, x.frame[:2]):
        raise node.unsupported("a window of it holds padding only.")
    return replace(seen.result(x, window, None, x.low), dtype=x.dtype), (
        ops.MaxPoolOp(window, node=node.name, op=node.op),
    )


@handles("AveragePool", attributes=f"{GEOMETRY} ceil_mode count_include_pad")
@also_along_a_line
@also_picked
def average_pool(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a mean; a Pad node's zeros are counted, the pool's own unless it says so are not."""
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
        raise node.unsupported("a window of it holds padding only.")
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
