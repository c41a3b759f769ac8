"""Fork: gives every beat of a stream to several sinks, each of which takes it in its own time."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Fork(wiring.Component):
    """Offers each beat of a stream to every sink until each of them has taken it once.

    A register per sink tells whether it already has the beat on offer. The source's transfer
    happens in the cycle in which the last sink takes the beat, so one beat can pass per cycle. No
    sink's ready has an influence on what another sink sees in the same cycle.

    Parameters
    ----------
    width : int
        Width of a beat in bits.
    sinks : int
        Number of sinks, 2 or more.

    Members
    -------
    i : In(stream.Signature(width))
        The beats.
    o_0, o_1, ... : Out(stream.Signature(width))
        The same beats, for each sink.

    Attributes
    ----------
    latency : int
        0 clock cycles: a beat is offered in the cycle in which the source offers it.
    outputs : list of stream
        The streams of all sinks, in order.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    latency = 0

    def __init__(self, *, width: int, sinks: int) -> None:
        """Check the parameters and declare the ports."""
        if width < 1:
            raise ValueError(f"width is {width}; it has to be 1 or more")
        if sinks < 2:
            raise ValueError(f"sinks is {sinks}; it has to be 2 or more")
        self.width, self.sinks = width, sinks
        signature = stream.Signature(width)
        super().__init__({"i": In(signature), **{f"o_{k}": Out(signature) for k in range(sinks)}})

    @property
    def outputs(self) -> list[Any]:
        """The streams of all sinks, in order."""
        return [getattr(self, f"o_{k}") for k in range(self.sinks)]

    def elaborate(self, platform: Any) -> Module:
        """Build a register per sink, which is set until the last sink has taken the beat."""
        m = Module()
        done = Signal(self.sinks)
        served = [done[k] | o.ready for k, o in enumerate(self.outputs)]
        m.d.comb += self.i.ready.eq(Cat(served).all())
        for k, o in enumerate(self.outputs):
            m.d.comb += [o.valid.eq(self.i.valid & ~done[k]), o.payload.eq(self.i.payload)]
        with m.If(self.i.valid):
            m.d.sync += done.eq(Cat(served) & (~self.i.ready).replicate(self.sinks))
        return m
