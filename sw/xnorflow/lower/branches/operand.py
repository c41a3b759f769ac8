"""What a join reads: integers, of which the value is ``factor * integer + offset``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.lower.branches.branch_pending import BranchPending, Held
from xnorflow.lower.branches.exact_integers import write
from xnorflow.lower.evaluate import Reach
from xnorflow.lower.fixed_point import ASK, affine, rescaling
from xnorflow.lower.negate import rising
from xnorflow.lower.pending import Mark, sources
from xnorflow.lower.rounding import MANTISSA

Doubles = NDArray[np.float64]


@dataclass(eq=False)
class Operand:
    """Integers that a join reads.

    Parameters
    ----------
    p : BranchPending
        Whose last layer makes the integers.
    factor, offset : float64 array [channels]
        The value is ``factor * integer + offset``; a factor may be negative.
    exact : bool
        Whether float32 gives just that.
    error : float64 array [channels]
        Bound of the framework's difference from that.
    """

    p: BranchPending
    factor: Doubles
    offset: Doubles
    exact: bool
    error: Doubles

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.factor)

    @property
    def largest(self) -> ir.Ints:
        """Greatest magnitude of the integers of each channel."""
        reach = self.p.reach
        return np.maximum(np.abs(reach.lo), np.abs(reach.hi))

    def scaled(self, sign: int) -> None:
        """Multiply the value by +1 or -1."""
        self.factor, self.offset = sign * self.factor, sign * self.offset


def whole(found: Operand, unit: float) -> bool:
    """Write a layer with which the value is `unit` times its integers, if that is exact.

    Returns
    -------
    bool
        Whether it was written.
    """
    p = found.p
    bits = ir.MAX_BITS - 2 if p.rounded else MANTISSA
    ops, p.ops = p.ops, []
    if not write(p, found.factor, found.offset, unit, (-np.inf, np.inf), bits):
        p.ops = ops
        return False
    found.factor = np.full(found.channels, unit)
    found.offset = np.zeros(found.channels)
    return True


def round_to(
    p: BranchPending, unit: float, consumer: g.Op, *, signed: bool = False
) -> NDArray[np.int64]:
    """Write a `Rescale` that rounds an affine value with bounds to whole multiples of a unit.

    Returns
    -------
    int64 array [channels]
        -1 for channels whose integers have the opposite sign, else +1. There are none but with
        `signed`, and only where no layer before can be mirrored.

    Raises
    ------
    UnsupportedModel
        If the factors are too large.
    """
    value = affine(p.ops)
    assert value is not None, "only affine values are rounded"
    signs = np.ones(len(p.reach.lo), np.int64)
    if signed and isinstance(p.layers[-1], Held):
        signs = np.where(np.broadcast_to(value.factor, signs.shape) < 0, -1, 1)
        value = value.times(signs.astype(np.float64))
    p.carry_tail()
    channels = len(p.reach.lo)
    factor = np.broadcast_to(value.factor * p.unit / unit, channels)
    offset = np.broadcast_to(value.offset / unit, channels)
    factor, offset, lo, hi = rising(p.layers, p.given, factor, offset, p.reach.lo, p.reach.hi)
    bounds = [np.broadcast_to(np.asarray(b) / unit, channels) for b in (value.lo, value.hi)]
    low, high = (
        np.floor(np.clip(factor * lo + offset, *bounds)).astype(np.int64) - 1,
        np.ceil(np.clip(factor * hi + offset, *bounds)).astype(np.int64) + 1,
    )
    least, most = int(low.min()), int(high.max())
    levels = most - least + 1
    largest = int(np.maximum(np.abs(lo), np.abs(hi)).max())
    found = rescaling(factor, offset - least, largest, levels)
    if found is None or levels >= 1 << (ir.MAX_BITS - 2):
        raise too_large(consumer)
    p.layers.append(
        ir.Rescale(
            p.name(f"{p.layers[-1].name}_rescale", numbered=False),
            found.multiply,
            found.offset,
            np.clip(np.rint(np.clip(bounds[0], least, most)) - least, 0, None).astype(np.int64),
            np.clip(np.rint(np.clip(bounds[1], least, most)) - least, 0, None).astype(np.int64),
            found.shift,
            ir.Alphabet(least, 1, levels),
            sources=sources(*p.ops, consumer),
        )
    )
    p.rounded, p.exact, p.error = True, False, np.zeros(channels)
    p.reach = Reach(
        np.maximum(low, np.rint(np.clip(bounds[0], least, most)).astype(np.int64)),
        np.minimum(high, np.rint(np.clip(bounds[1], least, most)).astype(np.int64)),
    )
    p.unit, p.ops = np.array(unit), []
    if (signs > 0).all():
        p.marks.append(Mark(p.layers[-1], p.at, unit))
    return signs


def rounded(found: Operand, unit: float, consumer: g.Op, *, signed: bool = False) -> Operand:
    """Round an operand to a unit, unless its factors are that unit; `signed` as for `round_to`."""
    if (found.factor == unit).all() or (signed and (np.abs(found.factor) == unit).all()):
        return found
    signs = round_to(found.p, unit, consumer, signed=signed)
    none = np.zeros(found.channels)
    factor = np.asarray(signs * unit, np.float64)
    return Operand(found.p, factor, none, False, none)


def too_large(consumer: g.Op) -> UnsupportedModel:
    """Return the error for factors that fixed point cannot hold."""
    return UnsupportedModel(
        "the factors or offsets of its inputs are too large beside their range for fixed point.",
        node=consumer.node,
        op=consumer.op,
        hint="calibration data like those it was trained on, or scales near 1.",
    )


def no_common_unit(consumer: g.Op) -> UnsupportedModel:
    """Return the error for operands without a common unit."""
    return UnsupportedModel(
        "its inputs are no integer multiples of one scale that float32 sums exactly.",
        node=consumer.node,
        op=consumer.op,
        hint=f"scales that are small multiples of one, such as powers of two; or {ASK}.",
    )
