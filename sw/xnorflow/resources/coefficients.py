"""Coefficients of the resource model, per fabric, as fitted by ``benchmarks/resources.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from xnorflow.resources.terms import CONSTANT, FAR, WHOLE, Terms

FORMS = (": lanes", ": adders", ": bits of counts")
"""Endings of the names of those terms that arrays of every form have."""


@dataclass(frozen=True)
class Coefficients:
    """LUTs and flip-flops of a fabric per unit of each term.

    A design is estimated in two steps. The first step estimates each component as if it were
    synthesised alone. The second corrects for what happens in a whole design: optimisation across
    components, packing, and LUTs that packing adds.

    Parameters
    ----------
    lut, ff : mapping of str to float
        First step: LUTs and flip-flops per unit of each term.
    whole_lut, whole_ff : mapping of str to float
        Second step: LUTs and flip-flops of a whole design per LUT and flip-flop of its components
        ("array lut", "array ff", ...), and per unit of each term whose name begins with `WHOLE`.
    errors : mapping of str to str
        Error of ``lut``, ``ff`` and ``bram`` in words.
    median_errors : mapping of str to float
        Median error of ``lut`` and ``ff`` in percent, on designs that the fit has not seen; blocks
        of RAM are counted.
    family : str
        Name of the family that was measured.
    against : str
        Tools and designs that it was measured with, in words.
    """

    lut: Mapping[str, float]
    ff: Mapping[str, float]
    whole_lut: Mapping[str, float]
    whole_ff: Mapping[str, float]
    errors: Mapping[str, str]
    median_errors: Mapping[str, float]
    family: str = ""
    against: str = ""

    def typical_error(self, resource: str) -> float | None:
        """Return the median error of a resource in percent; None for what is counted exactly."""
        return self.median_errors.get(resource)

    def part(self, component: str, terms: Terms) -> tuple[float, float]:
        """Compute a component's share of the LUTs and flip-flops of a whole design.

        Parameters
        ----------
        component : str
            Name of the component.
        terms : mapping of str to float
            Terms of the component.

        Returns
        -------
        luts, ffs : float
            Its share of the design's LUTs and flip-flops.
        """
        # The sums are those over `summed` in its order; a search asks for very many components.
        luts = ffs = own_luts = own_ffs = 0.0
        known = self._by_name
        for name, value in terms.items():
            whole, lut, ff = known[name]
            if whole:
                luts += lut * value
                ffs += ff * value
            else:
                own_luts += lut * value
                own_ffs += ff * value
        kind = packed_as(component)
        of_luts, of_ffs = f"{kind} lut", f"{kind} ff"
        luts += self.whole_lut.get(of_luts, 0.0) * own_luts
        luts += self.whole_lut.get(of_ffs, 0.0) * own_ffs
        ffs += self.whole_ff.get(of_luts, 0.0) * own_luts
        ffs += self.whole_ff.get(of_ffs, 0.0) * own_ffs
        return luts, ffs + terms.get(FAR, 0.0)

    def summed(self, component: str, terms: Terms) -> Terms:
        """Compute the terms of the second step: those that `whole_lut` and `whole_ff` weight."""
        found = {name: v for name, v in terms.items() if name.startswith(WHOLE)}
        own = {name: v for name, v in terms.items() if not name.startswith(WHOLE)}
        for key, of in self._of_terms:
            found[f"{packed_as(component)} {key}"] = sum(
                of[name] * value for name, value in own.items()
            )
        return found

    @cached_property
    def _by_name(self) -> _Weights:
        return _Weights(self)

    @cached_property
    def _of_terms(self) -> tuple[tuple[str, _Known], ...]:
        """The coefficients of LUTs and of flip-flops."""
        return ("lut", _Known(self.lut)), ("ff", _Known(self.ff))


class _Known(dict[str, float]):
    """Coefficients of terms by name, found once: a search asks for very many engines."""

    def __init__(self, found: Mapping[str, float]) -> None:
        super().__init__()
        self._found = found

    def __missing__(self, name: str) -> float:
        self[name] = _of(self._found, name)
        return self[name]


class _Weights(dict[str, tuple[bool, float, float]]):
    """Whether terms are of the second step, and their LUTs and flip-flops, found once by name."""

    def __init__(self, of: Coefficients) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, name: str) -> tuple[bool, float, float]:
        of = self._of
        if name.startswith(WHOLE):
            self[name] = True, of.whole_lut.get(name, 0.0), of.whole_ff.get(name, 0.0)
        else:
            self[name] = False, _of(of.lut, name), _of(of.ff, name)
        return self[name]


def packed_as(component: str) -> str:
    """Return the kind of a component as regards packing; components of one kind pack alike."""
    if component in ("output", "scores"):
        return "gearbox" if component == "output" else "tail"
    return component if component in ("array", "buffer", "gearbox", "queue", "tail") else "glue"


def _of(found: Mapping[str, float], name: str) -> float:
    """Return the coefficient of a term.

    Constants that were not measured cost as much as words of a ROM. An array in a form that was not
    measured costs as much as the most expensive form that was.
    """
    name = name if name in found else name.replace(CONSTANT, "")
    if name not in found:
        for end in FORMS:
            if name.endswith(end):
                return max((v for known, v in found.items() if known.endswith(end)), default=0.0)
    return found.get(name, 0.0)


@cache
def fitted() -> Mapping[str, Coefficients]:
    """Read the coefficients of every fabric, by the fabric's name."""
    file = files(__package__).joinpath("coefficients.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    return {
        fabric: Coefficients(
            c["lut"],
            c["ff"],
            c["whole lut"],
            c["whole ff"],
            c["errors"],
            c["median error"],
            c["family"],
            c["against"],
        )
        for fabric, c in content.items()
    }
