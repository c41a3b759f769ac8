"""Import of ONNX's QuantizeLinear and DequantizeLinear, and of QONNX's Trunc and FloatQuant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.frontend.narrow import is_integer
from xnorflow.frontend.node import QONNX, Node
from xnorflow.frontend.operators.broadcast import apply
from xnorflow.frontend.operators.quantise import (
    constant_parameters,
    integer_range_of,
    trunc_operation,
)
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import FLOAT32, Constant, Value
from xnorflow.graph import ops
from xnorflow.graph.function_ops import DequantizeLinearOp, QuantizeLinearOp

LINEAR = "axis block_size output_dtype precision saturate"
Floats = NDArray[np.float32]


def linear_parameters(
    node: Node, operands: Sequence[Value | None], shape: tuple[int, ...]
) -> tuple[Floats, Floats, np.dtype[Any] | None]:
    """Read the parameters of QuantizeLinear or DequantizeLinear.

    Parameters
    ----------
    node : Node
        The node.
    operands : sequence of Constant
        Scale and, optionally, zero point.
    shape : tuple of int
        Shape of the node's first input.

    Returns
    -------
    scale, zero_point : float32 array
        In shapes that broadcast against `shape`.
    dtype : dtype or None
        Type of the zero point; None without one.

    Raises
    ------
    UnsupportedModel
        If a parameter is not constant, has a wrong type or value, or does not fit `shape`.
    """
    given = constant_parameters(node, operands)
    if node.integer("block_size", 0):
        raise node.unsupported("its scales are per block.", "one scale, or one per channel.")
    if node.integer("precision", 0) not in (0, TensorProto.FLOAT):
        raise node.unsupported("it divides in another type than float32.", "float32.")
    scale = given[0]
    zero = given[1] if len(given) > 1 else np.zeros((), np.uint8)
    if scale.dtype != np.float32 or not np.isfinite(scale).all() or not (scale > 0).all():
        raise node.unsupported("its scale is not float32 and positive.", "positive scales.")
    if not is_integer(zero.dtype):
        raise node.unsupported(f"its zero point has type {zero.dtype}.", "integers.")
    axis = node.integer("axis", 1)
    axis += len(shape) if axis < 0 else 0

    def along(a: NDArray[Any], what: str) -> Floats:
        if a.size == 1:
            return a.reshape(()).astype(np.float32)
        if a.ndim != 1 or not 0 <= axis < len(shape) or shape[axis] != a.size:
            raise node.unsupported(
                f"its {what} of shape {a.shape} does not fit axis {axis} of shape {shape}.",
                "one scale, or one per channel.",
            )
        return a.reshape([-1 if i == axis else 1 for i in range(len(shape))]).astype(np.float32)

    return along(scale, "scale"), along(zero, "zero point"), zero.dtype if len(given) > 1 else None


def _target(node: Node, dtype: np.dtype[Any] | None) -> np.dtype[Any]:
    """Return the integer type of a QuantizeLinear's result; `dtype` is its zero point's."""
    if dtype is None and node.integer("output_dtype", 0):
        return integer_range_of(node, node.integer("output_dtype", 0))
    return np.dtype(np.uint8) if dtype is None else dtype


@handles("QuantizeLinear", attributes=LINEAR, inputs=(2, 3))
def quantize_linear(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a quantiser to integers."""
    x = activation(node, inputs[0])
    scale, zero, dtype = linear_parameters(node, inputs[1:], x.index.shape)
    to = _target(node, dtype)
    made, made_ops = apply(
        node,
        x,
        [scale, zero],
        lambda s, z: QuantizeLinearOp(s, z, to.name, node=node.name, op=node.op),
    )
    return replace(made, dtype=to), made_ops


@handles("DequantizeLinear", attributes=LINEAR, inputs=(2, 3), any_type=True)
def dequantize_linear(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a conversion of quantised integers to floats."""
    x = activation(node, inputs[0])
    if not is_integer(x.dtype):
        raise node.unsupported(f"its features are of type {x.dtype}.", "integers.")
    if node.integer("output_dtype", 0) not in (0, TensorProto.FLOAT):
        raise node.unsupported("its result has another type than float32.", "float32.")
    scale, zero, _ = linear_parameters(node, inputs[1:], x.index.shape)
    made, made_ops = apply(
        node,
        x,
        [scale, zero],
        lambda s, z: DequantizeLinearOp(s, z, node=node.name, op=node.op),
    )
    return replace(made, dtype=FLOAT32), made_ops


def linear_constant(node: Node, inputs: Sequence[Constant | None]) -> Constant:
    """Compute QuantizeLinear or DequantizeLinear of a constant.

    The floats of a DequantizeLinear keep their integers and their scale.
    """
    x = inputs[0]
    if x is None:
        raise node.unsupported("it has no input.")
    scale, zero, dtype = linear_parameters(node, inputs[1:], x.value.shape)
    if node.op == "QuantizeLinear":
        if x.value.dtype != np.float32:
            raise node.unsupported(f"its input has type {x.value.dtype}.", "float32.")
        to = _target(node, dtype)
        return Constant(QuantizeLinearOp(scale, zero, to.name).apply(x.value).astype(to))
    if not is_integer(x.value.dtype) or node.integer("output_dtype", 0) not in (0, 1):
        raise node.unsupported("it does not turn integers into float32.", "integers.")
    codes = x.value.astype(np.float32) - zero
    return Constant(codes * scale, codes, scale)


@handles("Trunc", attributes="rounding_mode narrow signed", inputs=(5, 6), family=QONNX)
def trunc(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a truncation to fewer bits."""
    op = trunc_operation(node, constant_parameters(node, inputs[1:]))
    return apply(
        node,
        activation(node, inputs[0]),
        [op.scale, op.zero_point, op.factor, op.out_scale, op.out_zero_point],
        lambda scale, zero, factor, out_scale, out_zero: replace(
            op,
            scale=scale,
            zero_point=zero,
            factor=factor,
            out_scale=out_scale,
            out_zero_point=out_zero,
        ),
    )


@handles(
    "FloatQuant",
    attributes="has_infinity has_nan has_subnormal saturation max_val rounding_mode signed",
    inputs=(1, 7),
    family=QONNX,
)
def float_quant(node: Node, inputs: Sequence[Value | None]) -> tuple[Any, tuple[ops.Op, ...]]:
    """Raise UnsupportedModel: values of small floats are not equally spaced."""
    raise node.unsupported(
        "it quantises to small floats, whose steps differ.",
        "an integer quantiser: Quant (IntQuant) or BipolarQuant.",
    )
