"""What clocks an FPGA family reaches: those that cannot be are refused, unproven ones marked.

The limits are in ``clocks.json`` beside this file, each with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from xnorflow.devices.tables import Datum, Family, datum, sourced
from xnorflow.errors import BadInput


@dataclass(frozen=True)
class ClockLimits:
    """Clocks of a family in MHz.

    Parameters
    ----------
    most : Datum
        No clock of the family is faster than this.
    placed : Datum, optional
        The fastest that a placed design of this project has reached; None if none was placed.
    """

    most: Datum
    placed: Datum | None


@cache
def clock_limits() -> Mapping[str, ClockLimits]:
    """Read the clocks of all families, by the family's name."""
    data, sources = sourced("clocks.json")
    return {
        name: ClockLimits(
            datum(entry["most"], sources),
            datum(entry["placed"], sources) if "placed" in entry else None,
        )
        for name, entry in data["families"].items()
    }


def remark(family: Family, mhz: float) -> str:
    """Return what speaks against a clock on a family; empty if nothing does.

    Parameters
    ----------
    family : Family
        FPGA family.
    mhz : float
        Clock in MHz.

    Raises
    ------
    BadInput
        If no FPGA of the family can have the clock.
    """
    limits = clock_limits()[family.name]
    most = limits.most.use()
    if mhz > most:
        raise BadInput(
            f"a clock of {mhz:g} MHz is out of reach of {family.name}, which ends at {most:g} MHz"
            f" ({limits.most.source.document}). What would work: a slower clock, such as"
            f" {family.clock_mhz.use():g} MHz, the one assumed for this family"
        )
    proven = family.clock_mhz.use() if limits.placed is None else limits.placed.use()
    if mhz <= proven:
        return ""
    return (
        f"unproven: above the {proven:g} MHz that the fastest placed design of this family reached"
        if limits.placed is not None
        else f"unproven: above the {proven:g} MHz assumed for this family, of which no design was"
        " placed"
    )
