"""Import of layers of integers: ONNX's QLinear and Integer operators, and ONNX Runtime's QGemm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.node import MICROSOFT, Node
from xnorflow.frontend.operators.broadcast import apply
from xnorflow.frontend.operators.dense import product
from xnorflow.frontend.operators.quantise import constant_parameters
from xnorflow.frontend.operators.windows import GEOMETRY, conv
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import FLOAT32, Activation, Constant, Value
from xnorflow.graph import ops
from xnorflow.graph.function_ops import DequantizeLinearOp, QuantizeLinearOp

Array = NDArray[Any]
ONE = np.ones((), np.float32)


def _values(node: Node, x: Activation, zero: Array | None) -> Result:
    """Return integer features minus their zero point, as float32."""
    if x.dtype.kind not in "iu":
        raise node.unsupported(f"its features are of type {x.dtype}.", "integers.")
    if zero is None:
        zero = np.zeros((), x.dtype)
    if zero.size != 1 or zero.dtype != x.dtype:
        raise node.unsupported(
            f"the zero point of its features has {zero.size} values of type {zero.dtype}.",
            f"one of type {x.dtype}.",
        )
    made, before = apply(
        node,
        x,
        [zero.reshape(()).astype(np.float32)],
        lambda z: DequantizeLinearOp(ONE, z, node=node.name, op=node.op),
    )
    return replace(made, dtype=FLOAT32), before


def _weights(node: Node, stored: Value | None, zero: Array | None, axis: int) -> Constant:
    """Return integer weights minus their zero points, as float32.

    There is one zero point, or one per output channel, along `axis`.
    """
    if not isinstance(stored, Constant) or stored.value.dtype.kind not in "iu":
        raise node.unsupported("its weights are not constant integers.", "constant weights.")
    value = stored.value
    if zero is None:
        zero = np.zeros((), value.dtype)
    if zero.size not in (1, value.shape[axis] if value.ndim > axis else 1):
        raise node.unsupported("its zero points do not fit its weights.", "one per output channel.")
    shape = [-1 if a == axis else 1 for a in range(value.ndim)] if zero.size > 1 else []
    codes = value.astype(np.float32) - zero.reshape(shape).astype(np.float32)
    return Constant(codes, codes, ONE)


def _per_output(x: Activation, values: Array) -> Array:
    """Return one value per output channel in a shape that broadcasts against the features."""
    if values.size == 1:
        return values.reshape(())
    return values.reshape((-1,) + (1,) * max(0, x.index.ndim - 2)) if x.index.ndim > 2 else values


def _requantised(
    node: Node,
    x: Activation,
    *,
    bias: Value | None,
    factor: Array,
    scale: Array | None,
    zero: Array | None,
) -> Result:
    """Import the end of an integer layer: add the bias, scale, and round if there is a zero point.

    Parameters
    ----------
    node : Node
        The node to import.
    x : Activation
        Sums of integers.
    bias : Constant, optional
        int32 bias of each output channel.
    factor : float32 array
        Scale of the features times scale of the weights.
    scale : float32 array, optional
        Scale of the result; 1 by default.
    zero : integer array, optional
        Zero point of the result, which has the same type; without it the result is float32.
    """
    done: tuple[ops.Op, ...] = ()
    if bias is not None:
        (added,) = constant_parameters(node, [bias])
        if added.dtype != np.int32 or added.size not in (1, x.frame[2]):
            raise node.unsupported(
                f"its bias has {added.size} values of type {added.dtype} for {x.frame[2]} output"
                " channels.",
                "one int32 per output channel.",
            )
        if np.abs(added.astype(np.int64)).max() >= 1 << 24:
            raise node.unsupported("its bias exceeds 24 bits.", "a smaller bias.")
        x, more = apply(
            node,
            x,
            [_per_output(x, added.astype(np.float32))],
            lambda v: ops.AddOp(v, node=node.name, op=node.op),
        )
        done += more
    if scale is not None:
        factor = factor / scale
    x, more = apply(
        node,
        x,
        [_per_output(x, factor.astype(np.float32))],
        lambda v: ops.MultiplyOp(v, node=node.name, op=node.op),
    )
    done += more
    if zero is None:
        return x, done
    if zero.size != 1 or zero.dtype.kind not in "iu":
        raise node.unsupported("its output has several zero points.", "one for the whole tensor.")
    x, more = apply(
        node,
        x,
        [zero.reshape(()).astype(np.float32)],
        lambda z: QuantizeLinearOp(ONE, z, zero.dtype.name, node=node.name, op=node.op),
    )
    return replace(x, dtype=zero.dtype), (*done, *more)


def _scale(node: Node, value: Array) -> Array:
    if value.dtype != np.float32 or not (np.isfinite(value) & (value > 0)).all():
        raise node.unsupported("a scale of it is not float32 and positive.", "positive scales.")
    return value.ravel() if value.size > 1 else value.reshape(())


@handles("QLinearConv", attributes=f"{GEOMETRY} group", inputs=(8, 9), any_type=True)
def qlinear_conv(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a convolution of integers."""
    x_scale, x_zero, w_scale, w_zero, y_scale, y_zero = constant_parameters(
        node, [*inputs[1:3], *inputs[4:8]]
    )
    x, before = _values(node, activation(node, inputs[0]), x_zero)
    x, layers = conv(node, [x, _weights(node, inputs[3], w_zero, 0)])
    x, behind = _requantised(
        node,
        x,
        bias=inputs[8] if len(inputs) > 8 else None,
        factor=_scale(node, x_scale) * _scale(node, w_scale),
        scale=_scale(node, y_scale),
        zero=y_zero,
    )
    return x, (*before, *layers, *behind)


