"""The resource model's coefficients: a fabric's, fitted by ``benchmarks/resources.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from xnorflow.estimate.parts import WHOLE, Features

FORMS = (": lanes", ": adders", ": bits of counts")
"""End the names of features that arrays of every form have."""


@dataclass(frozen=True)
class Coefficients:
    """What a fabric takes per feature.

    Parameters
    ----------
    lut, ff : mapping of str to float
        Per feature, of components synthesised apart.
    whole_lut, whole_ff : mapping of str to float
        LUTs and flip-flops of a whole design per LUT ("lut") and flip-flop ("ff") of its
        components, and per feature whose name begins with `WHOLE`: optimisation across
        components, packing, and what packing adds.
    errors : mapping of str to str
        What the error of ``lut``, ``ff`` and ``bram`` is, in words.
    """

    lut: Mapping[str, float]
    ff: Mapping[str, float]
    whole_lut: Mapping[str, float]
    whole_ff: Mapping[str, float]
    errors: Mapping[str, str]

    def part(self, features: Features) -> tuple[float, float]:
        """Give a component's share of the LUTs and flip-flops of a whole design."""
        found = self.summed(features)
        luts, ffs = (
            sum(of.get(name, 0.0) * value for name, value in found.items())
            for of in (self.whole_lut, self.whole_ff)
        )
        return luts, ffs

    def summed(self, features: Features) -> Features:
        """Give what `whole_lut` and `whole_ff` are multiplied with."""
        found = {name: v for name, v in features.items() if name.startswith(WHOLE)}
        own = {name: v for name, v in features.items() if not name.startswith(WHOLE)}
        for key, of in (("lut", self.lut), ("ff", self.ff)):
            found[key] = sum(_of(of, name) * value for name, value in own.items())
        return found


def _of(found: Mapping[str, float], name: str) -> float:
    """Give a feature's coefficient; an array of a form that was not measured costs the most."""
    if name not in found:
        for end in FORMS:
            if name.endswith(end):
                return max((v for known, v in found.items() if known.endswith(end)), default=0.0)
    return found.get(name, 0.0)


@cache
def fitted() -> Mapping[str, Coefficients]:
    """Give the coefficients by fabric; those of a fabric that was never measured are not there."""
    file = files("xnorflow.estimate").joinpath("coefficients.json")
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {
        fabric: Coefficients(
            c["lut"], c["ff"], c["whole lut"], c["whole ff"], c["errors"],
        )
        for fabric, c in content.items()
    }
