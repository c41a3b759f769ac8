"""The walk along a tidy graph that writes the integer layers."""

from __future__ import annotations

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.lower import scores
from xnorflow.lower.common_scale import MAX_CODE_BITS
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.negate import negate
from xnorflow.lower.pads import check_pool, pad_value
from xnorflow.lower.passes import Shape, output_shape
from xnorflow.lower.pending import ONE_SCALE, Pending, quantises, sources, squeeze
from xnorflow.lower.rounding import ORDER_OF_SUMMATION, check_range, sum_error

SQUASHING = frozenset({"Sigmoid", "Tanh", "Erf", "Softsign"})
"""Functions that rise everywhere and, but for Sigmoid, keep the sign; floats saturate."""
MAX_WEIGHT = 1 << 15
"""Largest integer weight, the scales of its inputs included."""


def walk(graph: ops.Graph, *, centred: bool = False) -> ir.IntegerNetwork:
    """Write the layers of a tidy graph; padded sums still lack their pad code.

    Parameters
    ----------
    graph : Graph
        As the passes of `xnorflow.lower.passes` leave it.
    centred : bool
        Give what padded sums read an alphabet with 0 in its middle.

    Raises
    ------
    UnsupportedModel
        Naming the node that has no exact integer form.
    """
    p, shape = Pending(graph, centred=centred), graph.shape
    for op in graph.ops:
        match op:
            case ops.Elementwise():
                p.add(op)
            case ops.MaxPoolOp():
                check_pool(op, *shape[:2])
                p.add_pool(op)
            case ops.FlattenOp():
                _flatten(p, op, shape)
            case ops.SumPoolOp():
                _sum(p, op)
            case ops.ConvOp():
                _convolve(p, op, shape)
            case _:
                raise UnsupportedModel("there is no integer form of it.", node=op.node, op=op.op)
        shape = output_shape(op, shape)
    _finish(p, graph, shape)
    return ir.IntegerNetwork(
        graph.name,
        graph.shape,
        tuple(p.layers),
        graph.classes,
        tuple(p.notes),
        graph.order,
        graph.samples,
    )


