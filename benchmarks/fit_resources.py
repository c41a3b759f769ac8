"""Fit the resource model's coefficients to measured designs, and state their errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.design.design import Design
from xnorflow.devices.tables import Family
from xnorflow.resources import terms as parts
from xnorflow.resources import usage as fpga
from xnorflow.resources.coefficients import Coefficients

COEFFICIENTS = Path(str(fpga.__file__)).with_name("coefficients.json")
"""What the compiler reads."""
Reals = NDArray[np.float64]
PRICE = 0.1
"""Penalty of a kind of component whose packing differs from all others', in relative errors."""
AGAINST = {
    True: "against nextpnr's packing, board logic left out",
    False: "against Yosys's counts, neither packed nor placed",
}
"""Tools that designs were measured with, by whether they were packed."""
Row = tuple[str, parts.Terms, Mapping[str, int]]
"""Component, features and measured counts."""


def nonnegative(a: Reals, b: Reals, sweeps: int = 5000) -> Reals:
    """Return the x >= 0 with the least squares of ``a @ x - b``, by coordinate descent."""
    square, right = a.T @ a, a.T @ b
    x = np.zeros(a.shape[1])
    for _ in range(sweeps):
        before = x.copy()
        for k in np.flatnonzero(np.diag(square) > 0):
            x[k] = max(0.0, x[k] + (right[k] - square[k] @ x) / square[k, k])
        if np.abs(x - before).max() <= 1e-9 * max(1.0, np.abs(x).max()):
            break
    return x


def _own(features: parts.Terms) -> parts.Terms:
    """Return the terms without those of whole designs and those that are known exactly."""
    return {
        name: v
        for name, v in features.items()
        if name != parts.FAR and not name.startswith(parts.WHOLE)
    }


def rows(design: Design, measured: Mapping[str, Mapping[str, int]], family: Family) -> list[Row]:
    """Return a design's components, without those that are wires or were not kept apart."""
    found: list[Row] = []
    for stage, engine in zip(design.spec.stages, design.shape.engines, strict=True):
        moved = parts.in_blocks(engine, family)
        for name, features in parts.engine(engine, family).items():
            # Large ROMs are modules of their own.
            names = [f"{stage.name}.{n}" for n in (name, "weights" if name == "array" else name)]
            counts = [measured[n] for n in dict.fromkeys(names) if n in measured]
            known = features.get(parts.FAR, 0)
            features = _own(features)
            if features and counts:
                total = {key: sum(c[key] for c in counts) for key in counts[0]}
                # Components are counted before these registers move.
                total["ff"] -= min(total["ff"], moved.get(name, 0) + known)
                found.append((name, features, total))
    for name, features in parts.ends(design.shape, family).items():
        key = "glue" if name == "top" else name
        features = _own(features)
        if features and key in measured:
            found.append((name, features, measured[key]))
    return found


def fit_components(samples: Sequence[Row], resource: str) -> dict[str, float]:
    """Fit each component's coefficients by itself; errors may grow as the root of the count."""
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
    return _without_free_constants(fitted)


def _without_free_constants(fitted: dict[str, float]) -> dict[str, float]:
    """Return coefficients without sums of constants that too few designs have to fit them.

    They are then estimated as sums of words.
    """
    forms: dict[str, float] = {}
    for name, value in fitted.items():
        form = name.partition(":")[0]
        forms[form] = forms.get(form, 0.0) + value
    empty = {form for form, total in forms.items() if form.endswith(parts.CONSTANT) and not total}
    return {n: v for n, v in fitted.items() if n.partition(":")[0] not in empty}


def components(design: Design, family: Family) -> list[tuple[str, parts.Terms]]:
    """Return the features of all components of a design by the components' names."""
    each = [
        *(parts.engine(e, family) for e in design.shape.engines),
        parts.ends(design.shape, family),
    ]
    return [part for found in each for part in found.items()]


def _far(design: Design, family: Family) -> float:
    """Return the number of flip-flops that is known exactly."""
    return sum(features.get(parts.FAR, 0.0) for _, features in components(design, family))


def summed(design: Design, family: Family, found: Coefficients) -> parts.Terms:
    """Return the terms that a whole design's counts are linear in."""
    total: parts.Terms = {}
    for part in components(design, family):
        for name, value in found.summed(*part).items():
            total[name] = total.get(name, 0.0) + value
    return total


def predicted(design: Design, family: Family, found: Coefficients) -> tuple[float, float]:
    """Return LUTs and flip-flops of a whole design."""
    luts, ffs = np.sum([found.part(*part) for part in components(design, family)], axis=0)
    return float(luts), float(ffs)


def fit_whole(table: Reals, names: Sequence[str], measured: Reals) -> dict[str, float]:
    """Fit whole designs to the least relative errors.

    All kinds of components share one packing at first; then each kind may differ, at a penalty.
    Terms that packing saves have the penalty, too.
    """
    kinds = [n.rpartition(" ")[2] if not n.startswith(parts.WHOLE) else n for n in names]
    signs = np.array([-1.0 if n.startswith(parts.SPARED) else 1.0 for n in names])
    a = table * signs / measured[:, None]
    together = sorted(set(kinds))
    shared = np.array([[float(k == t) for t in together] for k in kinds])
    one = np.ones(len(measured))
    alike = shared @ nonnegative(a @ shared, one)
    free = [n.startswith(parts.WHOLE) and not n.startswith(parts.SPARED) for n in names]
    strays = np.where(free, 0.0, PRICE)
    alike *= [not n.startswith(parts.WHOLE) for n in names]
    x = nonnegative(np.vstack([a, np.diag(strays)]), np.concatenate([one, strays * alike]))
    return {n: float(f"{v:.4g}") for n, v in zip(names, x * signs, strict=True) if v}


