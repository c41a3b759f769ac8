"""Storage of memories: how it is chosen and cut, and that Yosys takes the blocks that we count."""

import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.devices.tables import fpga
from xnorflow.plan.memories import IN_SPRAM, RESERVED, blocks, load_bits, sprams, with_memories
from xnorflow.resources.usage import read_only
from xnorflow.storage.blocks import StorageChoice, spram_number
from xnorflow.storage.cut import Ram, cut, cut_cost, join_luts
from xnorflow_hw.memory import spram_rom as spram
from xnorflow_hw.memory.rom import Rom
from xnorflow_hw.memory.rom_text import RomText
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, DotSpec, InputSpec, StageSpec

BOARDS = {
    "ulx3s-85f": "synth_ecp5 -nowidelut -noflatten -run begin:map_gates",
    "icebreaker": "synth_ice40 -noflatten -run begin:map_gates",
    "tangnano20k": "synth_gowin -noflatten -noiopads -run begin:map_gates",
    "pynq-z1": "synth_xilinx -family xc7 -noiopad -noclkbuf -run begin:map_ffs",
    "kv260": "synth_xilinx -family xcup -noiopad -noclkbuf -run begin:map_ffs",
}
RAMS = {board: Ram.of(fpga(board).family) for board in BOARDS}


@given(
    st.sampled_from(sorted(RAMS)),
    st.integers(2, 40_000),
    st.integers(1, 600),
    st.sampled_from([1.0, 32.0, 1000.0]),
)
def test_tiles_are_native_and_make_up_the_memory(board, depth, width, price):
    ram = RAMS[board]
    tiles = cut(depth, width, ram, price)
    assert sum(t.depth * t.width for t in tiles) == depth * width
    # `Rom` itself checks that no two tiles overlap.
    Rom(words=[0] * depth, width=width, storage="block", tiles=tiles)
    assert all(any(t.depth <= s.depth and t.width <= s.width for s in ram.shapes) for t in tiles)
    blocks = sum(ram.blocks(t) for t in tiles)
    assert cut_cost(depth, width, ram, price)[1] == blocks
    most = max(s.depth * s.width / s.blocks for s in ram.shapes)
    assert blocks >= ceil(depth * width / most)


@given(st.sampled_from(sorted(RAMS)), st.integers(2, 20_000), st.integers(1, 300))
def test_dear_blocks_are_fewer(board, depth, width):
    ram = RAMS[board]
    few, many = cut_cost(depth, width, ram, 1000.0), cut_cost(depth, width, ram, 1.0)
    assert few[1] <= many[1] and few[0] >= many[0] - 1e-6


def test_a_deep_memory_needs_no_multiplexer():
    for board, depth, width, number in (("ulx3s-85f", 4096, 32, 8), ("pynq-z1", 32768, 8, 16)):
        tiles = cut(depth, width, RAMS[board], 32.0)
        assert join_luts(tiles, RAMS[board]) == 0
        assert sum(RAMS[board].blocks(t) for t in tiles) == number


def test_kinds_follow_depth_and_price():
    ecp5, xc7 = fpga("ulx3s-85f").family, fpga("pynq-z1").family
    assert StorageChoice(ecp5).rom(1, 999).storage == "constants"
    assert StorageChoice(ecp5).rom(4, 300).storage == "logic"
    assert StorageChoice(ecp5).rom(12, 20).storage == "distributed"
    assert StorageChoice(ecp5).rom(36, 1024).storage == "block"
    assert StorageChoice(xc7, 100.0).rom(36, 1024).storage == "distributed"
    assert (
        StorageChoice(ecp5).ram(4, 16) == "distributed"
        and StorageChoice(ecp5).ram(600, 16) == "block"
    )
    assert StorageChoice(fpga("icebreaker").family).ram(4, 16) == "block"


def test_large_contents_are_no_logic_while_blocks_are_left():
    """LFC at an II of 128: 8,192 bits wide, which tools take hours and gigabytes to map to LUTs."""
    xc7 = fpga("zc706").family
    assert StorageChoice(xc7).rom(128, 2000).storage == "distributed"
    assert StorageChoice(xc7).rom(128, 8192).storage == "block"
    assert StorageChoice(xc7, 1000.0).rom(128, 8192).storage == "distributed"


