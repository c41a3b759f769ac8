"""Memories of SPRAM are read like any other once they are loaded, in every body of their module."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from xnorflow_hw.memory.spram_rom import ADDRESS_BITS, LOAD_BITS, WIDTH, SpramRom, cut, number

from ..harness import Drive, Watch, run
from ..verilog import lint, simulate


def rom_of(depth, width, **options):
    rng = np.random.default_rng(depth + width)
    size = -(-width // 8)
    mask = (1 << width) - 1
    words = [int.from_bytes(rng.bytes(size), "little") & mask for _ in range(depth)]
    return SpramRom(words=words, width=width, **options)


@pytest.mark.parametrize(("register", "latency"), [(True, 2), (False, 1)])
def test_words_at_the_latency(register, latency):
    rom = rom_of(13, 37, register=register)
    assert rom.latency == latency
    addresses = np.random.default_rng(0).integers(0, 13, 40)
    watch = Watch(rom, ["data"], valid=None, count=len(addresses) + latency)
    run(rom, Drive(rom.address, lambda cycle: int(addresses[min(cycle, 39)])), watch, drain=0)
    assert [v["data"] for _, v in watch.events][latency:] == rom.model(addresses)


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (2, 1, 1),
        (16384, 16, 1),
        (16385, 16, 2),
        (16384, 17, 2),
        (784, 64, 4),
        (40000, 17, 6),
    ],
)
def test_as_many_as_predicted(depth, width, expected):
    rom = rom_of(depth, width)
    assert number(depth, width) == len(rom.tiles) == len(rom.sections) == expected
    assert sum(t.depth * t.width for t in cut(depth, width)) == depth * width
    assert sum(map(len, rom.sections)) == sum(t.depth for t in rom.tiles)


def model():
    """Return Yosys's model of the cell, or skip the test."""
    spec = importlib.util.find_spec("pyosys")
    path = spec and Path(next(iter(spec.submodule_search_locations))) / "share/ice40/cells_sim.v"
    if not path or not path.is_file():
        pytest.skip("the cell models of Yosys are not installed")
    return re.search(r"^module SB_SPRAM256KA .*?^endmodule", path.read_text(), re.M | re.S)[0]


READ = """\
  for (unsigned i = 0; i < {cycles}; i++) {{
    unsigned at = rng() % {depth};
    top.address = at; top.load = 0; tick();
    printf("%u %llx\\n", at, (unsigned long long)top.data);
  }}
"""


@pytest.mark.rtl
@pytest.mark.parametrize(("depth", "width"), [(300, 7), (16500, 20)])
@pytest.mark.parametrize("body", ["image", "loaded", "cells"])
def test_every_body_gives_the_words(depth, width, body, tmp_path):
    rom = rom_of(depth, width, name="top", style="verilog")
    text = rom.modules["top"]
    values = ", ".join(str(word) for words in rom.sections for word in words)
    lines = [f"  static const unsigned words[] = {{{values}}};"]
    defines = []
    if body == "image":
        (tmp_path / "top.hex").write_text(rom.images["top.hex"])
    else:
        defines = ["-DXNORFLOW_LOAD"] if body == "loaded" else ["-DXNORFLOW_PRIMITIVES"]
        start = 0
        for k, words in enumerate(rom.sections):
            lines.append(
                f"  for (uint64_t a = 0; a < {len(words)}; a++) {{"
                f" top.address = rng() % {depth};"
                f" top.load = 1ull << {LOAD_BITS + k} | a << {WIDTH} | words[{start} + a];"
                " tick(); }"
            )
            start += len(words)
    if body == "cells":
        text = f"{model()}\n{text}"
    assert LOAD_BITS + len(rom.tiles) <= 64
    lines.append(READ.format(cycles=300, depth=depth))
    for line in simulate(text, "\n".join(lines), tmp_path, *defines):
        at, word = line.split()
        assert int(word, 16) == rom.words[int(at)]


@pytest.mark.rtl
def test_its_verilog_is_clean(tmp_path):
    """The only unused bits are those that a smaller memory does not need."""
    for options in ((), ("-DXNORFLOW_LOAD",)):
        text = rom_of(40000, 33, name="top", style="verilog").modules["top"]
        lint(text, tmp_path, "-Wno-UNUSEDSIGNAL", "-Wno-WIDTHEXPAND", *options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"words": [1]}, "two or more"),
        ({"words": [1, 16]}, "16"),
        ({"style": "vhdl"}, "vhdl"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpramRom(**({"words": [1, 2], "width": 4} | arguments))


def test_the_bus_holds_a_word_and_its_address():
    assert LOAD_BITS == WIDTH + ADDRESS_BITS == 30
