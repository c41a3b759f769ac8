"""Tensors that are joined value by value are brought into one frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from xnorflow.frontend.arrangement import PICK, Moves, arranged, cost
from xnorflow.frontend.input_frame import Frame
from xnorflow.frontend.limits import MAX_FEATURES, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.steps import Step, extended, joined
from xnorflow.frontend.values import Activation, agreed_source
from xnorflow.graph.join_ops import JoinOp
from xnorflow.graph.ops import Op
from xnorflow.ir import Ints

MAX_JOINED = 256
"""Most maps that one operation joins."""


def grown(x: Activation, *ops: Op) -> Activation:
    """Return a tensor of the same features after more operations on each value."""
    return replace(x, made_by=extended(x.made_by, ops, x.frame))


def join(node: Node, op: JoinOp, features: Sequence[Activation], low: float) -> Activation:
    """Return the tensor that an operation on several makes, value by value.

    Parameters
    ----------
    node : Node
        The node to import.
    op : JoinOp
        The operation.
    features : sequence of Activation
        What it reads, of shapes that broadcast.
    low : float
        Lower bound of the result.

    Raises
    ------
    UnsupportedModel
        If shapes do not fit, or no operations bring the features into one order.
    """
    if len(features) > MAX_JOINED:
        raise node.unsupported(
            f"it joins {len(features)} tensors that depend on the input.",
            f"at most {MAX_JOINED} at a time.",
        )
    source = agreed_source(features)
    frame, index, steps = aligned(node, features)
    return Activation(frame, index, low=low, made_by=joined(op, steps, frame), source=source)


def realised(node: Node, x: Activation) -> Activation:
    """Return a tensor that holds each of its elements once, in a frame of its own."""
    frame, index, (step,) = aligned(node, [x])
    return Activation(frame, index, low=x.low, dtype=x.dtype, made_by=step, source=x.source)


def aligned(node: Node, features: Sequence[Activation]) -> tuple[Frame, Ints, list[Step | None]]:
    """Bring tensors into one frame.

    Returns
    -------
    frame : tuple of int
        Height, width and channels of the result.
    index : int64 array
        Position in it of each element of the tensors' common shape.
    steps : list of Step or None
        What makes each tensor in the frame, or with one pixel or one channel of it, which is
        broadcast.
    """
    try:
        shape = np.broadcast_shapes(*(x.index.shape for x in features))
    except ValueError as e:
        shapes = ", ".join("x".join(map(str, x.index.shape)) for x in features[:8])
        raise node.unsupported(
            f"it joins tensors of shapes that do not fit: {shapes}.", "shapes that broadcast."
        ) from e
    elements(shape, MAX_FEATURES, what="its result", node=node.name, op=node.op)
    spread = [np.broadcast_to(x.index, shape) for x in features]
    best: tuple[Frame, Ints, list[Moves]] | None = None
    least = math.inf
    for frame, index in _frames(features, shape):
        order = np.empty(index.size, np.int64)
        order[index.ravel()] = np.arange(index.size)
        wanted = [_reduced(s.ravel()[order].reshape(frame)) for s in spread]
        if any(max(w.shape[a] for w in wanted) < frame[a] for a in range(3)):
            # All tensors repeat the same features: the first is repeated in fact.
            wanted[0] = spread[0].ravel()[order].reshape(frame)
        found: list[Moves] = []
        for x, w in zip(features, wanted, strict=True):
            moves = arranged(node, x.frame, w, x.pad_value)
            if moves is None:
                break
            found.append(moves)
        else:
            total = sum(map(cost, found))
            if total < least:
                best, least = (frame, index, found), total
            if total < PICK:
                break
    if best is None:
        raise node.unsupported(
            "it joins branches whose features are in orders that no layer brings together.",
            "tensors of one layout, which are transposed and reshaped in the same way.",
        )
    frame, index, found = best
    steps = [extended(x.made_by, m, x.frame) for x, m in zip(features, found, strict=True)]
    return frame, index, steps


def _reduced(wanted: Ints) -> Ints:
    """Return one pixel of a map whose pixels are all the same, one channel of equal channels."""
    if (wanted == wanted[:1, :1]).all():
        wanted = wanted[:1, :1]
    return wanted[..., :1] if (wanted == wanted[..., :1]).all() else wanted


def whole(x: Activation) -> bool:
    """Return whether a tensor holds each feature of its frame exactly once."""
    size = math.prod(x.frame)
    if x.index.size != size or x.padded:
        return False
    return bool((np.bincount(x.index.ravel(), minlength=size) == 1).all())


def _frames(features: Sequence[Activation], shape: tuple[int, ...]) -> Iterator[tuple[Frame, Ints]]:
    """Yield frames of all elements of a shape, with the position of each: those of tensors first.

    Each frame is yielded once.
    """
    known: list[tuple[Frame, Ints]] = []

    def new(frame: Frame, index: Ints) -> bool:
        if any(f == frame and np.array_equal(i, index) for f, i in known):
            return False
        known.append((frame, index))
        return True

    size = math.prod(shape)
    for x in features:
        if len(known) < MAX_FRAMES and x.index.size == size and whole(x):
            index = x.index.reshape(shape)
            if new(x.frame, index):
                yield x.frame, index
    tried = features[:MAX_FRAMES]
    for axes in chain(
        (own_layout(x, shape) for x in tried),
        layouts(shape),
        (own_layout(x, shape, repeated=True) for x in tried),
    ):
        if axes is None:
            continue
        frame, index = laid_out(shape, axes)
        if new(frame, index):
            yield frame, index


MAX_FRAMES = 4
"""Most frames of the tensors themselves that are tried."""

Axes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The axes of a tensor that are rows, columns and channels; none for a size of 1."""


