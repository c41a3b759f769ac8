"""Lattice ECP5: Yosys, nextpnr-ecp5 and ecppack, and the PLL EHXPLLL."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from amaranth.hdl import Const, Instance, Signal

from xnorflow_boards.flows import carry_ends, ram_registers
from xnorflow_boards.flows.family import TOP, OpenFlow, Plan, WithoutPins
from xnorflow_boards.flows.pll import Pll, PllLimits, PllSetting, PllSite, multipliers
from xnorflow_boards.flows.report import Cells, Usage

PLL_LIMITS = PllLimits(
    (8, 400), (3.125, 400), (10, 400), (400, 800), "Lattice FPGA-DS-02012, sysCLOCK PLL timing"
)


def choose_pll(source: Fraction, wish: Fraction) -> PllSetting:
    """Choose the setting of EHXPLLL for a source and a wished clock in MHz.

    The feedback comes from CLKOP, which runs at the phase detector's frequency. The clock is CLKOS,
    whose own divider makes the choice as fine as that of the other families.
    """

    def settings() -> Iterator[PllSetting]:
        for divide, detector in PLL_LIMITS.detectors(source, range(1, 129)):
            for multiply in multipliers(detector, PLL_LIMITS.vco, 128):
                vco = detector * multiply
                for output in range(1, 129):
                    yield PllSetting(
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

    return PLL_LIMITS.nearest(source, wish, settings())


def _place_pll(site: PllSite, setting: PllSetting) -> None:
    feedback = Signal()
    site.module.submodules.pll = Instance(
        "EHXPLLL",
        **{f"p_{name}": value for name, value in setting.dividers.items()},
        p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=setting.dividers["CLKOP_DIV"] - 1,
        p_CLKOP_FPHASE=0,
        p_CLKOS_ENABLE="ENABLED",
        p_CLKOS_CPHASE=setting.dividers["CLKOS_DIV"] - 1,
        p_CLKOS_FPHASE=0,
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA",
        p_OUTDIVIDER_MUXB="DIVB",
        # The loop filter is set as Lattice's own tool sets it.
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        i_CLKI=site.source,
        i_CLKFB=feedback,
        o_CLKOP=feedback,
        o_CLKOS=site.clock,
        o_LOCK=site.locked,
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PHASESEL0=Const(0),
        i_PHASESEL1=Const(0),
        i_PHASEDIR=Const(1),
        i_PHASESTEP=Const(1),
        i_PHASELOADREG=Const(1),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_ENCLKOS=Const(0),
    )


def _place(plan: Plan) -> list[str]:
    return plan.placement("nextpnr-ecp5")


def _pack(plan: Plan) -> list[str]:
    return plan.commands["ecppack"]


def _finish(plan: Plan, data: bytes) -> bytes:
    """Append the suffix of DFU 1.1 where Amaranth's plan asks for it."""
    if "dfu-suffix" not in plan.commands:
        return data
    arguments = plan.commands["dfu-suffix"]
    vendor, product = (int(arguments[arguments.index(flag) + 1], 16) for flag in ("-v", "-p"))
    data += b"\xff\xff" + product.to_bytes(2, "little") + vendor.to_bytes(2, "little")
    data += (0x0100).to_bytes(2, "little") + b"UFD" + bytes([16])
    return data + (zlib.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")


def improve(path: Path) -> None:
    """Improve the netlist that Yosys wrote to a file, in place, before it is placed."""
    netlist = json.loads(path.read_text())
    carry_ends.trim(netlist)
    ram_registers.absorb(netlist)
    path.write_text(json.dumps(netlist))


def _usage(cells: Cells, log: str) -> Usage:
    """Return what a design uses; carry chains and LUT memory count as the LUTs they take."""
    return Usage(cells["TRELLIS_COMB"], cells["TRELLIS_FF"], cells["DP16KD"], cells["MULT18X18D"])


ECP5 = OpenFlow(
    name="ecp5",
    title="ECP5",
    pll=Pll(lambda platform, source, wish: choose_pll(source, wish), _place_pll),
    cell_models="ecp5",
    architecture="ecp5",
    # Wide multiplexers made of LUT pairs cost 40 % more LUTs on XNOR-popcount logic.
    synthesis=lambda part: "-nowidelut",
    constraints=f"{TOP}.lpf",
    place=_place,
    routed=f"{TOP}.config",
    packer="ecppack",
    pack=_pack,
    bitstream=f"{TOP}.bit",
    usage=_usage,
    finish=_finish,
    without_pins=WithoutPins(
        lambda text: re.sub(r"(?m)^LOCATE .*$", "", text), ("--lpf-allow-unconstrained",)
    ),
    synthesised=lambda folder: improve(folder / f"{TOP}.json"),
)
