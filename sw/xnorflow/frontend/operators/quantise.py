"""Parameters of quantiser nodes, for the import of both weights and activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.frontend.narrow import NARROW
from xnorflow.frontend.node import Node
from xnorflow.frontend.tensors import type_name
from xnorflow.frontend.values import Constant, Value
from xnorflow.graph import ops
from xnorflow.graph.function_ops import TruncOp
from xnorflow.graph.quantisers import ROUNDINGS, Floats, integer_range

QUANTS = ("Quant", "IntQuant")
"""Two names of one operator."""
QUANT_ATTRIBUTES = frozenset({"narrow", "signed", "rounding_mode"})
MAX_BITS = 24
"""Most bits of a quantiser; float32 cannot hold all wider integers exactly."""


def constant_parameters(node: Node, inputs: Sequence[Value | None]) -> list[NDArray[Any]]:
    """Return the values of inputs; UnsupportedModel if one is absent or not constant."""
    values = [v.value for v in inputs if isinstance(v, Constant)]
    if len(values) != len(inputs):
        raise node.unsupported(
            "its parameters are not constant.", "scales that do not depend on the input."
        )
    return values


def whole_parameter(node: Node, value: NDArray[Any], what: str) -> Floats:
    """Return a parameter as float32; it may be stored as integers of at most `MAX_BITS` bits."""
    if value.dtype.kind in "iu" and np.abs(value).max(initial=0) < 1 << MAX_BITS:
        return value.astype(np.float32)
    return float_parameter(node, value, what)


def integer_range_of(node: Node, data_type: int) -> np.dtype[Any]:
    """Return the NumPy type of an ONNX integer type, which is given by its number."""
    integers: dict[int, np.dtype[Any]] = {
        TensorProto.INT8: np.dtype(np.int8),
        TensorProto.UINT8: np.dtype(np.uint8),
        TensorProto.INT16: np.dtype(np.int16),
        TensorProto.UINT16: np.dtype(np.uint16),
        TensorProto.INT32: np.dtype(np.int32),
        **{number: narrow.dtype for number, narrow in NARROW.items()},
    }
    if data_type not in integers:
        raise node.unsupported(
            f"it quantises to {type_name(data_type)}.", "integers of 2, 4, 8 or 16 bits."
        )
    return integers[data_type]


def bit_width(node: Node, width: NDArray[Any]) -> float:
    """Return a bit width; UnsupportedModel if it is not one whole number for the whole tensor."""
    bits = float(width.ravel()[0]) if width.size else 0.0
    if not (width == bits).all() or not 1 <= bits <= MAX_BITS or bits != int(bits):
        raise node.unsupported(
            "its bit width is not one whole number.",
            f"one bit width of 1 to {MAX_BITS} for the whole tensor.",
        )
    return bits


def rounding_mode(node: Node, default: str) -> str:
    """Return the node's rounding, a name in `ROUNDINGS`, or `default` if it has none."""
    rounding = node.text("rounding_mode", default).upper()
    if rounding not in ROUNDINGS:
        raise node.unsupported(
            f"rounding mode {rounding!r} is unknown.", f"one of {', '.join(ROUNDINGS)}."
        )
    return rounding


def trunc_operation(node: Node, parameters: Sequence[NDArray[Any]]) -> TruncOp:
    """Build the operation of a Trunc node, with parameters in the shapes of the file.

    Parameters
    ----------
    node : Node
        A node of version 1 or 2.
    parameters : sequence of array
        Scale, zero point, input bits and output bits; in version 2 also the output's scale, between
        the bits.
    """
    scale = float_parameter(node, parameters[0], "scale")
    zero = whole_parameter(node, parameters[1], "zero point")
    if not (scale > 0).all():
        raise node.unsupported("its scale is not positive.", "positive scales.")
    bits_in, bits_out = (bit_width(node, parameters[i]) for i in (2, -1))
    rounding = rounding_mode(node, "FLOOR")
    where = node.where
    if len(parameters) == 4:
        power = np.array(2.0 ** (bits_in - bits_out), np.float32)
        return TruncOp(scale, zero, power, scale, zero, None, rounding, **where)
    out_scale = float_parameter(node, parameters[3], "output scale")
    if not (out_scale > 0).all():
        raise node.unsupported("its output scale is not positive.", "positive scales.")
    factor = np.asarray(np.float32(2) ** np.round(np.log2(out_scale / scale)), np.float32)
    signed, narrow = node.integer("signed", 1), node.integer("narrow", 0)
    lo, hi = integer_range(bits_out, bool(signed), bool(narrow))
    limits = (float(lo), float(hi))
    return TruncOp(scale, zero, factor, out_scale, zero / factor, limits, rounding, **where)


def float_parameter(node: Node, value: NDArray[Any], what: str) -> Floats:
    """Return a finite float32 parameter; UnsupportedModel for other types and values."""
    if value.dtype != np.float32:
        raise node.unsupported(f"its {what} has type {value.dtype}.", "float32.")
    if not np.isfinite(value).all():
        raise node.unsupported(f"its {what} is not finite.", "retrain or repair the file.")
    return value


def bipolar_scale(node: Node, parameters: Sequence[NDArray[Any]]) -> Floats:
    """Return the scale of a BipolarQuant from its inputs after the first."""
    if len(parameters) != 1:
        raise node.unsupported(
            f"it has {len(parameters) + 1} inputs.", "two: the values and a scale."
        )
    return float_parameter(node, parameters[0], "scale")


def quant_parameters(node: Node, parameters: Sequence[NDArray[Any]]) -> ops.QuantOp:
    """Build the operation of a Quant node, with scale and zero point in the shapes of the file.

    Parameters
    ----------
    node : Node
        A node with an operator in `QUANTS`.
    parameters : sequence of array
        Scale, zero point and bit width.

    Raises
    ------
    UnsupportedModel
        For a scale that is not positive, a zero point or a bit width that is not a whole number,
        more than `MAX_BITS` bits, and an unknown rounding.
    """
    if len(parameters) != 3:
        raise node.unsupported(
            f"it has {len(parameters) + 1} inputs.",
            "four: the values, a scale, a zero point and a bit width.",
        )
    scale = float_parameter(node, parameters[0], "scale")
    zero_point = whole_parameter(node, parameters[1], "zero point")
    if not (scale > 0).all():
        raise node.unsupported("its scale is not positive.", "positive scales.")
    if not (zero_point == np.rint(zero_point)).all():
        raise node.unsupported("its zero point is no integer.", "an integer zero point.")
    bits = bit_width(node, parameters[2])
    rounding = rounding_mode(node, "ROUND")
    return ops.QuantOp(
        scale,
        zero_point,
        bits,
        bool(node.integer("signed", 1)),
        bool(node.integer("narrow", 1)),
        rounding,
        node=node.name,
        op=node.op,
    )
