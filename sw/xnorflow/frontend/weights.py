"""Integer weights and their scale, from a quantiser or recovered from float values."""

from __future__ import annotations

import numpy as np

from xnorflow.frontend.node import Node
from xnorflow.frontend.values import Constant
from xnorflow.graph.ops import Floats
from xnorflow.ir import Ints

MAX_WEIGHT = 1 << 15
"""Largest integer weight."""


def integer_weights(node: Node, constant: Constant, axis: int) -> tuple[Ints, Floats]:
    """Give integers and positive scales whose product is the constant.

    A quantiser's own integers are taken where it has one scale per output channel. Otherwise
    each channel is measured in units of its least non-zero magnitude: that finds the integers of
    exporters that store quantised values, or fuse a batch normalisation into binary weights.

    Parameters
    ----------
    node : Node
        Whose weights they are.
    constant : Constant
        float32 weights.
    axis : int
        Axis of the output channels.

    Returns
    -------
    weights : int64 array
        Shaped like the constant.
    scale : float32 scalar or [out]

    Raises
    ------
    UnsupportedModel
        If no such integers exist.
    """
    value = constant.value
    if value.dtype != np.float32:
        raise node.unsupported(f"its weights have type {value.dtype}.", "float32 weights.")
    if value.size == 0 or not np.isfinite(value).all():
        raise node.unsupported("its weights are empty or not finite.")
    rows = np.moveaxis(value, axis, 0)
    flat_rows = rows.reshape(len(rows), -1)
    found = _given(constant, axis) or _recovered(flat_rows)
    if found is None:
        raise node.unsupported(
            "its weights are not integers times one scale per output channel.",
            "quantised weights: a BipolarQuant or Quant node, or values such as -s and +s.",
        )
    codes, scale = found
    # A sign of the scale goes into the weights, so that lowering sees positive scales only.
    codes = codes * np.sign(scale)[:, None]
    scale = np.where(scale == 0, np.float32(1), np.abs(scale))
    if np.abs(codes).max() > MAX_WEIGHT or not (codes == np.rint(codes)).all():
        raise node.unsupported(
            f"its integer weights exceed {MAX_WEIGHT} or are fractions.",
            "weights of at most 8 bits and an integer zero point.",
        )
    if not (codes.astype(np.float32) * scale[:, None] == flat_rows).all():
        raise node.unsupported(
            "its weights were scaled in a way that rounds.",
            "the scale after the quantiser, or a power of two.",
        )
    whole = np.moveaxis(codes.astype(np.int64).reshape(rows.shape), 0, axis)
    return whole, scale[:1].reshape(()) if (scale == scale[0]).all() else scale


def _given(constant: Constant, axis: int) -> tuple[Floats, Floats] | None:
    """Give a quantiser's integers [out, n] and scales [out], None if they vary otherwise."""
    if constant.codes is None or constant.scale is None:
        return None
    shape = constant.value.shape
    codes, scales = (
        np.moveaxis(np.broadcast_to(a, shape), axis, 0).reshape(shape[axis], -1)
        for a in (constant.codes, constant.scale)
    )
    if not (scales == scales[:, :1]).all():
        return None
    return codes, scales[:, 0].copy()


def _recovered(rows: Floats) -> tuple[Floats, Floats] | None:
    """Find integers [out, n] and scales [out] of float values [out, n], None where none fit."""
    if (rows == np.rint(rows)).all() and np.abs(rows).max() <= MAX_WEIGHT:
        return rows, np.ones(len(rows), np.float32)
    magnitude = np.abs(rows)
    units = np.where(magnitude > 0, magnitude, np.float32(np.inf)).min(1)
    units = np.where(np.isfinite(units), units, np.float32(1)).astype(np.float32)
    with np.errstate(over="ignore"):
        codes = np.rint(rows / units[:, None])
        fits = np.isfinite(codes).all() and (codes * units[:, None] == rows).all()
    return (codes, units) if fits and np.abs(codes).max() <= MAX_WEIGHT else None
