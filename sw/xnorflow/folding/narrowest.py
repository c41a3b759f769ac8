"""Choose the folding with the fewest lanes: PE and SIMD of every engine, SIMD of every pool.

Given a target in cycles per frame, each engine gets the fewest lanes that meet it. PE and SIMD need
not divide the channels: a layer of 10 channels at PE 4 takes three passes, the last one half empty.
Within the groups of a grouped convolution they do (see `Reduction.check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil

from xnorflow.errors import BadInput
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.reductions import Fold, Reduction

MAX_PIXELS = 8
"""Most pixels at once that a search tries: with more, buffers have many shallow banks."""


@cache
def _useful(channels: int) -> list[int]:
    """Return the useful widths, ascending: those for which no smaller one needs as few passes."""
    return sorted({ceil(channels / passes) for passes in range(1, channels + 1)})


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def _grouped(part: Reduction, pixels: int = 1) -> list[Fold]:
    """Return the foldings of a grouped convolution: parts of a group, or several whole groups."""
    inputs, outputs = part.group_inputs, part.group_outputs
    parts = [(pe, simd) for pe in _divisors(outputs) for simd in _divisors(inputs)]
    whole = [(k * outputs, k * inputs) for k in _useful(part.groups) if k > 1]
    return [Fold(pe, simd, pixels) for pe, simd in (*parts, *whole)]


def _widths(part: Part) -> list[int]:
    """Return the useful lanes of a pool or of a joint, or the useful SIMD of a convolution."""
    if isinstance(part, Joint):
        return part.widths
    return [part.grain * n for n in _useful(part.inp.channels // part.grain)]


def foldings(part: Part, pixels: int = MAX_PIXELS) -> list[Fold]:
    """Return every folding of a reduction for which no narrower one needs as few passes.

    PE and SIMD need not divide the channels, nor the pixels at once the row; those of a grouped
    convolution fit its groups.

    Parameters
    ----------
    part : Reduction or Joint
        Part to fold.
    pixels : int
        Most output pixels at once.
    """
    widths = _widths(part)
    if isinstance(part, Joint) or not part.weighted:
        return [Fold(width, width) for width in widths]
    at_once = [n for n in _useful(part.out.width) if n <= pixels and not part.refusal(n)]
    if part.groups > 1:
        return [fold for pixels in at_once for fold in _grouped(part, pixels)]
    return [
        Fold(pe, simd, pixels)
        for pixels in at_once
        for pe in _useful(part.out_channels)
        for simd in widths
    ]


def fold_reduction(part: Part, cycles: int, previous_lanes: int) -> Fold | None:
    """Choose the folding of a reduction with the fewest lanes that is fast enough.

    Among foldings with as many lanes, the widest SIMD wins, because it needs the fewest
    accumulators. A pool or a joint keeps the lanes of the engine before it if they suffice, because
    then there is no need for a gearbox.

    Parameters
    ----------
    part : Reduction or Joint
        Part to fold.
    cycles : int
        Most cycles per frame.
    previous_lanes : int
        Channels per beat that the engine before it sends.

    Returns
    -------
    Fold or None
        None if no folding is fast enough.
    """
    if isinstance(part, Joint) or not part.weighted:
        widths = _widths(part)
        within = part.aligned if isinstance(part, Joint) else 0
        if previous_lanes <= widths[-1] and not (within and within % previous_lanes):
            widths = [previous_lanes, *[w for w in widths if w > previous_lanes]]
        for width in widths:
            if part.cycles(Fold(width, width)) <= cycles:
                return Fold(width, width)
        return None
    if part.groups > 1:
        enough = [fold for fold in _grouped(part) if part.cycles(fold) <= cycles]
        return min(enough, key=lambda f: (part.lanes(f), -f.simd), default=None)
    best: tuple[int, int, Fold] | None = None
    for pe in _useful(part.out_channels):
        for simd in _widths(part):
            fold = Fold(pe, simd)
            if part.cycles(fold) <= cycles:
                key = (part.lanes(fold), -simd, fold)
                if best is None or key[:2] < best[:2]:
                    best = key
                break
    return best[2] if best else None


def fastest(part: Part) -> int:
    """Return the fewest cycles per frame that a part reaches with one pixel at once."""
    if isinstance(part, Joint):
        return min(part.cycles(Fold(width, width)) for width in part.widths)
    return part.cycles(Fold(part.out_channels, part.inp.channels))


def lanes_before(part: Part, sent: Sequence[int]) -> int:
    """Return the most lanes of those that send what a part reads.

    `sent` are the lanes that the input, taken as 1, and the parts so far send.
    """
    return max(sent[read] for read in part.reads)


def for_cycles(parts: Sequence[Part], cycles: int) -> tuple[Fold, ...]:
    """Choose for every reduction the folding with the fewest lanes that is fast enough.

    Parameters
    ----------
    parts : sequence of Reduction or Joint
        Parts of a network, in order.
    cycles : int
        Most cycles that each may take for a frame.

    Returns
    -------
    tuple of Fold
        One for each part.

    Raises
    ------
    BadInput
        If a reduction cannot be that fast; the message names the slowest one and its limit.
    """
    folds: list[Fold] = []
    sent = [1]
    for part in parts:
        fold = fold_reduction(part, cycles, lanes_before(part, sent))
        if fold is None:
            slowest = max(parts, key=fastest)
            raise BadInput(
                f"{cycles} cycles per frame are out of reach: layer {slowest.name!r} needs at least"
                f" {fastest(slowest)}; ask for that or more"
            )
        folds.append(fold)
        sent.append(fold.pe if part.weighted else fold.simd)
    return tuple(folds)


def default_cycles(parts: Sequence[Part], lanes: int) -> int:
    """Compute the fastest target, in cycles per frame, that needs at most so many lanes.

    Parameters
    ----------
    parts : sequence of Reduction or Joint
        Parts of a network.
    lanes : int
        Most XNOR lanes, summed over all engines with weights.
    """
    low = max(fastest(p) for p in parts)
    high = max(low, sum(p.cycles(p.smallest_fold) for p in parts))
    while low < high:
        middle = (low + high) // 2
        folds = for_cycles(parts, middle)
        used = sum(p.lanes(f) for p, f in zip(parts, folds, strict=True) if p.weighted)
        low, high = (low, middle) if used <= lanes else (middle + 1, high)
    return low
