"""What the PLLs of all FPGA families have in common: limits, the choice of a setting, connections.

A family's flow lists the settings that its primitive has; `PllLimits.nearest` chooses the one whose
output is nearest to the wished clock. Frequencies are exact fractions of MHz. Among settings with
the same output frequency the highest phase detector frequency wins, because it jitters least, then
the oscillator frequency nearest to the middle of its range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

from amaranth.hdl import Module, Signal

from xnorflow.errors import BadInput


@dataclass(frozen=True)
class PllSetting:
    """One way to set a PLL.

    Parameters
    ----------
    mhz, detector, vco : Fraction
        Frequencies of the output, of the phase detector and of the oscillator, in MHz.
    dividers : dict of str to int
        Parameters of the primitive by name, as its maker encodes them.
    """

    mhz: Fraction
    detector: Fraction
    vco: Fraction
    dividers: dict[str, int]


@dataclass(frozen=True)
class PllLimits:
    """Frequency ranges of a PLL in MHz; both ends are allowed.

    Parameters
    ----------
    source, output, detector, vco : (float, float)
        Lowest and highest frequency of the input, of the output, of the phase detector and of the
        oscillator.
    document : str
        The maker's document that states them.
    """

    source: tuple[float, float]
    output: tuple[float, float]
    detector: tuple[float, float]
    vco: tuple[float, float]
    document: str

    def detectors(self, source: Fraction, dividers: range) -> Iterator[tuple[int, Fraction]]:
        """Yield each input divider that is allowed, with the phase detector's frequency in MHz."""
        for divider in dividers:
            if _within(source / divider, self.detector):
                yield divider, source / divider

    def nearest(
        self, source: Fraction, wish: Fraction, settings: Iterable[PllSetting]
    ) -> PllSetting:
        """Choose the setting within the limits whose output is nearest to the wished clock.

        Parameters
        ----------
        source, wish : Fraction
            Input frequency and wished output frequency in MHz.
        settings : iterable of PllSetting
            All settings that the primitive has.

        Raises
        ------
        BadInput
            If no setting keeps within the limits.
        """
        middle = Fraction(sum(self.vco)) / 2
        possible = (
            [s for s in settings if _within(s.mhz, self.output) and _within(s.vco, self.vco)]
            if _within(source, self.source) and _within(wish, self.output)
            else []
        )
        if not possible:
            raise BadInput(
                f"the PLL cannot make {float(wish):g} MHz from {float(source):g} MHz: it gives"
                f" {self.output[0]:g} to {self.output[1]:g} MHz ({self.document}). What would"
                " work: a clock in that range (--clock)"
            )
        return min(
            possible,
            key=lambda s: (abs(s.mhz - wish), s.mhz, -s.detector, abs(s.vco - middle)),
        )


def _within(value: Fraction, span: tuple[float, float]) -> bool:
    return span[0] <= value <= span[1]


def multipliers(mhz: Fraction, span: tuple[float, float], most: int) -> range:
    """Return the whole factors, `most` at the most, that bring a frequency into a range of MHz."""
    return range(max(1, ceil(span[0] / mhz)), min(most, floor(span[1] / mhz)) + 1)


@dataclass(frozen=True)
class PllSite:
    """Where a PLL is placed: the module it becomes part of, and what it is connected to.

    Parameters
    ----------
    module : Module
        Amaranth module that gets the primitive.
    platform : Platform
        Amaranth platform of the board.
    source_mhz : Fraction
        Frequency of the clock pin in MHz.
    source : Value
        Clock from the pin's input buffer, or the pad itself for a PLL `at_pad`.
    clock, locked : Signal
        Output clock, and whether it is stable; the primitive drives both.
    """

    module: Module
    platform: Any
    source_mhz: Fraction
    source: Any
    clock: Signal
    locked: Signal


@dataclass(frozen=True)
class Pll:
    """The PLL of an FPGA family.

    Parameters
    ----------
    choose : callable
        Chooses the setting for a platform, a source and a wished frequency, both in MHz; raises
        BadInput if there is none.
    place : callable
        Adds the primitive with a setting to a site.
    at_pad : callable
        Whether the primitive sits at the clock's pad on a platform, in place of the pin's input
        buffer.
    """

    choose: Callable[[Any, Fraction, Fraction], PllSetting]
    place: Callable[[PllSite, PllSetting], None]
    at_pad: Callable[[Any], bool] = lambda platform: False
