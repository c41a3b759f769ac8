"""Read-only memory: every kind gives its words at its latency; images hold the same words."""

import numpy as np
import pytest

from xnorflow_hw.rom import Rom, bit_words, field_words

from .harness import Drive, Watch, run
from .verilog import lint


def read(rom, addresses):
    watch = Watch(rom, ["data"], valid=None, count=len(addresses) + rom.latency)
    last = len(addresses) - 1
    run(rom, Drive(rom.address, lambda cycle: int(addresses[min(cycle, last)])), watch, drain=0)
    return [values["data"] for _, values in watch.events][rom.latency :]


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 13])
@pytest.mark.parametrize(
    ("kind", "register", "latency"),
    [("auto", True, 2), ("auto", False, 1), ("block", True, 2), ("logic", True, 1)],
)
def test_words_at_the_latency(depth, kind, register, latency):
    rng = np.random.default_rng(depth)
    words = [int.from_bytes(rng.bytes(9), "little") for _ in range(depth)]
    rom = Rom(words=words, width=72, kind=kind, register=register)
    assert rom.latency == (latency if depth > 1 else 0)
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
        ({"words": [1], "width": 4, "kind": "ultra"}, "ultra"),
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
@pytest.mark.parametrize("kind", ["auto", "block", "distributed", "logic"])
def test_module_is_lint_clean(kind, tmp_path):
    rom = Rom(
        words=[1, 2, 3], width=70, kind=kind, name="weights", style="verilog", image_bits=0
    )
    (tmp_path / "weights.hex").write_text(rom.images["weights.hex"])
    assert ("rom_style" in rom.modules["weights"]) == (kind in ("block", "distributed"))
    lint(rom.modules["weights"], tmp_path, top="weights")
