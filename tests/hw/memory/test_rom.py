"""Read-only memory: every storage delivers its words at its latency; images hold the same words."""

import numpy as np
import pytest

from xnorflow_hw.fabric.primitives import PROLOGUE
from xnorflow_hw.memory.rom import Rom, bit_words, field_words
from xnorflow_hw.spec import Tile

from ..harness import Drive, Watch, run
from ..prove import simulated
from ..verilog import lint, simulate


def read(rom, addresses):
    watch = Watch(rom, ["data"], valid=None, count=len(addresses) + rom.latency)
    last = len(addresses) - 1
    run(rom, Drive(rom.address, lambda cycle: int(addresses[min(cycle, last)])), watch, drain=0)
    return [values["data"] for _, values in watch.events][rom.latency :]


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 13])
@pytest.mark.parametrize(
    ("storage", "register", "latency"),
    [("auto", True, 2), ("auto", False, 1), ("block", True, 2), ("logic", True, 1)],
)
@pytest.mark.parametrize("registers", [False, True])
def test_words_at_the_latency(depth, storage, register, latency, registers):
    rng = np.random.default_rng(depth)
    words = [int.from_bytes(rng.bytes(9), "little") for _ in range(depth)]
    rom = Rom(words=words, width=72, storage=storage, register=register, registers=registers)
    assert rom.latency == (latency + (registers and latency == 2) if depth > 1 else 0)
    addresses = rng.integers(0, depth, 40)
    assert read(rom, addresses) == rom.model(addresses)


def test_bit_words_put_element_0_lowest():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (5, 37))
    expected = [sum(int(b) << i for i, b in enumerate(row)) for row in bits]
    assert bit_words(bits) == expected == field_words(bits, 1)


def test_field_words_are_twos_complement():
    assert field_words(np.array([[1, -1], [-8, 7]]), 4) == [0xF1, 0x78]
    assert field_words(np.zeros((2, 0), int), 4) == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"words": [], "width": 4}, "empty"),
        ({"words": [16], "width": 4}, "16"),
        ({"words": [-1], "width": 4}, "-1"),
        ({"words": [1], "width": 4, "storage": "ultra"}, "ultra"),
        ({"words": [1], "width": 4, "style": "vhdl"}, "vhdl"),
        ({"words": [1], "width": 4, "name": "a b"}, "a b"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rom(**arguments)


def test_image_only_for_large_contents_in_verilog():
    arguments = {"words": [1, 2, 3, 0x1F], "width": 5, "name": "r", "image_bits": 16}
    assert Rom(**arguments).images == {}
    assert Rom(**arguments | {"image_bits": 20}, style="verilog").images == {}
    assert Rom(**arguments, style="verilog").images == {"r.hex": "01\n02\n03\n1f\n"}
    assert Rom(**arguments | {"words": [3], "image_bits": 4}, style="verilog").images == {}


@pytest.mark.rtl
@pytest.mark.parametrize("storage", ["auto", "block", "distributed", "logic"])
def test_module_is_lint_clean(storage, tmp_path):
    rom = Rom(
        words=[1, 2, 3], width=70, storage=storage, name="weights", style="verilog", image_bits=0
    )
    (tmp_path / "weights.hex").write_text(rom.images["weights.hex"])
    assert ("rom_style" in rom.modules["weights"]) == (storage in ("block", "distributed"))
    lint(rom.modules["weights"], tmp_path, top="weights")


TILED = {
    # Depth, width, tiles.
    "rows": (21, 5, [Tile(0, 8, 0, 5), Tile(8, 8, 0, 5), Tile(16, 5, 0, 5)]),
    "both": (
        10,
        7,
        [
            Tile(0, 8, 0, 3),
            Tile(0, 4, 3, 4),
            Tile(4, 4, 3, 4),
            Tile(8, 2, 0, 6),
            Tile(8, 2, 6, 1),
        ],
    ),
    "many beside each other": (
        9,
        31,
        [Tile(0, 9, low, 3) for low in range(0, 30, 3)] + [Tile(0, 9, 30, 1)],
    ),
    "many joined": (
        41,
        9,
        [Tile(first, min(8, 41 - first), low, 3) for first in range(0, 41, 8) for low in (0, 3, 6)],
    ),
    "one word": (9, 6, [Tile(0, 8, 0, 6), Tile(8, 1, 0, 6)]),
    "a row that is no power of two": (
        13,
        5,
        [
            Tile(0, 12, 0, 2),
            Tile(0, 8, 2, 3),
            Tile(8, 4, 2, 3),
            Tile(12, 1, 0, 5),
        ],
    ),
}


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("registers", "far", "body"),
    [
        (False, False, "simulator"),
        (True, False, "simulator"),
        (True, True, "simulator"),
        (False, False, "structure"),
        (True, False, "structure"),
        (True, True, "structure"),
        (True, True, "primitives"),
    ],
)
@pytest.mark.parametrize("name", TILED)
def test_tiles_give_the_words(name, registers, far, body, tmp_path):
    depth, width, tiles = TILED[name]
    rng = np.random.default_rng(depth)
    words = [int(word) for word in rng.integers(0, 1 << width, depth)]
    rom = Rom(
        words=words,
        width=width,
        storage="block",
        tiles=tiles,
        registers=registers,
        far=far,
        name="top",
        style="verilog",
    )
    assert rom.latency == 2 + registers + 2 * far
    assert sorted(rom.images) == sorted(f"top_{k}.hex" for k in range(len(tiles)))
    for file, text in rom.images.items():
        (tmp_path / file).write_text(text)
    text = PROLOGUE + "".join(rom.modules.values())
    options = {
        "simulator": [],
        "structure": ["-DXNORFLOW_STRUCTURAL"],
        "primitives": ["-DXNORFLOW_STRUCTURAL", "-DXNORFLOW_PRIMITIVES"],
    }[body]
    if body == "primitives":
        options += simulated("ecp5")
    else:
        lint(text, tmp_path, *options)
    # The address changes every cycle; the output register is outside of the module.
    addresses = rng.integers(0, depth, 60)
    lines = []
    for cycle, address in enumerate(addresses):
        lines.append(f"top.address = {address};")
        if cycle >= rom.latency - 1:
            lines.append('top.eval(); printf("%llu\\n", (unsigned long long)top.data);')
        lines.append("tick();")
    seen = [int(line) for line in simulate(text, "\n".join(lines), tmp_path, *options)]
    assert seen == [words[a] for a in addresses[: len(seen)]] and len(seen) > 50


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        ([Tile(0, 4, 0, 3), Tile(0, 4, 2, 3)], "bits 2 to 2"),
        ([Tile(0, 4, 0, 2), Tile(0, 4, 3, 2)], "bits 2 to 2"),
        ([Tile(0, 4, 0, 4)], "bits 4 to 4"),
        ([Tile(0, 2, 0, 5)], "bits 0 to 4"),
        ([Tile(0, 3, 0, 5), Tile(3, 1, 0, 4)], "bits 4 to 4"),
        ([Tile(0, 1, 0, 5), Tile(1, 3, 0, 5)], "not a multiple of its depth"),
        ([Tile(0, 8, 0, 5)], "within the memory of 4 words"),
    ],
)
def test_tiles_have_to_be_the_memory(tiles, message):
    with pytest.raises(ValueError, match=message):
        Rom(words=[1, 2, 3, 4], width=5, storage="block", tiles=tiles)


def test_only_block_ram_is_cut():
    with pytest.raises(ValueError, match="only block RAM"):
        Rom(words=[1, 2], width=2, storage="logic", tiles=[Tile(0, 2, 0, 1), Tile(0, 2, 1, 1)])
