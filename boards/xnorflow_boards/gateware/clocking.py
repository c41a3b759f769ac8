"""Clock and reset of a board's design: pin, PLL, and a reset that ends after power-up."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, Out

from xnorflow_boards.gateware import pll

RESET_SECONDS = 15e-6
"""iCE40 block RAM reads as zero for about 3 us after configuration, as Amaranth's platform notes;
five times that is on the safe side, and does no harm elsewhere."""


class Clocking(Component):
    """Give a clock of a wished frequency, and a reset that ends after power-up.

    Parameters
    ----------
    flow : str
        Of the board; says which PLL there is.
    platform : Platform
        Its default clock is the source; its default reset button, if any, resets.
    wish_mhz : float
        Wished frequency.

    Members
    -------
    clk, rst : Out(1)
        Clock; reset, synchronous to it.

    Attributes
    ----------
    mhz : Fraction
        The frequency that comes out.
    setting : Setting or None
        Of the PLL; None where the pin's clock is used as it is.
    """

    def __init__(self, flow: str, platform: Any, wish_mhz: float) -> None:
        """Choose the PLL's setting; BadInput if there is none."""
        super().__init__({"clk": Out(1), "rst": Out(1, init=1)})
        self.flow = flow
        self.source = Fraction(platform.default_clk_frequency).limit_denominator(1) / 10**6
        wish = Fraction(str(wish_mhz))
        self.setting = None
        if wish != self.source:
            solve: Callable[[Fraction, Fraction], pll.Setting]
            if flow == "gowin":
                limits = {"GW1NR-9C": pll.GW1NR9, "GW2AR-18C": pll.GW2AR18}[platform.family]
                self.setting = pll.gowin(self.source, wish, limits)
            else:
                solve = {"ecp5": pll.ecp5, "ice40": pll.ice40, "vivado": pll.xilinx7}[flow]
                self.setting = solve(self.source, wish)
        self.mhz = self.setting.mhz if self.setting else self.source

    def elaborate(self, platform: Any) -> Module:
        """Build pin buffer, PLL and reset counter."""
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        clock = Signal(name="accelerator_clk")
        locked = Signal()
        if self.setting is not None and self.flow == "ice40":
            # This PLL sits at the clock's pad and takes the place of its buffer.
            self._pll(m, platform, pin.io, clock, locked)
        else:
            m.submodules.pin = buffer = io.Buffer("i", pin)
            if self.setting is None:
                m.d.comb += [clock.eq(buffer.i), locked.eq(1)]
            else:
                self._pll(m, platform, buffer.i, clock, locked)
        stable = locked
        if platform.default_rst is not None:
            button = platform.request(platform.default_rst, dir="-")
            m.submodules.button = pressed = io.Buffer("i", button)
            stable = Signal()
            m.d.comb += stable.eq(locked & ~pressed.i)

        m.domains += ClockDomain("boot", reset_less=True, local=True)
        cycles = ceil(RESET_SECONDS * float(self.mhz) * 1e6)
        counter = Signal(range(cycles + 1))
        # Registers stand before and behind the long way from the counter.
        hold, reset, calm = Signal(init=1), Signal(init=1), Signal()
        m.submodules.stable = FFSynchronizer(stable, calm, o_domain="boot")
        m.d.boot += [hold.eq(counter != cycles), reset.eq(hold)]
        with m.If(~calm):
            m.d.boot += counter.eq(0)
        with m.Elif(counter != cycles):
            m.d.boot += counter.eq(counter + 1)
        m.d.comb += [
            ClockSignal("boot").eq(clock),
            self.clk.eq(clock),
            self.rst.eq(reset),
        ]
        return m

    def _pll(self, m: Module, platform: Any, source: Any, clock: Signal, locked: Signal) -> None:
        """Instantiate the family's PLL."""
        assert self.setting is not None
        dividers = {f"p_{name}": value for name, value in self.setting.dividers.items()}
        if self.flow == "ecp5":
            feedback = Signal()
            m.submodules.pll = Instance(
                "EHXPLLL",
                **dividers,
                p_FEEDBK_PATH="CLKOP",
                p_CLKOP_ENABLE="ENABLED",
                p_CLKOP_CPHASE=self.setting.dividers["CLKOP_DIV"] - 1,
                p_CLKOP_FPHASE=0,
                p_CLKOS_ENABLE="ENABLED",
                p_CLKOS_CPHASE=self.setting.dividers["CLKOS_DIV"] - 1,
                p_CLKOS_FPHASE=0,
                p_PLLRST_ENA="DISABLED",
                p_INTFB_WAKE="DISABLED",
                p_STDBY_ENABLE="DISABLED",
                p_DPHASE_SOURCE="DISABLED",
                p_OUTDIVIDER_MUXA="DIVA",
                p_OUTDIVIDER_MUXB="DIVB",
                # Loop filter as Lattice's own tool sets it.
                a_ICP_CURRENT="12",
                a_LPF_RESISTOR="8",
                a_MFG_ENABLE_FILTEROPAMP="1",
                a_MFG_GMCREF_SEL="2",
                i_CLKI=source,
                i_CLKFB=feedback,
                o_CLKOP=feedback,
                o_CLKOS=clock,
                o_LOCK=locked,
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
        elif self.flow == "ice40":
            widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
            m.submodules.pll = Instance(
                "SB_PLL40_PAD",
                p_FEEDBACK_PATH="SIMPLE",
                p_PLLOUT_SELECT="GENCLK",
                **{f"p_{n}": Const(v, widths[n]) for n, v in self.setting.dividers.items()},
                i_PACKAGEPIN=source,
                o_PLLOUTGLOBAL=clock,
                o_LOCK=locked,
                i_RESETB=Const(1),
                i_BYPASS=Const(0),
            )
        elif self.flow == "gowin":
            m.submodules.pll = Instance(
                "rPLL",
                **dividers,
                p_FCLKIN=f"{float(self.source):g}",
                p_DEVICE=platform.family,
                p_DYN_IDIV_SEL="false",
                p_DYN_FBDIV_SEL="false",
                p_DYN_ODIV_SEL="false",
                p_CLKFB_SEL="internal",
                i_CLKIN=source,
                o_CLKOUT=clock,
                o_LOCK=locked,
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
        else:
            feedback, output = Signal(), Signal()
            m.submodules.pll = Instance(
                "PLLE2_BASE",
                **dividers,
                p_CLKIN1_PERIOD=float(1000 / self.source),
                i_CLKIN1=source,
                i_CLKFBIN=feedback,
                o_CLKFBOUT=feedback,
                o_CLKOUT0=output,
                o_LOCKED=locked,
                i_RST=Const(0),
                i_PWRDWN=Const(0),
            )
            m.submodules.bufg = Instance("BUFG", i_I=output, o_O=clock)
