"""The clock for which a design's frames per second are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from xnorflow.errors import BadInput

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

    @classmethod
    def given(cls, mhz: float) -> Self:
        """Return the clock that the user gave in MHz; BadInput if there can be none like it."""
        number = isinstance(mhz, int | float) and not isinstance(mhz, bool)
        if not number or not 0 < mhz < MAX_MHZ:
            raise BadInput(
                f"a clock of {mhz!r} MHz is not possible; it has to be a number above 0 and below"
                f" {MAX_MHZ:,}"
            )
        return cls(float(mhz), "given by the user")
