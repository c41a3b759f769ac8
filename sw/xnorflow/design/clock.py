"""The clock that a design's frames per second are for."""

from __future__ import annotations

from dataclasses import dataclass

MAX_MHZ = 10_000
"""No clock is faster."""


@dataclass(frozen=True)
class Clock:
    """A clock in MHz and where it comes from."""

    mhz: float
    source: str
