"""Nearest resizing: where each element of the result comes from, as the operators define it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.limits import MAX_FEATURES, elements
from xnorflow.frontend.node import Node
from xnorflow.ir import Ints

ATTRIBUTES = (
    "mode scales coordinate_transformation_mode nearest_mode axes antialias cubic_coeff_a"
    " exclude_outside extrapolation_value keep_aspect_ratio_policy"
)
FIRST_RESIZE = 10
"""Operator set of a Resize that has no coordinate transformations yet, like Upsample."""

Operand = NDArray[Any] | None


def resized(node: Node, index: Ints, operands: Sequence[Operand]) -> Ints:
    """Return the index of the result of Resize or Upsample.

    Parameters
    ----------
    node : Node
        The node.
    index : int64 array
        Position of each element of its input.
    operands : sequence of array or None
        Its further inputs.

    Raises
    ------
    UnsupportedModel
        If it interpolates, or its sizes are not constant or too large.
    """
    mode = node.text("mode", "nearest")
    if mode != "nearest" or node.integer("antialias", 0):
        raise node.unsupported(
            f"it interpolates ({mode}).", "nearest resizing by a whole factor (mode='nearest')."
        )
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.unsupported("it keeps the aspect ratio.", "keep_aspect_ratio_policy='stretch'.")
    scales, sizes = _sizes(node, index.shape, operands)
    elements(sizes, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    for axis, (scale, size) in enumerate(zip(scales, sizes, strict=True)):
        at = _places(node, index.shape[axis], size, scale)
        if not np.array_equal(at, np.arange(index.shape[axis])):
            index = np.take(index, at, axis)
    return index


def _sizes(
    node: Node, shape: tuple[int, ...], operands: Sequence[Operand]
) -> tuple[list[float], list[int]]:
    """Return the scale and the size of each axis of the result."""
    rank = len(shape)
    axes = list(node.integers("axes") or range(rank))
    if node.op == "Upsample" or node.opset <= FIRST_RESIZE:
        scales = operands[0] if operands else None
        sizes = None
        if node.op == "Upsample" and node.opset < 9 and "scales" in node.attribute_names:
            scales = node.array("scales")
    else:
        _, scales, sizes = ([*operands, None, None, None])[:3]
    if scales is not None and not scales.size:
        scales = None
    if (scales is None) == (sizes is None):
        raise node.unsupported(
            "it has no constant scales or sizes, or both.", "constant scales or sizes."
        )
    given = scales if sizes is None else sizes
    assert given is not None
    if len(axes) != given.size or not all(-rank <= a < rank for a in axes):
        raise node.unsupported(
            f"it has {given.size} sizes or scales for {len(axes)} axes.", "one for each axis."
        )
    found, made = [1.0] * rank, list(shape)
    for a, value in zip(axes, given.ravel().tolist(), strict=True):
        if not math.isfinite(value) or value <= 0 or value * shape[a] > MAX_FEATURES:
            raise node.unsupported(f"it resizes by {value}.", "positive scales of a small map.")
        if sizes is None:
            found[a], made[a] = float(value), math.floor(shape[a] * np.float32(value))
        else:
            found[a], made[a] = int(value) / shape[a], int(value)
    if min(made) < 1:
        raise node.unsupported("nothing is left of its input.", "larger scales.")
    return found, made


def _places(node: Node, length: int, size: int, scale: float) -> Ints:
    """Return the place in a line of `length` of each of the `size` places of the result."""
    x = np.arange(size, dtype=np.float32)
    factor = np.float32(scale)
    if node.op == "Upsample" or node.opset <= FIRST_RESIZE:
        mode, rounding = "asymmetric", "floor"
    else:
        mode = node.text("coordinate_transformation_mode", "half_pixel")
        rounding = node.text("nearest_mode", "round_prefer_floor")
    if size == length and scale == 1:
        return np.arange(length)
    half, one = np.float32(0.5), np.float32(1)
    match mode:
        case "half_pixel":
            at = (x + half) / factor - half
        case "pytorch_half_pixel":
            at = (x + half) / factor - half if size > 1 else np.zeros_like(x)
        case "asymmetric":
            at = x / factor
        case "align_corners":
            at = x * np.float32(length - 1) / np.float32(size - 1) if size > 1 else 0 * x
        case "tf_half_pixel_for_nn":
            at = (x + half) / factor
        case "half_pixel_symmetric":
            adjusted = np.float32(size) / (factor * np.float32(length))
            centre = np.float32(length) / 2
            at = centre * (one - adjusted) + (x + half) / factor - half
        case _:
            raise node.unsupported(
                f"its coordinate_transformation_mode {mode!r} is unknown.",
                "asymmetric or half_pixel.",
            )
    match rounding:
        case "round_prefer_floor":
            places = np.ceil(at - half)
        case "round_prefer_ceil":
            places = np.floor(at + half)
        case "floor":
            places = np.floor(at)
        case "ceil":
            places = np.ceil(at)
        case _:
            raise node.unsupported(f"its nearest_mode {rounding!r} is unknown.", "floor.")
    return np.clip(places, 0, length - 1).astype(np.int64)
