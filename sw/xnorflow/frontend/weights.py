"""Integer weights and their scale, from a quantiser or recovered from float values."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.node import Node
from xnorflow.frontend.values import Constant
from xnorflow.graph.ops import Floats
from xnorflow.ir import Ints

MAX_WEIGHT = 1 << 15
"""Largest integer weight."""
MAX_DIVISOR = 128
"""Largest integer that a channel's least magnitude may be."""
MAX_NEAR = 127
"""Largest integer of weights that are whole multiples of a unit but for their rounding."""
ROUNDING = 2.0**-23
"""Distance of neighbouring float32 values, relative to the larger."""
PROBES = 16
"""Magnitudes that are tried first, as most channels of float weights fail there."""


def integer_weights(node: Node, constant: Constant, axis: int) -> tuple[Ints, Floats]:
    """Return integers and positive scales whose product is the constant.

    A quantiser's own integers are taken where it has one scale per output channel. Otherwise
    each channel is measured in units of its values' greatest common divisor, as far as float32
    shows it: that finds the integers of exporters that store quantised values, or fuse a batch
    normalisation into them.

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
    near = _near(flat_rows) if found is None else None
    if near is not None:
        node.notes.append(
            f"The weights of {node.op} {node.name!r} are whole multiples of one scale but for their"
            " rounding; the file's own sums may differ in their last places."
        )
    found = found or near
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
    if near is None and not (codes.astype(np.float32) * scale[:, None] == flat_rows).all():
        raise node.unsupported(
            "its weights were scaled in a way that rounds.",
            "the scale after the quantiser, or a power of two.",
        )
    whole = np.moveaxis(codes.astype(np.int64).reshape(rows.shape), 0, axis)
    return whole, scale[:1].reshape(()) if (scale == scale[0]).all() else scale


def _given(constant: Constant, axis: int) -> tuple[Floats, Floats] | None:
    """Return a quantiser's integers [out, n] and scales [out], None if they vary otherwise."""
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
    units = np.empty(len(rows), np.float32)
    for i, row in enumerate(np.abs(rows)):
        unit = _unit(np.unique(row[row > 0]))
        if unit is None:
            return None
        units[i] = unit
    return np.rint(rows / units[:, None]), units


def _unit(values: Floats) -> np.float32 | None:
    """Find the unit of which positive, ascending values are whole multiples, rounded once each.

    It is the least value divided by a small number, or the exact greatest common divisor.
    """
    if not len(values):
        return np.float32(1)
    least, most = float(values[0]), float(values[-1])
    for divisor in range(1, MAX_DIVISOR + 1):
        if most / least * divisor > MAX_WEIGHT:
            return _exact_unit(values)
        near = least / divisor
        count = max(1.0, np.rint(most / near))
        # The unit itself is a float32; the largest value tells it best.
        middle = np.float32(most / count)
        for unit in (middle, *(np.nextafter(middle, np.float32(end)) for end in (0, np.inf))):
            if unit > 0 and _fits(values[:PROBES], unit) and _fits(values, unit):
                return unit
    return _exact_unit(values)


def _fits(values: Floats, unit: np.float32) -> bool:
    with np.errstate(over="ignore"):
        return bool((np.rint(values / unit) * unit == values).all())


def _exact_unit(values: Floats) -> np.float32 | None:
    ratios = [float(v).as_integer_ratio() for v in values[:PROBES]]
    denominator = max(d for _, d in ratios)
    unit = np.float32(gcd(*(n * (denominator // d) for n, d in ratios)) / denominator)
    fits = unit > 0 and float(values[-1]) / float(unit) <= MAX_WEIGHT and _fits(values, unit)
    return unit if fits else None


def _near(rows: Floats) -> tuple[Floats, Floats] | None:
    """Find small integers that the values are, in some unit, within the rounding of the largest.

    So are weights that were computed as ``2 * round(3 * v) / 3 - 1``. One unit for all channels is
    taken where there is one: that of a channel hangs on how its own values are rounded, and equal
    sums of different channels would become unequal.
    """
    units = np.empty(len(rows), np.float32)
    common = _near_unit(np.unique(np.abs(rows[rows != 0])).astype(np.float64))
    if common is not None:
        units[:] = common
        return np.rint(rows / units[:, None]), units
    for i, row in enumerate(np.abs(rows)):
        values = np.unique(row[row > 0]).astype(np.float64)
        unit = _near_unit(values)
        if unit is None:
            return None
        units[i] = unit
    return np.rint(rows / units[:, None]), units


def _near_unit(values: NDArray[np.float64]) -> float | None:
    if not len(values):
        return 1.0
    least, most = values[0], values[-1]
    for divisor in range(1, MAX_NEAR + 1):
        count = np.rint(most / least * divisor)
        if count > MAX_NEAR:
            return None
        unit = most / count
        if (np.abs(np.rint(values / unit) * unit - values) <= ROUNDING * most).all():
            return float(unit)
    return None
