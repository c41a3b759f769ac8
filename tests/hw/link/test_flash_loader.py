"""Weights from the flash: the right ones are loaded word by word, all others are refused."""

import struct
import zlib

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from xnorflow_hw.link.flash_format import image
from xnorflow_hw.link.flash_loader import FlashLoader, LoaderSpec
from xnorflow_hw.memory.spram_rom import ADDRESS_BITS, LOAD_BITS, WIDTH

from .flash_model import FlashModel

ADDRESS = 0x20105
SECTIONS = tuple(
    tuple(np.random.default_rng(n).integers(0, 1 << 16, n).tolist()) for n in (5, 1, 9)
)


def at_address(data):
    return b"\xff" * ADDRESS + data


def load(flash, cycles, *, sections=SECTIONS, swap=None, wait=11, reset=None):
    """Run a loader; return what was written, and the cycles in which it was ready and failed."""
    spec = LoaderSpec(
        tuple(map(len, sections)), int.from_bytes(image(sections)[-4:], "little"), ADDRESS, wait
    )
    loader = FlashLoader(spec)
    m = Module()
    m.domains.sync = domain = ClockDomain()
    m.submodules.loader = loader
    written, ready, failed = [{} for _ in sections], [], []

    async def bench(ctx):
        for cycle in range(cycles):
            if swap and cycle == swap[0]:
                flash.contents = swap[1]
            if reset is not None:
                ctx.set(domain.rst, reset[0] <= cycle < reset[1])
            flash.edge(*(ctx.get(x) for x in (loader.cs, loader.sck, loader.copi)))
            ctx.set(loader.cipo, flash.cipo)
            bus = ctx.get(loader.load)
            for k, words in enumerate(written):
                if bus >> (LOAD_BITS + k) & 1:
                    words[bus >> WIDTH & ((1 << ADDRESS_BITS) - 1)] = bus & 0xFFFF
            ready.extend([cycle] * ctx.get(loader.ready))
            failed.extend([cycle] * ctx.get(loader.failed))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return spec, written, ready, failed


def check(written, sections=SECTIONS):
    assert written == [dict(enumerate(words)) for words in sections]


def test_an_image_is_magic_length_words_and_sum():
    data = image(((0x1234, 0xABCD), (7,)))
    assert data[:14] == b"XNFW\x06\0\0\0\x34\x12\xcd\xab\x07\0"
    assert struct.unpack("<I", data[14:]) == (zlib.crc32(data[:14]),)


@pytest.mark.parametrize("asleep", [True, False])
def test_words_reach_their_place(asleep):
    flash = FlashModel(at_address(image(SECTIONS)), asleep)
    spec, written, ready, failed = load(flash, 1200)
    check(written)
    assert flash.commands == [0xAB, 0x03]
    assert not failed
    assert spec.cycles - 80 < ready[0] <= spec.cycles
    assert ready == list(range(ready[0], 1200))


@pytest.mark.parametrize("at", [0, 5, 8, 20, 37])
def test_a_wrong_bit_anywhere_is_found_and_reading_goes_on(at):
    """The bit is in the header, the first or the last word; afterwards the flash is right again."""
    data = bytearray(image(SECTIONS))
    assert len(data) == 42
    data[at] ^= 0x10
    flash = FlashModel(at_address(bytes(data)))
    spec, written, ready, failed = load(flash, 4000, swap=(1500, at_address(image(SECTIONS))))
    assert failed[0] < spec.cycles
    assert ready[0] > 1500
    assert failed == list(range(failed[0], ready[0]))
    check(written)
    assert flash.commands == [0xAB, 0x03] * (len(flash.commands) // 2)
    assert len(flash.commands) >= 6


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(60),
        image(tuple(tuple(w ^ 1 for w in s) for s in SECTIONS)),
    ],
    ids=["erased", "zeros", "another design's"],
)
def test_what_is_not_the_designs_is_refused(data):
    *_, ready, failed = load(FlashModel(at_address(data)), 2500)
    assert failed and not ready


def test_a_reset_loads_again():
    flash = FlashModel(at_address(image(SECTIONS)))
    _, written, ready, failed = load(flash, 3000, reset=(333, 336))
    check(written)
    assert ready[0] > 336 and not failed
    assert flash.commands == [0xAB, 0x03] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"sections": ()},
        {"sections": (0,)},
        {"sections": (16385,)},
        {"address": 1 << 24},
        {"wait": 0},
    ],
)
def test_bad_parameters(arguments):
    good = {"sections": (1,), "crc": 0, "address": 0, "wait": 1}
    with pytest.raises(ValueError, match="has to"):
        LoaderSpec(**(good | arguments))