def _convolve(p: Pending, op: ops.ConvOp, shape: Shape) -> None:
    multiples = p.settle_multiples(op)
    alphabet = p.alphabet()
    if alphabet.bits > MAX_CODE_BITS:
        raise UnsupportedModel(
            f"its inputs have {alphabet.bits} bits.",
            node=op.node,
            op=op.op,
            hint=f"a quantiser of at most {MAX_CODE_BITS} bits before it.",
        )
    scale = float(p.unit)
    weights = op.weights * multiples
    if (multiples > 1).any() and np.abs(weights).max() > MAX_WEIGHT:
        raise UnsupportedModel(
            "the scales of its inputs differ too much.", node=op.node, op=op.op, hint=ONE_SCALE
        )
    common = max(1, int(np.gcd.reduce(weights, axis=None)))
    weights = (weights // common).astype(np.int64)
    pad = pad_value(op, scale)
    dense = shape[:2] == (1, 1)
    layer = ir.Conv(
        p.name("dense" if dense else "conv"),
        weights,
        weight_alphabet(weights),
        op.window,
        pad,
        sources=sources(op),
    )
    lo, hi = layer.bounds(alphabet)
    if max(-int(lo.min()), int(hi.max()), int(hi.max() - lo.min())) >= 1 << ir.MAX_BITS:
        raise UnsupportedModel(
            f"its accumulators go from {lo.min()} to {hi.max()}, more than {ir.MAX_BITS} bits.",
            node=op.node,
            op=op.op,
            hint="fewer bits of weights or activations.",
        )
    padded = any(op.window.pads)
    step = int(np.gcd(alphabet.step, pad - alphabet.lo)) if padded else alphabet.step
    step *= max(1, int(np.gcd.reduce(weights, axis=None)))
    magnitude = np.abs(weights).reshape(len(weights), -1)
    largest = max(abs(alphabet.lo), abs(alphabet.hi), abs(pad) if padded else 0)
    unit = np.asarray(op.scale, np.float64) * common
    inherited = magnitude.sum(1) * unit * p.error.max()
    p.layers.append(layer)
    p.reach, p.unit = Reach(lo, hi, step), squeeze(unit * scale)
    check_range(p.unit, magnitude.sum(1) * largest, op)
    p.error = inherited + sum_error(
        p.unit, magnitude.sum(1) * largest, np.count_nonzero(magnitude, 1), exact=p.exact
    )
    p.exact = p.exact and not p.error.any()


def _sum(p: Pending, op: ops.SumPoolOp) -> None:
    p.settle(op, zero=any(op.window.pads), uniform=False)
    taps = int(np.prod(op.window.kernel))
    lo, hi, step = p.reach.lo, p.reach.hi, p.reach.step
    if any(op.window.pads):
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
        step = int(np.gcd.reduce(np.append(p.reach.lo, step)))
    total = np.maximum(np.abs(lo), np.abs(hi)) * taps
    p.layers.append(ir.SumPool(p.name("pool"), op.window, sources=sources(op)))
    if p.alphabet().bits > ir.MAX_BITS or total.max() >= 1 << ir.MAX_BITS:
        raise UnsupportedModel(
            f"its sums take more than {ir.MAX_BITS} bits.",
            node=op.node,
            op=op.op,
            hint="a quantiser before it, or a smaller window.",
        )
    check_range(p.unit, total, op)
    p.reach = Reach(lo * taps, hi * taps, step)
    p.error = taps * p.error + sum_error(p.unit, total, taps, exact=p.exact)
    p.exact = p.exact and not p.error.any()


def _flatten(p: Pending, op: ops.Op, shape: Shape) -> None:
    p.settle(op, uniform=False)
    pixels = shape[0] * shape[1]
    p.layers.append(ir.Flatten(p.name("flatten"), sources=sources(op)))
    reach = p.reach
    p.reach = Reach(np.tile(reach.lo, pixels), np.tile(reach.hi, pixels), reach.step)
    p.error = np.tile(p.error, pixels)
    p.unit = np.tile(p.unit, pixels) if p.unit.ndim else p.unit


def _tail(p: Pending, where: ops.Op) -> scores.ScoreTail:
    """Find the scores; behind thresholds where a quantiser at the end leaves few values."""
    quantised = any(quantises(op) for op in p.ops)
    try:
        tail = scores.find(p.expression(), p.reach, where)
        if tail.ranks is None or not quantised or len(tail.offsets) > 1:
            return tail
    except UnsupportedModel:
        if not quantised:
            raise
    p.settle(where)
    return scores.find(p.expression(), p.reach, where)


def _drop_squashing(p: Pending) -> None:
    """Drop functions at the end that keep the order of the scores, as far as floats show it."""
    while p.ops:
        last = p.ops[-1]
        if not isinstance(last, FunctionOp) or last.function not in SQUASHING:
            return
        if not all(isinstance(o, tuple) and not o for o in last.operands):
            return
        p.ops.pop()
        p.notes.append(
            f"{last.op} {last.node!r} at the end was dropped: it does not change the order of the"
            " scores."
        )


def _finish(p: Pending, graph: ops.Graph, shape: Shape) -> None:
    """Write the scores."""
    where = p.ops[-1] if p.ops else graph.ops[-1] if graph.ops else ops.Op()
    if not any(isinstance(layer, ir.Conv) for layer in p.layers):
        raise UnsupportedModel("it has no convolution or dense layer.", node=graph.name)
    if shape[:2] != (1, 1):
        raise UnsupportedModel(
            f"the network ends in a map of {shape[0]} x {shape[1]}, not in one score per class.",
            node=where.node,
            op=where.op,
            hint="a global pool or a dense layer at the end.",
        )
    p.write_pools(np.ones(len(p.reach.lo), np.int64))
    _drop_squashing(p)
    tail = _tail(p, where)
    offsets = tail.offsets
    if tail.falls:
        offsets = offsets - negate(p.layers, p.frame, np.full(len(offsets), True))
    if tail.ranks is not None and len(offsets) == 1:
        p.notes.append("The score is a rank: it does not tell the label by its sign.")
    if tail.ranks is not None:
        p.notes.append("The scores are ranks of the imported network's float scores.")
    if p.error.any():
        p.notes.append(
            f"The float sums of {p.reduction()} {ORDER_OF_SUMMATION};"
            " the imported network's own scores may differ in their last places."
        )
    p.layers.append(
        ir.Scores(
            "scores",
            offsets,
            tail.ranks,
            tail.rank_lo,
            tail.floats,
            tail.floats_lo,
            sources=sources(*p.ops),
        )
    )
