import re
from dataclasses import replace
from itertools import combinations_with_replacement
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.errors import BadInput
from xnorflow.estimate import devices, fpga
from xnorflow.estimate.fpga import (
    CHECKED,
    CONSTANTS,
    design_resources,
    engine_parts,
    engine_resources,
    memory,
    ram_blocks,
    read_only,
)
from xnorflow.estimate.shape import DesignShape, EngineShape
from xnorflow_hw.spec import RomSpec

ECP5, ICE40, GW2A, XC7 = (devices.fpga(b).family
                          for b in ("ulx3s-85f", "icebreaker", "tangnano20k", "pynq-z1"))


@pytest.fixture(autouse=True)
def without_coefficients(monkeypatch):
    """The model as it is for a family that was not measured."""
    monkeypatch.setattr(fpga, "fitted", dict)


def dense(inputs: int, outputs: int, pe: int, simd: int) -> EngineShape:
    depth = ceil(inputs / simd) * ceil(outputs / pe)
    return EngineShape(
        name="fc", kind="conv", pixels=1, channels=outputs, reduction=inputs, inputs=inputs, pe=pe,
        simd=simd, cycles=depth, rom_depth=depth, rom_width=pe * simd,
        buffer_depth=ceil(inputs / simd), buffer_width=simd, act_bits=1,
        acc_bits=inputs.bit_length(), threshold_rows=ceil(outputs / pe), threshold_levels=1,
        threshold_words=(pe * (inputs.bit_length() + 1),))


# Placed single-engine designs: LUTs (with ALUs), RAM blocks; Yosys 0.70, nextpnr 0.11.1.
PLACED = {
    "ECP5": (ECP5, dense(1152, 128, 16, 128), 6911, 57),
    "GW2A": (GW2A, dense(576, 64, 8, 64), 1938 + 894, 15),
    "UP5K": (ICE40, dense(288, 64, 8, 32), 2153, 16),
}


@pytest.mark.parametrize("name", PLACED)
def test_the_stated_check_of_the_model_is_true(name):
    family, engine, luts, blocks = PLACED[name]
    in_luts = RomSpec("distributed")
    engine = replace(engine, buffer_ram="distributed", threshold_rom=in_luts)
    found = engine_resources(engine, family)
    stated = re.search(rf"(-\d+) % \({name}\)", CHECKED)
    assert stated and round(100 * (found.luts / luts - 1)) == int(stated[1])
    assert 0 <= found.ram_blocks - blocks <= 2
    assert engine_parts(engine, family)["weight ROM"].ram_blocks == blocks


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
        if sum(w for _, w in columns) >= width)
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
    roms = {kind: engine_parts(replace(engine, rom=RomSpec(kind)), XC7)["weight ROM"]
            for kind in ("block", "distributed", "logic")}
    roms["auto"] = engine_parts(engine, XC7)["weight ROM"]
    assert roms["auto"] == roms["block"] and roms["block"].ram_blocks == ceil(256 / 36)
    assert roms["distributed"].luts == roms["logic"].luts == 1024
    assert engine_parts(dense(32, 8, 8, 32), XC7)["weight ROM"] == type(roms["auto"])()


def test_unfolded_weights_make_the_popcount_cheaper():
    fixed, folded = dense(32, 8, 8, 32), replace(dense(32, 8, 8, 32), rom_depth=64)
    for family in (ECP5, ICE40, GW2A, XC7):
        assert (engine_parts(fixed, family)["popcount"].luts
                < engine_parts(folded, family)["popcount"].luts)


@given(st.sampled_from([ECP5, ICE40, GW2A, XC7]), st.integers(1, 8), st.integers(1, 3))
def test_planes_and_bits_multiply_the_popcount(family, act_bits, planes):
    engine = dense(512, 64, 4, 16)
    one = engine_parts(engine, family)["popcount"]
    many = engine_parts(replace(engine, act_bits=act_bits, weight_planes=planes), family)
    assert many["popcount"].luts == pytest.approx(one.luts * act_bits * planes)


def test_a_pool_has_neither_weights_nor_popcount():
    pool = EngineShape("pool", "maxpool", 196, 64, 4, 28 * 28 * 64, 8, 1, 6272, 0, 0, 448, 8, 1)
    parts = engine_parts(pool, ECP5)
    assert not {"popcount", "weight ROM", "accumulator"} & set(parts)
    assert (pool.macs, pool.weights) == (0, 0) and engine_resources(pool, ECP5).luts > 0


def test_a_design_is_the_sum_of_its_engines():
    a, b = dense(784, 64, 8, 16), dense(64, 10, 2, 8)
    design = DesignShape("mlp", (a, b), 400, 500)
    whole = design_resources(design, ECP5)
    assert whole == engine_resources(a, ECP5) + engine_resources(b, ECP5)
    assert design.macs == 784 * 64 + 640


def test_every_constant_says_where_it_comes_from():
    for name, constant in CONSTANTS.items():
        assert constant.source.split(":")[0] in ("measured", "counted", "assumed"), name
        assert all(constant.of(f) > 0 for f in (ECP5, ICE40, GW2A, XC7)), name


def test_impossible_shapes_are_refused():
    with pytest.raises(BadInput, match="pe is 0"):
        replace(dense(8, 8, 1, 1), pe=0)
    with pytest.raises(BadInput, match="interval"):
        DesignShape("x", (dense(8, 8, 1, 1),), 0, 1)
