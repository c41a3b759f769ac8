"""Read folding files, of ours and of FINN's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xnorflow.errors import BadInput
from xnorflow.folding.narrowest import fastest, fold_reduction
from xnorflow.plan.reductions import Fold, Reduction

FINN_ENGINE = re.compile(r"(MatrixVectorActivation|MVAU|StreamingFCLayer)", re.IGNORECASE)


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
        convs = [p for p in parts if p.weighted]
        if len(engines) != len(convs):
            raise BadInput(
                f"{path} folds {len(engines)} engines; the network has {len(convs)}:"
                f" {', '.join(p.name for p in convs)}"
            )
        for part, name in zip(convs, engines, strict=True):
            folds[part.name] = _entry(name, content[name], path, ours=False)
    for part in parts:
        if part.name in folds:
            try:
                part.check(folds[part.name])
            except BadInput as e:
                raise BadInput(f"{path}: {e}") from e
    given = [p.cycles(folds[p.name]) for p in parts if p.name in folds]
    target = cycles or max([*given, *(fastest(p) for p in parts)])
    result: list[Fold] = []
    lanes = 1
    for part in parts:
        fold = folds.get(part.name) or fold_reduction(part, target, lanes)
        if fold is None:
            raise BadInput(f"layer {part.name!r} cannot reach {target} cycles per frame")
        result.append(fold)
        lanes = fold.pe if part.weighted else fold.simd
    return tuple(result)
