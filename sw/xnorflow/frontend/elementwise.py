"""Operations on each value alone: arithmetic with constants, normalisation, quantisers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import QONNX, Node
from xnorflow.frontend.quantise import (
    QUANT_ATTRIBUTES,
    QUANTS,
    bipolar_scale,
    float_parameter,
    quant_parameters,
)
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, LayoutError, Rearrangement, Value
from xnorflow.graph import ops

Make = Callable[..., ops.Elementwise]


def per_channel(node: Node, x: Activation, constant: NDArray[Any]) -> NDArray[Any] | None:
    """Give a constant, broadcast as the file does, as a scalar or [channels] of the frame.

    None where it differs from pixel to pixel.
    """
    try:
        full = np.broadcast_to(constant, x.index.shape)
    except ValueError as e:
        raise node.unsupported(
            f"a constant of {constant.shape} does not fit features of {x.index.shape}.",
            "constants per tensor or per channel.",
        ) from e
    if constant.size == 1:
        return constant.reshape(())
    c = x.frame[2]
    inside = x.index >= 0
    channel = x.index[inside] % c
    # A channel that the file does not look at may have any value.
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
    x : Activation
    constants : sequence of array
        Shaped as the file broadcasts them.
    make : callable
        Makes the operation from the constants, each a scalar or [channels].
    """
    rank = max((c.ndim for c in constants), default=0)
    if rank > x.index.ndim:  # Broadcasting adds dimensions of size 1 in front.
        x = replace(x, index=x.index.reshape((1,) * (rank - x.index.ndim) + x.index.shape))
    before: tuple[ops.Op, ...] = ()
    values = [per_channel(node, x, c) for c in constants]
    if any(v is None for v in values) and x.index.ndim <= 2 and not x.padded:
        # After a flattening every feature is a channel of its own.
        before = (ops.FlattenOp(node=node.name, op=node.op),)
        x = replace(x, frame=(1, 1, x.index.size))
        values = [per_channel(node, x, c) for c in constants]
    if any(v is None for v in values):
        raise LayoutError(
            node.unsupported(
                "its constant differs from pixel to pixel.", "constants per tensor or per channel."
            ),
            *_choices(x),
        )
    op = make(*values)
    with np.errstate(all="ignore"):
        ends = op.apply(np.repeat(np.array([[x.low], [np.inf]], np.float32), x.frame[2], 1))
    low = -np.inf if np.isnan(ends).any() else float(ends.min())
    return replace(x, low=low, pad_value=_pad_value(node, x, op)), (*before, op)


def _choices(x: Activation) -> Iterator[Rearrangement]:
    """Yield frames with other channels: those of each of the file's axes, then all features."""
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
    """Give what the operation makes of the padding."""
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


def _split(node: Node, inputs: Sequence[Value | None]) -> tuple[Activation, ops.Floats, bool]:
    """Tell features and constant of a binary operator, and whether the constant came first."""
    a, b = inputs
    if isinstance(a, Constant) and isinstance(b, Activation):
        return b, float_parameter(node, a.value, "constant"), True
    if isinstance(a, Activation) and isinstance(b, Constant):
        return a, float_parameter(node, b.value, "constant"), False
    raise node.unsupported(
        "it combines two tensors that both depend on the input.",
        "a network without branches and residual connections.",
    )


