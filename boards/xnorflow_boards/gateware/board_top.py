"""The top module of a board: clock and reset, the pins of the serial port, a core between them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import io

from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow_boards.gateware.clocking import Clocking
from xnorflow_boards.gateware.weights_in_flash import loader_for
from xnorflow_hw.link.link_spec import LinkSpec, window_and_queue
from xnorflow_hw.link.linked import LinkedAccelerator
from xnorflow_hw.link.uart import Uart, divisor_for

STATUS_LED = "status_led"
"""Resource that is lit when the design runs; only platforms of board files have it."""
FLASH = "spi_flash_1x"
"""Resource of Amaranth's platforms: the configuration flash with one data line each way."""


class BoardTop(Elaboratable):
    """The top module: a core that is connected to clock, reset and pins.

    Parameters
    ----------
    clocking : Clocking
        Source of clock and reset.
    core : LinkedAccelerator or Harness
        Component with the ports ``clk``, ``rst``, ``rx`` and ``tx``.
    """

    def __init__(self, clocking: Clocking, core: Core) -> None:
        self.clocking, self.core = clocking, core

    def elaborate(self, platform: Any) -> Module:
        """Build the connections between pins, clock and core."""
        m = Module()
        m.submodules.clocking = self.clocking
        m.submodules.core = core = self.core
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [
            core.clk.eq(self.clocking.clk),
            core.rst.eq(self.clocking.rst),
            core.rx.eq(rx.i),
            tx.o.eq(core.tx),
        ]
        if (STATUS_LED, 0) in getattr(platform, "resources", ()):
            m.submodules.led = led = io.Buffer("o", platform.request(STATUS_LED, 0, dir="-"))
            m.d.comb += led.o.eq(~self.clocking.rst)
        if isinstance(core, LinkedAccelerator) and core.loader is not None:
            self._flash(m, core, platform.request(FLASH, 0, dir="-"))
        return m

    def _flash(self, m: Module, core: LinkedAccelerator, pins: Any) -> None:
        """Connect the flash; its pins for wider modes, where there are any, are kept inactive."""
        for name, value in (
            ("cs", core.flash_cs),
            ("clk", core.flash_sck),
            ("copi", core.flash_copi),
            ("wp", 0),
            ("hold", 0),
        ):
            if hasattr(pins, name):
                m.submodules[f"flash_{name}"] = out = io.Buffer("o", getattr(pins, name))
                m.d.comb += out.o.eq(value)
        m.submodules.flash_cipo = cipo = io.Buffer("i", pins.cipo)
        m.d.comb += core.flash_cipo.eq(cipo.i)


def linked(design: Design, clock_hz: float, baud: int) -> LinkedAccelerator:
    """Build a design with link and UART.

    Parameters
    ----------
    design : Design
        Design whose accelerator is linked.
    clock_hz : float
        Frequency of its clock in Hz.
    baud : int
        Rate of the serial port in bits per second.

    Raises
    ------
    BadInput
        If the baud rate cannot be made from the clock, or the link cannot carry the frames.
    """
    face, loader = design.interface, loader_for(design, clock_hz)
    try:
        divisor = divisor_for(clock_hz, baud)
        window, queue = window_and_queue(
            frame=design.spec.input.beats * face.in_bytes, ii=design.ii, divisor=divisor
        )
        spec = LinkSpec(
            in_lanes=face.in_bytes,
            in_beats=design.spec.input.beats,
            out_bytes=face.out_lanes * face.out_bits // 8,
            out_beats=face.out_beats,
            digest=bytes.fromhex(design.digest)[:16],
            clock_hz=round(clock_hz),
            window=window,
            loads=loader is not None,
        )
        uart = Uart(divisor=divisor, buffer=queue)
    except ValueError as e:
        raise BadInput(str(e)) from e
    return LinkedAccelerator(spec, design.spec.name, uart=uart, loader=loader)


class Harness(Elaboratable):
    """The accelerator alone between registers, to measure it without the link.

    A shift register feeds every input bit, and a parity tree observes every output bit. So
    synthesis removes nothing of the accelerator, its paths begin and end in registers, and two pins
    suffice.

    Parameters
    ----------
    design : Design
        Design whose accelerator is measured.
    """

    def __init__(self, design: Design) -> None:
        self.name = design.spec.name
        self.inputs = 8 * design.interface.in_bytes
        self.load = design.interface.load
        self.outputs = design.interface.out_lanes * design.interface.out_bits
        self.clk, self.rst = Signal(name="clk"), Signal(name="rst")
        self.rx, self.tx = Signal(name="rx"), Signal(name="tx")

    def elaborate(self, platform: Any) -> Module:
        """Build the shift register, the accelerator and the parity tree."""
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        shift = Signal(self.inputs + 2 + self.load)
        load = {"i_load": shift[self.inputs + 2 :]} if self.load else {}
        seen = Signal(self.outputs + 3)
        data, valid, last, ready = Signal(self.outputs), Signal(), Signal(), Signal()
        m.submodules.accelerator = Instance(
            self.name,
            **load,
            i_clk=self.clk,
            i_rst=self.rst,
            i_s_axis_tdata=shift[: self.inputs],
            i_s_axis_tvalid=shift[self.inputs],
            o_s_axis_tready=ready,
            o_m_axis_tdata=data,
            o_m_axis_tvalid=valid,
            i_m_axis_tready=shift[self.inputs + 1],
            o_m_axis_tlast=last,
        )
        m.d.sync += [shift.eq(Cat(self.rx, shift)), seen.eq(Cat(data, valid, last, ready))]
        # Every level has a register, so that the parity tree is never the slowest path.
        level: list[Any] = list(seen)
        while len(level) > 1:
            groups = [level[i : i + 4] for i in range(0, len(level), 4)]
            level = [Signal(name=f"parity_{len(groups)}_{k}") for k in range(len(groups))]
            m.d.sync += [out.eq(Cat(group).xor()) for out, group in zip(level, groups, strict=True)]
        m.d.comb += self.tx.eq(level[0])
        return m


Core = LinkedAccelerator | Harness
"""The cores that `BoardTop` takes."""
