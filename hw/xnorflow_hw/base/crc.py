"""The CRC-32 of Ethernet over bytes, a few bits per cycle: fewer bits take less logic."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out


class Crc32(wiring.Component):
    """Computes the CRC-32 of a sequence of bytes.

    A message followed by its own CRC, lowest byte first, gives a `match`.

    Parameters
    ----------
    bits : {1, 2, 4, 8}
        Bits computed per cycle; a byte takes ``8 / bits`` cycles.

    Members
    -------
    start : In(1)
        Starts a new sequence. Must not be 1 while `busy` or together with `valid`.
    valid, data : In(1), In(8)
        A byte of the sequence. Must not be valid while `busy`.
    busy : Out(1)
        Whether a byte is still being processed.
    crc : Out(32)
        CRC of the bytes so far; valid while not `busy`.
    match : Out(1)
        Whether the bytes so far end in their own CRC; valid while not `busy`.

    Raises
    ------
    ValueError
        If `bits` is another number.
    """

    def __init__(self, *, bits: int = 1) -> None:
        if bits not in (1, 2, 4, 8):
            raise ValueError(f"bits is {bits}; it has to be 1, 2, 4 or 8")
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
        """Pass each byte to Amaranth's CRC processor, its lowest bits first."""
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