@handles("Add", "Mul", "Sub", "Div", inputs=(2, 2))
def arithmetic(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import arithmetic with a constant."""
    x, constant, reverse = _split(node, inputs)
    where = {"node": node.name, "op": node.op}
    if node.op == "Div":
        if reverse:
            raise node.unsupported(
                "it divides a constant by features.", "multiplication or division by a constant."
            )
        if not constant.all():
            raise node.unsupported("it divides by zero.", "a divisor without zeros.")
    make: dict[str, Make] = {
        "Add": lambda v: ops.AddOp(v, **where),
        "Mul": lambda v: ops.MultiplyOp(v, **where),
        "Sub": lambda v: ops.SubtractOp(v, reverse, **where),
        "Div": lambda v: ops.DivideOp(v, **where),
    }
    return apply(node, x, [constant], make[node.op])


@handles("BatchNormalization", attributes="epsilon momentum training_mode spatial", inputs=(5, 5))
def batch_normalization(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a batch normalisation that uses running statistics."""
    x = activation(node, inputs[0])
    if node.integer("training_mode", 0) or not node.integer("spatial", 1):
        raise node.unsupported(
            "it normalises by the statistics of each batch or pixel.",
            "export the network in inference mode (model.eval()).",
        )
    if x.index.ndim < 2:
        raise node.unsupported("its input has no channel dimension.")
    shape = (-1,) + (1,) * (x.index.ndim - 2)
    parameters = []
    for what, value in zip(("gamma", "beta", "mean", "variance"), inputs[1:], strict=True):
        if not isinstance(value, Constant):
            raise node.unsupported(f"its {what} is not constant.")
        if value.value.shape != x.index.shape[1:2]:
            raise node.unsupported(
                f"its {what} has {value.value.size} values for {x.index.shape[1]} channels."
            )
        parameters.append(float_parameter(node, value.value, what).reshape(shape))
    epsilon = node.number("epsilon", 1e-5)
    if not np.isfinite(epsilon) or not (parameters[3] + np.float32(epsilon) > 0).all():
        raise node.unsupported("its variance plus epsilon is not positive.")
    return apply(
        node,
        x,
        parameters,
        lambda gamma, beta, mean, var: ops.BatchNormOp(
            gamma, beta, mean, var, epsilon, node=node.name, op=node.op
        ),
    )


@handles("Relu", "Sign")
def unary(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import an operation without parameters."""
    x = activation(node, inputs[0])
    op = (
        ops.SignOp(node=node.name, op=node.op)
        if node.op == "Sign"
        else ops.ClipOp(0.0, np.inf, node=node.name, op=node.op)
    )
    return apply(node, x, [], lambda: op)


@handles("Clip", attributes="min max", inputs=(1, 3))
def clip(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a limit to an interval; its ends are attributes before operator set 11."""
    x = activation(node, inputs[0])
    ends = [node.number("min", -np.inf), node.number("max", np.inf)]
    for i, value in enumerate(inputs[1:]):
        if value is None:
            continue
        if not isinstance(value, Constant) or value.value.size != 1:
            raise node.unsupported("its limits are not constant scalars.")
        ends[i] = float(value.value.reshape(()))
    if not ends[0] <= ends[1]:
        raise node.unsupported(f"its limits {ends[0]} and {ends[1]} are in the wrong order.")
    return apply(node, x, [], lambda: ops.ClipOp(*ends, node=node.name, op=node.op))


def _constants(node: Node, inputs: Sequence[Value | None]) -> list[NDArray[Any]]:
    values = [v.value for v in inputs if isinstance(v, Constant)]
    if len(values) != len(inputs):
        raise node.unsupported(
            "its parameters are not constant.", "scales that do not depend on the input."
        )
    return values


@handles("BipolarQuant", inputs=(2, 2), family=QONNX)
def bipolar_quant(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a binarisation."""
    scale = bipolar_scale(node, _constants(node, inputs[1:]))
    return apply(
        node,
        activation(node, inputs[0]),
        [scale],
        lambda s: ops.BipolarQuantOp(s, node=node.name, op=node.op),
    )


@handles(*QUANTS, attributes=" ".join(QUANT_ATTRIBUTES), inputs=(4, 4), family=QONNX)
def quant(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a uniform quantiser."""
    q = quant_parameters(node, _constants(node, inputs[1:]))
    return apply(
        node,
        activation(node, inputs[0]),
        [q.scale, q.zero_point],
        lambda s, z: replace(q, scale=s, zero_point=z),
    )


@handles(
    "MultiThreshold",
    attributes="out_dtype out_scale out_bias data_layout",
    inputs=(2, 2),
    family=QONNX,
)
def multi_threshold(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a count of thresholds; without a layout, the channel axis is QONNX's default."""
    x = activation(node, inputs[0])
    thresholds = float_parameter(node, _constants(node, inputs[1:])[0], "threshold")
    rank = x.index.ndim
    layout = node.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank, "")
    if len(layout) != rank or layout.count("C") != 1:
        raise node.unsupported(
            f"its layout {layout!r} does not fit {rank} dimensions.",
            "data_layout NC, NCHW or NHWC.",
        )
    axis = layout.index("C")
    channels = x.index.shape[axis]
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, channels) or not thresholds.size:
        raise node.unsupported(f"thresholds of {thresholds.shape} do not fit {channels} channels.")
    scale, bias = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    if not np.isfinite([scale, bias]).all():
        raise node.unsupported("its output scale or bias is not finite.")
    # Which row each element uses is a constant per channel like any other.
    rows = np.arange(len(thresholds)).reshape([-1 if a == axis else 1 for a in range(rank)])

    def make(r: NDArray[Any]) -> ops.Elementwise:
        count = (r.size, thresholds.shape[1])
        elements(count, MAX_WEIGHTS, what="its thresholds", node=node.name, op=node.op)
        return ops.MultiThresholdOp(
            thresholds[np.atleast_1d(r)], scale, bias, node=node.name, op=node.op
        )

    return apply(node, x, [rows], make)
