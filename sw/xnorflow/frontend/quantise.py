"""Parameters of QONNX quantiser nodes, shared by weights and activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.node import Node
from xnorflow.graph import ops
from xnorflow.graph.quantisers import ROUNDINGS

QUANTS = ("Quant", "IntQuant")
"""Two names of one operator."""
QUANT_ATTRIBUTES = frozenset({"narrow", "signed", "rounding_mode"})
MAX_BITS = 24
"""Widest quantiser; float32 holds no wider integers exactly."""


def float_parameter(node: Node, value: NDArray[Any], what: str) -> ops.Floats:
    """Give a finite float32 parameter; UnsupportedModel for other types and values."""
    if value.dtype != np.float32:
        raise node.unsupported(f"its {what} has type {value.dtype}.", "float32.")
    if not np.isfinite(value).all():
        raise node.unsupported(f"its {what} is not finite.", "retrain or repair the file.")
    return value


def bipolar_scale(node: Node, parameters: Sequence[NDArray[Any]]) -> ops.Floats:
    """Give the scale of a BipolarQuant from its inputs after the first."""
    if len(parameters) != 1:
        raise node.unsupported("BipolarQuant has two inputs.")
    return float_parameter(node, parameters[0], "scale")


def quant_parameters(node: Node, parameters: Sequence[NDArray[Any]]) -> ops.QuantOp:
    """Read a Quant node, scale and zero point shaped as in the file.

    Parameters
    ----------
    node : Node
        One of `QUANTS`.
    parameters : sequence of array
        Scale, zero point and bit width.

    Raises
    ------
    UnsupportedModel
        For a scale that is not positive, a fractional or too large bit width, an unknown rounding.
    """
    if len(parameters) != 3:
        raise node.unsupported("Quant has four inputs.")
    scale, zero_point = (
        float_parameter(node, p, w)
        for p, w in zip(parameters, ("scale", "zero point"), strict=False)
    )
    if not (scale > 0).all():
        raise node.unsupported("its scale is not positive.", "positive scales.")
    if not (zero_point == np.rint(zero_point)).all():
        raise node.unsupported("its zero point is no integer.", "an integer zero point.")
    width = parameters[2]
    bits = float(width.ravel()[0]) if width.size else 0.0
    if not (width == bits).all() or not 1 <= bits <= MAX_BITS or bits != int(bits):
        raise node.unsupported(
            "its bit width is not one whole number.",
            f"one bit width of 1 to {MAX_BITS} for the whole tensor.",
        )
    rounding = node.text("rounding_mode", "ROUND").upper()
    if rounding not in ROUNDINGS:
        raise node.unsupported(
            f"rounding mode {rounding!r} is unknown.", f"one of {', '.join(ROUNDINGS)}."
        )
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
