"""The layer that makes codes of values of which nothing but the order is of interest."""

from __future__ import annotations

import numpy as np

from xnorflow import ir
from xnorflow.graph.join_ops import OrderOp
from xnorflow.lower.branches import exact_integers
from xnorflow.lower.branches.branch_pending import BranchPending, Value
from xnorflow.lower.evaluate import Reach, steps
from xnorflow.lower.pending import sources
from xnorflow.lower.rounding import uncertain_channels

MAX_ENTRIES = 1 << 17
"""Most entries of a table of ranks."""


def order(p: BranchPending, op: OrderOp) -> Value:
    """Write codes with the order of all values that can occur in any channel, ties included.

    Where the values are integers times one unit, these are such codes already. Else a table holds
    the rank of each value among those of all channels. Values for which it would be too large are
    left as they are.
    """
    p.plain(op)
    if not exact_integers.settle(p, zero=False):
        _ranks(p, op)
    return p.close(0)


def _ranks(p: BranchPending, op: OrderOp) -> None:
    """Write a table of ranks, if it is not too large."""
    alphabet, reach, channels = p.alphabet(), p.reach, len(p.reach.lo)
    if max(alphabet.levels, reach.rows) * channels > MAX_ENTRIES:
        return
    expression = p.expression()
    if p.error.any() and not p.rounded:
        found = steps(expression, reach, op)
        p.note_rounding(uncertain_channels(expression, found, reach.step, p.error))
    integers = reach.integers(0, reach.rows)
    floats, inverse = np.unique(expression(integers), return_inverse=True)
    ranks = inverse.reshape(integers.shape)
    table = np.zeros((channels, alphabet.levels), np.int64)
    table[np.arange(channels), (integers - alphabet.lo) // alphabet.step] = ranks
    name = p.name(f"{p.layers[-1].name}_order", numbered=False)
    levels = ir.Alphabet(0, 1, len(floats))
    p.layers.append(ir.CodeTable(name, table, levels, sources=sources(*p.ops, op)))
    p.reach = Reach(ranks.min(0), ranks.max(0))
    p.unit, p.ops, p.exact, p.error = np.array(1.0), [], True, np.zeros(channels)
