"""UART: 8 data bits, no parity, one stop bit, least significant bit first."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

MIN_DIVISOR = 4
RTS_RESERVE = 32
"""Bytes that a sender may still send after it is told to stop; USB adapters need up to 16."""


def divisor_for(clock_hz: float, baud: int, *, tolerance: float = 0.02) -> int:
    """Return the number of clock cycles per bit.

    Parameters
    ----------
    clock_hz : float
        Clock frequency.
    baud : int
        Bits per second.
    tolerance : float
        Largest relative error of the rate.

    Raises
    ------
    ValueError
        If the nearest divisor misses the rate by more than `tolerance`. Both ends together may be
        off by less than half a bit in ten.
    """
    if clock_hz <= 0 or baud <= 0:
        raise ValueError(f"clock_hz is {clock_hz} and baud is {baud}; both have to be above 0")
    divisor = max(MIN_DIVISOR, round(clock_hz / baud))
    error = clock_hz / divisor / baud - 1
    if abs(error) > tolerance:
        raise ValueError(
            f"{clock_hz / 1e6:g} MHz / {divisor} is {100 * error:+.1f} % off {baud} baud; at most"
            f" {100 * tolerance:g} % is allowed"
        )
    return divisor


class UartReceiver(wiring.Component):
    """Receives bytes by sampling every bit in its middle.

    A start bit that is over by its middle is taken for a spike and ignored. A byte without a stop
    bit is dropped; after it, and after a break, the line has to be high before a new start bit
    counts.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.

    Members
    -------
    rx : In(1)
        The line, asynchronous.
    o_valid, o_data : Out(1), Out(8)
        A pulse for each byte, in the middle of its stop bit.
    error : Out(1)
        A pulse for each byte that is dropped.
    """

    def __init__(self, *, divisor: int) -> None:
        if divisor < MIN_DIVISOR:
            raise ValueError(f"divisor is {divisor}; it has to be {MIN_DIVISOR} or more")
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "o_valid": Out(1),
                "o_data": Out(8),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the counters of cycles and bits, and the states of the line."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        bits = Signal(range(10))
        m.d.sync += timer.eq(timer - 1)
        with m.FSM(init="HIGH"):
            with m.State("HIGH"), m.If(line):  # The line is idle.
                m.next = "IDLE"
            with m.State("IDLE"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"), m.If(timer == 0):
                m.d.sync += [timer.eq(self.divisor - 1), bits.eq(bits + 1)]
                with m.If(bits == 9):
                    m.d.comb += [self.o_valid.eq(line), self.error.eq(~line)]
                    m.next = "HIGH"
                with m.Else():
                    m.d.sync += self.o_data.eq(Cat(self.o_data[1:], line))
                with m.If((bits == 0) & line):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes back to back.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.

    Members
    -------
    i : In(stream(8))
        Bytes to send.
    tx : Out(1)
        The line, from a register.
    permit : In(1)
        Whether a new byte may be started. A byte that has been started is finished in any case.
    """

    def __init__(self, *, divisor: int) -> None:
        if divisor < MIN_DIVISOR:
            raise ValueError(f"divisor is {divisor}; it has to be {MIN_DIVISOR} or more")
        self.divisor = divisor
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "tx": Out(1, init=1),
                "permit": In(1, init=1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the shift register of start bit, data and stop bit."""
        m = Module()
        # Holds the bits still to be sent, below a marker 1; with the marker alone the line is idle.
        shift = Signal(10, init=1)
        timer = Signal(range(self.divisor))
        idle = Signal()
        m.d.comb += [idle.eq((timer == 0) & (shift == 1)), self.i.ready.eq(idle & self.permit)]
        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(~idle):
            m.d.sync += [
                self.tx.eq(shift[0]),
                shift.eq(shift >> 1),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(self.i.valid & self.permit):
            # The start bit goes out at once; data, stop bit and marker enter the shift register.
            m.d.sync += [
                self.tx.eq(0),
                shift.eq(Cat(self.i.payload, 1, 1)),
                timer.eq(self.divisor - 1),
            ]
        return m


class Uart(wiring.Component):
    """A UART receiver with a queue, and a transmitter.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.
    buffer : int
        Capacity of the receiver's queue in bytes. A byte that arrives while it is full is dropped.
    flow : bool
        Whether `rts` and `cts` are used. Without flow control `rts` stays 1 and `cts` is ignored.

    Members
    -------
    rx, tx : In(1), Out(1)
        The data lines.
    cts : In(1)
        Whether the other end lets this one send. On the wire it is active low.
    rts : Out(1)
        Whether this end lets the other one send. On the wire it is active low.
    o, i : Out(stream(8)), In(stream(8))
        Bytes received, and bytes to send.
    error : Out(1)
        A pulse for each byte that is dropped, because of a framing error or a full queue.

    Raises
    ------
    ValueError
        If `divisor` or `buffer` is too small.
    """

    def __init__(self, *, divisor: int, buffer: int = 512, flow: bool = False) -> None:
        if buffer < (2 * RTS_RESERVE if flow else 2):
            least = 2 * RTS_RESERVE if flow else 2
            raise ValueError(f"buffer is {buffer}; it has to be {least} or more")
        self.buffer, self.flow = buffer, flow
        self.receiver = UartReceiver(divisor=divisor)
        self.transmitter = UartTransmitter(divisor=divisor)
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "cts": In(1, init=1),
                "rts": Out(1, init=1),
                "o": Out(stream.Signature(8)),
                "i": In(stream.Signature(8)),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect receiver, queue and transmitter."""
        m = Module()
        m.submodules.receiver = receiver = self.receiver
        m.submodules.transmitter = transmitter = self.transmitter
        m.submodules.queue = queue = SyncFIFOBuffered(width=8, depth=self.buffer)
        wiring.connect(m, wiring.flipped(self.i), transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            queue.w_data.eq(receiver.o_data),
            queue.w_en.eq(receiver.o_valid),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.error.eq(receiver.error | (receiver.o_valid & ~queue.w_rdy)),
        ]
        if self.flow:
            m.submodules.cts = FFSynchronizer(self.cts, transmitter.permit)
            m.d.sync += self.rts.eq(queue.w_level < self.buffer - RTS_RESERVE)
        else:
            m.d.comb += [transmitter.permit.eq(1), self.rts.eq(1)]
        return m
