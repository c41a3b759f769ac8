"""ONNX nodes for functions of one value, for the files of lowering steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from xnorflow.errors import UnsupportedModel
from xnorflow.export.onnx_builder import OnnxBuilder
from xnorflow.graph import function_ops as f
from xnorflow.graph.ops import Elementwise, Op

Write = Callable[[Elementwise, OnnxBuilder, str], None]
"""Appends the nodes of an operation, under a name, to a graph."""

ATTRIBUTES = {
    "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Elu": ("alpha",),
    "Celu": ("alpha",),
    "Selu": ("alpha", "gamma"),
}
"""Functions whose constants are scalar attributes in ONNX, with the attributes' names."""
LATER = frozenset({"Gelu", "GeluTanh", "Mish"})
"""Functions that are no operators of the files' operator set."""
ROUND_NODES = {"ROUND": "Round", "HALF_EVEN": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}
"""Operators for QONNX's roundings."""


def no_node(op: Op) -> UnsupportedModel:
    """Build the error for an operation that no ONNX node computes."""
    return UnsupportedModel(
        "it has no node in the files of lowering steps.",
        node=op.node,
        op=op.op or type(op).__name__,
        hint="the integer network alone, without --passes.",
    )


def write_function(op: f.FunctionOp, b: OnnxBuilder, name: str, write: Write) -> None:
    """Append the nodes of a function of the last tensor.

    Parameters
    ----------
    op : FunctionOp
        The function.
    b : OnnxBuilder
        The graph.
    name : str
        Name of the last node, and prefix of all others.
    write : callable
        Function that appends the operations in the operands.

    Raises
    ------
    UnsupportedModel
        If the files' operator set does not have the function.
    """
    start, given = b.at, []
    for i, operand in enumerate(op.operands):
        if isinstance(operand, np.ndarray):
            given.append(b.per_channel(f"{name}.{i}", operand, operand.dtype.type))
            continue
        b.at = start
        for j, inner in enumerate(operand):
            write(inner, b, f"{name}.{i}.{j}")
        given.append(b.at)
    b.at = given[0]
    if op.function in LATER:
        raise no_node(op)
    if op.function in ATTRIBUTES:
        values = (float(np.asarray(o).reshape(())) for o in op.operands[1:])
        attributes: dict[str, Any] = dict(zip(ATTRIBUTES[op.function], values, strict=True))
        b.add(op.function, name, **attributes)
    elif op.function == "HardSwish":
        b.add("HardSwish", name)
    elif op.function == "LeakyRelu":
        zero = b.store(f"{name}.zero", np.zeros((), np.float32))
        below = b.add("Less", f"{name}.below", zero)
        b.at = given[0]
        scaled = b.add("Mul", f"{name}.scaled", given[1])
        b.at = below
        b.add("Where", name, scaled, given[0])
    elif op.function == "Choose":
        made = given[1]
        for k, value in enumerate(given[2:], 1):
            b.at = given[0]
            b.add("Equal", f"{name}.is_{k}", b.store(f"{name}.{k}", np.array(k, np.int64)))
            made = b.add("Where", name, value, made)
        b.at = made
    else:
        b.add(op.function, name, *given[1:])


def write_cast(op: f.CastOp, b: OnnxBuilder, name: str) -> None:
    """Append the node of a conversion to another element type."""
    b.add("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(op.to)))


def write_quantize_linear(op: f.QuantizeLinearOp, b: OnnxBuilder, name: str) -> None:
    """Append the nodes of a QuantizeLinear; that operator itself has too few element types."""
    _with(b, "Div", name, "scale", op.scale)
    b.add("Round", f"{name}.rounded")
    _with(b, "Add", name, "zero_point", op.zero_point)
    _clip(b, name, *map(float, op.limits))
    write_cast(f.CastOp(op.held_as.name), b, name)


def write_dequantize_linear(op: f.DequantizeLinearOp, b: OnnxBuilder, name: str) -> None:
    """Append the nodes of a DequantizeLinear."""
    b.add("Cast", f"{name}.floats", to=TensorProto.FLOAT)
    _with(b, "Sub", name, "zero_point", op.zero_point)
    _with(b, "Mul", name, "scale", op.scale)


def write_trunc(op: f.TruncOp, b: OnnxBuilder, name: str) -> None:
    """Append the nodes of a QONNX Trunc; UnsupportedModel for a rounding without an operator."""
    if op.rounding not in ROUND_NODES:
        raise no_node(op)
    _with(b, "Div", name, "scale", op.scale)
    _with(b, "Add", name, "zero_point", op.zero_point)
    b.add("Round", f"{name}.steps")
    _with(b, "Div", name, "factor", op.factor)
    if op.limits is not None:
        _clip(b, name, *op.limits)
    b.add(ROUND_NODES[op.rounding], f"{name}.rounded")
    _with(b, "Sub", name, "out_zero_point", op.out_zero_point)
    _with(b, "Mul", name, "out_scale", op.out_scale)


def _with(b: OnnxBuilder, node: str, name: str, what: str, value: NDArray[Any]) -> None:
    """Append an operator `node` of the last tensor and a constant, which is named `what`."""
    b.add(node, f"{name}.with_{what}", b.per_channel(f"{name}.{what}", value))


def _clip(b: OnnxBuilder, name: str, lo: float, hi: float) -> None:
    ends = (
        b.store(f"{name}.{end}", np.array(v, np.float32)) for end, v in (("lo", lo), ("hi", hi))
    )
    b.add("Clip", f"{name}.clipped", *ends)
