"""The slave end of AXI4-Lite: five channels outside, one write and one read at a time inside."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Response(IntEnum):
    """Codes on RRESP and BRESP."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class AxiLite(wiring.Component):
    """Takes requests from an AXI4-Lite master, with 32 bits of data, and answers each one.

    Address and data of a write may arrive in either order and any number of cycles apart. Writes
    and reads do not wait for each other. Every ready comes from a register. At full speed there is
    a write and a read in every other cycle.

    The lowest two address bits are not passed on. The strobes of a write say which bytes are meant,
    and a master that reads less than a word picks its bytes from the whole word. So the narrow
    accesses that a bridge from AXI4 passes through are handled correctly.

    Parameters
    ----------
    address_bits : int
        Width of a byte address in bits, at least 3.

    Members
    -------
    awaddr, awvalid, awready : In(address_bits), In(1), Out(1)
        Channel of write addresses.
    wdata, wstrb, wvalid, wready : In(32), In(4), In(1), Out(1)
        Channel of write data.
    bresp, bvalid, bready : Out(2), Out(1), In(1)
        Channel of write responses.
    araddr, arvalid, arready : In(address_bits), In(1), Out(1)
        Channel of read addresses.
    rdata, rresp, rvalid, rready : Out(32), Out(2), Out(1), In(1)
        Channel of read data.
    write : Out(1)
        Whether a write happens in this cycle: of the bytes `write_strobe` of `write_data` to the
        word `write_word`.
    write_word : Out(address_bits - 2)
        Address of the word to write.
    write_data, write_strobe : Out(32), Out(4)
        Data, and one bit per byte that is written.
    write_response : In(2)
        Response to the write, in the same cycle.
    read_word : Out(address_bits - 2)
        Address of the word to read.
    read_data, read_response : In(32), In(2)
        Data and response, in the same cycle. Reading must not have side effects.

    Raises
    ------
    ValueError
        If `address_bits` is below 3.
    """

    def __init__(self, *, address_bits: int) -> None:
        if address_bits < 3:
            raise ValueError(f"address_bits is {address_bits}; it has to be 3 or more")
        super().__init__(
            {
                "awaddr": In(address_bits),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(32),
                "wstrb": In(4),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(2),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(address_bits),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(32),
                "rresp": Out(2),
                "rvalid": Out(1),
                "rready": In(1),
                "write": Out(1),
                "write_word": Out(address_bits - 2),
                "write_data": Out(32),
                "write_strobe": Out(4),
                "write_response": In(2),
                "read_word": Out(address_bits - 2),
                "read_data": In(32),
                "read_response": In(2),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build registers that hold one request of each channel until it can be carried out."""
        m = Module()
        has_address, has_data, has_read = Signal(), Signal(), Signal()
        m.d.comb += [
            self.awready.eq(~has_address),
            self.wready.eq(~has_data),
            self.arready.eq(~has_read),
            self.write.eq(has_address & has_data & (~self.bvalid | self.bready)),
        ]
        with m.If(self.awvalid & self.awready):
            m.d.sync += [has_address.eq(1), self.write_word.eq(self.awaddr[2:])]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [
                has_data.eq(1),
                self.write_data.eq(self.wdata),
                self.write_strobe.eq(self.wstrb),
            ]
        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(self.write):
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                self.bvalid.eq(1),
                self.bresp.eq(self.write_response),
            ]

        with m.If(self.arvalid & self.arready):
            m.d.sync += [has_read.eq(1), self.read_word.eq(self.araddr[2:])]
        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)
        with m.If(has_read & (~self.rvalid | self.rready)):
            m.d.sync += [
                has_read.eq(0),
                self.rvalid.eq(1),
                self.rdata.eq(self.read_data),
                self.rresp.eq(self.read_response),
            ]
        return m
