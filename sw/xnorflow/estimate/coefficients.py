"""The resource model's coefficients: a fabric's, fitted by ``benchmarks/resources.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from xnorflow.estimate.parts import Features

LANES = ": lanes"
"""Ends the name of what arrays are mostly made of."""


@dataclass(frozen=True)
class Coefficients:
    """What a fabric takes per feature.

    Parameters
    ----------
    lut, ff : mapping of str to float
        Per feature, of components synthesised apart.
    whole_lut : pair of float
        LUTs of a whole design per LUT and per flip-flop of its components: optimisation across
        them, and packing.
    whole_ff : float
        Likewise of flip-flops.
    errors : mapping of str to str
        What the error of ``lut``, ``ff`` and ``bram`` is, in words.
    """

    lut: Mapping[str, float]
    ff: Mapping[str, float]
    whole_lut: tuple[float, float]
    whole_ff: float
    errors: Mapping[str, str]

    def part(self, features: Features) -> tuple[float, float]:
        """Give a component's share of the LUTs and flip-flops of a whole design."""
        luts = sum(_of(self.lut, name) * value for name, value in features.items())
        ffs = sum(_of(self.ff, name) * value for name, value in features.items())
        return self.whole_lut[0] * luts + self.whole_lut[1] * ffs, self.whole_ff * ffs


def _of(found: Mapping[str, float], name: str) -> float:
    """Give a feature's coefficient; lanes of a form that was not measured cost the most."""
    if name not in found and name.endswith(LANES):
        return max(value for known, value in found.items() if known.endswith(LANES))
    return found.get(name, 0.0)


@cache
def fitted() -> Mapping[str, Coefficients]:
    """Give the coefficients by fabric; those of a fabric that was never measured are not there."""
    file = files("xnorflow.estimate").joinpath("coefficients.json")
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {
        fabric: Coefficients(
            c["lut"], c["ff"], (c["whole lut"][0], c["whole lut"][1]), c["whole ff"], c["errors"],
        )
        for fabric, c in content.items()
    }
