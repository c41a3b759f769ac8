"""Fixed point, where a user asks for it: real weights and values rounded to integers.

The rule, for a width of B bits:

* Real weights of an output channel become ``round(w / s)`` with ``s = max|w| / (2**(B-1) - 1)``. In
  the last layer, what only scales and shifts each score is multiplied into the weights first, and
  all classes share one `s`, so that the scores are plain sums.
* A value that a layer reads and that no quantiser of the network makes integers of is rounded to
  ``s * k`` with ``s = most / (2**(B-1) - 1)`` and k of B bits, or ``s = most / (2**B - 1)`` where
  the value is never negative; `most` is its largest magnitude on the calibration data, and what
  lies beyond saturates. B is at most `MAX_CODE_BITS` here, and `MOST_TABLE_BITS` behind a function
  that is neither affine nor a bound.
* Factors and offsets that differ between the classes become integers of B bits and one unit.
* Values that are joined have one unit in a whole stream of joins; `xnorflow.lower.branches.streams`
  has its rule.

Everything that has an exact integer form keeps it. The integer network is then the definition:
hardware and golden model equal it bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.gather_op import GatherOp
from xnorflow.ir import Alphabet, Ints
from xnorflow.ir.layers import MAX_PRODUCT_BITS
from xnorflow.lower.common_scale import MAX_CODE_BITS

LEAST_BITS, MOST_BITS = 2, 24
"""Widths that may be asked for."""
MOST_TABLE_BITS = 10
"""Most bits of a value that is no affine function of a sum: it takes a threshold per step."""
FIXED_POINT = "Fixed point of"
"""Beginning of the note of a network that was rounded."""
TINY, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Least normal and greatest float32."""
ASK = "fixed point: --fixed-point auto (fixed_point='auto'), or a number of bits"
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """Least and greatest value that enters an operation, as far as it was observed."""

    lo: float
    hi: float


@dataclass(frozen=True)
class FixedPoint:
    """How reals become integers.

    Parameters
    ----------
    bits : int
        Width of weights and values, 2 to 24.
    ranges : tuple of Range
        What enters each operation of the tidy graph, and last its output.
    """

    bits: int
    ranges: tuple[Range, ...]

    def grid(
        self,
        at: int,
        *,
        signed: bool = False,
        bounds: tuple[float, float] = (-np.inf, np.inf),
        most_bits: int = MAX_CODE_BITS,
    ) -> tuple[float, Alphabet]:
        """Return the unit and the integers of the values that enter operation `at`.

        With `signed`, there are as many integers below 0 as above. No value is beyond `bounds`.
        """
        seen, bits = self.ranges[at], min(self.bits, most_bits)
        lo, hi = max(seen.lo, bounds[0]), min(seen.hi, bounds[1])
        if lo >= 0 and not signed:
            top = (1 << bits) - 1
            return _unit(hi, top), Alphabet(0, 1, top + 1)
        top = (1 << (bits - 1)) - 1
        return _unit(max(-lo, hi), top), Alphabet(-top, 1, 2 * top + 1)


def _unit(most: float, top: int) -> float:
    """Return a unit with which the integer `top` is `most`, and which is a normal float32."""
    return max(most / top, TINY) if most > 0 else 1.0


@dataclass(frozen=True, eq=False)
class AffineValue:
    """A value as ``clip(factor * x + offset, lo, hi)`` per channel.

    Parameters
    ----------
    factor, offset, lo, hi : float64 array, [] or [channels]
    """

    factor: Doubles
    offset: Doubles
    lo: Doubles
    hi: Doubles

    @property
    def clips(self) -> bool:
        """Whether a bound is finite."""
        return bool(np.isfinite(self.lo).any() or np.isfinite(self.hi).any())

    def times(self, by: Doubles) -> AffineValue:
        """Multiply by constants."""
        with np.errstate(invalid="ignore"):
            ends = self.lo * by, self.hi * by
            low, high = np.minimum(*ends), np.maximum(*ends)
        # Zero times infinity: no bound.
        low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
        return AffineValue(self.factor * by, self.offset * by, low, high)

    def plus(self, value: Doubles) -> AffineValue:
        """Add constants."""
        return AffineValue(self.factor, self.offset + value, self.lo + value, self.hi + value)

    def clip(self, lo: Doubles, hi: Doubles) -> AffineValue:
        """Limit to [lo, hi]."""
        return replace(self, lo=np.clip(self.lo, lo, hi), hi=np.clip(self.hi, lo, hi))


def affine(ops: Sequence[g.Elementwise]) -> AffineValue | None:
    """Return operations as one affine function with bounds; None where they are none."""
    one, zero, inf = np.array(1.0), np.array(0.0), np.array(np.inf)
    value = AffineValue(one, zero, -inf, inf)
    for op in ops:
        after = _after(value, op)
        if after is None:
            return None
        value = after
    return value


def _after(value: AffineValue, op: g.Elementwise) -> AffineValue | None:
    match op:
        case g.AddOp():
            return value.plus(op.value.astype(np.float64))
        case g.SubtractOp(reverse=True):
            return value.times(np.array(-1.0)).plus(op.value.astype(np.float64))
        case g.SubtractOp():
            return value.plus(-op.value.astype(np.float64))
        case g.MultiplyOp():
            return value.times(op.value.astype(np.float64))
        case g.DivideOp():
            return value.times(1 / op.value.astype(np.float64))
        case g.BatchNormOp():
            a = op.gamma.astype(np.float64) / np.sqrt(op.var.astype(np.float64) + op.epsilon)
            return value.times(a).plus(op.beta - op.mean * a)
        case g.ClipOp():
            return value.clip(np.array(op.lo, np.float64), np.array(op.hi, np.float64))
        case FunctionOp(function="Identity", operands=(tuple() as inner,)):
            return _chain(value, inner)
        case FunctionOp(function="Neg", operands=(tuple() as inner,)):
            inside = _chain(value, inner)
            return None if inside is None else inside.times(np.array(-1.0))
        case FunctionOp(function="Max", operands=(tuple() as inner, np.ndarray() as bound)):
            inside = _chain(value, inner)
            return None if inside is None else inside.clip(bound.astype(float), np.array(np.inf))
        case FunctionOp(function="Min", operands=(tuple() as inner, np.ndarray() as bound)):
            inside = _chain(value, inner)
            return None if inside is None else inside.clip(np.array(-np.inf), bound.astype(float))
    return None