def layouts(shape: tuple[int, ...]) -> Iterator[Axes]:
    """Yield ways to read a shape as rows, columns and channels, the likely ones first.

    Channels are axis 1 or the last one. There is none if too many axes have more than one place.
    """
    large = [a for a, n in enumerate(shape) if n > 1]
    if len(large) > 3:
        return
    likely = [a for a in (1, len(shape) - 1) if a in large]
    channels = [(a,) for a in dict.fromkeys([*likely, *large])]
    for channel in [*channels, ()] if len(large) < 3 else channels:
        rest = [(a,) for a in large if (a,) != channel]
        lines: list[tuple[int, ...]] = [*[()] * (2 - len(rest)), *rest]
        yield lines[0], lines[1], channel


def own_layout(x: Activation, shape: tuple[int, ...], *, repeated: bool = False) -> Axes | None:
    """Return the axes of a shape that are the rows, columns and channels of a tensor's frame.

    None if an axis is of several, or if features are repeated along one; with `repeated`, that is
    one of the channels.
    """
    index = x.index.reshape((1,) * (len(shape) - x.index.ndim) + x.index.shape)
    _, width, channels = x.frame
    places = (index // channels // width, index // channels % width, index % channels)
    found: tuple[list[int], ...] = ([], [], [])
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        moving = [k for k, p in enumerate(places) if np.diff(p, axis=axis).any()]
        if len(moving) > 1 or not (moving or repeated):
            return None
        found[moving[0] if moving else 2].append(axis)
    rows, columns, deep = map(tuple, found)
    return rows, columns, deep


def laid_out(shape: tuple[int, ...], axes: Axes) -> tuple[Frame, Ints]:
    """Return the frame that a layout makes of a shape, and the position of each element in it."""
    height, width, channels = (math.prod(shape[a] for a in part) for part in axes)
    named = [a for part in axes for a in part]
    moved = np.arange(math.prod(shape), dtype=np.int64).reshape([shape[a] for a in named])
    ordered = moved.transpose(np.argsort(named)) if named else moved
    return (height, width, channels), np.ascontiguousarray(ordered).reshape(shape)
