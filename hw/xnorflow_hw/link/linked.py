"""The top of a board: an accelerator behind a link, with its UART and its loader."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal
from amaranth.hdl import Signal as Wire
from amaranth.lib import stream, wiring

from xnorflow_hw.base.conversion import convert
from xnorflow_hw.link.flash_loader import FlashLoader, LoaderSpec
from xnorflow_hw.link.link import Link
from xnorflow_hw.link.link_spec import LinkSpec
from xnorflow_hw.link.uart import Uart


def _register(m: Module, i: Any, o: Any) -> None:
    """Put a register between two streams; it cuts all paths and takes two cycles per beat."""
    m.d.comb += i.ready.eq(~o.valid)
    with m.If(i.valid & i.ready):
        m.d.sync += [o.payload.eq(i.payload), o.valid.eq(1)]
    with m.Elif(o.ready):
        m.d.sync += o.valid.eq(0)


class LinkedAccelerator(Elaboratable):
    """An accelerator's Verilog module behind a link, with plain port names.

    Parameters
    ----------
    spec : LinkSpec
        Sizes and options of the link.
    module : str
        Name of the accelerator's module, as `emit` wrote it.
    uart : Uart, optional
        With a UART the ports are ``rx``, ``tx``, ``cts`` and ``rts``. Without one they are the byte
        streams ``rx_data``, ``rx_valid``, ``rx_ready`` and ``tx_data``, ``tx_valid``, ``tx_ready``.
    loader : LoaderSpec, optional
        What an accelerator with SPRAM is loaded with; required if ``spec.loads``. It adds the ports
        ``flash_cs``, ``flash_sck``, ``flash_copi`` and ``flash_cipo``.

    Attributes
    ----------
    ports : list of Signal
        ``clk`` and ``rst``, then the ports above.

    Raises
    ------
    ValueError
        If `loader` and ``spec.loads`` contradict each other.
    """

    def __init__(
        self,
        spec: LinkSpec,
        module: str,
        *,
        uart: Uart | None = None,
        loader: LoaderSpec | None = None,
    ) -> None:
        if spec.loads != (loader is not None):
            raise ValueError(
                f"spec.loads is {spec.loads} and loader is {loader}; a link that loads needs a"
                " loader, and any other link has none"
            )
        self.spec, self.module, self.uart = spec, module, uart
        self.clk, self.rst = Wire(name="clk"), Wire(name="rst")
        if uart is None:
            self.rx_data, self.tx_data = Wire(8, name="rx_data"), Wire(8, name="tx_data")
            self.rx_valid, self.rx_ready = Wire(name="rx_valid"), Wire(name="rx_ready")
            self.tx_valid, self.tx_ready = Wire(name="tx_valid"), Wire(name="tx_ready")
            self.ports = [
                self.clk,
                self.rst,
                self.rx_data,
                self.rx_valid,
                self.rx_ready,
                self.tx_data,
                self.tx_valid,
                self.tx_ready,
            ]
        else:
            self.rx, self.tx = Wire(name="rx", init=1), Wire(name="tx", init=1)
            self.cts, self.rts = Wire(name="cts", init=1), Wire(name="rts", init=1)
            self.ports = [self.clk, self.rst, self.rx, self.tx, self.cts, self.rts]
        self.loader = None if loader is None else FlashLoader(loader)
        if loader is not None:
            self.flash_cs, self.flash_sck = Wire(name="flash_cs"), Wire(name="flash_sck")
            self.flash_copi, self.flash_cipo = Wire(name="flash_copi"), Wire(name="flash_cipo")
            self.ports += [self.flash_cs, self.flash_sck, self.flash_copi, self.flash_cipo]

    def elaborate(self, platform: Any) -> Module:
        """Connect the UART, the link, the loader and the accelerator."""
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        m.submodules.link = link = Link(self.spec)
        result = stream.Signature(8 * self.spec.out_bytes).create()
        _register(m, result, link.results)
        with m.If(link.clear):  # A result that belongs to the previous session is dropped.
            m.d.sync += link.results.valid.eq(0)
        reset, load = self.rst | link.clear, {}
        if (loader := self.loader) is not None:
            m.submodules.loader = loader
            m.d.comb += [
                self.flash_cs.eq(loader.cs),
                self.flash_sck.eq(loader.sck),
                self.flash_copi.eq(loader.copi),
                loader.cipo.eq(self.flash_cipo),
                link.ready.eq(loader.ready),
                link.failed.eq(loader.failed),
            ]
            reset, load = reset | ~loader.ready, {"i_load": loader.load}
        m.submodules.accelerator = Instance(
            self.module,
            **load,
            **({"i_edges": link.edges} if self.spec.edges > 1 else {}),
            i_clk=self.clk,
            i_rst=reset,
            i_s_axis_tdata=link.frames.payload,
            i_s_axis_tvalid=link.frames.valid,
            o_s_axis_tready=link.frames.ready,
            o_m_axis_tdata=result.payload,
            o_m_axis_tvalid=result.valid,
            i_m_axis_tready=result.ready,
            o_m_axis_tlast=Wire(name="unused_tlast"),
        )
        if self.uart is None:
            m.d.comb += [
                link.i.payload.eq(self.rx_data),
                link.i.valid.eq(self.rx_valid),
                self.rx_ready.eq(link.i.ready),
                self.tx_data.eq(link.o.payload),
                self.tx_valid.eq(link.o.valid),
                link.o.ready.eq(self.tx_ready),
            ]
        else:
            m.submodules.uart = uart = self.uart
            # The queue's memory is slow, so its bytes pass a register.
            _register(m, uart.o, link.i)
            wiring.connect(m, link.o, uart.i)
            m.d.comb += [
                uart.rx.eq(self.rx),
                self.tx.eq(uart.tx),
                uart.cts.eq(self.cts),
                self.rts.eq(uart.rts),
            ]
        return m


def emit_linked(top: LinkedAccelerator, *, name: str) -> str:
    """Write the Verilog of a linked accelerator, without that of the accelerator's module.

    Parameters
    ----------
    top : LinkedAccelerator
        The top module to write.
    name : str
        Name of the top module.
    """
    return convert(top, name=name, ports=top.ports)
