"""Lattice iCE40: Yosys, nextpnr-ice40 and icepack, and the PLL SB_PLL40_PAD or SB_PLL40_CORE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from amaranth.hdl import Const, Instance

from xnorflow_boards.flows.family import TOP, OpenFlow, Plan, WithoutPins
from xnorflow_boards.flows.pll import Pll, PllLimits, PllSetting, PllSite, multipliers
from xnorflow_boards.flows.report import Cells, Usage

PLL_LIMITS = PllLimits(
    (10, 133), (16, 275), (10, 133), (533, 1066), "Lattice FPGA-DS-02008, sysCLOCK PLL timing"
)
_WIDTHS = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
"""Bits of the PLL's parameters."""
_FLIP_FLOPS = re.compile(r"(\d+) LCs used as (?:LUT4 and DFF|DFF only)")


def choose_pll(source: Fraction, wish: Fraction) -> PllSetting:
    """Choose the setting of SB_PLL40 with simple feedback for a source and a wished clock in MHz.

    ``FILTER_RANGE`` follows from the phase detector's frequency.
    """

    def settings() -> Iterator[PllSetting]:
        for divide, detector in PLL_LIMITS.detectors(source, range(1, 17)):
            # Upper ends of the loop filter's ranges, as in icepll of Project IceStorm.
            band = 1 + sum(detector >= edge for edge in (17, 26, 44, 66, 101))
            for feedback in multipliers(detector, PLL_LIMITS.vco, 128):
                vco = detector * feedback
                for divq in range(1, 7):
                    yield PllSetting(
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

    return PLL_LIMITS.nearest(source, wish, settings())


def at_pad(platform: Any) -> bool:
    """Return whether a platform's clock pin is the pad of a PLL, which a wire does not reach."""
    return bool(getattr(platform, "pll_at_pad", False))


def _place_pll(site: PllSite, setting: PllSetting) -> None:
    pad = at_pad(site.platform)
    site.module.submodules.pll = Instance(
        "SB_PLL40_PAD" if pad else "SB_PLL40_CORE",
        p_FEEDBACK_PATH="SIMPLE",
        p_PLLOUT_SELECT="GENCLK",
        **{f"p_{n}": Const(v, _WIDTHS[n]) for n, v in setting.dividers.items()},
        **{"i_PACKAGEPIN" if pad else "i_REFERENCECLK": site.source},
        o_PLLOUTGLOBAL=site.clock,
        o_LOCK=site.locked,
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
    )


def _place(plan: Plan) -> list[str]:
    return plan.placement("nextpnr-ice40")


def _pack(plan: Plan) -> list[str]:
    return plan.commands["icepack"]


def _usage(cells: Cells, log: str) -> Usage:
    """Return what a design uses.

    A logic cell is a LUT, a flip-flop, or both: nextpnr's table counts the cells, and its log those
    with a flip-flop.
    """
    logic = cells["ICESTORM_LC"]
    flip_flops = sum(int(count) for count in _FLIP_FLOPS.findall(log))
    return Usage(
        logic,
        (flip_flops, logic[1]),
        cells["ICESTORM_RAM"],
        cells.get("ICESTORM_DSP", (0, 0)),
        cells.get("ICESTORM_SPRAM"),
    )


ICE40 = OpenFlow(
    name="ice40",
    title="iCE40",
    pll=Pll(lambda platform, source, wish: choose_pll(source, wish), _place_pll, at_pad),
    cell_models="ice40",
    simulated_without=None,
    architecture="ice40",
    synthesis=lambda part: "",
    constraints=f"{TOP}.pcf",
    place=_place,
    routed=f"{TOP}.asc",
    packer="icepack",
    pack=_pack,
    bitstream=f"{TOP}.bin",
    usage=_usage,
    without_pins=WithoutPins(
        lambda text: re.sub(r"(?m)^set_io .*$", "", text), ("--pcf-allow-unconstrained",)
    ),
)
