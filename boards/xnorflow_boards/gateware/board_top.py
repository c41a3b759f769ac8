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
from xnorflow_hw.link.link_spec import MAX_WINDOW, LinkSpec, window_and_queue
from xnorflow_hw.link.linked import LinkedAccelerator
from xnorflow_hw.link.uart import Uart, divisor_for

STATUS_LED = "status_led"
"""Resource that is lit when the design runs; only platforms of board files have it."""
BYTE_STREAM = "byte_stream"
"""Resource with the byte streams to and from a host, instead of a serial port."""
FLASH = "spi_flash_1x"
"""Resource of Amaranth's platforms: the configuration flash with one data line each way."""


class BoardTop(Elaboratable):
    """The top module: a core that is connected to clock, reset and pins.

    Parameters
    ----------
    clocking : Clocking
        Source of clock and reset.
    core : LinkedAccelerator or Harness
        Component with the ports ``clk``, ``rst``, ``rx`` and ``tx``, or byte streams instead of the
        last two if the platform has pins for them.
    """

    def __init__(self, clocking: Clocking, core: Core) -> None:
        self.clocking, self.core = clocking, core

    def elaborate(self, platform: Any) -> Module:
        """Build the connections between pins, clock and core."""
        m = Module()
        m.submodules.clocking = self.clocking
        m.submodules.core = core = self.core
        m.d.comb += [core.clk.eq(self.clocking.clk), core.rst.eq(self.clocking.rst)]
        if (BYTE_STREAM, 0) in getattr(platform, "resources", ()):
            self._stream(m, platform.request(BYTE_STREAM, 0, dir="-"))
        else:
            uart = platform.request("uart", 0, dir="-")
            m.submodules.rx = rx = io.Buffer("i", uart.rx)
            m.submodules.tx = tx = io.Buffer("o", uart.tx)
            m.d.comb += [core.rx.eq(rx.i), tx.o.eq(core.tx)]
        if (STATUS_LED, 0) in getattr(platform, "resources", ()):
            m.submodules.led = led = io.Buffer("o", platform.request(STATUS_LED, 0, dir="-"))
            m.d.comb += led.o.eq(~self.clocking.rst)
        if isinstance(core, LinkedAccelerator) and core.loader is not None:
            self._flash(m, core, platform.request(FLASH, 0, dir="-"))
        return m

    def _stream(self, m: Module, pins: Any) -> None:
        """Connect the byte streams of the link; a harness needs one pin each way."""
        core, found = self.core, dict[str, Any]()
        for name in ("rx_data", "rx_valid", "tx_ready"):
            m.submodules[f"pin_{name}"] = into = io.Buffer("i", getattr(pins, name))
            found[name] = into.i
        for name in ("clk", "rx_ready", "tx_data", "tx_valid"):
            m.submodules[f"pin_{name}"] = out = io.Buffer("o", getattr(pins, name))
            found[name] = out.o
        m.d.comb += found["clk"].eq(self.clocking.clk)
        if isinstance(core, Harness):
            m.d.comb += [core.rx.eq(found["rx_valid"]), found["tx_valid"].eq(core.tx)]
            return
        m.d.comb += [getattr(core, n).eq(found[n]) for n in ("rx_data", "rx_valid", "tx_ready")]
        m.d.comb += [found[n].eq(getattr(core, n)) for n in ("rx_ready", "tx_data", "tx_valid")]

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


def linked(design: Design, clock_hz: float, baud: int | None) -> LinkedAccelerator:
    """Build a design with a link, behind a UART or byte streams.

    Parameters
    ----------
    design : Design
        Design whose accelerator is linked.
    clock_hz : float
        Frequency of its clock in Hz.
    baud : int or None
        Rate of the serial port in bits per second; None for byte streams.

    Raises
    ------
    BadInput
        If the baud rate cannot be made from the clock, or the link cannot carry the frames.
    """
    face, loader = design.interface, loader_for(design, clock_hz)
    try:
        window, uart = MAX_WINDOW, None
        if baud is not None:
            divisor = divisor_for(clock_hz, baud)
            window, queue = window_and_queue(
                frame=design.spec.input.beats * face.in_bytes + (face.edges > 1),
                ii=design.ii,
                divisor=divisor,
            )
            uart = Uart(divisor=divisor, buffer=queue)
        spec = LinkSpec(
            in_lanes=face.in_bytes,
            in_beats=design.spec.input.beats,
            out_bytes=face.out_lanes * face.out_bits // 8,
            out_beats=face.out_beats,
            digest=bytes.fromhex(design.digest)[:16],
            clock_hz=round(clock_hz),
            window=window,
            loads=loader is not None,
            edges=face.edges,
        )
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
        self.edges = design.interface.edges
        self.outputs = design.interface.out_lanes * design.interface.out_bits
        self.clk, self.rst = Signal(name="clk"), Signal(name="rst")
        self.rx, self.tx = Signal(name="rx"), Signal(name="tx")

    def elaborate(self, platform: Any) -> Module:
        """Build the shift register, the accelerator and the parity tree."""
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        settings = self.edges.bit_length() if self.edges > 1 else 0
        shift = Signal(self.inputs + 2 + self.load + settings)
        load = {"i_load": shift[self.inputs + 2 :][: self.load]} if self.load else {}
        if settings:
            load["i_edges"] = shift[-settings:]
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
