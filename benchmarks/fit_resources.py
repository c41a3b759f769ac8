"""Fits the resource model's coefficients to measured designs and says how good they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.design import Design
from xnorflow.estimate import fpga, parts
from xnorflow.estimate.coefficients import Coefficients
from xnorflow.estimate.devices import Family

Reals = NDArray[np.float64]
Row = tuple[str, parts.Features, Mapping[str, int]]
"""Component, features and measured counts."""


def nonnegative(a: Reals, b: Reals, sweeps: int = 5000) -> Reals:
    """Give x >= 0 of least squares of ``a @ x - b``: coordinate descent on the normal equations."""
    square, right = a.T @ a, a.T @ b
    x = np.zeros(a.shape[1])
    for _ in range(sweeps):
        before = x.copy()
        for k in np.flatnonzero(np.diag(square) > 0):
            x[k] = max(0.0, x[k] + (right[k] - square[k] @ x) / square[k, k])
        if np.abs(x - before).max() <= 1e-9 * max(1.0, np.abs(x).max()):
            break
    return x


def rows(
    design: Design, measured: Mapping[str, Mapping[str, int]], family: Family
) -> list[Row]:
    """Give the components of a design, those that are wires or were not kept apart left out."""
    found: list[Row] = []
    for stage, engine in zip(design.spec.stages, design.shape.engines, strict=True):
        for name, features in parts.engine(engine, family).items():
            # Large ROMs are modules of their own.
            names = [f"{stage.name}.{n}" for n in (name, "weights" if name == "array" else name)]
            counts = [measured[n] for n in dict.fromkeys(names) if n in measured]
            if features and counts:
                total = {key: sum(c[key] for c in counts) for key in counts[0]}
                found.append((name, features, total))
    for name, features in parts.ends(design.shape).items():
        key = "glue" if name == "top" else name
        if features and key in measured:
            found.append((name, features, measured[key]))
    return found


def fit_components(samples: Sequence[Row], resource: str) -> dict[str, float]:
    """Fit the coefficients of each component by itself; a count's error may grow as its root."""
    fitted: dict[str, float] = {}
    for component in sorted({s[0] for s in samples}):
        chosen = [s for s in samples if s[0] == component]
        names = sorted({name for _, features, _ in chosen for name in features})
        a = np.array([[features.get(n, 0.0) for n in names] for _, features, _ in chosen])
        b = np.array([counts[resource] for _, _, counts in chosen], float)
        weight = 1 / np.sqrt(b + 10)
        scale = np.maximum(a.max(axis=0), 1e-9)
        x = nonnegative(a / scale * weight[:, None], b * weight) / scale
        fitted |= {name: float(f"{v:.4g}") for name, v in zip(names, x, strict=True)}
    return fitted


def features(design: Design, family: Family) -> parts.Features:
    """Give the features of a whole design."""
    total: parts.Features = {}
    each = [parts.engine(e, family) for e in design.shape.engines]
    for found in [*each, parts.ends(design.shape)]:
        for part in found.values():
            for name, value in part.items():
                total[name] = total.get(name, 0.0) + value
    return total


def errors(predicted: Reals, measured: Reals) -> str:
    """Give the median and the worst relative error, in words."""
    relative = 100 * (predicted / np.maximum(measured, 1) - 1)
    worst = relative[np.abs(relative).argmax()]
    return f"median {np.median(np.abs(relative)):.1f} %, worst {worst:+.1f} %"


def fit_family(
    designs: Sequence[Design], records: Sequence[Mapping[str, Any]], family: Family
) -> dict[str, Any]:
    """Fit a fabric on every other design; give its coefficients and the errors of both halves."""
    train = list(range(0, len(designs), 2))
    halves = {"fitted": train, "others": list(range(1, len(designs), 2))}
    samples = [s for k in train for s in rows(designs[k], records[k]["parts"], family)]
    found = Coefficients(
        fit_components(samples, "lut"), fit_components(samples, "ff"), (1.0, 0.0), 1.0, {}
    )
    sums = np.array([found.part(features(d, family)) for d in designs])
    whole = np.array([[r["whole"][n] for n in ("lut", "ff", "bram")] for r in records], float)
    inverse = 1 / whole[train]
    luts = nonnegative(sums[train] * inverse[:, :1], whole[train, 0] * inverse[:, 0])
    ffs = nonnegative(sums[train, 1:] * inverse[:, 1:2], whole[train, 1] * inverse[:, 1])
    predicted = {"lut": sums @ luts, "ff": sums[:, 1:] @ ffs}
    blocks = np.array([fpga.design_resources(d.shape, family).ram_blocks for d in designs])
    said = {
        name: "; ".join(
            f"{errors(predicted[name][half], whole[half, k])} ({len(half)} designs {which})"
            for which, half in halves.items() if half
        )
        for k, name in enumerate(("lut", "ff"))
    }
    off = np.abs(blocks - whole[:, 2])
    said["bram"] = f"exact in {int((off == 0).sum())} of {len(off)} designs, worst {off.max():.0f}"
    found = replace(
        found, whole_lut=(float(luts[0]), float(luts[1])), whole_ff=float(ffs[0]), errors=said
    )
    return {
        "lut": found.lut, "ff": found.ff, "whole lut": [round(v, 4) for v in found.whole_lut],
        "whole ff": round(found.whole_ff, 4), "errors": said,
    }


def write(fitted: Mapping[str, Any]) -> None:
    """Write the coefficients for the compiler."""
    path = Path(str(fpga.__file__)).with_name("coefficients.json")
    path.write_text(json.dumps(fitted, indent=1, sort_keys=True) + "\n")
