"""Import of sums, means and maxima along axes: over rows, columns or channels of the frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from xnorflow.frontend.limits import MAX_WEIGHTS, elements
from xnorflow.frontend.node import Node
from xnorflow.frontend.operators.table_sums import looked_up
from xnorflow.frontend.operators.windows import axes_of
from xnorflow.frontend.registry import Result, activation, handles
from xnorflow.frontend.values import Activation, Constant, LayoutError, Rearrangement, Value
from xnorflow.graph import ops
from xnorflow.ir import Ints, Window

AXES_ARE_AN_INPUT = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18}
"""Operator set from which on the axes are a second input rather than an attribute."""
ATTRIBUTES = "axes keepdims noop_with_empty_axes"


def _axes(node: Node, inputs: Sequence[Value | None], rank: int) -> list[int] | None:
    """Return the axes that are reduced; None for a node that does nothing."""
    given: tuple[int, ...] | None
    if node.opset < AXES_ARE_AN_INPUT[node.op]:
        given = node.integers("axes")
        if len(inputs) > 1:
            raise node.unsupported(
                f"its axes are an input, which operator set {node.opset} does not have.",
                "axes as an attribute.",
            )
        nothing = False
    else:
        if node.integers("axes") is not None:
            raise node.unsupported(
                f"its axes are an attribute, which operator set {node.opset} does not have.",
                "axes as a second input.",
            )
        axes = inputs[1] if len(inputs) > 1 else None
        if axes is not None and not isinstance(axes, Constant):
            raise node.unsupported("its axes depend on the input.", "constant axes.")
        given = None if axes is None else node.whole(axes.value, "axes")
        nothing = bool(node.integer("noop_with_empty_axes", 0))
    if not given:
        return None if nothing else list(range(rank))
    return axes_of(node, given, rank)


def _subsets(frame: tuple[int, int, int], count: int) -> Iterator[tuple[int, ...]]:
    """Yield the sets of the frame's axes that have `count` features, first without channels."""
    for size in range(4):
        for subset in sorted(combinations(range(3), size), key=lambda s: 2 in s):
            if math.prod(frame[a] for a in subset) == count:
                yield subset


@handles("ReduceMean", "ReduceSum", attributes=ATTRIBUTES, inputs=(1, 2))
@handles("ReduceMax", attributes=ATTRIBUTES, inputs=(1, 2), any_type=True)
def reduce(node: Node, inputs: Sequence[Value | None]) -> Result:
    """Import a sum, mean or maximum.

    The file's axes are matched with those of the frame. A reduction over rows or columns is a pool.
    A sum or mean over channels is a convolution with weights of 1, and one over any other groups
    of features is a dense layer with weights of 0 and 1.
    """
    x = activation(node, inputs[0])
    shape, rank = x.index.shape, x.index.ndim
    reduced = _axes(node, inputs, rank)
    if reduced is None:
        return x, ()
    kept = [a for a in range(rank) if a not in reduced]
    if node.op == "ReduceSum" and not x.raw:
        found = looked_up(node, x, kept, bool(node.integer("keepdims", 1)))
        if found is not None:
            return found
    if x.padded:
        raise node.unsupported("its input is padded.", "padding before a convolution or pool.")
    keepdims = bool(node.integer("keepdims", 1))
    outer = [1 if a in reduced else shape[a] for a in range(rank) if keepdims or a in kept]
    groups = np.moveaxis(x.index, kept, range(len(kept)))
    groups = groups.reshape(math.prod(shape[a] for a in kept), -1)
    for subset in _subsets(x.frame, groups.shape[1]):
        rows = _rows(x.frame, subset, groups)
        if rows is None:
            continue
        if groups.shape[1] == 1:
            return replace(x, index=groups.reshape(outer)), ()
        if 2 in subset and node.op == "ReduceMax":
            raise node.unsupported(
                "it takes maxima over channels.", "maxima over rows and columns."
            )
        return _reduced(node, x, subset, rows.reshape(outer))
    if not x.raw and node.op != "ReduceMax":
        return _dense(node, x, groups, outer)
    raise LayoutError(
        node.unsupported(
            "it reduces something else than whole rows, columns or channels.",
            "a mean over rows and columns (GlobalAveragePool).",
        ),
        *_choice(x, groups, kept),
    )


