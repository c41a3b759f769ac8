"""How memories are cut and chosen; the blocks that Yosys takes are those that are counted."""

import random
import re
import subprocess
import sys
from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.estimate.devices import fpga
from xnorflow.estimate.memory import Choice
from xnorflow.estimate.tiles import Ram, cut, cut_cost, join_luts
from xnorflow_hw.rom import Rom

BOARDS = {
    "ulx3s-85f": "synth_ecp5 -nowidelut -noflatten -run begin:map_gates",
    "icebreaker": "synth_ice40 -noflatten -run begin:map_gates",
    "tangnano20k": "synth_gowin -noflatten -noiopads -run begin:map_gates",
    "pynq-z1": "synth_xilinx -family xc7 -noiopad -noclkbuf -run begin:map_ffs",
    "kv260": "synth_xilinx -family xcup -noiopad -noclkbuf -run begin:map_ffs",
}
RAMS = {board: Ram.of(fpga(board).family) for board in BOARDS}


@given(st.sampled_from(sorted(RAMS)), st.integers(2, 40_000), st.integers(1, 600),
       st.sampled_from([1.0, 32.0, 1000.0]))
def test_tiles_are_native_and_make_up_the_memory(board, depth, width, price):
    ram = RAMS[board]
    tiles = cut(depth, width, ram, price)
    assert sum(t.depth * t.width for t in tiles) == depth * width
    # Rom checks that no two overlap.
    Rom(words=[0] * depth, width=width, kind="block", tiles=tiles)
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
    for board, depth, width, blocks in (("ulx3s-85f", 4096, 32, 8), ("pynq-z1", 32768, 8, 16)):
        tiles = cut(depth, width, RAMS[board], 32.0)
        assert join_luts(tiles, RAMS[board]) == 0
        assert sum(RAMS[board].blocks(t) for t in tiles) == blocks


def test_kinds_follow_depth_and_price():
    ecp5, xc7 = fpga("ulx3s-85f").family, fpga("pynq-z1").family
    assert Choice(ecp5).rom(1, 999).kind == "constants"
    assert Choice(ecp5).rom(4, 300).kind == "logic"
    assert Choice(ecp5).rom(12, 20).kind == "distributed"
    assert Choice(ecp5).rom(36, 1024).kind == "block"
    assert Choice(xc7, 100.0).rom(36, 1024).kind == "distributed"
    assert Choice(ecp5).ram(4, 16) == "distributed" and Choice(ecp5).ram(600, 16) == "block"
    assert Choice(fpga("icebreaker").family).ram(4, 16) == "block"


def test_large_contents_are_no_logic_while_blocks_are_left():
    """LFC at an II of 128: 8,192 bits wide, which tools take hours and gigabytes to map to LUTs."""
    xc7 = fpga("zc706").family
    assert Choice(xc7).rom(128, 2000).kind == "distributed"
    assert Choice(xc7).rom(128, 8192).kind == "block"
    assert Choice(xc7, 1000.0).rom(128, 8192).kind == "distributed"


def synthesised_blocks(board: str, folder, roms: dict[str, Rom]) -> Counter[str]:
    """Let Yosys map ROMs; count the blocks of each, a pair twice."""
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
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True,
                   timeout=300)
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
            words=[rng.getrandbits(width) for _ in range(depth)], width=width, kind="block",
            tiles=tiles, name=f"rom{k}", style="verilog", image_bits=0,
        )
        expected[f"rom{k}"] = sum(RAMS[board].blocks(t) for t in tiles)
    assert synthesised_blocks(board, tmp_path, roms) == expected
