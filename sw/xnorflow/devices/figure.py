"""Figures: numbers that carry their unit and how they came about.

Every number that leaves the estimators is a `Figure`, so that no table or plot can show one without
saying whether it was estimated, simulated, placed, measured or published.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """How a figure came about, from the weakest to the strongest."""

    ESTIMATED = "estimated"
    PUBLISHED = "published"
    SIMULATED = "simulated"
    PLACED = "placed"
    MEASURED = "measured"


STRENGTH = {kind: i for i, kind in enumerate(Origin)}
SHORT = {
    Origin.ESTIMATED: "est",
    Origin.PUBLISHED: "pub",
    Origin.SIMULATED: "sim",
    Origin.PLACED: "plc",
    Origin.MEASURED: "mea",
}


def weakest(*kinds: Origin) -> Origin:
    """Return the kind of a figure that is computed from figures of these kinds: the weakest."""
    return min(kinds, key=lambda k: STRENGTH[k])


@dataclass(frozen=True)
class Figure:
    """A number with its unit and how it came about.

    Parameters
    ----------
    value : float
        Number of units.
    unit : str
        Unit; empty for a pure number.
    kind : Origin
        How the number came about.
    how : str
        Formula, tool or document that it comes from.
    error : str, optional
        Known or stated error in words; None if no error is known.
    """

    value: float
    unit: str
    kind: Origin
    how: str
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain values, for ``json.dump``."""
        return {
            "value": self.value,
            "unit": self.unit,
            "kind": str(self.kind),
            "how": self.how,
            "error": self.error,
        }

    def __str__(self) -> str:
        """Return value and unit as text: times in a fitting unit, cycles with all digits."""
        if self.unit == "cycles":
            return f"{self.value:,.0f} cycles"
        if self.unit == "us":
            for limit, unit in ((1e6, "s"), (1e3, "ms")):
                if self.value >= limit * 0.9995:
                    return f"{_three(self.value / limit)} {unit}"
        if self.unit == "mJ/frame" and 0 < self.value < 0.09995:
            return f"{_three(self.value * 1e3)} uJ/frame"
        if self.unit == "B/s" and self.value >= 9995:
            return f"{compact(self.value)}{self.unit}"
        return f"{compact(self.value)} {self.unit}".strip()


def compact(value: float) -> str:
    """Return a number as text with about three significant digits, and k, M or G from 10,000 on."""
    size = abs(value)
    for limit, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if size >= limit * 0.9995:
            scaled = value / (1e3 if suffix == " k" else limit)
            return f"{_three(scaled)}{suffix}"
    return f"{value:,.0f}" if float(value).is_integer() or size >= 999.5 else _three(value)


def _three(value: float) -> str:
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.3g}"