def synthesised_blocks(board: str, folder, roms: dict[str, Rom]) -> Counter[str]:
    """Let Yosys map ROMs, and count the blocks of each; a pair counts as two."""
    ports, uses, modules = [], [], []
    for name, rom in roms.items():
        for file, text in rom.images.items():
            (folder / file).write_text(text)
        modules += rom.modules.values()
        ports.append(f"output wire [{rom.width - 1}:0] {name}_data")
        high = (rom.depth - 1).bit_length() - 1
        uses.append(f"{name} u_{name} (.clk(clk), .address(a[{high}:0]), .data({name}_data));")
    top = f"module top (input wire clk, input wire [19:0] a, {', '.join(ports)});"
    (folder / "top.v").write_text("\n".join([*modules, top, *uses, "endmodule"]))
    script = (
        "from pyosys import libyosys as ys; d = ys.Design();"
        "[ys.run_pass(c, d) for c in ('read_verilog top.v',"
        f" '{BOARDS[board]} -top top', 'tee -o stat.txt stat')]"
    )
    subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, timeout=300
    )
    found, module = Counter[str](), ""
    for line in (folder / "stat.txt").read_text().split("design hierarchy")[0].splitlines():
        if m := re.match(r"=== (\S+) ===", line):
            module = m[1]
        elif m := re.match(r" +(\d+) +(DP16KD|SB_RAM40_4K|SPX?9?|RAMB(18|36)E\d)$", line):
            found[module] += int(m[1]) * (2 if m[3] == "36" else 1)
    return found


@pytest.mark.parametrize("board", BOARDS)
def test_yosys_takes_the_blocks_that_are_counted(board, tmp_path):
    pytest.importorskip("pyosys")
    rng = random.Random(board)
    shapes = [(36, 100), (2304, 20), (5000, 3)]
    shapes += [(rng.randint(20, 3000), rng.randint(1, 60)) for _ in range(2)]
    roms, expected = {}, {}
    for k, (depth, width) in enumerate(shapes):
        tiles = cut(depth, width, RAMS[board], rng.choice([1.0, 32.0, 1000.0]))
        roms[f"rom{k}"] = Rom(
            words=[rng.getrandbits(width) for _ in range(depth)],
            width=width,
            storage="block",
            tiles=tiles,
            name=f"rom{k}",
            style="verilog",
            image_bits=0,
        )
        expected[f"rom{k}"] = sum(RAMS[board].blocks(t) for t in tiles)
    assert synthesised_blocks(board, tmp_path, roms) == expected


def dense(*shapes):
    """Build an accelerator of dense layers; each of `shapes` is the words and bits of a ROM."""
    rng = np.random.default_rng(0)
    stages = []
    for k, (depth, width) in enumerate(shapes):
        buffer = BufferSpec(
            width, depth, 1, 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 0, 0, 1, False, False, depth
        )
        array = DotSpec(1, width, 1, (1,), rng.integers(0, 2, (depth, 1, 1, width)), 16)
        stages.append(StageSpec(f"dense{k}", buffer, array, (), 1, 2))
    source = InputSpec(1, 1, np.zeros((1, 256), int), 1, 1)
    return AcceleratorSpec("net", source, tuple(stages), (), 1, 1, 16, False)


def with_blocks(number):
    """Return the iCEBreaker's FPGA with another number of blocks for the accelerator."""
    device = fpga("icebreaker")
    return replace(device, ram_blocks=replace(device.ram_blocks, value=number + RESERVED))


def storages(spec):
    return [s.array.rom.storage for s in spec.stages]


def test_only_a_board_has_copies_of_addresses():
    spec = dense((12288, 128))
    far = with_memories(spec, fpga("ulx3s-85f")).stages[0].array.rom
    assert far.far and far.extra == 2 and len(far.tiles) > 16
    plain = with_memories(spec, None)
    assert plain.stages[0].array.rom == replace(far, far=False)


