"""Gowin: Yosys, nextpnr-himbaechel and gowin_pack of Apycula, and the PLL rPLL."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from amaranth.hdl import Const, Instance

from xnorflow.errors import BadInput
from xnorflow_boards.flows.family import TOP, OpenFlow, Plan
from xnorflow_boards.flows.pll import Pll, PllLimits, PllSetting, PllSite
from xnorflow_boards.flows.report import Cells, Usage

PLL_LIMITS = {
    "GW1NR-9C": PllLimits((3, 400), (3.125, 600), (3, 400), (400, 1200), "Gowin DS117, C6/I5"),
    "GW2AR-18C": PllLimits((3, 500), (3.90625, 625), (3, 500), (500, 1250), "Gowin DS226, C8/I7"),
    "GW2A-18C": PllLimits(
        (3, 500), (3.90625, 625), (3, 500), (500, 1250), "Apycula 0.35, gowin_pll, GW2A-18 C8/I7"
    ),
}
"""Limits of the PLL by Gowin's name of the device, at the speed grades of `PLL_GRADES`."""
PLL_GRADES = {
    "GW1NR-9C": ("C6/I5", "C7/I6"),
    "GW2AR-18C": ("C8/I7",),
    "GW2A-18C": ("C8/I7",),
}
"""Speed grades of each device for which its limits hold; at slower ones the PLL is slower, too."""


def choose_pll(source: Fraction, wish: Fraction, limits: PllLimits) -> PllSetting:
    """Choose the setting of rPLL with internal feedback for a source and a wished clock in MHz."""

    def settings() -> Iterator[PllSetting]:
        for divide, detector in limits.detectors(source, range(1, 65)):
            for feedback in range(1, 65):
                mhz = detector * feedback
                for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
                    yield PllSetting(
                        mhz,
                        detector,
                        mhz * output,
                        {
                            "IDIV_SEL": divide - 1,
                            "FBDIV_SEL": feedback - 1,
                            "ODIV_SEL": output,
                        },
                    )

    return limits.nearest(source, wish, settings())


def _choose_pll(platform: Any, source: Fraction, wish: Fraction) -> PllSetting:
    limits = PLL_LIMITS.get(platform.family)
    if limits is None or platform.speed not in PLL_GRADES[platform.family]:
        known = (f"{device} {grade}" for device in PLL_GRADES for grade in PLL_GRADES[device])
        raise BadInput(
            f"the limits of the PLL of {platform.family} are not known"
            f"{f' at speed grade {platform.speed}' if limits else ''}; known are those of"
            f" {', '.join(known)}. What would work: the clock of the pin,"
            f" --clock {float(source):g}"
        )
    return choose_pll(source, wish, limits)


def _place_pll(site: PllSite, setting: PllSetting) -> None:
    site.module.submodules.pll = Instance(
        "rPLL",
        **{f"p_{name}": value for name, value in setting.dividers.items()},
        p_FCLKIN=f"{float(site.source_mhz):g}",
        p_DEVICE=site.platform.family,
        p_DYN_IDIV_SEL="false",
        p_DYN_FBDIV_SEL="false",
        p_DYN_ODIV_SEL="false",
        p_CLKFB_SEL="internal",
        i_CLKIN=site.source,
        o_CLKOUT=site.clock,
        o_LOCK=site.locked,
        i_CLKFB=Const(0),
        i_RESET=Const(0),
        i_RESET_P=Const(0),
        i_FBDSEL=Const(0, 6),
        i_IDSEL=Const(0, 6),
        i_ODSEL=Const(0, 6),
        i_PSDA=Const(0, 4),
        i_DUTYDA=Const(0, 4),
        i_FDLY=Const(0, 4),
    )


def chip(family: str) -> str:
    """Return Apycula's name of a die; parts with memory in the package share another's die."""
    return family.replace("GW1NR", "GW1N").replace("GW2AR", "GW2A")


def _place(plan: Plan) -> list[str]:
    return [
        "--device",
        plan.platform.part,
        "--vopt",
        f"family={chip(plan.platform.family)}",
        "--vopt",
        f"cst={TOP}.cst",
        "--json",
        f"{TOP}.syn.json",
        "--write",
        f"{TOP}.pnr.json",
    ]


def _pack(plan: Plan) -> list[str]:
    arguments = list(plan.commands["gowin_pack"])
    arguments[arguments.index("-d") + 1] = chip(plan.platform.family)
    return arguments


def _usage(cells: Cells, log: str) -> Usage:
    """Return what a design uses.

    nextpnr counts an ALU, which takes the place of a LUT, among the LUTs; a 16 x 4 memory takes the
    place of four and has to be added. Two MULT9X9 take the place of a MULT18X18.
    """
    used, available = cells["LUT4"]
    used += 4 * cells.get("RAM16SDP4", (0, 0))[0]
    whole, multipliers = cells.get("MULT18X18", (0, 0))
    halves = cells.get("MULT9X9", (0, 0))[0]
    return Usage(
        (used, available), cells["DFF"], cells["BSRAM"], (whole + -(-halves // 2), multipliers)
    )


GOWIN = OpenFlow(
    name="gowin",
    title="Gowin",
    pll=Pll(_choose_pll, _place_pll),
    cell_models="gowin",
    architecture="himbaechel-gowin",
    # Wide multiplexers waste as many LUTs here as on ECP5. The platform has placed the pads; Yosys
    # would add some to the accelerator, too, because that stays a module of its own.
    synthesis=lambda part: f"-nowidelut -noiopads -family {part[:4].lower()}",
    constraints=f"{TOP}.cst",
    place=_place,
    routed=f"{TOP}.pnr.json",
    packer="gowin_pack",
    pack=_pack,
    bitstream=f"{TOP}.fs",
    usage=_usage,
    packer_package="apycula",
    routers=("router1", "router2"),
)
