"""CRC-32 of Ethernet over bytes, a few bits a cycle: the fewer, the smaller."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out


class Crc32(wiring.Component):
    """Sum bytes; a message followed by its own sum, lowest byte first, gives a `match`.

    Parameters
    ----------
    bits : {1, 2, 4, 8}
        Bits summed per cycle; a byte takes ``8 / bits`` cycles.

    Members
    -------
    start : In(1)
        Begin anew; not while `busy`, nor together with `valid`.
    valid, data : In(1), In(8)
        A byte; not while `busy`.
    busy : Out(1)
        A byte is still being summed.
    crc, match : Out(32), Out(1)
        Of the bytes so far, once not `busy`.
    """

    def __init__(self, *, bits: int = 1) -> None:
        if bits not in (1, 2, 4, 8):
            raise ValueError(f"bits={bits} is not 1, 2, 4 or 8")
        self.bits = bits
        super().__init__(
            {
                "start": In(1),
                "valid": In(1),
                "data": In(8),
                "busy": Out(1),
                "crc": Out(32),
                "match": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Feed the library's processor, lowest bits first."""
        m = Module()
        m.submodules.processor = processor = CRC32_ETHERNET(self.bits).create()
        m.d.comb += [
            processor.start.eq(self.start),
            self.crc.eq(processor.crc),
            self.match.eq(processor.match_detected),
        ]
        if self.bits == 8:
            m.d.comb += [processor.valid.eq(self.valid), processor.data.eq(self.data)]
            return m
        rest = Signal(8 - self.bits)
        left = Signal(range(8 // self.bits))
        m.d.comb += [
            self.busy.eq(left != 0),
            processor.valid.eq(self.valid | self.busy),
            processor.data.eq(Mux(self.busy, rest, self.data)[: self.bits]),
        ]
        with m.If(self.busy):
            m.d.sync += [rest.eq(rest >> self.bits), left.eq(left - 1)]
        with m.Elif(self.valid):
            m.d.sync += [rest.eq(self.data >> self.bits), left.eq(8 // self.bits - 1)]
        return m
