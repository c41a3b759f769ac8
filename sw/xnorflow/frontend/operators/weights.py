"""Weights as integers and their scales, or as real numbers where there are no integers."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.node import Node
from xnorflow.frontend.values import Constant
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints

MAX_WEIGHT = 1 << 15
"""Largest integer weight."""
MAX_DIVISOR = 128
"""Largest integer that is tried for a channel's least magnitude."""
MAX_NEAR = 127
"""Largest integer weight of `_near`."""
ROUNDING = 2.0**-23
"""Greatest difference of neighbouring float32 values, relative to their magnitude."""
PROBES = 16
"""Number of magnitudes that are tried first; float weights that do not fit mostly fail there."""


def layer_weights(
    node: Node, constant: Constant, axis: int
) -> tuple[Ints, Floats] | tuple[Floats, Floats]:
    """Return integers and positive scales whose product is the constant, or its real values.

    The first of these that exists is taken:

    1. a quantiser's own integers, if it has one scale per output channel;
    2. integers in units of each channel's greatest common divisor, up to the rounding of each value
       to float32, as exporters leave them that store quantised values or fuse a batch normalisation
       into weights;
    3. integers of at most `MAX_NEAR` that give the values within the rounding of the largest, which
       adds a note to the node;
    4. the real weights, which lowering refuses unless the user asked for fixed point.

    Parameters
    ----------
    node : Node
        The node that has these weights.
    constant : Constant
        float32 weights.
    axis : int
        Axis of the output channels.

    Returns
    -------
    weights : int64 or float32 array
        Shaped like the constant.
    scale : float32 scalar or [out]
        1 where the weights are real.

    Raises
    ------
    UnsupportedModel
        If the weights are empty, not finite or of another type.
    """
    value = constant.value
    if value.dtype != np.float32:
        raise node.unsupported(f"its weights have type {value.dtype}.", "float32 weights.")
    if value.size == 0 or not np.isfinite(value).all():
        raise node.unsupported("its weights are empty or not finite.", "finite weights.")
    rows = np.moveaxis(value, axis, 0)
    flat_rows = rows.reshape(len(rows), -1)
    found = _given(constant, axis) or _recovered(flat_rows)
    near = _near(flat_rows) if found is None else None
    found = found or near
    real = value, np.ones((), np.float32)
    if found is None:
        return real
    codes, scale = found
    # Lowering takes positive scales only, so the sign of a scale goes into the weights.
    codes = codes * np.sign(scale)[:, None]
    scale = np.where(scale == 0, np.float32(1), np.abs(scale))
    if np.abs(codes).max() > MAX_WEIGHT or not (codes == np.rint(codes)).all():
        return real
    if near is None and not (codes.astype(np.float32) * scale[:, None] == flat_rows).all():
        return real
    if near is not None:
        node.notes.append(
            f"The weights of {node.op} {node.name!r} are whole multiples of one scale, except for"
            " their rounding; the file's own sums may differ in their last places."
        )
    whole = np.moveaxis(codes.astype(np.int64).reshape(rows.shape), 0, axis)
    return whole, scale[:1].reshape(()) if (scale == scale[0]).all() else scale


def _given(constant: Constant, axis: int) -> tuple[Floats, Floats] | None:
    """Return a quantiser's integers [out, n] and scales [out]; None if scales vary in a channel."""
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
    """Return integers [out, n] and scales [out] of float values [out, n]; None if none fit."""
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
    """Return a unit of which all values are whole multiples, up to rounding; None without one.

    The values are positive and ascend, and each is rounded to float32 once. The unit is the least
    value divided by a small number, or the exact greatest common divisor.
    """
    if not len(values):
        return np.float32(1)
    least, most = float(values[0]), float(values[-1])
    for divisor in range(1, MAX_DIVISOR + 1):
        if most / least * divisor > MAX_WEIGHT:
            return _exact_unit(values)
        near = least / divisor
        count = max(1.0, np.rint(most / near))
        # The unit is a float32, which the largest value determines most precisely.
        middle = np.float32(most / count)
        for unit in (middle, *(np.nextafter(middle, np.float32(end)) for end in (0, np.inf))):
            if unit > 0 and _fits(values[:PROBES], unit) and _fits(values, unit):
                return unit
    return _exact_unit(values)


def _fits(values: Floats, unit: np.float32) -> bool:
    """Return whether all values are whole multiples of a unit, rounded once to float32."""
    with np.errstate(over="ignore"):
        return bool((np.rint(values / unit) * unit == values).all())


def _exact_unit(values: Floats) -> np.float32 | None:
    """Return the greatest common divisor of the first values if it fits all, else None."""
    ratios = [float(v).as_integer_ratio() for v in values[:PROBES]]
    denominator = max(d for _, d in ratios)
    unit = np.float32(gcd(*(n * (denominator // d) for n, d in ratios)) / denominator)
    fits = unit > 0 and float(values[-1]) / float(unit) <= MAX_WEIGHT and _fits(values, unit)
    return unit if fits else None


def _near(rows: Floats) -> tuple[Floats, Floats] | None:
    """Return small integers and scales that give the values within the rounding of the largest.

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
