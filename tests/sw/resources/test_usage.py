from dataclasses import replace
from itertools import combinations_with_replacement
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.devices import tables as devices
from xnorflow.errors import BadInput
from xnorflow.resources import coefficients
from xnorflow.resources import usage as fpga
from xnorflow.resources.engine import DesignSummary, EngineSummary
from xnorflow.resources.usage import (
    design_resources,
    engine_blocks,
    engine_parts,
    engine_resources,
    memory,
    ram_blocks,
    read_only,
)
from xnorflow_hw.spec import RomSpec

ECP5, ICE40, GW2A, XC7 = (
    devices.fpga(b).family for b in ("ulx3s-85f", "icebreaker", "tangnano20k", "pynq-z1")
)


def dense(inputs: int, outputs: int, pe: int, simd: int) -> EngineSummary:
    depth = ceil(inputs / simd) * ceil(outputs / pe)
    return EngineSummary(
        name="fc",
        kind="conv",
        positions=1,
        channels=outputs,
        reduction=inputs,
        inputs=inputs,
        pe=pe,
        simd=simd,
        cycles=depth,
        rom_depth=depth,
        rom_width=pe * simd,
        buffer_depth=ceil(inputs / simd),
        buffer_width=simd,
        act_bits=1,
        acc_bits=inputs.bit_length(),
        threshold_rows=ceil(outputs / pe),
        threshold_levels=1,
        threshold_words=(pe * (inputs.bit_length() + 1),),
    )


# Placed single-engine designs of an earlier prototype: blocks of their weights, and of all.
PLACED = {
    "ECP5": (ECP5, dense(1152, 128, 16, 128), 57),
    "GW2A": (GW2A, dense(576, 64, 8, 64), 15),
    "UP5K": (ICE40, dense(288, 64, 8, 32), 16),
}


@pytest.mark.parametrize("name", PLACED)
def test_weights_take_the_blocks_that_placed_designs_have(name):
    family, engine, blocks = PLACED[name]
    assert read_only(engine.rom_depth, engine.rom_width, family).ram_blocks == blocks
    in_luts = RomSpec("distributed")
    alone = replace(engine, buffer_ram="distributed", threshold_rom=in_luts)
    assert 0 <= engine_resources(alone, family).ram_blocks - blocks <= 2


def test_packing_equals_what_synthesis_took_for_a_large_rom():
    assert ram_blocks(2304, 2048, ECP5.ram_shapes) == 285
    assert ceil(ram_blocks(2304, 2048, XC7.ram_shapes) / 2) == 143


@given(st.integers(1, 5000), st.integers(1, 14))
def test_packing_is_the_best_set_of_columns(depth, width):
    shapes = ICE40.ram_shapes
    best = min(
        sum(ceil(depth / d) for d, _ in columns)
        for n in range(1, ceil(width / 2) + 1)
        for columns in combinations_with_replacement(shapes, n)
        if sum(w for _, w in columns) >= width
    )
    assert ram_blocks(depth, width, shapes) == best >= ceil(depth * width / 4096)


@given(st.integers(1, 3000), st.integers(1, 300), st.integers(0, 3000), st.integers(0, 300))
def test_packing_grows_with_the_memory(depth, width, deeper, wider):
    shapes = XC7.ram_shapes
    assert ram_blocks(depth, width, shapes) <= ram_blocks(depth + deeper, width + wider, shapes)


def test_small_memories_take_no_ram_blocks():
    assert memory(16, 8, ECP5).ram_blocks == 0
    assert memory(16, 64, GW2A).luts == 64
    assert memory(64, 32, XC7).luts == 44 and memory(32, 32, XC7).luts == 24
    assert memory(512, 32, XC7).ram_blocks == 1
    assert memory(64, 32, ICE40, "distributed").ram_blocks == 2
    assert memory(1, 32, ICE40).ffs == 32 and memory(2, 32, ICE40).ram_blocks == 2
    assert read_only(1, 99, ECP5).luts == 0 and read_only(16, 10, ECP5).luts == 10
    assert read_only(65, 10, ECP5).ram_blocks == 1


def test_the_rom_kind_decides_where_weights_go():
    engine = dense(1024, 64, 8, 32)
    roms = {
        kind: engine_parts(replace(engine, rom=RomSpec(kind)), XC7)["array"]
        for kind in ("block", "distributed", "logic")
    }
    auto = engine_parts(engine, XC7)["array"]
    assert auto == roms["block"] and auto.ram_blocks == ceil(256 / 36)
    assert roms["distributed"] == roms["logic"] and roms["logic"].ram_blocks == 0
    assert engine_parts(dense(32, 8, 8, 32), XC7)["array"].ram_blocks == 0


def test_a_pool_has_no_weights():
    pool = EngineSummary("pool", "maxpool", 196, 64, 4, 28 * 28 * 64, 8, 1, 6272, 0, 0, 448, 8, 1)
    assert set(engine_parts(pool, ECP5)) == {"array", "buffer", "queue", "glue"}
    assert engine_blocks(pool, ECP5) == {"buffer": 1, "array": 0}
    assert (pool.macs, pool.weights) == (0, 0) and engine_resources(pool, ECP5).luts > 0


@pytest.mark.parametrize("family", [ECP5, ICE40, GW2A, XC7])
def test_a_design_is_the_sum_of_its_engines_and_its_ends(family):
    a, b = dense(784, 64, 8, 16), dense(64, 10, 2, 8)
    whole = design_resources(DesignSummary("mlp", (a, b), 400, 500), family)
    engines = engine_resources(a, family) + engine_resources(b, family)
    assert whole.ram_blocks == engines.ram_blocks
    assert 0 < whole.luts - engines.luts < 200
    assert DesignSummary("mlp", (a, b), 400, 500).macs == 784 * 64 + 640


@pytest.mark.parametrize("board", devices.fpgas())
def test_every_board_has_coefficients_and_says_how_good_they_are(board):
    family = devices.fpga(board).family
    found = coefficients.fitted()[family.coefficients]
    assert found.lut and found.ff and found.whole_lut and found.whole_ff
    said = fpga.checked(family)
    for resource in ("lut", "ff", "bram"):
        assert fpga.error_of(family, resource) in said
        median = fpga.typical_error(family, resource)
        # The figure is the one in words of the designs that the fit has not seen.
        unseen = fpga.error_of(family, resource).rpartition(";")[2]
        assert (median is None) == (resource == "bram")
        assert median is None or unseen.startswith(f" median {median:.1f} %")
    own = family.name == found.family
    assert fpga.status(family) == ("estimated" if own else f"estimated as for {found.family}")
    assert said.endswith("was not measured") != own
    placed = "neither packed nor placed" not in said
    assert placed == (family.coefficients != "xilinx")


def test_impossible_shapes_are_refused():
    with pytest.raises(BadInput, match="pe is 0"):
        replace(dense(8, 8, 1, 1), pe=0)
    with pytest.raises(BadInput, match="interval"):
        DesignSummary("x", (dense(8, 8, 1, 1),), 0, 1)