@handles("QLinearMatMul", inputs=(8, 8), any_type=True)
def qlinear_matmul(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a product of integers and a constant matrix."""
    x_scale, x_zero, w_scale, w_zero, y_scale, y_zero = constant_parameters(
        node, [*inputs[1:3], *inputs[4:8]]
    )
    x, before = _values(node, activation(node, inputs[0]), x_zero)
    x, layers = product(node, x, _weights(node, inputs[3], w_zero, 1))
    x, behind = _requantised(
        node,
        x,
        bias=None,
        factor=_scale(node, x_scale) * _scale(node, w_scale),
        scale=_scale(node, y_scale),
        zero=y_zero,
    )
    return x, (*before, *layers, *behind)


@handles(
    "QGemm",
    attributes="alpha transA transB",
    inputs=(6, 9),
    family=MICROSOFT,
    any_type=True,
)
def qgemm(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import ONNX Runtime's product of integers, with a bias."""
    if node.integer("transA", 0):
        raise node.unsupported("it transposes its features.", "transA=0.")
    x_scale, x_zero, w_scale, w_zero = constant_parameters(node, [*inputs[1:3], *inputs[4:6]])
    rest = [*inputs[6:], None, None, None][:3]
    y_scale, y_zero = (
        constant_parameters(node, [v])[0] if v is not None else None for v in rest[1:]
    )
    x, before = _values(node, activation(node, inputs[0]), x_zero)
    stored = inputs[3]
    if node.integer("transB", 0) and isinstance(stored, Constant):
        stored = Constant(stored.value.T)
    x, layers = product(node, x, _weights(node, stored, w_zero, 1))
    alpha = np.float32(node.number("alpha", 1.0))
    x, behind = _requantised(
        node,
        x,
        bias=rest[0],
        factor=alpha * _scale(node, x_scale) * _scale(node, w_scale),
        scale=None if y_scale is None else _scale(node, y_scale),
        zero=y_zero,
    )
    return x, (*before, *layers, *behind)


@handles("ConvInteger", attributes=f"{GEOMETRY} group", inputs=(2, 4), any_type=True)
@handles("MatMulInteger", inputs=(2, 4), any_type=True)
def integer_layer(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a layer whose result is its int32 sums; float32 holds them up to 24 bits."""
    x_zero, w_zero = (
        constant_parameters(node, [v])[0] if v is not None else None
        for v in [*inputs[2:], None, None][:2]
    )
    x, before = _values(node, activation(node, inputs[0]), x_zero)
    axis = 0 if node.op == "ConvInteger" else 1
    weights = _weights(node, inputs[1], w_zero, axis)
    x, layers = conv(node, [x, weights]) if axis == 0 else product(node, x, weights)
    made, behind = apply(
        node,
        x,
        [],
        lambda: QuantizeLinearOp(
            ONE, np.zeros((), np.float32), "int32", node=node.name, op=node.op
        ),
    )
    return replace(made, dtype=np.dtype(np.int32)), (*before, *layers, *behind)
