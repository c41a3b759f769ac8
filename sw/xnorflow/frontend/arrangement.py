"""Operations that move the features of a frame into another one, where layers have to do it.

Each is one of a few: a crop or a stretch of rows and columns, a convolution whose weights are 0 and
1 that picks channels and taps, or a flattening. What none of them makes is not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xnorflow.frontend.input_frame import Frame
from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.graph import ops
from xnorflow.graph.join_ops import StretchOp
from xnorflow.ir import Ints, Window

ONE = np.ones((), np.float32)
PIXEL = Window()
CROPPED = 4
"""Sizes of cells that are tried where a map is too small to tell, beginning with the least."""

PICK = 10
"""Cost of a pick in comparison with other moves."""

Moves = tuple[ops.Op, ...]


def arranged(node: Node, frame: Frame, wanted: Ints, pad: float = 0.0) -> Moves | None:
    """Return the operations that make the frame `wanted` of another; None if none are known.

    Parameters
    ----------
    node : Node
        The node that needs them, for messages.
    frame : tuple of int
        Height, width and channels of the present frame.
    wanted : int64 array [height, width, channels]
        Position in the present frame of each feature of the new one, or -1 for padding.
    pad : float
        Value of the padding.

    Returns
    -------
    tuple of Op or None
        None also if a pick would have too many weights.
    """
    if wanted.shape == frame and np.array_equal(wanted.ravel(), np.arange(wanted.size)):
        return ()
    if (wanted < 0).any():
        return _padded(node, frame, wanted, pad)
    made = _cells(node, frame, wanted)
    if made is None and wanted.shape[:2] == (1, 1):
        picked = _picked(node, (1, 1, math.prod(frame)), wanted[0, 0])
        return None if picked is None else (ops.FlattenOp(node=node.name, op=node.op), *picked)
    return strided(node, frame, wanted, tight=True) if made is None else made


def cost(moves: Moves) -> int:
    """Return a rough measure of the hardware of moves, to choose between ways."""
    return sum(PICK if isinstance(op, ops.ConvOp) else 1 for op in moves)


def _picked(node: Node, frame: Frame, channels: Ints) -> Moves | None:
    """Return the pick of channels in every pixel; none if it leaves them, None if too large."""
    if np.array_equal(channels, np.arange(frame[2])):
        return ()
    size = (len(channels), frame[2])
    if math.prod(size) > MAX_WEIGHTS:
        return None
    weights = np.zeros(size, np.int64)
    weights[np.arange(len(channels)), channels] = 1
    return (_conv(node, weights[:, None, None]),)


def _conv(node: Node, weights: Ints, window: Window = PIXEL) -> ops.ConvOp:
    return ops.ConvOp(weights, ONE, window, node=node.name, op=node.op)


def strided(node: Node, frame: Frame, wanted: Ints, *, tight: bool = False) -> Moves | None:
    """Return the convolution that picks taps at a common stride; None if they are irregular.

    The row and the column of each feature of a regular pick are an offset of its channel plus a
    stride times its own row and column.

    Parameters
    ----------
    node : Node
        The node that needs it.
    frame : tuple of int
        The present frame.
    wanted : int64 array [height, width, channels]
        Position in it of each feature; none is padding.
    tight : bool
        Whether the kernel ends at the last tap if it may; otherwise it covers the frame.

    Raises
    ------
    UnsupportedModel
        If its weights are too large; None is returned instead if it is `tight`.
    """
    height, width, channels = frame
    start, stride, kernel = [], [], []
    axes = ((wanted // channels // width, 0, height), (wanted // channels % width, 1, width))
    for at, axis, size in axes:
        first = np.take(at, [0], axis)
        count = wanted.shape[axis]
        step = int((np.take(at, [1], axis) - first).ravel()[0]) if count > 1 else size
        shape = [-1 if a == axis else 1 for a in range(3)]
        regular = first[:1, :1] + step * np.arange(count).reshape(shape)
        if step < 1 or not (at == regular).all():
            return None
        start.append(first[0, 0])
        stride.append(step)
        extent = size - step * (count - 1)
        least = int(first.max()) + 1
        if tight and (size - least) // step + 1 == count:
            extent = least
        kernel.append(extent)
    channel = (wanted % channels)[0, 0]
    if not (wanted % channels == channel).all():
        return None
    deep = (len(channel), kernel[0], kernel[1], channels)
    if tight and math.prod(deep) > MAX_WEIGHTS:
        return None
    elements(deep, MAX_WEIGHTS, what="its pick of features", node=node.name, op=node.op)
    weights: Ints = np.zeros(deep, np.int64)
    weights[np.arange(len(channel)), start[0], start[1], channel] = 1
    return (_conv(node, weights, Window((kernel[0], kernel[1]), (stride[0], stride[1]))),)


@dataclass(frozen=True)
class _Cells:
    """The cells of a stretched axis.

    Parameters
    ----------
    factor : int
        Rows or columns of a cell.
    start, end : int
        Number of rows or columns that are cropped.
    """

    factor: int
    start: int
    end: int


def _cells_of(at: Ints, size: int) -> Iterator[_Cells]:
    """Yield the ways in which places of a line of `size` may be cells of a stretched one.

    Parameters
    ----------
    at : int64 array [n]
        Place of each row or column.
    size : int
        Number of places.
    """
    steps = np.diff(at)
    if not ((steps == 0) | (steps == 1)).all():
        return
    bounds = np.flatnonzero(steps) + 1
    runs = np.diff(np.concatenate([[0], bounds, [len(at)]]))
    longest = int(runs.max())
    factors = [int(runs[1])] if len(runs) > 2 else list(range(longest, longest + CROPPED))
    for factor in factors:
        inner = runs[1:-1]
        if longest > factor or (inner != factor).any():
            continue
        # Of several cells, the first is cropped at its start; a single one may be anywhere.
        lead = factor - int(runs[0]) if len(runs) > 1 else 0
        start = int(at[0]) * factor + lead
        yield _Cells(factor, start, size * factor - start - len(at))


def _cells(node: Node, frame: Frame, wanted: Ints) -> Moves | None:
    """Return a crop, a nearest upsampling or a depth to space, with a pick of channels ahead."""
    height, width, channels = frame
    row, column = wanted // channels // width, wanted // channels % width
    if not ((row == row[:, :1, :1]).all() and (column == column[:1, :, :1]).all()):
        return None
    channel = wanted % channels
    for rows in _cells_of(row[:, 0, 0], height):
        for columns in _cells_of(column[0, :, 0], width):
            picks = _by_phase(channel, rows, columns)
            if picks is not None:
                return _stretched(node, frame, picks, rows, columns)
    return None


def _by_phase(channel: Ints, rows: _Cells, columns: _Cells) -> Ints | None:
    """Return the channel of each feature by its place in the cell, [rows, columns, channels].

    -1 for places that are cropped everywhere; None if cells differ.
    """
    y = ((np.arange(channel.shape[0]) + rows.start) % rows.factor)[:, None]
    x = ((np.arange(channel.shape[1]) + columns.start) % columns.factor)[None]
    found = np.full((rows.factor, columns.factor, channel.shape[2]), -1)
    found[y, x] = channel
    return found if (found[y, x] == channel).all() else None


def _stretched(
    node: Node, frame: Frame, picks: Ints, rows: _Cells, columns: _Cells
) -> Moves | None:
    factors = (rows.factor, columns.factor)
    crop = (rows.start, columns.start, rows.end, columns.end)
    seen = picks[picks[..., 0] >= 0]
    if (seen == seen[0]).all():
        picked = _picked(node, frame, seen[0])
        if picked is None or (factors == (1, 1) and not any(crop)):
            return picked
        stretch = StretchOp(factors, "repeat", crop, node=node.name, op=node.op)
        return (stretch, *picked) if factors == (1, 1) else (*picked, stretch)
    # What is cropped everywhere may be anything.
    channels = np.where(picks < 0, seen[0], picks).reshape(-1)
    stretch = StretchOp(factors, "blocks", crop, node=node.name, op=node.op)
    picked = _picked(node, frame, channels)
    return None if picked is None else (*picked, stretch)


def _padded(node: Node, frame: Frame, wanted: Ints, pad: float) -> Moves | None:
    """Return a pick that pads rows, columns and channels."""
    inside = wanted >= 0
    used = [np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not inside.any():
        return None
    (top, bottom), (left, right) = ((u[0], len_ - 1 - u[-1]) for u, len_ in _ends(used, wanted))
    core = wanted[top : len(wanted) - bottom, left : wanted.shape[1] - right][..., used[2]]
    if (core < 0).any():
        return None
    moves = arranged(node, frame, core)
    if moves is None:
        return None
    lines = any((top, left, bottom, right))
    before, last = list(moves[:-1]), moves[-1] if moves else None
    channels = wanted.shape[2]
    if isinstance(last, ops.ConvOp) and (not lines or last.window == PIXEL):
        rows: NDArray[np.int64] = last.weights
        window = last.window
    else:
        before = list(moves)
        rows, window = np.eye(len(used[2]), dtype=np.int64)[:, None, None], PIXEL
    size = (channels, *rows.shape[1:])
    if math.prod(size) > MAX_WEIGHTS:
        return None
    weights = np.zeros(size, np.int64)
    weights[used[2]] = rows
    bias = None
    if pad and len(used[2]) < channels:
        bias = np.full(channels, pad, np.float32)
        bias[used[2]] = 0
    pads = (int(top), int(left), int(bottom), int(right))
    window = replace(window, pads=pads)
    conv = replace(_conv(node, weights, window), pad_value=pad if any(pads) else 0.0, bias=bias)
    return (*before, conv)


def _ends(used: list[Ints], wanted: Ints) -> Iterator[tuple[Ints, int]]:
    yield used[0], wanted.shape[0]
    yield used[1], wanted.shape[1]