def _dense(node: Node, x: Activation, groups: Ints, outer: Sequence[int]) -> Result:
    """Import a sum or mean over any groups of features, as a dense layer.

    Parameters
    ----------
    node, x
        The node and its features.
    groups : int64 array [results, terms]
        Position of each term in the frame.
    outer : sequence of int
        Shape of the result in the file.
    """
    size, (count, terms) = math.prod(x.frame), groups.shape
    elements((count, size), MAX_WEIGHTS, what="what it adds", node=node.name, op=node.op)
    weights = np.zeros((count, size), np.int64)
    np.add.at(weights, (np.arange(count)[:, None], groups), 1)
    before = (ops.FlattenOp(node=node.name, op=node.op),) if x.frame[:2] != (1, 1) else ()
    total = ops.ConvOp(
        weights.reshape(count, 1, 1, size), np.array(1, np.float32), node=node.name, op=node.op
    )
    result = Activation((1, 1, count), np.arange(count, dtype=np.int64).reshape(outer))
    if node.op == "ReduceSum":
        return result, (*before, total)
    return result, (
        *before,
        total,
        ops.DivideOp(np.array(terms, np.float32), node=node.name, op=node.op),
    )


def _rows(frame: tuple[int, int, int], subset: tuple[int, ...], groups: Ints) -> Ints | None:
    """Return which result of a reduction of the frame's axes each group is; None if one is none.

    Parameters
    ----------
    frame : tuple of int
        Height, width, channels.
    subset : tuple of int
        Axes of the frame that are reduced.
    groups : int64 array [results, terms]
        Position of each term in the frame.
    """
    rest = [a for a in range(3) if a not in subset]
    positions = np.arange(math.prod(frame), dtype=np.int64).reshape(frame)
    wanted = positions.transpose(*rest, *subset).reshape(-1, groups.shape[1])
    row_of = np.empty(positions.size, np.int64)
    row_of[wanted] = np.arange(len(wanted))[:, None]
    rows = row_of[groups[:, 0]]
    same = np.array_equal(np.sort(groups, axis=1), np.sort(wanted[rows], axis=1))
    return rows if same else None


def _reduced(node: Node, x: Activation, subset: tuple[int, ...], index: Ints) -> Result:
    """Import a reduction of the frame's axes in `subset`; `index` is that of the result."""
    height, width, channels = x.frame
    window = Window(*((height if 0 in subset else 1, width if 1 in subset else 1),) * 2)
    frame = (
        1 if 0 in subset else height,
        1 if 1 in subset else width,
        1 if 2 in subset else channels,
    )
    low = x.low if node.op != "ReduceSum" else min(0.0, x.low * math.prod(x.frame))
    result = Activation(frame, index, low=low, dtype=x.dtype)
    if 2 not in subset:
        match node.op:
            case "ReduceMax":
                return result, (ops.MaxPoolOp(window, node=node.name, op=node.op),)
            case "ReduceMean":
                return result, (ops.AveragePoolOp(window, node=node.name, op=node.op),)
            case "ReduceSum":
                return result, (ops.SumPoolOp(window, node=node.name, op=node.op),)
            case _:
                raise TypeError(f"{node.op} reduces nothing")
    taps = (*window.kernel, channels)
    elements(taps, MAX_WEIGHTS, what="what it adds", node=node.name, op=node.op)
    one = np.array(1, np.float32)
    ones = np.ones((1, *taps), np.int64)
    total = ops.ConvOp(ones, one, window, node=node.name, op=node.op)
    if node.op == "ReduceSum":
        return result, (total,)
    return result, (
        total,
        ops.DivideOp(np.array(math.prod(taps), np.float32), node=node.name, op=node.op),
    )


def _choice(x: Activation, groups: Ints, kept: list[int]) -> Iterator[Rearrangement]:
    """Yield the frame in which the results are channels, and the terms of each are pixels."""
    channels, pixels = groups.shape
    at = np.arange(pixels) * channels + np.arange(channels)[:, None]
    moved = np.moveaxis(x.index, kept, range(len(kept)))
    index = np.moveaxis(at.reshape(moved.shape), range(len(kept)), kept)
    yield Rearrangement(groups.T.reshape(pixels, 1, channels), index)
