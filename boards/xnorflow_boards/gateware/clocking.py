"""Clock and reset of a board's design: pin, PLL, and a reset that ends after power-up."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, Out

from xnorflow.errors import BadInput
from xnorflow_boards.flows import ToolFlow
from xnorflow_boards.flows.pll import PllSite

RESET_SECONDS = 15e-6
"""Seconds from a stable clock to the end of reset. The block RAM of iCE40 reads as zero for about
3 us after configuration, as Amaranth's platform notes; this is five times as long, and does no harm
on other families."""


class Clocking(Component):
    """Source of the accelerator's clock, and of a reset that ends after power-up.

    Parameters
    ----------
    flow : ToolFlow
        Flow of the board's FPGA family, which has the PLL.
    platform : Platform
        Amaranth platform of the board. Its default clock is the source; its default reset button,
        if it has one, resets the design.
    wish_mhz : float
        Wished frequency in MHz. The pin's own frequency needs no PLL.

    Members
    -------
    clk, rst : Out(1)
        Clock, and a reset that is synchronous to it.

    Attributes
    ----------
    mhz : Fraction
        Frequency of the clock in MHz, as near to the wish as the PLL allows.
    setting : PllSetting or None
        Setting of the PLL; None if the pin's clock is used as it is.

    Raises
    ------
    BadInput
        If the family's PLL cannot make a clock near the wish, or xnorflow sets none for it.
    """

    def __init__(self, flow: ToolFlow, platform: Any, wish_mhz: float) -> None:
        super().__init__({"clk": Out(1), "rst": Out(1, init=1)})
        self.source = Fraction(platform.default_clk_frequency).limit_denominator(1) / 10**6
        wish = Fraction(str(wish_mhz))
        self.pll = self.setting = None
        if wish != self.source:
            if flow.pll is None:
                raise BadInput(
                    f"xnorflow sets no PLL of {flow.title}, so it cannot make {float(wish):g} MHz."
                    f" What would work: the clock of the pin, --clock {float(self.source):g}"
                )
            self.pll = flow.pll
            self.setting = flow.pll.choose(platform, self.source, wish)
        self.mhz = self.setting.mhz if self.setting else self.source

    def elaborate(self, platform: Any) -> Module:
        """Build the pin's buffer, the PLL and the reset counter."""
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        clock = Signal(name="accelerator_clk")
        locked = Signal()
        source = pin.io
        if self.pll is None or not self.pll.at_pad(platform):
            m.submodules.pin = buffer = io.Buffer("i", pin)
            source = buffer.i
        if self.pll is None or self.setting is None:
            m.d.comb += [clock.eq(source), locked.eq(1)]
        else:
            self.pll.place(PllSite(m, platform, self.source, source, clock, locked), self.setting)
        stable = locked
        if platform.default_rst is not None:
            button = platform.request(platform.default_rst, dir="-")
            m.submodules.button = pressed = io.Buffer("i", button)
            stable = Signal()
            m.d.comb += stable.eq(locked & ~pressed.i)

        m.domains += ClockDomain("boot", reset_less=True, local=True)
        cycles = ceil(RESET_SECONDS * float(self.mhz) * 1e6)
        counter = Signal(range(cycles + 1))
        # Two registers in a row, because the wires from the counter to all of the design are long.
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
