"""Passes that make averages sums and divisions, where the border has divisors of its own, too."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import DividedOp, approximate
from xnorflow.ir import Window
from xnorflow.lower.passes import MAX_FOLDED_WEIGHTS, Shape, output_shape
from xnorflow.lower.pending import quantises


def split_averages(graph: g.Graph) -> g.Graph:
    """Make each average a sum and a division.

    Windows at the border may have fewer taps. Ahead of a quantiser all divisors then have to give
    the same, which is found out when they are evaluated. Elsewhere, if the next layer reads the
    whole map at once, the division has a divisor per feature behind a Flatten, and what stands
    between goes with it.
    """
    return _split(graph, spread=False)


def spread_averages(graph: g.Graph) -> g.Graph:
    """Make each average a sum and a division, with divisors per feature ahead of quantisers, too.

    Only a layer that reads the whole map at once can follow those.
    """
    return _split(graph, spread=True)


def _split(graph: g.Graph, *, spread: bool) -> g.Graph:
    ops: list[g.Op] = []
    shape, waiting = graph.shape, list(graph.ops)
    while waiting:
        op = waiting.pop(0)
        before, shape = shape, output_shape(op, shape)
        if not isinstance(op, g.AveragePoolOp):
            ops.append(op)
            continue
        counts = op.counts(*before[:2]).astype(np.float32)
        ops.append(g.SumPoolOp(op.window, node=op.node, op=op.op))
        if (counts == counts[0, 0]).all():
            divisor = np.array(counts[0, 0])
            waiting.insert(0, g.DivideOp(divisor, node=op.node, op=op.op))
            continue
        between: list[g.Elementwise] = []
        while waiting and isinstance(waiting[0], g.Elementwise):
            between.append(waiting[0])
            del waiting[0]
        flat = None
        if waiting and (spread or not any(quantises(e) for e in between)):
            flat = _of_whole_map(waiting[0], shape)
        if flat is not None:
            divide = g.DivideOp(np.repeat(counts.ravel(), before[2]), node=op.node, op=op.op)
            moved = [e.mapped(partial(_repeated, times=counts.size)) for e in between]
            first, *others = flat
            waiting[:1] = [first, divide, *moved, *others]
        else:
            divisors = tuple(np.unique(counts).tolist())
            at = next((i for i, e in enumerate(between) if approximate((e,))), len(between))
            ops.append(DividedOp(divisors, tuple(between[:at]), node=op.node, op=op.op))
            waiting[:0] = between[at:]
    return replace(graph, ops=tuple(ops))


def _repeated(constant: NDArray[Any], times: int) -> NDArray[Any]:
    return np.concatenate([constant] * times)


def _of_whole_map(op: g.Op, shape: Shape) -> tuple[g.Op, ...] | None:
    """Return a layer that reads a map of `shape` at once as a Flatten and what reads that.

    None for layers that read parts of the map.
    """
    if isinstance(op, g.FlattenOp):
        return (op,)
    if not isinstance(op, g.ConvOp | g.SumPoolOp | g.AveragePoolOp):
        return None
    if op.window.extent != shape[:2] or op.window.kernel != shape[:2] or any(op.window.pads):
        return None
    pixels, channels = shape[0] * shape[1], shape[2]
    flat = g.FlattenOp(node=op.node, op=op.op)
    if isinstance(op, g.ConvOp):
        weights = op.weights.reshape(len(op.weights), 1, 1, -1)
        return flat, replace(op, weights=weights, window=Window())
    if pixels * channels * channels > MAX_FOLDED_WEIGHTS:
        return None
    ones = np.tile(np.eye(channels, dtype=np.int64), pixels).reshape(channels, 1, 1, -1)
    total = g.ConvOp(ones, np.array(1, np.float32), node=op.node, op=op.op)
    if isinstance(op, g.SumPoolOp):
        return flat, total
    return flat, total, g.DivideOp(np.array(pixels, np.float32), node=op.node, op=op.op)
