"""The resource model's coefficients: a fabric's, fitted by ``benchmarks/resources.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from xnorflow.resources.terms import CONSTANT, FAR, WHOLE, Terms

FORMS = (": lanes", ": adders", ": bits of counts")
"""End the names of terms that arrays of every form have."""


@dataclass(frozen=True)
class Coefficients:
    """What a fabric takes per feature.

    Parameters
    ----------
    lut, ff : mapping of str to float
        Per feature, of components synthesised apart.
    whole_lut, whole_ff : mapping of str to float
        LUTs and flip-flops of a whole design per LUT and flip-flop of its components ("array lut",
        "array ff", ...), and per feature whose name begins with `WHOLE`: optimisation across
        components, packing, and what packing adds.
    errors : mapping of str to str
        What the error of ``lut``, ``ff`` and ``bram`` is, in words.
    family, against : str
        The family that was measured, and how, in words.
    """

    lut: Mapping[str, float]
    ff: Mapping[str, float]
    whole_lut: Mapping[str, float]
    whole_ff: Mapping[str, float]
    errors: Mapping[str, str]
    family: str = ""
    against: str = ""

    def part(self, component: str, terms: Terms) -> tuple[float, float]:
        """Give a component's share of the LUTs and flip-flops of a whole design."""
        found = self.summed(component, terms)
        luts, ffs = (
            sum(of.get(name, 0.0) * value for name, value in found.items())
            for of in (self.whole_lut, self.whole_ff)
        )
        return luts, ffs + terms.get(FAR, 0.0)

    def summed(self, component: str, terms: Terms) -> Terms:
        """Give what `whole_lut` and `whole_ff` are multiplied with."""
        found = {name: v for name, v in terms.items() if name.startswith(WHOLE)}
        own = {name: v for name, v in terms.items() if not name.startswith(WHOLE)}
        for key, of in (("lut", self.lut), ("ff", self.ff)):
            found[f"{packed_as(component)} {key}"] = sum(
                _of(of, name) * value for name, value in own.items()
            )
        return found


def packed_as(component: str) -> str:
    """Name the kind of a component; those of one kind are packed alike."""
    if component == "output":
        return "gearbox"
    return component if component in ("array", "buffer", "gearbox", "queue", "tail") else "glue"


def _of(found: Mapping[str, float], name: str) -> float:
    """Give a term's coefficient.

    Where constants were not measured, they cost what a ROM's words do; an array of a form that was
    not measured costs the most.
    """
    name = name if name in found else name.replace(CONSTANT, "")
    if name not in found:
        for end in FORMS:
            if name.endswith(end):
                return max((v for known, v in found.items() if known.endswith(end)), default=0.0)
    return found.get(name, 0.0)


@cache
def fitted() -> Mapping[str, Coefficients]:
    """Give the coefficients by fabric."""
    file = files(__package__).joinpath("coefficients.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    return {
        fabric: Coefficients(
            c["lut"],
            c["ff"],
            c["whole lut"],
            c["whole ff"],
            c["errors"],
            c["family"],
            c["against"],
        )
        for fabric, c in content.items()
    }
