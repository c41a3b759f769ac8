"""Chooses the folding: PE and SIMD of every engine, lanes of every pool.

Given a target in cycles per frame, each engine gets the fewest lanes that meet it. Widths need not
divide the channels: a layer of 10 channels at PE 4 takes three passes, the last half empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from xnorflow.errors import BadInput
from xnorflow.plan.reductions import Fold, Reduction

MAX_PIXELS = 8
"""Pixels at once beyond which no folding is sought: their buffers' banks are many and shallow."""


def _useful(channels: int) -> list[int]:
    """Give the widths that aren't beaten by a smaller one with as many passes, ascending."""
    return sorted({ceil(channels / passes) for passes in range(1, channels + 1)})


def foldings(part: Reduction, pixels: int = MAX_PIXELS) -> list[Fold]:
    """Give every folding of a reduction that is not beaten by a narrower one with as many passes.

    Widths need not divide the channels, nor pixels the row.
    """
    widths = _useful(part.inp.channels)
    if not part.weighted:
        return [Fold(width, width) for width in widths]
    at_once = [n for n in _useful(part.out.width) if n <= pixels and not part.refusal(n)]
    return [
        Fold(pe, simd, pixels)
        for pixels in at_once
        for pe in _useful(part.out_channels)
        for simd in widths
    ]


def fold_reduction(part: Reduction, cycles: int, previous_lanes: int) -> Fold | None:
    """Give the folding with the fewest lanes that needs at most `cycles`, or None.

    Of equal ones the widest SIMD wins: it needs the fewest accumulators. A pool keeps the lanes of
    the engine before it where they suffice, so that no gearbox is needed.
    """
    if not part.weighted:
        widths = _useful(part.inp.channels)
        if previous_lanes <= part.inp.channels:
            widths = [previous_lanes, *[w for w in widths if w > previous_lanes]]
        for width in widths:
            if part.cycles(Fold(width, width)) <= cycles:
                return Fold(width, width)
        return None
    best: tuple[int, int, Fold] | None = None
    for pe in _useful(part.out_channels):
        for simd in _useful(part.inp.channels):
            fold = Fold(pe, simd)
            if part.cycles(fold) <= cycles:
                key = (pe * simd, -simd, fold)
                if best is None or key[:2] < best[:2]:
                    best = key
                break
    return best[2] if best else None


def fastest(part: Reduction) -> int:
    """Give the fewest cycles per frame that any folding of a reduction reaches."""
    return part.cycles(Fold(part.out_channels, part.inp.channels))


def for_cycles(parts: Sequence[Reduction], cycles: int) -> tuple[Fold, ...]:
    """Fold every reduction for at most `cycles` per frame.

    Raises
    ------
    BadInput
        If a reduction cannot be that fast; names it and its limit.
    """
    folds: list[Fold] = []
    lanes = 1
    for part in parts:
        fold = fold_reduction(part, cycles, lanes)
        if fold is None:
            slowest = max(parts, key=fastest)
            raise BadInput(
                f"{cycles} cycles per frame are out of reach: layer {slowest.name!r} needs at least"
                f" {fastest(slowest)}; ask for that or more"
            )
        folds.append(fold)
        lanes = fold.pe if part.weighted else fold.simd
    return tuple(folds)


def default_cycles(parts: Sequence[Reduction], lanes: int) -> int:
    """Give the smallest target that `lanes` XNOR lanes (PE x SIMD, all engines) can meet."""
    low = max(fastest(p) for p in parts)
    high = max(low, sum(p.cycles(Fold(1, 1)) for p in parts))
    while low < high:
        middle = (low + high) // 2
        folds = for_cycles(parts, middle)
        used = sum(f.pe * f.simd for p, f in zip(parts, folds, strict=True) if p.weighted)
        low, high = (low, middle) if used <= lanes else (middle + 1, high)
    return low
