"""One unit for all values that are joined, directly or over other joins, in fixed point."""

from __future__ import annotations

from collections.abc import Mapping

from xnorflow.graph.join_ops import AddMapOp, ConcatOp, MaximumOp, StretchOp, SumOp
from xnorflow.lower.branches.segments import Pieces
from xnorflow.lower.fixed_point import MOST_BITS, TINY, FixedPoint

SAME_UNIT = (AddMapOp, ConcatOp, MaximumOp, StretchOp, SumOp)
"""Operations whose result has the unit of what they read."""

MORE_BITS = 4
"""Bits that values have more than weights and codes where they are only added or compared."""


def stream_unit(most: float, bits: int) -> float:
    """Return the unit of values of a magnitude of at most `most`, for a width of fixed point."""
    return max(most / ((1 << (min(bits + MORE_BITS, MOST_BITS) - 1)) - 1), TINY) if most else 1.0


def units(whole: Pieces, fixed: FixedPoint, places: Mapping[str, int]) -> dict[str, float]:
    """Choose the unit of every value that a join reads or makes.

    A stream, such as the shortcuts of a residual network, has one unit, with which its largest
    value on the calibration data takes the bits of fixed point.

    Parameters
    ----------
    whole : Pieces
        The tidy graph.
    fixed : FixedPoint
        Width and ranges.
    places : mapping of str to int
        Place of each value among the ranges.
    """
    stream: dict[str, str] = {}

    def of(value: str) -> str:
        while stream.setdefault(value, value) != value:
            value = stream[value]
        return value

    for piece in whole.pieces:
        if piece.between is None:
            continue
        for source in piece.sources:
            of(source)
            if isinstance(piece.between, SAME_UNIT):
                stream[of(source)] = of(piece.value)
    most: dict[str, float] = {}
    for value in stream:
        seen = fixed.ranges[places[value]]
        most[of(value)] = max(most.get(of(value), 0.0), -seen.lo, seen.hi)
    return {value: stream_unit(most[of(value)], fixed.bits) for value in stream}
