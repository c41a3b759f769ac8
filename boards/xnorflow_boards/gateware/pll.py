"""Settings of each FPGA family's PLL: the clock nearest to a wish that its limits allow.

Frequencies are exact fractions of MHz. Among settings of the same output frequency the highest
phase detector frequency wins, which jitters least, then the oscillator nearest to the middle of its
range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from xnorflow.errors import BadInput


@dataclass(frozen=True)
class Setting:
    """One way to set a PLL.

    Parameters
    ----------
    mhz, detector, vco : Fraction
        Output, phase detector and oscillator frequency in MHz.
    dividers : dict of str to int
        The primitive's parameters.
    """

    mhz: Fraction
    detector: Fraction
    vco: Fraction
    dividers: dict[str, int]


@dataclass(frozen=True)
class Limits:
    """Ranges in MHz, both ends allowed.

    Parameters
    ----------
    source, output, detector, vco : pair
        Input, output, phase detector and oscillator.
    document : str
        Where they are published.
    """

    source: tuple[float, float]
    output: tuple[float, float]
    detector: tuple[float, float]
    vco: tuple[float, float]
    document: str

    def detectors(self, source: Fraction, dividers: range) -> Iterator[tuple[int, Fraction]]:
        """Give the input dividers whose phase detector frequency is allowed, with it."""
        for divider in dividers:
            if _within(source / divider, self.detector):
                yield divider, source / divider

    def nearest(self, source: Fraction, wish: Fraction, ways: Iterable[Setting]) -> Setting:
        """Give the best setting within the limits; BadInput if there is none."""
        middle = Fraction(sum(self.vco)) / 2
        possible = (
            [way for way in ways if _within(way.mhz, self.output) and _within(way.vco, self.vco)]
            if _within(source, self.source) and _within(wish, self.output)
            else []
        )
        if not possible:
            raise BadInput(
                f"the PLL cannot make {float(wish):g} MHz from {float(source):g} MHz: it gives"
                f" {self.output[0]:g} to {self.output[1]:g} MHz ({self.document})"
            )
        return min(
            possible,
            key=lambda way: (abs(way.mhz - wish), way.mhz, -way.detector, abs(way.vco - middle)),
        )


def _within(value: Fraction, span: tuple[float, float]) -> bool:
    return span[0] <= value <= span[1]


def _multipliers(mhz: Fraction, span: tuple[float, float], most: int) -> range:
    """Give the whole factors up to `most` that bring a frequency into a range."""
    return range(max(1, ceil(span[0] / mhz)), min(most, floor(span[1] / mhz)) + 1)


ECP5 = Limits(
    (8, 400), (3.125, 400), (10, 400), (400, 800), "Lattice FPGA-DS-02012, sysCLOCK PLL timing"
)
ICE40 = Limits(
    (10, 133), (16, 275), (10, 133), (533, 1066), "Lattice FPGA-DS-02008, sysCLOCK PLL timing"
)
GW1NR9 = Limits((3, 400), (3.125, 600), (3, 400), (400, 1200), "Gowin DS117, C6/I5")
GW2AR18 = Limits((3, 500), (3.90625, 625), (3, 500), (500, 1250), "Gowin DS226, C8/I7")
XILINX7 = Limits((19, 800), (6.25, 800), (19, 450), (800, 1600), "AMD DS181, PLL, speed -1")


def ecp5(source: Fraction, wish: Fraction) -> Setting:
    """Set EHXPLLL with its feedback from CLKOP, which runs at the detector's frequency.

    The clock is CLKOS; a divider of its own makes it as fine as that of the other families.
    """

    def ways() -> Iterator[Setting]:
        for divide, detector in ECP5.detectors(source, range(1, 129)):
            for multiply in _multipliers(detector, ECP5.vco, 128):
                vco = detector * multiply
                for output in range(1, 129):
                    yield Setting(
                        vco / output,
                        detector,
                        vco,
                        {
                            "CLKI_DIV": divide,
                            "CLKFB_DIV": 1,
                            "CLKOP_DIV": multiply,
                            "CLKOS_DIV": output,
                        },
                    )

    return ECP5.nearest(source, wish, ways())


def ice40(source: Fraction, wish: Fraction) -> Setting:
    """Set SB_PLL40 with simple feedback; ``FILTER_RANGE`` follows from the detector."""

    def ways() -> Iterator[Setting]:
        for divide, detector in ICE40.detectors(source, range(1, 17)):
            # Upper ends of the loop filter's ranges, as in icepll of Project IceStorm.
            band = 1 + sum(detector >= edge for edge in (17, 26, 44, 66, 101))
            for feedback in _multipliers(detector, ICE40.vco, 128):
                vco = detector * feedback
                for divq in range(1, 7):
                    yield Setting(
                        vco / 2**divq,
                        detector,
                        vco,
                        {
                            "DIVR": divide - 1,
                            "DIVF": feedback - 1,
                            "DIVQ": divq,
                            "FILTER_RANGE": band,
                        },
                    )

    return ICE40.nearest(source, wish, ways())


def gowin(source: Fraction, wish: Fraction, limits: Limits) -> Setting:
    """Set rPLL with internal feedback."""

    def ways() -> Iterator[Setting]:
        for divide, detector in limits.detectors(source, range(1, 65)):
            for feedback in range(1, 65):
                mhz = detector * feedback
                for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                    yield Setting(
                        mhz,
                        detector,
                        mhz * output,
                        {
                            "IDIV_SEL": divide - 1,
                            "FBDIV_SEL": feedback - 1,
                            "ODIV_SEL": output,
                        },
                    )

    return limits.nearest(source, wish, ways())


def xilinx7(source: Fraction, wish: Fraction) -> Setting:
    """Set PLLE2_BASE."""

    def ways() -> Iterator[Setting]:
        for divide, detector in XILINX7.detectors(source, range(1, 57)):
            for multiply in _multipliers(detector, XILINX7.vco, 64):
                vco = detector * multiply
                for output in range(1, 129):
                    yield Setting(
                        vco / output,
                        detector,
                        vco,
                        {
                            "DIVCLK_DIVIDE": divide,
                            "CLKFBOUT_MULT": multiply,
                            "CLKOUT0_DIVIDE": output,
                        },
                    )

    return XILINX7.nearest(source, wish, ways())
