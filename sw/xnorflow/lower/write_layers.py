"""The walk along a graph that writes the integer layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.gather_op import GatherOp
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.lower import scores
from xnorflow.lower.common_scale import MAX_CODE_BITS
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.fixed_point import LEAST_BITS, FixedPoint, affine
from xnorflow.lower.negate import negate, rising
from xnorflow.lower.pads import check_pool, pad_value
from xnorflow.lower.passes import Shape, output_shape
from xnorflow.lower.pending import ONE_SCALE, Mark, Pending, quantises, sources, squeeze
from xnorflow.lower.rounding import MANTISSA, ORDER_OF_SUMMATION, check_range, sum_error

SQUASHING = frozenset({"Sigmoid", "Tanh", "Erf", "Softsign"})
"""Functions that rise everywhere, but saturate in floats; all but Sigmoid keep the sign."""
MAX_WEIGHT = 1 << 15
"""Largest integer weight after its multiplication by its input's multiple of a common scale."""


def walk(
    graph: ops.Graph, *, centred: bool = False, fixed: FixedPoint | None = None
) -> tuple[ir.IntegerNetwork, tuple[Mark, ...]]:
    """Write the layers of a tidy graph; padded sums still lack their pad code.

    Parameters
    ----------
    graph : Graph
        A graph that went through the passes of `xnorflow.lower.passes`.
    centred : bool
        Give what padded sums read an alphabet with 0 in its middle.
    fixed : FixedPoint, optional
        How values that are no integers become such; without it they are refused.

    Returns
    -------
    net : IntegerNetwork
        Layers.
    marks : tuple of Mark
        Which layers' outputs stand for which values of the graph.

    Raises
    ------
    UnsupportedModel
        If a node has no exact integer form; the message names it.
    """
    p = Pending(graph, centred=centred, fixed=fixed)
    shape = write_chain(p, graph.ops, graph.shape, range(len(graph.ops)))
    p.at = len(graph.ops)
    _finish(p, graph, shape)
    net = ir.IntegerNetwork(
        graph.name,
        graph.shape,
        tuple(p.layers),
        graph.classes,
        tuple(p.notes),
        graph.order,
        graph.samples,
    )
    return net, tuple(p.marks)


def write_chain(p: Pending, chain: Sequence[ops.Op], shape: Shape, places: Sequence[int]) -> Shape:
    """Write the layers of a chain of operations; the last elementwise ones and max-pools wait.

    Parameters
    ----------
    p : Pending
        What the chain begins with.
    chain : sequence of Op
        The operations.
    shape : tuple of int
        Height, width and channels of what the first operation reads.
    places : sequence of int
        Place in the graph of what enters each operation.

    Returns
    -------
    tuple of int
        Shape of what the last operation makes.
    """
    for at, op in zip(places, chain, strict=True):
        p.at = at
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
            case GatherOp():
                _gather(p, op)
            case _:
                raise UnsupportedModel(
                    "there is no integer form of this operation.", node=op.node, op=op.op
                )
        shape = output_shape(op, shape)
    return shape


