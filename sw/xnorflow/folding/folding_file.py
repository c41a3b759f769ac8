"""Read folding files, in our format and in FINN's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xnorflow.errors import BadInput
from xnorflow.folding.narrowest import fastest, fold_reduction, lanes_before
from xnorflow.inputs import read_json
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.reductions import Fold

FINN_ENGINE = re.compile(r"(MatrixVectorActivation|MVAU|StreamingFCLayer)", re.IGNORECASE)


MOST = 1 << 24
"""Largest PE, SIMD or number of pixels at once that a file may ask for."""


def _entry(name: str, value: Any, path: Path, *, ours: bool) -> Fold:
    if not isinstance(value, dict):
        raise BadInput(
            f'{path}: the entry {name!r} is not an object such as {{"pe": 4, "simd": 8}}'
        )
    lower = {str(k).lower(): v for k, v in value.items()}
    numbers: list[Any] = [lower.get("pe"), lower.get("simd"), lower.get("pixels", 1) if ours else 1]
    if not all(type(v) is int and 1 <= v <= MOST for v in numbers):
        raise BadInput(
            f"{path}: the entry {name!r} needs PE and SIMD"
            + (" and pixels" if "pixels" in lower and ours else "")
            + f" as whole numbers from 1 to {MOST}"
        )
    return Fold(*map(int, numbers))


def _entries(content: Any, path: Path, parts: Sequence[Part]) -> tuple[dict[str, Any], bool]:
    """Return a file's entries by layer name, and whether the file is in our format."""
    if not isinstance(content, dict):
        raise BadInput(
            f"{path} is not a folding file: it holds no JSON object such as"
            ' {"layers": {"conv0": {"pe": 16, "simd": 3}}}'
        )
    names = [p.name for p in parts]
    layers = content.get("layers")
    if isinstance(layers, list):
        # In design.json the layers are a list, and each has its name.
        layers = {str(e.get("name")): e for e in layers if isinstance(e, dict)}
    if layers is None and any(name in names for name in content):
        layers = content
    if isinstance(layers, dict):
        for name in layers:
            if name not in names:
                raise BadInput(
                    f"{path} names layer {name!r}, which the network does not have; its layers are"
                    f" {', '.join(names)}"
                )
        if not layers:
            raise BadInput(
                f"{path} has no entry for any layer; the network's layers are {', '.join(names)}"
            )
        return layers, True
    engines = [n for n in content if FINN_ENGINE.match(n)]
    engines.sort(key=_number)
    convs = [p.name for p in parts if p.weighted]
    if len(engines) != len(convs):
        raise BadInput(
            f"{path} has entries for {len(engines)} of FINN's engines, but the network has"
            f" {len(convs)} layers with weights: {', '.join(convs)}"
        )
    return {name: content[engine] for name, engine in zip(convs, engines, strict=True)}, False


def _number(engine: str) -> int:
    """Return the last number in the name of a FINN engine: engines are numbered in order."""
    return int((re.findall(r"[0-9]{1,9}", engine) or ["0"])[-1])


def read_folding(
    path: str | Path, parts: Sequence[Part], cycles: int | None = None
) -> tuple[Fold, ...]:
    """Read a folding file, in our format or FINN's, for the reductions of a network.

    Our format is ``{"layers": {"conv0": {"pe": 16, "simd": 3}, ...}}``, the inner object alone, or
    a ``design.json``. An entry may also have ``"pixels"``, the output pixels computed at once.
    FINN's files name the engines ``MatrixVectorActivation_0`` (or ``MVAU_hls_0``,
    ``StreamingFCLayer_Batch_0``) in the order of the network; only their PE and SIMD are used.

    Parameters
    ----------
    path : path
        Folding file, JSON.
    parts : sequence of Reduction or Joint
        Parts of the network.
    cycles : int, optional
        Target in cycles per frame for layers that the file does not name (usually pools). Without
        it they become as fast as the slowest layer that the file names.

    Returns
    -------
    tuple of Fold
        Folding of each part.

    Raises
    ------
    BadInput
        If the file cannot be read, names another layer, or has a width that does not fit its layer.
    """
    path = Path(path)
    entries, ours = _entries(read_json(path, "a folding file"), path, parts)
    folds: dict[str, Fold] = {}
    for part in parts:
        if part.name in entries:
            given_fold = folds[part.name] = _entry(part.name, entries[part.name], path, ours=ours)
            try:
                part.check(given_fold)
            except BadInput as e:
                raise BadInput(f"{path}: {e}") from e
    given = [p.cycles(folds[p.name]) for p in parts if p.name in folds]
    target = cycles or max([*given, *(fastest(p) for p in parts)])
    result: list[Fold] = []
    sent = [1]
    for part in parts:
        fold = folds.get(part.name) or fold_reduction(part, target, lanes_before(part, sent))
        if fold is None:
            raise BadInput(
                f"{path}: layer {part.name!r}, for which it has no entry, cannot reach {target}"
                f" cycles per frame: it needs at least {fastest(part)}"
            )
        result.append(fold)
        sent.append(fold.pe if part.weighted else fold.simd)
    return tuple(result)
