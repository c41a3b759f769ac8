"""Loads SPRAMs from the SPI flash that holds the bitstream, after every reset.

The contents have to be those that the design was built with; their CRC-32 is a constant of the
design. So missing, damaged or foreign weights are all noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow_hw.base.crc import Crc32
from xnorflow_hw.link.flash_format import HEADER, image
from xnorflow_hw.memory.spram_rom import ADDRESS_BITS, DEPTH, LOAD_BITS

WAKE, READ = 0xAB, 0x03
"""Commands of all common SPI flashes: wake up, and read from a 24-bit address.

Configuration leaves the flash in deep power-down, from which it has to be woken up.
"""
WAKE_SECONDS = 50e-6
"""Time from the wake-up command to the next one.

W25Q128JV needs 3 us, and the slowest types need 35 us.
"""


@dataclass(frozen=True)
class LoaderSpec:
    """Spec of a loader: what it loads, and from where.

    Parameters
    ----------
    sections : tuple of int
        Number of words of each SPRAM.
    crc : int
        CRC-32 that the image ends with.
    address : int
        Byte address at which the image begins in the flash.
    wait : int
        Clock cycles for which the flash is left alone after the wake-up command.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    sections: tuple[int, ...]
    crc: int
    address: int
    wait: int

    def __post_init__(self) -> None:
        if not self.sections or min(self.sections) < 1 or max(self.sections) > DEPTH:
            raise ValueError(
                f"sections have {self.sections} words; there has to be at least one section, and"
                f" each has to have 1 to {DEPTH} words"
            )
        if not 0 <= self.address < 1 << 24 or self.wait < 1:
            raise ValueError(
                f"address is {self.address} and wait is {self.wait}; the address has to be in 0 to"
                f" {(1 << 24) - 1} and wait has to be 1 or more"
            )

    @classmethod
    def of(cls, sections: Sequence[Sequence[int]], *, address: int, clock_hz: float) -> LoaderSpec:
        """Return the spec that loads the image that `flash_format.image` makes of the sections.

        Parameters
        ----------
        sections : sequence of sequence of int
            Words of each SPRAM.
        address : int
            Byte address at which the image begins in the flash.
        clock_hz : float
            Frequency of the loader's clock.
        """
        crc = int.from_bytes(image(sections)[-4:], "little")
        wait = round(clock_hz * WAKE_SECONDS) + 1
        return cls(tuple(len(s) for s in sections), crc, address, wait)

    @property
    def cycles(self) -> int:
        """Approximate number of clock cycles of an attempt."""
        return 2 * (self.wait + 64 + 8 * (HEADER.size + 2 * sum(self.sections))) + 32


class FlashLoader(wiring.Component):
    """Reads the image again and again until it is right.

    The clock of the flash is half of the loader's. Data are sampled as the flash's clock falls, so
    that the way to the flash and back may take two cycles of the loader's clock.

    Parameters
    ----------
    spec : LoaderSpec
        What has to be loaded, and from where.

    Members
    -------
    cs, sck, copi : Out(1)
        Wires to the flash, SPI mode 0; `cs` is 1 while the flash is selected.
    cipo : In(1)
        Data from the flash.
    load : Out(LOAD_BITS + number of SPRAMs)
        The load bus; see `spram_rom.LOAD_BITS`.
    ready : Out(1)
        Whether all SPRAMs have the right contents.
    failed : Out(1)
        Whether the last attempt went wrong.
    """

    def __init__(self, spec: LoaderSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "cs": Out(1),
                "sck": Out(1),
                "copi": Out(1),
                "cipo": In(1),
                "load": Out(LOAD_BITS + len(spec.sections)),
                "ready": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the state machine that reads the image, and the counters of its words.

        WAIT leaves the flash alone for a time, WAKE sends the wake-up command, and WAIT follows
        again. READ sends the read command and the address, DATA writes the header and all words to
        the load bus while their CRC is computed, and CHECK compares it. READY is final; after a
        wrong CRC everything begins again with WAIT.
        """
        m = Module()
        spec = self.spec
        m.submodules.crc = crc = Crc32()
        # While `run` is 1, bits go over the wires. Each takes two cycles; `sck` is 1 in the second.
        run, bit_done, bit = Signal(), Signal(), Signal(5)
        m.d.comb += bit_done.eq(run & self.sck)
        m.d.sync += self.sck.eq(run & ~self.sck)
        with m.If(bit_done):
            m.d.sync += bit.eq(bit + 1)
        shift, got = Signal(16), Signal()
        with m.If(bit_done):
            m.d.sync += shift.eq(Cat(self.cipo, shift))
        command = Const(READ << 24 | spec.address, 32)
        wake = Const(WAKE, 8)

        # Two bytes are a word. The header counts as a section before those of the SPRAMs.
        second, word_done, last_word = Signal(), Signal(), Signal()
        lengths = (HEADER.size // 2, *spec.sections)
        section = Signal(len(lengths), init=1)
        address = Signal(ADDRESS_BITS)
        last = Signal(ADDRESS_BITS)
        for mine, length in zip(section, lengths, strict=True):
            with m.If(mine):
                m.d.comb += last.eq(length - 1)
        m.d.comb += [
            crc.valid.eq(got),
            crc.data.eq(shift[:8]),
            word_done.eq(got & second),
            last_word.eq(word_done & (address == last)),
            self.load.eq(Cat(shift[8:], shift[:8], address, Mux(word_done, section[1:], 0))),
        ]
        with m.If(got):
            m.d.sync += second.eq(~second)
        with m.If(word_done):
            m.d.sync += address.eq(Mux(last_word, 0, address + 1))
        with m.If(last_word):
            m.d.sync += section.eq(section.rotate_left(1))

        timer, awake = Signal(range(spec.wait)), Signal()
        with m.FSM(init="WAIT"):
            with m.State("WAIT"):
                m.d.sync += [timer.eq(timer + 1), bit.eq(0)]
                with m.If(timer == spec.wait - 1):
                    m.d.sync += [timer.eq(0), self.cs.eq(1)]
                    m.next = "WAKE"
                    with m.If(awake):
                        m.next = "READ"
            with m.State("WAKE"):
                m.d.comb += [run.eq(1), self.copi.eq(wake.bit_select(~bit[:3], 1))]
                with m.If(bit_done & (bit == 7)):
                    m.d.sync += [self.cs.eq(0), awake.eq(1)]
                    m.next = "WAIT"
            with m.State("READ"):
                m.d.comb += [run.eq(1), crc.start.eq(1), self.copi.eq(command.bit_select(~bit, 1))]
                with m.If(bit_done & (bit == 31)):
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += run.eq(1)
                m.d.sync += got.eq(bit_done & (bit[:3] == 7))
                with m.If(last_word & section[-1]):
                    m.d.comb += run.eq(0)
                    m.d.sync += [self.cs.eq(0), awake.eq(0)]
                    m.next = "CHECK"
            with m.State("CHECK"), m.If(~crc.busy):
                right = crc.crc == spec.crc
                m.d.sync += [self.ready.eq(right), self.failed.eq(~right)]
                m.next = "WAIT"
                with m.If(right):
                    m.next = "READY"
            with m.State("READY"):
                pass
        return m