def errors(predicted: Reals, measured: Reals) -> str:
    """Return a phrase with the median and the worst relative error."""
    off = relative(predicted, measured)
    return f"median {median_error(predicted, measured)} %, worst {off[np.abs(off).argmax()]:+.1f} %"


def median_error(predicted: Reals, measured: Reals) -> float:
    """Return the median of the relative errors without their signs, in percent, to a tenth."""
    return float(f"{np.median(np.abs(relative(predicted, measured))):.1f}")


def relative(predicted: Reals, measured: Reals) -> Reals:
    """Return relative errors in percent."""
    return 100 * (predicted / np.maximum(measured, 1) - 1)


def _fit(
    designs: Sequence[Design],
    records: Sequence[Mapping[str, Any]],
    family: Family,
    packed: bool = True,
) -> Coefficients:
    """Fit components, then whole designs, `packed` or not, to the latter's relative errors."""
    samples = [
        s for d, r in zip(designs, records, strict=True) for s in rows(d, r["parts"], family)
    ]
    lut, ff = (fit_components(samples, name) for name in ("lut", "ff"))
    found = Coefficients(lut, ff, {}, {}, {}, {})
    sums = [summed(d, family, found) for d in designs]
    names = sorted({n for s in sums for n in s})
    whole: list[dict[str, float]] = []
    for name in ("lut", "ff"):
        # Flip-flops do not depend on LUTs, but packing may use a LUT for a flip-flop.
        other = ("", " ff")[not packed] if name == "lut" else " lut"
        used = [n for n in names if not other or not n.endswith(other)]
        table = np.array([[s.get(n, 0.0) for n in used] for s in sums])
        measured = np.array([r["whole"][name] for r in records], float)
        if name == "ff":
            measured -= [_far(d, family) for d in designs]
        whole.append(fit_whole(table, used, measured))
    return Coefficients(lut, ff, whole[0], whole[1], {}, {})


def fit_family(
    designs: Sequence[Design], records: Sequence[Mapping[str, Any]], family: Family, packed: bool
) -> dict[str, Any]:
    """Fit a fabric on all designs, `packed` or not, and return its coefficients and errors.

    The errors are those on these designs, and those of each half with a fit on the other half.
    """
    number = len(designs)
    found = _fit(designs, records, family, packed)
    whole = np.array([[r["whole"][n] for n in ("lut", "ff", "bram")] for r in records], float)
    known = np.array([predicted(d, family, found) for d in designs])
    unseen = np.zeros_like(known)
    for half in (range(0, number, 2), range(1, number, 2)):
        others = [k for k in range(number) if k not in half]
        fitted = _fit([designs[k] for k in others], [records[k] for k in others], family, packed)
        for k in half:
            unseen[k] = predicted(designs[k], family, fitted)
    said = {
        name: f"{errors(known[:, k], whole[:, k])} ({number} designs);"
        f" {errors(unseen[:, k], whole[:, k])} of designs that the fit has not seen"
        for k, name in enumerate(("lut", "ff"))
    }
    blocks = np.array(
        [sum(sum(fpga.engine_blocks(e, family).values()) for e in d.shape.engines) for d in designs]
    )
    off = np.abs(blocks - whole[:, 2])
    said["bram"] = f"exact in {int((off == 0).sum())} of {number} designs, worst {off.max():.0f}"
    return {
        "lut": found.lut,
        "ff": found.ff,
        "whole lut": found.whole_lut,
        "whole ff": found.whole_ff,
        "errors": said,
        "median error": {
            name: median_error(unseen[:, k], whole[:, k]) for k, name in enumerate(("lut", "ff"))
        },
        "family": family.name,
        "against": AGAINST[packed],
    }


def fit_array(
    designs: Sequence[Design],
    records: Sequence[Mapping[str, Any]],
    family: Family,
    kind: str,
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a family's coefficients with those of one kind of array fitted anew.

    All others, and the errors that were stated with them, stay as they are.
    """
    samples = [
        (name, features, counts)
        for d, r in zip(designs, records, strict=True)
        for name, features, counts in rows(d, r["parts"], family)
        if name == "array" and kind in features
    ]
    if not samples:
        raise SystemExit(f"no record of {family.name} has an array of the kind {kind}")
    found = {key: {**known[key], **fit_components(samples, key)} for key in ("lut", "ff")}
    for key in ("lut", "ff"):
        estimates = [sum(found[key][n] * v for n, v in f.items()) for _, f, _ in samples]
        measured = np.array([counts[key] for _, _, counts in samples], float)
        said = errors(np.array(estimates), measured)
        print(f"{family.name} {kind} {key}: {said} ({len(samples)} arrays)")
    return {**known, **found}


def write(fitted: Mapping[str, Any]) -> None:
    """Write the coefficients for the compiler."""
    COEFFICIENTS.write_text(json.dumps(fitted, indent=1, sort_keys=True) + "\n")
