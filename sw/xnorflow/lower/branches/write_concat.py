"""The layer that puts operands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.lower.branches.branch_pending import Value
from xnorflow.lower.branches.operand import Operand, no_common_unit, whole
from xnorflow.lower.branches.write_joins import (
    multiples_of,
    plus_constants,
    rounded_all,
    same_unit,
)
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.pending import sources, squeeze


def side_by_side(operands: Sequence[Operand], axis: int, op: g.Op, unit: float | None) -> Value:
    """Write a concatenation; the parameters are those of `total`."""
    if axis == 2:
        if unit is not None and any(o.p.rounded or not o.exact for o in operands):
            # A stream has one unit.
            found = multiples_of(operands, [1] * len(operands), added=False)
            if found is None or any(o.offset.any() for o in operands):
                operands = rounded_all(operands, unit, op)
        factor = np.concatenate([o.factor for o in operands])
        offset = np.concatenate([o.offset for o in operands])
        constant = factor == 0
        ops: list[g.Elementwise] = []
        unit_of_sums = [np.broadcast_to(o.p.unit, o.channels) for o in operands]
        chosen = unit is None and not all(o.exact for o in operands)
        if chosen:
            # Float32 rounds in these operations, so they have to be done as they are.
            ops, factor, offset = [_chosen(operands, op)], np.concatenate(unit_of_sums), 0 * offset
        elif (factor < 0).any() or constant.any():
            signs = np.sign(factor).astype(np.float32)
            ops.append(g.MultiplyOp(signs, node=op.node, op=op.op))
            factor = np.where(constant, factor[~constant][0] if (~constant).any() else 1, factor)
        scale = squeeze(np.abs(factor))
        lo = np.concatenate([o.p.reach.lo for o in operands])
        hi = np.concatenate([o.p.reach.hi for o in operands])
        steps = [o.p.reach.step for o in operands]
        reach = Reach(lo, hi, int(np.gcd.reduce(steps)))
        error = np.concatenate([o.p.error if chosen else o.error for o in operands])
        exact = all(o.p.exact if chosen else o.exact for o in operands)
    else:
        operands, common, multiples, offset = same_unit(operands, op, unit)
        for o, m in zip(operands, multiples, strict=True):
            if (m != 1).any():
                kept = o.offset
                o.offset = np.zeros(o.channels)
                if not whole(o, common):
                    raise no_common_unit(op)
                o.offset = kept
        ops, scale = [], np.array(common)
        lo = np.min([o.p.reach.lo for o in operands], axis=0)
        hi = np.max([o.p.reach.hi for o in operands], axis=0)
        starts = [int(d) for o in operands for d in np.unique(o.p.reach.lo - lo)]
        steps = [o.p.reach.step for o in operands] + starts
        reach = Reach(lo, hi, max(1, int(np.gcd.reduce(steps))))
        error = np.max([o.error for o in operands], axis=0)
        exact = all(o.exact for o in operands)
    was_rounded = any(o.p.rounded for o in operands)
    p = operands[0].p
    written = [o.p.flush() for o in operands]
    layer = ir.Concat(
        p.name("concat"),
        axis,
        sources=sources(op),
        inputs=tuple(name for name, _ in written),
    )
    p.written.layers.append(layer)
    return Value(
        layer.name,
        layer.output(*(features for _, features in written)),
        reach,
        scale,
        (*ops, *plus_constants(offset, op)),
        exact,
        error,
        was_rounded,
        0,
    )


def _chosen(operands: Sequence[Operand], op: g.Op) -> FunctionOp:
    """Return an operation that does in each operand's channels what waits there."""
    counts = [o.channels for o in operands]
    ends = np.cumsum(counts)

    def chain(o: Operand, first: int) -> tuple[g.Elementwise, ...]:
        def widened(constant: NDArray[Any]) -> NDArray[Any]:
            wide = np.ones((int(ends[-1]), *constant.shape[1:]), constant.dtype)
            wide[first : first + o.channels] = constant
            return wide

        return tuple(waiting.mapped(widened) for waiting in o.p.ops)

    which = np.repeat(np.arange(len(operands)), counts)
    chains = [chain(o, int(end) - o.channels) for o, end in zip(operands, ends, strict=True)]
    return FunctionOp("Choose", (which, *chains), node=op.node, op=op.op)
