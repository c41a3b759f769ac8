"""The clock for which a design's frames per second are computed."""

from __future__ import annotations

from dataclasses import dataclass

MAX_MHZ = 10_000
"""Clocks have to be slower than this, in MHz."""


@dataclass(frozen=True)
class Clock:
    """A clock and its source.

    Parameters
    ----------
    mhz : float
        Frequency in MHz.
    source : str
        Source of the frequency in words, such as "given by the user".
    """

    mhz: float
    source: str
