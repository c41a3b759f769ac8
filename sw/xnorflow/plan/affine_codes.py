"""Fit a multiplication, an addition and a shift to the thresholds of each channel, exactly.

The code of a value P is the number of thresholds that it reaches. Where a quantiser is uniform,
that number is ``clip((P * multiply + offset) >> shift, 0, levels - 1)``, or would be if the float32
operations behind it did not round. Three forms of it are tried, the simplest first:

plain
    as above;
ties
    a value exactly between two codes goes to the even one (or, in a channel that was turned upside
    down, to the odd one), as in rounding half to even;
late
    any code may begin one reachable value later than in the formula, which takes a bit per code.

A fit is proved, not sampled: formula and thresholds both rise with P, so they are equal everywhere
if they agree on both sides of every threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints

MAX_SHIFT = 40
"""Largest shift that is tried: with larger ones products might leave 64 bits."""
MAX_FACTOR_BITS = 24
"""Most bits of a factor that is worth a multiplier."""
ROUNDS_UP, TIES_TO_EVEN, TIES_TO_ODD = 0, 1, 2
"""What becomes of a value exactly between two codes."""
_NEVER = 1 << 61


@dataclass(frozen=True, eq=False)
class Staircase:
    """Thresholds of some channels, and the values that can reach them.

    Parameters
    ----------
    thresholds : int64 array [channels, levels - 1]
        Ascending along the last axis.
    low, high : int64 array [channels]
        Least and greatest value that can occur.
    step : int
        Distance of neighbouring values that can occur.
    """

    thresholds: Ints
    low: Ints
    high: Ints
    step: int

    @property
    def first(self) -> Ints:
        """Least value of each channel that reaches each threshold; it may be beyond `high`."""
        low = self.low[:, None]
        steps = -(-np.maximum(self.thresholds - low, 0) // self.step)
        return np.asarray(low + steps * self.step, np.int64)


@dataclass(frozen=True, eq=False)
class AffineCodes:
    """Codes as an affine function of the value; see `xnorflow_hw.spec.AffineSpec`.

    Parameters
    ----------
    multiply, offset, ties : int64 array [channels]
        Constants of each channel.
    shift : int
        The same for all channels.
    late : bool array [channels, levels], optional
        Codes that begin one step later.
    """

    multiply: Ints
    offset: Ints
    ties: Ints
    shift: int
    late: NDArray[np.bool_] | None = None


def codes(found: AffineCodes, values: Ints, levels: int, step: int) -> Ints:
    """Compute the codes of values [channels, n]."""
    total = values * found.multiply[:, None] + found.offset[:, None]
    code, rest = total >> found.shift, total & ((1 << found.shift) - 1)
    ties = found.ties[:, None]
    odd = (ties != ROUNDS_UP) & (rest == 0) & ((code & 1) == (ties == TIES_TO_EVEN))
    inside = (code >= 0) & (code < levels)
    code = np.clip(code - odd, 0, levels - 1)
    if found.late is not None:
        begins = inside & (rest < step * found.multiply[:, None])
        code = code - (begins & np.take_along_axis(found.late, code, 1))
    return np.asarray(code, np.int64)


def fit(stairs: Staircase) -> AffineCodes | None:
    """Find affine codes that equal those of the thresholds for every value that can occur.

    Parameters
    ----------
    stairs : Staircase
        Thresholds and the reach of their values.

    Returns
    -------
    AffineCodes or None
        With the least shift for which all channels fit; None if some channel is not uniform.
    """
    first = stairs.first
    for late in (False, True):
        found = _fit(stairs, first, late)
        if found is not None and _proved(found, stairs, first):
            return found
    return None


def _proved(found: AffineCodes, stairs: Staircase, first: Ints) -> bool:
    """Return whether codes equal those of the thresholds on both sides of every threshold."""
    levels = first.shape[1] + 1
    ends = np.stack([stairs.low, stairs.high], axis=1)
    values = np.concatenate([ends, first, first - stairs.step], axis=1)
    values = np.clip(values, stairs.low[:, None], stairs.high[:, None])
    wanted = np.stack(
        [(row[:, None] >= t).sum(1) for row, t in zip(values, stairs.thresholds, strict=True)]
    )
    return np.array_equal(codes(found, values, levels, stairs.step), wanted)


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Values at which the formula has to have reached each code, and must not have yet.

    Parameters
    ----------
    reached, before : int64 array [channels, levels - 1]
        The values.
    has, lacks : bool array [channels, levels - 1]
        Whether there is such a value.
    """

    reached: Ints
    before: Ints
    has: NDArray[np.bool_]
    lacks: NDArray[np.bool_]

    def of(self, channels: Ints) -> _Bounds:
        """Return the bounds of some channels."""
        return _Bounds(
            self.reached[channels],
            self.before[channels],
            self.has[channels],
            self.lacks[channels],
        )

    def slopes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the least and the greatest slope of a line that keeps all bounds of a channel."""
        code = np.arange(1, self.reached.shape[1] + 1)
        low, high = np.zeros(len(self.reached)), np.full(len(self.reached), np.inf)
        for k in range(len(low)):
            has, lacks = self.has[k], self.lacks[k]
            run = self.reached[k][has][:, None] - self.before[k][lacks]
            rise = code[has][:, None] - code[lacks]
            low[k] = (rise[run > 0] / run[run > 0]).max(initial=0)
            high[k] = (rise[run < 0] / run[run < 0]).min(initial=np.inf)
        return low, high

    def offsets(self, multiply: Ints, shift: int, ties: int) -> tuple[Ints, Ints]:
        """Return the least and the greatest offset that keeps all bounds with given factors."""
        code = np.arange(1, self.reached.shape[1] + 1)
        # A code that ties avoid is reached only beyond its tie.
        beyond = {ROUNDS_UP: 0 * code, TIES_TO_EVEN: code & 1, TIES_TO_ODD: 1 - (code & 1)}[ties]
        at = (code << shift) + beyond
        by = multiply[:, None]
        least = np.where(self.has, at - by * self.reached, -_NEVER).max(1, initial=-_NEVER)
        most = np.where(self.lacks, at - 1 - by * self.before, _NEVER).min(1, initial=_NEVER)
        return least, most


def _bounds(stairs: Staircase, first: Ints, late: bool) -> _Bounds:
    before = first - stairs.step
    lacks = before >= stairs.low[:, None]
    has = first <= stairs.high[:, None]
    before = np.minimum(before, stairs.high[:, None])
    if late:
        # A code that begins late is reached one step before its threshold.
        return _Bounds(first, before - stairs.step, has, lacks)
    return _Bounds(first, before, has, lacks)


def _fit(stairs: Staircase, first: Ints, late: bool) -> AffineCodes | None:
    bounds = _bounds(stairs, first, late)
    low, high = bounds.slopes()
    if (low > high * (1 + 1e-12)).any():
        return None
    multiply, offset, ties, shifts = (np.zeros(len(low), np.int64) for _ in range(4))
    largest = int(max(np.abs(stairs.low).max(), np.abs(stairs.high).max(), 1))
    limit = min(1 << MAX_FACTOR_BITS, _NEVER // 8 // largest)
    kinds = (ROUNDS_UP,) if late else (ROUNDS_UP, TIES_TO_EVEN, TIES_TO_ODD)
    left = np.arange(len(low))
    tries = [(s, kind, c) for s in range(MAX_SHIFT + 1) for kind in kinds for c in range(_FACTORS)]
    for shift, kind, choice in tries:
        wished = _factor(low[left], high[left], shift, choice)
        fits = (wished >= 0) & (wished < limit)
        factor = np.where(fits, wished, 0).astype(np.int64)
        if late:
            # A value that begins a code is known by its distance, so codes must not be closer.
            fits &= factor * stairs.step < 1 << shift
        least, most = bounds.of(left).offsets(factor, shift, kind)
        fits &= least <= most
        at = left[fits]
        multiply[at], ties[at], shifts[at] = factor[fits], kind, shift
        offset[at] = np.clip(0, least[fits], most[fits])
        left = left[~fits]
        if not len(left):
            break
    else:
        return None
    shift = int(shifts.max())
    multiply, offset = multiply << (shift - shifts), offset << (shift - shifts)
    found = AffineCodes(multiply, offset, ties, shift)
    return replace(found, late=_late(stairs, first, found)) if late else found


_FACTORS = 4
"""Number of factors that are tried for a shift."""


def _factor(
    low: NDArray[np.float64], high: NDArray[np.float64], shift: int, choice: int
) -> NDArray[np.float64]:
    """Return one of the whole factors next to the ends of the slopes that are possible."""
    least = np.floor(low * (1 << shift))
    if choice < 2:
        return least + choice
    most = np.where(np.isinf(high), least + 2, np.ceil(high * (1 << shift)))
    return most - (choice - 2)


def _late(stairs: Staircase, first: Ints, found: AffineCodes) -> NDArray[np.bool_]:
    """Return the codes that the formula reaches before their thresholds."""
    code = np.arange(1, first.shape[1] + 1)
    before = np.minimum(first - stairs.step, stairs.high[:, None])
    total = before * found.multiply[:, None] + found.offset[:, None]
    early = (total >= code << found.shift) & (before >= stairs.low[:, None])
    return np.pad(early, ((0, 0), (1, 0)))
