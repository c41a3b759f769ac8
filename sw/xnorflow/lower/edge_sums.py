"""Recognise sums of convolutions of one map as edges of one convolution.

A file has the edges of a ternary residual network as a convolution each, whose sums are added:
``x -> Conv, Conv, ... -> Add``. As one convolution with edges, all but the first can be disabled
while the network runs. Without the user's wish such convolutions become layers that are joined.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.join_ops import SumOp

MAX_WEIGHT = 1 << 15
"""Largest integer weight of an edge, in the unit that all edges of an output share."""
WANTED = "an Add, or several, of convolutions or dense layers that read one map."


def with_edges(graph: g.Graph) -> g.Graph:
    """Return a graph in which each sum of convolutions of one map is one of several edges.

    The first edge is the convolution that the sum names first.

    Raises
    ------
    UnsupportedModel
        If there is no such sum, or if the convolutions of one differ in more than their weights.
    """
    ops = list(graph.ops)
    found = _Values(graph)
    dropped: set[int] = set()
    for k, op in enumerate(graph.ops):
        if not isinstance(op, SumOp) or k in dropped:
            continue
        terms = found.terms(k)
        sources = {graph.reads[at][0] for _, at, _ in terms}
        if len(sources) > 1 or not all(isinstance(ops[at], g.ConvOp) for _, at, _ in terms):
            continue
        ops[k] = _joined(op, [(sign, ops[at]) for sign, at, _ in terms])
        dropped |= {at for _, at, _ in terms} | {at for _, _, sums in terms for at in sums}
        dropped.discard(k)
    if not any(isinstance(op, g.ConvOp) and op.edges is not None for op in ops):
        raise UnsupportedModel(
            "none of its layers is a sum of edges.", node=graph.name, hint=WANTED
        )
    return replace(graph, ops=tuple(op for k, op in enumerate(ops) if k not in dropped))


class _Values:
    """Who reads what in a graph."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph = graph
        ends = {o.value for o in graph.outputs}
        self.kept = {k for k, op in enumerate(graph.ops) if op.name in ends}
        self.readers = Counter(at for reads in graph.reads for at in reads)

    def terms(self, k: int) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return the signs and places of what a sum adds, sums that it alone reads seen through.

        Each comes with the places of the sums on its way.
        """
        op = self.graph.ops[k]
        assert isinstance(op, SumOp)
        found = []
        for sign, at in zip(op.signs, self.graph.reads[k], strict=True):
            alone = at >= 0 and self.readers[at] == 1 and at not in self.kept
            if alone and isinstance(self.graph.ops[at], SumOp):
                found += [(sign * s, t, (*way, at)) for s, t, way in self.terms(at)]
            elif alone:
                found.append((sign, at, ()))
            else:
                return [(sign, k, ())]
        return found


def _joined(op: SumOp, terms: list[tuple[int, Any]]) -> g.ConvOp:
    """Return the convolution whose edges are those of a sum."""
    convs: list[g.ConvOp] = [conv for _, conv in terms]
    first = convs[0]
    for conv in convs:
        wrong = ""
        if conv.real:
            wrong = "has real weights; whole multiples of one scale would work"
        elif (conv.window, conv.groups, conv.pad_value) != (
            first.window,
            first.groups,
            first.pad_value,
        ) or conv.weights.shape != first.weights.shape:
            wrong = f"has another kernel, stride, padding or shape than {first.node!r}"
        elif conv.bias is not None:
            wrong = "has a bias; one that is added behind the sum would work"
        if wrong:
            raise UnsupportedModel(
                f"its terms are no edges of one layer: {conv.op} {conv.node!r} {wrong}.",
                node=op.node,
                op=op.op,
                hint=WANTED,
            )
    multiples, unit = _common_unit([np.asarray(conv.scale) for conv in convs], len(first.weights))
    edges = np.stack(
        [
            sign * conv.weights.astype(np.int64) * m[:, None, None, None]
            for (sign, conv), m in zip(terms, multiples, strict=True)
        ]
    )
    if np.abs(edges).max() > MAX_WEIGHT or np.abs(edges.sum(0)).max() > MAX_WEIGHT:
        raise UnsupportedModel(
            "the scales of its terms have no common unit that leaves their weights small: they"
            f" would go up to {np.abs(edges).max()}, and {MAX_WEIGHT} is the largest.",
            node=op.node,
            op=op.op,
            hint="scales that are small multiples of one for each output channel.",
        )
    return g.ConvOp(
        edges.sum(0),
        unit,
        first.window,
        first.pad_value,
        groups=first.groups,
        edges=edges,
        node=op.node,
        op=first.op,
        name=op.name,
        inputs=first.inputs,
    )


def _common_unit(
    scales: list[NDArray[Any]], outputs: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the scales of each edge and output as multiples of a unit for each output.

    Returns
    -------
    multiples : int64 array [edges, outputs]
        Cut at 2**40, which no weight may have.
    unit : float32 array [] or [outputs]
    """
    wide = np.stack([np.broadcast_to(s, (outputs,)) for s in scales])
    multiples, units = np.ones(wide.shape, np.int64), np.ones(outputs, np.float32)
    for o, own in enumerate(wide.T.tolist()):
        exact = [Fraction(s) for s in own]
        denominator = lcm(*(s.denominator for s in exact))
        unit = Fraction(gcd(*(int(s * denominator) for s in exact)), denominator)
        units[o] = np.float32(unit)
        multiples[:, o] = [min(int(s / unit), 1 << 40) for s in exact]
    return multiples, units[:1].reshape(()) if (units == units[0]).all() else units
