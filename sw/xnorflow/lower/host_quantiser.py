"""Thresholds with which the host quantises float samples as the network's first quantiser does.

What stands between the input and its first quantiser acts on each sample alone. It is put together
of pieces, each of which rises or falls throughout, in float32, and takes few values: a comparison,
a rounding that is clipped. So the samples at which a piece's value changes are found by bisection
over all float32 numbers, in the executors' own arithmetic, and the host needs no arithmetic of its
own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import CastOp, Chain, FunctionOp, approximate
from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Alphabet, InputKind, Ints
from xnorflow.ir.input_kind import MAX_SAMPLE_BITS, HostQuantiser
from xnorflow.lower.evaluate import Expression, Reach, Steps, steps
from xnorflow.lower.fixed_point import ASK
from xnorflow.lower.pending import quantises

LARGEST = 0x7F7FFFFF
"""The largest finite float32 as an unsigned integer of the same bits."""
ONE = np.array(1.0)


def _follows(op: g.Op) -> bool:
    """Return whether an operation is exact and monotone for all float32 numbers."""
    if not isinstance(op, g.Elementwise) or isinstance(op, CastOp):
        # A cast of a float that the integer type cannot hold has no defined result.
        return False
    return op.monotone and not approximate((op,))


def float_of(order: Ints) -> Floats:
    """Return the float32 numbers at the given positions in ascending order, with 0.0 at 0."""
    bits = np.where(order >= 0, order, 0x80000000 - order).astype(np.uint32)
    return bits.view(np.float32)


@dataclass(frozen=True, eq=False)
class OfFloats(Expression):
    """An expression of a float32 number, which is given by its position in ascending order."""

    def start(self, integers: Ints) -> Floats:
        """Return the float32 numbers at these positions."""
        return float_of(integers)

    def select(self, channels: Ints) -> OfFloats:
        """Return the expression for the given channels, in that order; they may repeat."""
        chosen = super().select(channels)
        return OfFloats(chosen.unit, chosen.ops)


def quantise_on_host(graph: g.Graph) -> g.Graph:
    """Move the input's quantiser to the host, if the graph takes float samples.

    Returns
    -------
    Graph
        `graph` itself if it takes integers. Otherwise a graph of the same function that takes the
        host's codes: its first operation looks up their values, and `samples` has the quantiser.

    Raises
    ------
    UnsupportedModel
        If the network does not begin with monotone operations and a quantiser of at most
        `MAX_SAMPLE_BITS` bits.
    """
    if not graph.takes_floats:
        return graph
    ops = (*_scaling(graph.input_scale), *graph.ops)
    before, found = _quantiser(ops, graph.shape[2])
    count = len(before)
    values = found.values
    if len(values) > 1 << MAX_SAMPLE_BITS:
        raise UnsupportedModel(
            f"the input's quantiser has {len(values)} levels.",
            node=before[-1].node,
            op=before[-1].op,
            hint=f"at most {MAX_SAMPLE_BITS} bits.",
        )
    return replace(
        graph,
        ops=(g.LookupOp(tuple(values.tolist())), *ops[count:]),
        input_scale=InputScale(),
        samples=InputKind(Alphabet(0, 1, len(values)), _thresholds(found, values)),
        takes_floats=False,
    )


def pieces(chain: Chain) -> tuple[Chain, ...] | None:
    """Return what rises or falls throughout and takes few values, the chain being made of that.

    Where none of the pieces changes its value, the chain does not. None where the chain takes
    many values.
    """
    quantised = False
    for n, op in enumerate(chain):
        if _follows(op):
            quantised = quantised or quantises(op)
        elif quantised:
            return (chain[:n],)
        elif isinstance(op, FunctionOp):
            return _of_operands(chain[:n], op)
        else:
            return None
    return (chain,) if quantised else None


def _of_operands(before: Chain, op: FunctionOp) -> tuple[Chain, ...] | None:
    """Return the pieces of a function that reads its input several times, or turns round."""
    made: list[Chain] = []
    for operand in _ordering(op) or op.operands:
        if isinstance(operand, np.ndarray):
            continue
        own = pieces((*before, *operand))
        if own is None:
            return None
        made += own
    return tuple(made)


def _ordering(op: FunctionOp) -> tuple[Chain, ...]:
    """Return the comparisons that tell whether a value equals a constant; none of other ops."""
    if op.function != "Equal" or not any(isinstance(o, np.ndarray) for o in op.operands):
        return ()
    return tuple((replace(op, function=name),) for name in ("GreaterOrEqual", "Greater"))


def _quantiser(ops: tuple[g.Op, ...], channels: int) -> tuple[Chain, Steps]:
    """Find the shortest start of a network that takes few values, and where these change."""
    reach = Reach(np.full(channels, -LARGEST), np.full(channels, LARGEST))
    many: UnsupportedModel | None = None
    chain: Chain = ()
    for op in ops:
        if not isinstance(op, g.Elementwise):
            break
        chain = (*chain, op)
        parts = pieces(chain)
        if parts is None:
            continue
        try:
            return chain, _joined(chain, [steps(OfFloats(ONE, p), reach, p[-1]) for p in parts])
        except UnsupportedModel as e:
            # What follows may clip it.
            many = many or e
    if many:
        raise many
    where = next((op for op in ops if not _follows(op)), ops[-1])
    raise UnsupportedModel(
        "it is not preceded by a quantiser of the network's float input.",
        node=where.node,
        op=where.op,
        hint=f"a quantiser as the first layer, or integer samples; or {ASK}.",
    )


def _joined(chain: Chain, found: list[Steps]) -> Steps:
    """Return the steps of a chain, which lie where one of its pieces has one."""
    channel, at = np.unique(np.concatenate([[f.channel, f.at] for f in found], axis=1), axis=1)
    whole = OfFloats(ONE, chain)
    first = whole(np.full((1, len(found[0].first)), -LARGEST))[0]
    own = whole.select(channel)
    before, after = own(at - 1), own(at)
    moved = before != after
    return Steps(first, channel[moved], at[moved], before[moved], after[moved])


def _scaling(scale: InputScale) -> tuple[g.Op, ...]:
    if scale.divisor:
        return (g.DivideOp(np.array(scale.divisor, np.float32)),)
    if scale.factor != 1:
        return (g.MultiplyOp(np.array(scale.factor, np.float32)),)
    return ()


def _thresholds(found: Steps, values: Floats) -> HostQuantiser:
    """Build the host's quantiser: a row of thresholds and codes per channel, or one if all agree.

    Rows that are shorter than the longest end in thresholds of infinity.
    """
    channels = len(found.first)
    longest = int(np.bincount(found.channel, minlength=channels).max()) if len(found.at) else 0
    thresholds = np.full((channels, longest), np.inf, np.float32)
    codes = np.zeros((channels, longest + 1), np.int64)
    for channel in range(channels):
        own = found.channel == channel
        at = float_of(found.at[own])
        level = np.searchsorted(values, np.append(found.first[channel], found.after[own]))
        thresholds[channel, : len(at)] = at
        codes[channel, : len(level)] = level
        codes[channel, len(level) :] = level[-1]
    if (thresholds == thresholds[0]).all() and (codes == codes[0]).all():
        thresholds, codes = thresholds[:1], codes[:1]
    return HostQuantiser(thresholds, codes)
