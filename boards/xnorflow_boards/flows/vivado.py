"""AMD FPGAs: projects for Vivado, resources counted by Yosys, and the 7-series PLL PLLE2_BASE.

Yosys counts LUTs before Vivado would pack two small ones into one, so its figures are estimates,
and without place and route there is no measured clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal

from xnorflow.devices.tables import Fpga
from xnorflow.errors import CheckFailed
from xnorflow_boards.flows.family import ToolFlow
from xnorflow_boards.flows.pll import Pll, PllLimits, PllSetting, PllSite, multipliers
from xnorflow_boards.flows.report import Usage

KIND = "synthesised by Yosys, before packing and placement"

PLL_LIMITS = PllLimits((19, 800), (6.25, 800), (19, 450), (800, 1600), "AMD DS181, PLL, speed -1")

_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "LUT6_2": 1,
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M16": 8,
    "RAM64M8": 8,
}
_FFS = dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1)
_RAMS = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
_DSPS = {"DSP48E1": 1, "DSP48E2": 1}
_COUNTED = ("LUT", "SRL", "RAM", "FD", "LD", "DSP", "URAM")
"""First letters of the names of cells that take one of these resources."""


def choose_pll(source: Fraction, wish: Fraction) -> PllSetting:
    """Choose the setting of PLLE2_BASE for a source and a wished clock in MHz."""

    def settings() -> Iterator[PllSetting]:
        for divide, detector in PLL_LIMITS.detectors(source, range(1, 57)):
            for multiply in multipliers(detector, PLL_LIMITS.vco, 64):
                vco = detector * multiply
                for output in range(1, 129):
                    yield PllSetting(
                        vco / output,
                        detector,
                        vco,
                        {
                            "DIVCLK_DIVIDE": divide,
                            "CLKFBOUT_MULT": multiply,
                            "CLKOUT0_DIVIDE": output,
                        },
                    )

    return PLL_LIMITS.nearest(source, wish, settings())


def _place_pll(site: PllSite, setting: PllSetting) -> None:
    feedback, output = Signal(), Signal()
    site.module.submodules.pll = Instance(
        "PLLE2_BASE",
        **{f"p_{name}": value for name, value in setting.dividers.items()},
        p_CLKIN1_PERIOD=float(1000 / site.source_mhz),
        i_CLKIN1=site.source,
        i_CLKFBIN=feedback,
        o_CLKFBOUT=feedback,
        o_CLKOUT0=output,
        o_LOCKED=site.locked,
        i_RST=Const(0),
        i_PWRDWN=Const(0),
    )
    site.module.submodules.bufg = Instance("BUFG", i_I=output, o_O=site.clock)


@dataclass(frozen=True, kw_only=True)
class VivadoFlow(ToolFlow):
    """A flow that ends in a project for Vivado, with resources counted by Yosys.

    Parameters
    ----------
    yosys_family : str
        Option ``-family`` of Yosys's ``synth_xilinx``.
    """

    yosys_family: str

    def counting_script(
        self,
        top: str,
        sources: list[str],
        *,
        apart: str = "",
        before: str = "",
        options: str = "",
    ) -> str:
        """Return the Yosys script that counts the cells of a design.

        Parameters
        ----------
        top : str
            Name of the top module.
        sources : list of str
            Names of the Verilog files.
        apart : str
            Name of a module that is kept, so that its cells are counted apart from those around it.
        before : str
            Yosys commands ahead of synthesis.
        options : str
            Further options of the synthesis pass.
        """
        reads = "\n".join(f"read_verilog {name}" for name in sources)
        reads += f"\nsetattr -mod -set keep_hierarchy 1 {apart}" if apart else ""
        return (
            f"{reads}\n{before}\n"
            f"synth_xilinx -family {self.yosys_family} -top {top} -flatten {options}\n"
            "tee -q -o cells.json stat -json\n"
        )


def usage(device: Fpga, cells: Mapping[str, int]) -> Usage:
    """Return what a design uses of an FPGA.

    Parameters
    ----------
    device : Fpga
        The FPGA's capacities.
    cells : mapping of str to int
        Number of cells of each type, as Yosys counts them.

    Raises
    ------
    CheckFailed
        If a cell takes LUTs, flip-flops, RAM or DSP blocks, but it is not known how many.
    """
    counted = {**_LUTS, **_FFS, **_RAMS, **_DSPS}
    unknown = [name for name in cells if name.startswith(_COUNTED) and name not in counted]
    if unknown:
        raise CheckFailed(
            f"Yosys made cells of the type {', '.join(sorted(unknown))}, and xnorflow does not know"
            " how many LUTs, flip-flops, RAM or DSP blocks one takes; please report this with the"
            " network"
        )

    def used(weights: Mapping[str, int], available: float) -> tuple[int, int]:
        return sum(weight * cells.get(name, 0) for name, weight in weights.items()), int(available)

    return Usage(
        used(_LUTS, device.luts.value),
        used(_FFS, device.ffs.value),
        used(_RAMS, device.ram_blocks.value),
        used(_DSPS, device.dsps.value),
    )


XILINX_7 = VivadoFlow(
    name="vivado",
    title="AMD 7-series",
    pll=Pll(lambda platform, source, wish: choose_pll(source, wish), _place_pll),
    cell_models="xilinx",
    yosys_family="xc7",
)
ULTRASCALE = VivadoFlow(
    name="vivado",
    title="AMD UltraScale",
    # No board of this family and the next has a pin that leads to a host; cores get their clock
    # from what surrounds them, a processor or a shell.
    pll=None,
    cell_models="xilinx",
    yosys_family="xcu",
)
ULTRASCALE_PLUS = replace(ULTRASCALE, title="AMD UltraScale+", yosys_family="xcup")
