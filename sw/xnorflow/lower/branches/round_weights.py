"""Real weights of networks that branch, rounded to fixed point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow.graph import ops as g
from xnorflow.lower.branches.segments import Piece, branches, cut
from xnorflow.lower.fixed_point import round_weights

NOTHING = g.AddOp(np.zeros((), np.float32))
"""Operation that stands in for one that has been multiplied into weights."""


def round_all_weights(graph: g.Graph, bits: int) -> g.Graph:
    """Round real weights of any graph to integers of `bits` bits.

    What scales the scores of an output is multiplied into the weights before it, as in a chain. The
    graph keeps the number of its operations if it branches.
    """
    if not branches(graph):
        return round_weights(graph, bits)
    whole = cut(graph)
    shapes, readers = whole.shapes(), whole.readers

    def rounded(piece: Piece) -> Piece:
        chain = whole.chain(piece, shapes[piece.sources[0]])
        last = piece.value in whole.ends and readers[piece.value] == 1
        ops = list(round_weights(chain, bits, last=last).ops)
        if len(ops) > len(piece.ops):
            # An offset of 0 behind a layer with nothing behind it.
            ops.pop()
        return replace(piece, ops=(*ops, *[NOTHING] * (len(piece.ops) - len(ops))))

    pieces = tuple(p if p.between is not None else rounded(p) for p in whole.pieces)
    return replace(whole, pieces=pieces).assembled()
