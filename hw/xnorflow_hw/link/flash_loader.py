"""Loads SPRAMs from the SPI flash that holds the bitstream, after every reset.

The contents have to be those that the design was built with: their CRC-32 is part of the design. So
weights that are missing, damaged or another design's are all found out.
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
"""Commands of all common SPI flashes: release from deep power-down, in which configuration leaves
the flash, and read from a 24-bit address."""
WAKE_SECONDS = 50e-6
"""From waking it to the first command; W25Q128JV asks for 3 us, the slowest types for 35 us."""


@dataclass(frozen=True)
class LoaderSpec:
    """What is to be loaded.

    Parameters
    ----------
    sections : tuple of int
        Words of each SPRAM.
    crc : int
        CRC-32 of the image without its own.
    address : int
        Where the image begins in the flash, in bytes.
    wait : int
        Clock cycles for which the flash is left alone after waking it.
    """

    sections: tuple[int, ...]
    crc: int
    address: int
    wait: int

    def __post_init__(self) -> None:
        if not self.sections or min(self.sections) < 1 or max(self.sections) > DEPTH:
            raise ValueError(f"sections have {self.sections} words, not 1 to {DEPTH}")
        if not 0 <= self.address < 1 << 24 or self.wait < 1:
            raise ValueError(f"address {self.address} or wait {self.wait} is not possible")

    @classmethod
    def of(cls, sections: Sequence[Sequence[int]], *, address: int, clock_hz: float) -> LoaderSpec:
        """Describe how to load what `flash_format.image` makes of the sections."""
        crc = int.from_bytes(image(sections)[-4:], "little")
        wait = round(clock_hz * WAKE_SECONDS) + 1
        return cls(tuple(len(s) for s in sections), crc, address, wait)

    @property
    def cycles(self) -> int:
        """Clock cycles, about, of an attempt."""
        return 2 * (self.wait + 64 + 8 * (HEADER.size + 2 * sum(self.sections))) + 32


class FlashLoader(wiring.Component):
    """Read the image again and again until it is right.

    The flash's clock is half of ours. It is sampled as its clock falls, so the way to the flash
    and back may take two of our cycles.

    Parameters
    ----------
    spec : LoaderSpec
        What to load.

    Members
    -------
    cs, sck, copi : Out(1)
        To the flash, SPI mode 0; `cs` is 1 while it is addressed.
    cipo : In(1)
        From it.
    load : Out(LOAD_BITS + SPRAMs)
        The load bus; see `spram.LOAD_BITS`.
    ready : Out(1)
        All SPRAMs are right.
    failed : Out(1)
        An attempt went wrong and none was right since.
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
        """Step through wait, wake, wait, read, check."""
        m = Module()
        spec = self.spec
        m.submodules.crc = crc = Crc32()
        # `run`: bits go over the wires, the clock being high in the second cycle of each.
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
