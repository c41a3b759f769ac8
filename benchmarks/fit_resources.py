"""Fits the resource model's coefficients to measured designs and says how good they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


def _own(features: parts.Features) -> parts.Features:
    return {name: v for name, v in features.items() if not name.startswith(parts.WHOLE)}


def rows(
    design: Design, measured: Mapping[str, Mapping[str, int]], family: Family
) -> list[Row]:
    """Give the components of a design, those that are wires or were not kept apart left out."""
    found: list[Row] = []
    for stage, engine in zip(design.spec.stages, design.shape.engines, strict=True):
        moved = parts.in_blocks(engine, family)
        for name, features in parts.engine(engine, family).items():
            # Large ROMs are modules of their own.
            names = [f"{stage.name}.{n}" for n in (name, "weights" if name == "array" else name)]
            counts = [measured[n] for n in dict.fromkeys(names) if n in measured]
            features = _own(features)
            if features and counts:
                total = {key: sum(c[key] for c in counts) for key in counts[0]}
                # Components are counted before those move.
                total["ff"] -= min(total["ff"], moved.get(name, 0))
                found.append((name, features, total))
    for name, features in parts.ends(design.shape).items():
        key = "glue" if name == "top" else name
        features = _own(features)
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


def _fit(
    designs: Sequence[Design], records: Sequence[Mapping[str, Any]], family: Family
) -> Coefficients:
    """Fit components, then whole designs, to relative errors of these."""
    samples = [s for d, r in zip(designs, records, strict=True)
               for s in rows(d, r["parts"], family)]
    lut, ff = (fit_components(samples, name) for name in ("lut", "ff"))
    found = Coefficients(lut, ff, {}, {}, {})
    sums = [found.summed(features(d, family)) for d in designs]
    names = ["lut", "ff", *sorted({n for s in sums for n in s} - {"lut", "ff"})]
    table = np.array([[s.get(n, 0.0) for n in names] for s in sums])
    whole: list[dict[str, float]] = []
    for name in ("lut", "ff"):
        # A flip-flop is one, whatever LUTs there are.
        known = table * [name == "lut" or n != "lut" for n in names]
        inverse = 1 / np.array([r["whole"][name] for r in records], float)
        x = nonnegative(known * inverse[:, None], np.ones(len(records)))
        whole.append({n: float(f"{v:.4g}") for n, v in zip(names, x, strict=True) if v})
    return Coefficients(lut, ff, whole[0], whole[1], {})


def fit_family(
    designs: Sequence[Design], records: Sequence[Mapping[str, Any]], family: Family
) -> dict[str, Any]:
    """Fit a fabric on all designs; give its coefficients and its errors.

    Stated are the errors on these designs, and those of each half under a fit on the other.
    """
    number = len(designs)
    found = _fit(designs, records, family)
    whole = np.array([[r["whole"][n] for n in ("lut", "ff", "bram")] for r in records], float)
    known = np.array([found.part(features(d, family)) for d in designs])
    unseen = np.zeros_like(known)
    for half in (range(0, number, 2), range(1, number, 2)):
        others = [k for k in range(number) if k not in half]
        fitted = _fit([designs[k] for k in others], [records[k] for k in others], family)
        for k in half:
            unseen[k] = fitted.part(features(designs[k], family))
    said = {
        name: f"{errors(known[:, k], whole[:, k])} ({number} designs);"
              f" {errors(unseen[:, k], whole[:, k])} of designs that the fit has not seen"
        for k, name in enumerate(("lut", "ff"))
    }
    blocks = np.array([
        sum(sum(fpga.engine_blocks(e, family).values()) for e in d.shape.engines) for d in designs
    ])
    off = np.abs(blocks - whole[:, 2])
    said["bram"] = f"exact in {int((off == 0).sum())} of {number} designs, worst {off.max():.0f}"
    return {
        "lut": found.lut, "ff": found.ff, "whole lut": found.whole_lut,
        "whole ff": found.whole_ff, "errors": said,
    }


def write(fitted: Mapping[str, Any]) -> None:
    """Write the coefficients for the compiler."""
    path = Path(str(fpga.__file__)).with_name("coefficients.json")
    path.write_text(json.dumps(fitted, indent=1, sort_keys=True) + "\n")
