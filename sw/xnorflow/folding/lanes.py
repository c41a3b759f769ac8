"""Chooses the folding: PE and SIMD of every engine, lanes of every pool.

Given a target in cycles per frame, each engine gets the fewest lanes that meet it. Widths need not
divide the channels: a layer of 10 channels at PE 4 takes three passes, the last half empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.plan.mapping import Fold, Reduction, reductions

FINN_ENGINE = re.compile(r"(MatrixVectorActivation|MVAU|StreamingFCLayer)", re.IGNORECASE)
MAX_PIXELS = 8
"""Pixels at once beyond which no folding is sought: their buffers' banks are many and shallow."""
MAX_INPUT_LANES = 8
"""Samples per input beat unless the target asks for more: a 64-bit stream."""


def _useful(channels: int) -> list[int]:
    """Give the widths that aren't beaten by a smaller one with as many passes, ascending."""
    return sorted({ceil(channels / passes) for passes in range(1, channels + 1)})


def foldings(part: Reduction, pixels: int = MAX_PIXELS) -> list[Fold]:
    """Give every folding of a reduction that is not beaten by a narrower one with as many passes.

    Widths need not divide the channels, nor pixels the row.
    """
    widths = _useful(part.inp.channels)
    if not isinstance(part.layer, ir.Conv):
        return [Fold(width, width) for width in widths]
    at_once = [n for n in _useful(part.out.width) if n <= pixels and not part.refusal(n)]
    return [
        Fold(pe, simd, pixels)
        for pixels in at_once for pe in _useful(part.out_channels) for simd in widths
    ]


def fold_reduction(part: Reduction, cycles: int, previous_lanes: int) -> Fold | None:
    """Give the folding with the fewest lanes that needs at most `cycles`, or None.

    Of equal ones the widest SIMD wins: it needs the fewest accumulators. A pool keeps the lanes of
    the engine before it where they suffice, so that no gearbox is needed.
    """
    if not isinstance(part.layer, ir.Conv):
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
        lanes = fold.pe if isinstance(part.layer, ir.Conv) else fold.simd
    return tuple(folds)


def default_cycles(parts: Sequence[Reduction], lanes: int) -> int:
    """Give the smallest target that `lanes` XNOR lanes (PE x SIMD, all engines) can meet."""
    low = max(fastest(p) for p in parts)
    high = max(low, sum(p.cycles(Fold(1, 1)) for p in parts))
    while low < high:
        middle = (low + high) // 2
        folds = for_cycles(parts, middle)
        used = sum(
            f.pe * f.simd for p, f in zip(parts, folds, strict=True) if isinstance(p.layer, ir.Conv)
        )
        low, high = (low, middle) if used <= lanes else (middle + 1, high)
    return low


def input_groups(net: ir.IntegerNetwork) -> tuple[int, int]:
    """Give the samples of a frame and of a group of the input stream: a pixel, or a flat frame."""
    frame = prod(net.shape)
    flat = reductions(net)[0].inp.shape == (1, 1, frame)
    return frame, frame if flat else net.shape[2]


def input_lanes(group: int, frame: int, first: Fold, cycles: int) -> int:
    """Choose the samples per input beat: the first layer's SIMD, at most 8, if fast enough.

    Of a wider SIMD its largest divisor from 4 to 8 is taken, if that is fast enough: beats are then
    put side by side, not wherever the last one ended, which is cheaper.
    """
    groups = frame // group
    lanes = most = min(first.simd, MAX_INPUT_LANES, group)
    whole = [n for n in range(ceil(most / 2), most + 1) if first.simd % n == 0]
    if whole and groups * ceil(group / whole[-1]) <= cycles:
        lanes = whole[-1]
    while groups * ceil(group / lanes) > cycles and lanes < group:
        lanes += 1
    return lanes


def output_lanes(classes: int, cycles: int) -> int:
    """Choose the scores per output beat: one, if that is fast enough."""
    return min(classes, ceil(classes / max(1, cycles)))


def _entry(name: str, value: Any, path: Path, *, ours: bool) -> Fold:
    if not isinstance(value, dict):
        raise BadInput(f"{path}: the entry {name!r} is not an object with PE and SIMD")
    lower = {str(k).lower(): v for k, v in value.items()}
    numbers: list[Any] = [lower.get("pe"), lower.get("simd"), lower.get("pixels", 1) if ours else 1]
    if not all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in numbers):
        raise BadInput(
            f"{path}: the entry {name!r} needs PE and SIMD as positive integers"
            + (", and so is pixels, if it is there" if "pixels" in lower and ours else "")
        )
    return Fold(*map(int, numbers))


def read_folding(
    path: str | Path, parts: Sequence[Reduction], cycles: int | None = None
) -> tuple[Fold, ...]:
    """Read a folding file, of ours or of FINN's, for the reductions of a network.

    Ours is ``{"layers": {"conv0": {"pe": 16, "simd": 3}, ...}}``; an entry may also have
    ``"pixels"``, output pixels at once. FINN's names its engines
    ``MatrixVectorActivation_0`` (or ``MVAU_hls_0``, ``StreamingFCLayer_Batch_0``) in network order;
    their PE and SIMD are taken, its other entries are not needed here. Layers that a file does not
    name (pools, usually) are folded for the slowest cycles of those it names, or for `cycles`.

    Raises
    ------
    BadInput
        If the file is no such thing, or a width does not fit its layer.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as e:
        raise BadInput(f"{path} is not a folding file: {e}") from e
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not a folding file: it holds no object")
    folds: dict[str, Fold] = {}
    if isinstance(content.get("layers"), dict):
        known = {p.name for p in parts}
        for name, value in content["layers"].items():
            if name not in known:
                raise BadInput(f"{path} names layer {name!r}; there are {', '.join(sorted(known))}")
            folds[name] = _entry(name, value, path, ours=True)
    else:
        engines = [n for n in content if FINN_ENGINE.match(n)]
        engines.sort(key=lambda n: int((re.findall(r"\d+", n) or ["0"])[-1]))
        convs = [p for p in parts if isinstance(p.layer, ir.Conv)]
        if len(engines) != len(convs):
            raise BadInput(
                f"{path} folds {len(engines)} engines; the network has {len(convs)}:"
                f" {', '.join(p.name for p in convs)}"
            )
        for part, name in zip(convs, engines, strict=True):
            folds[part.name] = _entry(name, content[name], path, ours=False)
    for part in parts:
        if part.name in folds:
            f = folds[part.name]
            if f.pe > part.out_channels or f.simd > part.inp.channels:
                raise BadInput(
                    f"{path}: layer {part.name!r} has {part.out_channels} outputs and"
                    f" {part.inp.channels} inputs per tap; PE {f.pe} and SIMD {f.simd} do not fit"
                )
            if f.pe != f.simd and not isinstance(part.layer, ir.Conv):
                raise BadInput(f"{path}: {part.name!r} is a pool; its PE and SIMD have to be equal")
            if reason := part.refusal(f.pixels):
                raise BadInput(f"{path}: layer {part.name!r} cannot work on {f.pixels} pixels at"
                               f" once: {reason}")
    given = [p.cycles(folds[p.name]) for p in parts if p.name in folds]
    target = cycles or max([*given, *(fastest(p) for p in parts)])
    result: list[Fold] = []
    lanes = 1
    for part in parts:
        fold = folds.get(part.name) or fold_reduction(part, target, lanes)
        if fold is None:
            raise BadInput(f"layer {part.name!r} cannot reach {target} cycles per frame")
        result.append(fold)
        lanes = fold.pe if isinstance(part.layer, ir.Conv) else fold.simd
    return tuple(result)
