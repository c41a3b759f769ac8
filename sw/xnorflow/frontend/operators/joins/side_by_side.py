"""Branches side by side: along the channels, rows or columns of their frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xnorflow.frontend.arrangement import Moves, arranged, cost
from xnorflow.frontend.input_frame import Frame
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.joins.alignment import (
    MAX_JOINED,
    Axes,
    grown,
    laid_out,
    layouts,
    whole,
)
from xnorflow.frontend.steps import extended, joined
from xnorflow.frontend.values import FLOAT32, Activation, agreed_source
from xnorflow.graph import ops
from xnorflow.graph.function_ops import CastOp
from xnorflow.graph.join_ops import ConcatOp
from xnorflow.ir import Ints


@dataclass(frozen=True, eq=False)
class _Slab:
    """A part of the result's frame.

    Parameters
    ----------
    moves : tuple of Op
        What makes it of the part's frame.
    frame : tuple of int
        Its height, width and channels.
    index : int64 array
        Position in it of each element of the part.
    """

    moves: Moves
    frame: Frame
    index: Ints


def beside(node: Node, parts: Sequence[Activation], axis: int) -> Activation:
    """Return the concatenation of branches.

    Parameters
    ----------
    node : Node
        The node to import.
    parts : sequence of Activation
        Branches of one element type whose shapes fit.
    axis : int
        Axis of the file's shapes.

    Raises
    ------
    UnsupportedModel
        If there are too many, or no operations bring them side by side.
    """
    if len(parts) > MAX_JOINED:
        raise node.unsupported(
            f"it joins {len(parts)} tensors that depend on the input.",
            f"at most {MAX_JOINED} at a time.",
        )
    source = agreed_source(parts)
    dtype = parts[0].dtype
    if dtype != FLOAT32:
        cast = CastOp("float32", node=node.name, op=node.op)
        parts = [replace(grown(p, cast), dtype=FLOAT32) for p in parts]
    best: tuple[int, list[_Slab]] | None = None
    least = math.inf
    for along, slabs in _ways(node, parts, axis):
        total = sum(cost(s.moves) for s in slabs)
        if total < least:
            best, least = (along, slabs), total
        if not total:
            break
    if best is None:
        raise node.unsupported(
            "it joins branches whose features are in orders that no layer brings side by side.",
            "tensors of one layout, which are transposed and reshaped in the same way.",
        )
    along, slabs = best
    frame, index = _together(along, slabs, axis)
    steps = [extended(p.made_by, s.moves, p.frame) for p, s in zip(parts, slabs, strict=True)]
    if len(parts) == 1:
        step = steps[0]
    else:
        step = joined(ConcatOp(along, node=node.name, op=node.op), steps, frame)
    low = min(p.low for p in parts)
    made = Activation(frame, index, low=low, made_by=step, source=source)
    if dtype == FLOAT32:
        return made
    return replace(grown(made, CastOp(dtype.name, node=node.name, op=node.op)), dtype=dtype)


def _ways(node: Node, parts: Sequence[Activation], axis: int) -> Iterator[tuple[int, list[_Slab]]]:
    """Yield ways to put parts side by side: the axis of the frame, and the slabs."""
    shape = list(parts[0].index.shape)
    shape[axis] = sum(p.index.shape[axis] for p in parts)
    for axes in layouts(tuple(shape)):
        if axis not in axes:
            continue
        along = axes.index(axis)
        found = [_laid(node, p, axes, along) for p in parts]
        slabs = [s for s in found if s is not None]
        if len(slabs) == len(parts):
            yield along, slabs
    if all(map(whole, parts)):
        # Wherever features are, they stay there: only what reads them needs to know.
        for along in (2, 0, 1):
            rest = {(*p.frame[:along], *p.frame[along + 1 :]) for p in parts}
            if len(rest) == 1 and all(_moves_along(p, axis, along) for p in parts):
                yield along, [_Slab((), p.frame, p.index) for p in parts]
        flat = ops.FlattenOp(node=node.name, op=node.op)
        slabs = []
        for p in parts:
            moves: Moves = (flat,) if p.frame[:2] != (1, 1) else ()
            slabs.append(_Slab(moves, (1, 1, math.prod(p.frame)), p.index))
        if sum(n > 1 for n in shape) == 1:
            yield 2, slabs


def _laid(node: Node, part: Activation, axes: Axes, along: int) -> _Slab | None:
    """Return the slab of a part in a layout; None if nothing makes it."""
    frame, index = laid_out(part.index.shape, axes)
    order = np.empty(index.size, np.int64)
    order[index.ravel()] = np.arange(index.size)
    wanted = part.index.ravel()[order].reshape(frame)
    if frame == part.frame and whole(part):
        # Another order along the joined axis can stay: it is one of the result.
        line = np.moveaxis(wanted, along, 0)[:, 0, 0]
        plain = np.arange(wanted.size).reshape(frame)
        places = np.moveaxis(plain, along, 0)[:, 0, 0]
        at = np.searchsorted(places, line)
        if (at < len(places)).all() and np.array_equal(np.take(plain, at, along), wanted):
            return _Slab((), frame, part.index)
    moves = arranged(node, part.frame, wanted, part.pad_value)
    return None if moves is None else _Slab(moves, frame, index)


def _moves_along(part: Activation, axis: int, along: int) -> bool:
    """Return whether a step along an axis of a part is one along an axis of its frame alone."""
    if part.index.shape[axis] == 1:
        return part.frame[along] == 1
    _, width, channels = part.frame
    places = [part.index // channels // width, part.index // channels % width]
    places.append(part.index % channels)
    return all(a == along or not np.diff(p, axis=axis).any() for a, p in enumerate(places))


def _together(along: int, slabs: Sequence[_Slab], axis: int) -> tuple[Frame, Ints]:
    """Return the frame of slabs side by side, and the position in it of each element."""
    sizes = list(slabs[0].frame)
    sizes[along] = sum(s.frame[along] for s in slabs)
    height, width, channels = sizes
    begins, places = 0, []
    for s in slabs:
        at = list(np.unravel_index(s.index, s.frame))
        at[along] = at[along] + begins
        places.append(np.ravel_multi_index(at, (height, width, channels)))
        begins += s.frame[along]
    return (height, width, channels), np.concatenate(places, axis).astype(np.int64)
