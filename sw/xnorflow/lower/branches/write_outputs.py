"""The scores of each output of a branching network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.graph import ops as g
from xnorflow.lower.branches.branch_pending import BranchPending, Written
from xnorflow.lower.write_layers import write_scores


def write_outputs(
    written: Written, graph: g.Graph, ends: list[tuple[BranchPending, tuple[g.Op, ...], int]]
) -> tuple[ir.Output, ...]:
    """Write the scores of each output, and the layer that joins them.

    Parameters
    ----------
    written : Written
        The network.
    graph : Graph
        The tidy graph.
    ends : list of (BranchPending, tuple of Op, int)
        The value of each output, the operations of the chain that made it, and its place.

    Returns
    -------
    tuple of Output
        The network's outputs.
    """
    layers, sizes = [], []
    for p, ops, place in ends:
        where = p.ops[-1] if p.ops else ops[-1] if ops else g.Op(node=graph.name)
        if not p.layers:
            p.settle(where, uniform=False)
        p.at = place
        chain = replace(graph, ops=ops, outputs=())
        write_scores(p, chain, where, p.name("scores", numbered=False))
        marks, p.marks = p.marks, []
        p.marks = [
            m if m.at >= 0 else replace(m, at=place + m.at + 1)
            for m in marks
            if m.at >= -1 - len(ops)
        ]
        name, features = p.flush()
        layers.append(name)
        sizes.append(features.size)
    if len(layers) > 1:
        written.layers.append(ir.AllScores("all_scores", inputs=tuple(layers)))
    first = np.cumsum([0, *sizes])
    return tuple(
        ir.Output(o.name, o.shape, (np.asarray(o.gather) + start).astype(np.int64))
        for o, start in zip(graph.outputs, first, strict=False)
    )
