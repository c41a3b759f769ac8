"""Sums of features that constants pick from the channels of each pixel, as entries of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xnorflow.frontend.node import Node
from xnorflow.frontend.registry import Result
from xnorflow.frontend.values import Activation
from xnorflow.graph.gather_op import Taps
from xnorflow.ir import Ints


def looked_up(node: Node, x: Activation, kept: Sequence[int], keepdims: bool) -> Result | None:
    """Import a sum over picks of channels, such as Gather with indices [outputs, tables].

    Parameters
    ----------
    node : Node
        The sum.
    x : Activation
        Its input, [1, channels, ...] but for the axes that are summed; pixels may be padding of 0.
    kept : sequence of int
        Axes that are not summed.
    keepdims : bool
        Whether summed axes stay, with a size of 1.

    Returns
    -------
    (Activation, tuple of Op) or None
        None if the terms are no entries of tables that the channels form; see `Taps.lookups`.
    """
    shape = x.index.shape
    height, width, depth = x.frame
    if len(kept) not in (2, 4) or shape[kept[0]] != 1 or (x.padded and x.pad_value):
        return None
    index = np.moveaxis(x.index, kept, range(len(kept)))[0]
    rows, columns = index.shape[1:3] if len(kept) == 4 else (1, 1)
    # Output channels, rows, columns, terms.
    index = index.reshape(len(index), rows, columns, -1)
    # Without padding, a sum over an axis of one entry is no more than a pick.
    if not (1 if x.padded else 2) <= index.shape[3] < depth:
        return None
    inside = index[0, :, :, 0] >= 0
    if not inside.any() or not ((index >= 0) == inside[None, :, :, None]).all():
        return None
    pixel, channel = np.divmod(index, depth)
    row, column = np.divmod(pixel[0, :, :, 0], width)
    (dy, sy), (dx, sx) = _line(row, inside, 0), _line(column, inside, 1)
    y, z = dy + sy * np.arange(rows), dx + sx * np.arange(columns)
    within = ((y >= 0) & (y < height))[:, None] & ((z >= 0) & (z < width))
    chosen = channel[:, inside][:, 0]
    expected = (y[:, None] * width + z)[None, :, :, None] * depth + chosen[:, None, None]
    if not np.array_equal(index, np.where(within[None, :, :, None], expected, -1)):
        return None
    taps = Taps({(dy, dx): chosen}, (rows, columns), (sy, sx))
    made = taps.lookups(height, width, depth)
    if made is None:
        return None
    frame = (rows, columns, len(index))
    outer = [1 if a not in kept else shape[a] for a in range(len(shape)) if keepdims or a in kept]
    places: Ints = np.arange(index[..., 0].size, dtype=np.int64).reshape(frame)
    found = Activation(frame, places.transpose(2, 0, 1).reshape(outer), dtype=x.dtype)
    return found, tuple(replace(op, node=node.name, op=node.op) for op in made)


def _line(place: Ints, inside: Ints, axis: int) -> tuple[int, int]:
    """Return the first place along an axis, extrapolated over padding, and the step between two."""
    used = np.flatnonzero(inside.any(axis=1 - axis))
    first = int(used[0])
    other = int(np.flatnonzero(np.moveaxis(inside, axis, 0)[first])[0])
    line: Ints = np.moveaxis(place, axis, 0)[:, other]
    step = int(line[used[1]] - line[first]) if len(used) > 1 else 1
    return int(line[first]) - first * step, max(1, step)