def _convolve(p: Pending, op: ops.ConvOp, shape: Shape) -> None:
    """Write a convolution or dense layer: integer weights, bounds, and the error of its floats."""
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
    assert not op.real, "real weights have been rounded or refused"
    p.rounded = p.rounded or op.rounded
    # Each output sums over the inputs of its own group.
    of_output = np.repeat(multiples.reshape(op.groups, -1), len(op.weights) // op.groups, axis=0)
    weights = op.weights.astype(np.int64) * of_output[:, None, None]
    edges = None if op.edges is None else op.edges * of_output[:, None, None]
    if (multiples > 1).any() and np.abs(weights).max() > MAX_WEIGHT:
        raise UnsupportedModel(
            f"the scales of its inputs differ too much: they would make a weight"
            f" {np.abs(weights).max()}, and {MAX_WEIGHT} is the largest.",
            node=op.node,
            op=op.op,
            hint=ONE_SCALE,
        )
    common = max(1, int(np.gcd.reduce(weights if edges is None else edges, axis=None)))
    weights = (weights // common).astype(np.int64)
    pad = pad_value(op, scale)
    dense = shape[:2] == (1, 1)
    layer = ir.Conv(
        p.name("dense" if dense else "conv"),
        weights,
        weight_alphabet(weights),
        op.window,
        pad,
        op.groups,
        None if edges is None else edges // common,
        sources=sources(op),
    )
    lo, hi = layer.bounds(alphabet)
    most_bits = ir.MAX_BITS if p.rounded else MANTISSA
    if max(-int(lo.min()), int(hi.max()), int(hi.max() - lo.min())) >= 1 << most_bits:
        raise UnsupportedModel(
            f"its accumulators go from {lo.min()} to {hi.max()}, more than {most_bits} bits.",
            node=op.node,
            op=op.op,
            hint="fewer bits of weights or activations.",
        )
    padded = any(op.window.pads)
    step = int(np.gcd(alphabet.step, pad - alphabet.lo)) if padded else alphabet.step
    step *= max(1, int(np.gcd.reduce(layer.enabled, axis=None)))
    # Of any number of enabled edges, what is largest decides.
    magnitude = np.abs(layer.enabled).max(0).reshape(len(weights), -1)
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
    """Write a sum-pool."""
    p.settle(op, zero=any(op.window.pads), uniform=False)
    taps = int(np.prod(op.window.kernel))
    lo, hi, step = p.reach.lo, p.reach.hi, p.reach.step
    if any(op.window.pads):
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
        step = int(np.gcd.reduce(np.append(p.reach.lo, step)))
    total = np.maximum(np.abs(lo), np.abs(hi)) * taps
    p.layers.append(ir.SumPool(p.name("pool"), op.window, sources=sources(op)))
    most_bits = ir.MAX_BITS if p.rounded else MANTISSA
    if p.alphabet().bits > most_bits or total.max() >= 1 << most_bits:
        raise UnsupportedModel(
            f"its sums take more than {most_bits} bits.",
            node=op.node,
            op=op.op,
            hint="a quantiser before it, or a smaller window.",
        )
    check_range(p.unit, total, op)
    p.reach = Reach(lo * taps, hi * taps, step)
    p.error = taps * p.error + sum_error(p.unit, total, taps, exact=p.exact)
    p.exact = p.exact and not p.error.any()


def _gather(p: Pending, op: GatherOp) -> None:
    """Write a sum of entries that are chosen of tables."""
    p.settle(op)
    out = len(op.indices)
    layer = ir.Gather(
        p.name("gather"),
        op.indices,
        op.words,
        np.zeros(out, np.bool_),
        op.window,
        sources=sources(op),
    )
    lo, hi, step = p.reach.lo, p.reach.hi, p.reach.step
    if any(op.window.pads):
        step = int(np.gcd.reduce(np.append(lo, step)))
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    channels = op.channels.reshape(out, -1)
    low, high = lo[channels].sum(1), hi[channels].sum(1)
    entries = np.maximum(np.abs(lo), np.abs(hi))
    magnitude = entries[channels].sum(1)
    most_bits = ir.MAX_BITS if p.rounded else MANTISSA
    # The integer network's bounds are those of any entry at every place.
    if p.alphabet().bits > most_bits or layer.lookups * max(entries.max(), 1) >= 1 << most_bits:
        raise UnsupportedModel(
            f"its sums take more than {most_bits} bits.",
            node=op.node,
            op=op.op,
            hint="fewer bits of activations, or of the codebooks.",
        )
    check_range(p.unit, magnitude, op)
    p.layers.append(layer)
    p.reach = Reach(low, high, step)
    p.error = p.error[channels].sum(1) + sum_error(
        p.unit, magnitude, channels.shape[1], exact=p.exact
    )
    p.exact = p.exact and not p.error.any()


def _flatten(p: Pending, op: ops.Op, shape: Shape) -> None:
    """Write a flattening."""
    p.settle(op, uniform=False)
    pixels = shape[0] * shape[1]
    p.layers.append(ir.Flatten(p.name("flatten"), sources=sources(op)))
    reach = p.reach
    p.reach = Reach(np.tile(reach.lo, pixels), np.tile(reach.hi, pixels), reach.step)
    p.error = np.tile(p.error, pixels)
    p.unit = np.tile(p.unit, pixels) if p.unit.ndim else p.unit


def _tail(p: Pending, where: ops.Op) -> scores.ScoreTail:
    """Find the scores, after thresholds if a quantiser at the end makes that simpler."""
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


def _drop_squashing(p: Pending, graph: ops.Graph) -> int | None:
    """Remove squashing functions at the end, which keep the order of scores up to saturation.

    Returns
    -------
    int or None
        Place of the value before them, -1 for the graph's output; None if the graph lacks it.
    """
    at: int | None = -1
    while p.ops:
        last = p.ops[-1]
        if not isinstance(last, FunctionOp) or last.function not in SQUASHING:
            return at
        if not all(isinstance(o, tuple) and not o for o in last.operands):
            return at
        p.ops.pop()
        # A pool behind it has been written, but the graph has no value between the two.
        at = None if at is None or -at > len(graph.ops) or graph.ops[at] is not last else at - 1
        p.notes.append(
            f"{last.op} {last.node!r} at the end was dropped: it does not change the order of the"
            " scores."
        )
    return at


def _scores_in_fixed_point(p: Pending, where: ops.Op, at: int | None, name: str) -> bool:
    """Write scores of real factors and offsets as integers, unless they have an exact form.

    Parameters
    ----------
    p : Pending
        All layers but the scores.
    where : Op
        Operation that errors name.
    at : int or None
        Place in the graph of the value that the scores stand for, counted from its end.
    name : str
        Name of the layer.

    Returns
    -------
    bool
        Whether they were written.
    """
    assert p.fixed is not None
    if not p.rounded:
        try:
            tail = _tail(p, where)
        except UnsupportedModel:
            tail = None
        if tail is not None and tail.ranks is None:
            return False
    value = affine(p.ops)
    if value is None or value.clips:
        return False
    classes = len(p.reach.lo)
    factor = np.broadcast_to(value.factor * p.unit, classes)
    offset = np.broadcast_to(value.offset, classes)
    shared = bool((factor == factor[0]).all()) and factor[0] > 0
    largest = int(np.maximum(np.abs(p.reach.lo), np.abs(p.reach.hi)).max())
    bits = min(p.fixed.bits, ir.MAX_BITS - 2 - largest.bit_length())
    if not shared and bits < LEAST_BITS:
        raise UnsupportedModel(
            f"its sums of {largest.bit_length()} bits leave no room for a factor per class.",
            node=where.node,
            op=where.op,
            hint="fewer bits of fixed point.",
        )
    unit = factor[0] if shared else np.abs(factor).max() / ((1 << (bits - 1)) - 1)
    unit = float(unit) or 1.0
    if np.abs(offset / unit).max() >= 1 << (ir.MAX_BITS - 2):
        raise UnsupportedModel(
            "its offsets are too large beside its factors for fixed point.",
            node=where.node,
            op=where.op,
            hint="a bias of the size of the sums.",
        )
    offsets = np.rint(offset / unit).astype(np.int64)
    named = sources(*p.ops)
    if not shared:
        multiply = np.rint(factor / unit).astype(np.int64)
        multiply, offsets, low, high = rising(
            p.layers, p.given, multiply, offsets, p.reach.lo, p.reach.hi
        )
        ends = multiply * low + offsets, multiply * high + offsets
        least, most = int(ends[0].min()), int(ends[1].max())
        alphabet = ir.Alphabet(least, 1, most - least + 1)
        p.layers.append(
            ir.Rescale(
                p.name("score_rescale", numbered=False),
                multiply,
                offsets - least,
                np.zeros(classes, np.int64),
                np.full(classes, alphabet.levels - 1),
                0,
                alphabet,
                sources=named,
            )
        )
        offsets = np.zeros(classes, np.int64)
    p.rounded = True
    p.layers.append(ir.Scores(name, offsets, sources=named))
    if at is not None:
        p.marks.append(Mark(p.layers[-1], at, unit))
    return True


def _finish(p: Pending, graph: ops.Graph, shape: Shape) -> None:
    """Write the scores, the last layer."""
    where = p.ops[-1] if p.ops else graph.ops[-1] if graph.ops else ops.Op()
    if not any(isinstance(layer, ir.Conv) for layer in p.layers):
        raise UnsupportedModel(
            "it has no convolution or dense layer.",
            node=graph.name,
            hint="a network with at least one of them.",
        )
    if shape[:2] != (1, 1):
        raise UnsupportedModel(
            f"the network ends in a map of {shape[0]} x {shape[1]}, not in one score per class.",
            node=where.node,
            op=where.op,
            hint="a global pool or a dense layer at the end.",
        )
    write_scores(p, graph, where)


def write_scores(p: Pending, graph: ops.Graph, where: ops.Op, name: str = "scores") -> None:
    """Write the scores of what waits.

    Parameters
    ----------
    p : Pending
        All layers but the scores.
    graph : Graph
        The operations up to the scores, or the last of them.
    where : Op
        Operation that errors name.
    name : str
        Name of the layer.
    """
    p.write_pools(np.ones(len(p.reach.lo), np.int64))
    p.carry_tail()
    at = _drop_squashing(p, graph)
    if p.fixed is not None and _scores_in_fixed_point(p, where, at, name):
        return
    tail = _tail(p, where)
    offsets = tail.offsets
    if tail.falls:
        offsets = offsets - negate(p.layers, p.given, np.full(len(offsets), True))
    if tail.ranks is not None and len(offsets) == 1:
        p.notes.append("The score is a rank: it does not tell the label by its sign.")
    if tail.ranks is not None:
        p.notes.append("The scores are ranks of the imported network's float scores.")
    if tail.chain is not None:
        p.notes.append(
            "The scores are the imported network's float32 scores, as integer multiples of"
            f" 2**{tail.chain.exponent}."
        )
    if p.error.any() and not p.rounded:
        p.notes.append(
            f"The float sums of {p.reduction()} {ORDER_OF_SUMMATION};"
            " the imported network's own scores may differ in their last places."
        )
    p.layers.append(
        ir.Scores(
            name,
            offsets,
            tail.ranks,
            tail.rank_lo,
            tail.floats,
            tail.floats_lo,
            tail.factor,
            *(() if tail.chain is None else (tail.chain.steps, tail.chain.exponent)),
            sources=sources(*p.ops),
        )
    )