@pytest.mark.parametrize(("depth", "width"), [(512, 2048), (1152, 512), (8192, 128), (64, 4096)])
def test_flip_flops_of_far_tiles_are_those_of_the_text(depth, width):
    choice = StorageChoice(fpga("ulx3s-85f").family)
    far = choice.rom(depth, width)
    assert far.far and len(far.tiles) > 16

    def registers(rom):
        """Count the bits of extra registers and of copies of the address in the ROM's Verilog."""
        text = RomText("rom", depth, width, rom, {})._module().partition("`else")[2]
        copies = re.findall(r"wire \[(\d+):0\] address_\d+;", text)
        words = re.findall(r"reg \[(\d+):0\] s_\d+;", text)
        return sum(int(high) + 1 for high in (*copies, *words))

    found, cycles = choice.far_registers(depth, width, far)
    assert registers(replace(far, far=False)) == 0 < registers(far)
    # A copy of the address for shallow tiles only may be narrower than the estimate assumes.
    assert registers(far) <= found <= 1.05 * registers(far)
    assert cycles == far.extra == 2
    assert choice.far_registers(depth, width, None) == (found, cycles)
    assert choice.far_registers(depth, width, replace(far, far=False)) == (0, 0)


def test_only_large_memories_of_ecp5_are_far():
    assert StorageChoice(fpga("ulx3s-85f").family).far_registers(512, 16 * 36, None) == (0, 0)
    for board in ("icebreaker", "tangnano20k", "pynq-z1"):
        assert StorageChoice(fpga(board).family).far_registers(4096, 2048, None) == (0, 0)


def test_weights_go_to_spram_only_where_blocks_do_not_suffice():
    spec = dense((4096, 16), (256, 64), (1024, 16))
    taken = [16, 4, 4]  # Blocks of the weights alone; each buffer takes blocks, too.
    family = fpga("icebreaker").family
    usual = with_memories(spec, with_blocks(1000))
    assert storages(usual) == ["block"] * 3 and sprams(usual) == 0
    need = blocks(usual, family)
    assert storages(with_memories(spec, with_blocks(need))) == ["block"] * 3
    # One SPRAM is enough, and in the first stage it saves most blocks.
    made = with_memories(spec, with_blocks(need - 1))
    assert storages(made) == ["spram", "block", "block"]
    assert sprams(made) == 1 and blocks(made, family) == need - taken[0]
    # Two are needed. The third stage saves as many blocks as the second, which would take four.
    made = with_memories(spec, with_blocks(need - 20))
    assert storages(made) == ["spram", "block", "spram"] and sprams(made) == 2
    assert load_bits(made) == 32 and load_bits(usual) == 0


def test_there_are_no_more_sprams_than_the_board_has():
    wide = dense((4096, 64), (4096, 48), (4096, 16), (4096, 16))
    made = with_memories(wide, with_blocks(60))
    assert sprams(made) == 4
    assert storages(made)[0] == "spram" or storages(made)[1:].count("spram") == 2
    assert sprams(with_memories(wide, fpga("tangnano9k"))) == 0
    assert sprams(with_memories(wide, None)) == 0


@given(st.integers(2, 70_000), st.integers(1, 100))
def test_sprams_are_those_that_the_hardware_has(depth, width):
    assert spram_number(depth, width, fpga("icebreaker").family) == len(spram.cut(depth, width))
    assert spram_number(depth, width, fpga("tangnano9k").family) == 0


def test_spram_is_counted_apart():
    ice40, ecp5 = fpga("icebreaker").family, fpga("ulx3s-85f").family
    found = read_only(5000, 40, ice40, IN_SPRAM)
    assert (found.sprams, found.ram_blocks) == (3, 0) and 0 < found.luts < 32
    # A family without SPRAM takes the cheapest storage that it has.
    assert read_only(5000, 40, ecp5, IN_SPRAM) == read_only(5000, 40, ecp5)
    assert read_only(5000, 40, ice40).sprams == 0