def _chain(value: AffineValue | None, ops: Sequence[g.Elementwise]) -> AffineValue | None:
    for op in ops:
        value = None if value is None else _after(value, op)
    return value


def refuse_real_weights(graph: g.Graph) -> g.Graph:
    """Refuse weights that are no integers times one scale per output channel."""
    for op in graph.ops:
        if isinstance(op, g.ConvOp) and op.real:
            raise UnsupportedModel(
                "its weights are not integers times one scale per output channel.",
                node=op.node,
                op=op.op,
                hint="quantised weights: a BipolarQuant or Quant node, or values such as -s and +s;"
                f" or {ASK}.",
            )
    return graph


def round_weights(graph: g.Graph, bits: int, *, last: bool = True) -> g.Graph:
    """Round real weights of a chain to integers of `bits` bits; the module says by which rule.

    Without `last`, the scores are not made at its end, so no layer counts as the last one.
    """
    ops = list(graph.ops)
    for at, op in enumerate(ops):
        if not isinstance(op, g.ConvOp) or not op.real:
            continue
        behind = ops[at + 1 :]
        tail = [o for o in behind if isinstance(o, g.Elementwise)]
        value = affine(tail) if len(tail) == len(behind) and last else None
        if value is None or value.clips:
            # Entries of tables are added, so all have one scale.
            table = bool(behind) and isinstance(behind[0], GatherOp)
            ops[at] = _rounded(op, op.weights.astype(np.float64), bits, shared=table)
            continue
        out = len(op.weights)
        factor = np.broadcast_to(value.factor, out).reshape(-1, 1, 1, 1)
        offset = np.broadcast_to(value.offset, out).astype(np.float32)
        ops[at] = _rounded(op, op.weights * factor, bits, shared=True)
        ops[at + 1 :] = [g.AddOp(offset.copy(), node=o.node, op=o.op) for o in (*tail, op)[:1]]
        break
    return replace(graph, ops=tuple(ops))


def _rounded(op: g.ConvOp, weights: Doubles, bits: int, *, shared: bool) -> g.ConvOp:
    largest = np.abs(weights).reshape(1 if shared else len(weights), -1).max(1)
    if not largest.max() <= LARGEST:
        raise UnsupportedModel(
            "its weights, times the factors behind it, are beyond float32.",
            node=op.node,
            op=op.op,
            hint="factors near 1 behind the last layer.",
        )
    scale = (np.where(largest == 0, 1, largest) / ((1 << (bits - 1)) - 1)).astype(np.float32)
    # A float32 scale may be too small to hold any quotient: weights below it are zeros.
    scale = np.maximum(scale, np.float32(TINY))
    codes = np.rint(weights / scale.astype(np.float64).reshape(-1, 1, 1, 1)).astype(np.int64)
    return replace(
        op, weights=codes, scale=scale.reshape(()) if len(scale) == 1 else scale, rounded=True
    )


def quantiser(scale: float, alphabet: Alphabet, node: str) -> g.QuantOp:
    """Return the operation that rounds values to a grid; one half goes to the even integer."""
    signed = alphabet.lo < 0
    return g.QuantOp(
        np.array(scale, np.float32),
        np.zeros((), np.float32),
        alphabet.bits,
        signed,
        signed,
        node=node,
        op="fixed point",
    )


@dataclass(frozen=True, eq=False)
class Rescaling:
    """Integers for ``code = clip((x * multiply + offset) >> shift, 0, levels - 1)``.

    Parameters
    ----------
    multiply, offset : int64 array [channels]
    shift : int
    """

    multiply: Ints
    offset: Ints
    shift: int


def rescaling(factor: Doubles, offset: Doubles, largest: int, levels: int) -> Rescaling | None:
    """Return integers for codes ``round(factor * x + offset)``, one half going up.

    Parameters
    ----------
    factor, offset : float64 array [channels]
        From an integer to a code, before rounding.
    largest : int
        No integer is further from 0.
    levels : int
        Number of codes: what turns them upside down has to fit as well.

    Returns
    -------
    Rescaling or None
        None where the factors or offsets are so large that no shift fits.

    Notes
    -----
    The shift leaves each product an error of at most an eighth of a code. Where sums would be wider
    than `MAX_PRODUCT_BITS` it is less, and the factors keep as many bits as fit.
    """
    furthest = float(np.abs(factor).max() * largest + np.abs(offset + 0.5).max()) + levels
    if not np.isfinite(furthest):
        return None
    # Two bits are left for the mirror image, whose offset has a sum of two products in it, and one
    # for the rounding of the factors.
    shift = min(largest.bit_length() + 2, MAX_PRODUCT_BITS - 3 - math.frexp(furthest)[1])
    if shift < 0:
        return None
    scale = float(1 << shift)
    return Rescaling(
        np.rint(factor * scale).astype(np.int64),
        np.rint((offset + 0.5) * scale).astype(np.int64),
        shift,
    )
