"""Layers whose arrays multiply: golden model, cycle model and hardware agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.compiler import assembler, clock_for, compile_network
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow.report.pass_reports import HardwareWatch
from xnorflow.schedule.timing import predict
from xnorflow_hw.spec import DotSpec, MacSpec
from xnorflow_hw.spec.kinds import Multiplier

from .bench import check
from .hw.verilog import lint
from .strategies import Case

SAME = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
INT8, BYTES = ir.Alphabet(-128, 1, 256), ir.Alphabet(0, 1, 256)


def network(
    *,
    channels: int = 3,
    out: int = 4,
    groups: int = 1,
    codes: ir.Alphabet = BYTES,
    weights: ir.Alphabet = INT8,
    pad: int | None = 0,
    levels: int = 8,
    size: tuple[int, int] = (4, 5),
    extreme: bool = False,
    seed: int = 1,
) -> ir.IntegerNetwork:
    """Build a layer of multi-bit weights between an input table and a multi-bit dense layer."""
    rng = np.random.default_rng(seed)
    window = ir.Window((3, 3)) if pad is None else SAME
    shape = (out, 3, 3, channels // groups)
    drawn = rng.integers(0, weights.levels, shape)
    if extreme:
        drawn = rng.choice((0, weights.levels - 1), shape)
    layers = [
        ir.InputTable("samples", rng.integers(0, codes.levels, (channels, 256)), codes),
        ir.Conv("layer", weights.values(drawn), weights, window, pad or 0, groups),
    ]
    sums = ir.IntegerNetwork("net", (*size, channels), tuple(layers)).features[-1]
    low, high = sums.alphabet.lo, sums.alphabet.hi
    steps = np.sort(rng.integers(low // 3, high // 3 + 1, (out, levels - 1)), axis=1)
    whole = ir.Window((sums.height, sums.width))
    last = rng.integers(-8, 8, (3, *whole.kernel, out))
    layers += [
        ir.Threshold("steps", steps, ir.Alphabet(0, 1, levels)),
        ir.Conv("end", last, ir.Alphabet(-8, 1, 16), whole),
        ir.Scores("scores", np.arange(3)),
    ]
    return ir.IntegerNetwork("net", (*size, channels), tuple(layers))


def cased(net: ir.IntegerNetwork, fold: Fold, end: Fold, frames: int = 3) -> Case:
    rng = np.random.default_rng(8)
    x = rng.integers(0, 256, (frames, *net.shape)).astype(np.uint8)
    x[0] = rng.choice((0, 255), net.shape)
    return Case(net, (fold, end), 1, 1, x)


NETWORKS = {
    "int8 weights and bytes": (network(), Fold(2, 3)),
    "one lane": (network(), Fold(1, 1)),
    "weights at both ends": (network(extreme=True), Fold(3, 2)),
    "signed codes, padding of a value": (network(codes=ir.Alphabet(-8, 1, 16)), Fold(4, 3)),
    "codes with a step": (network(codes=ir.Alphabet(-5, 2, 6), pad=-1), Fold(2, 2)),
    "padding of no value": (network(codes=ir.Alphabet(-5, 2, 6), pad=0), Fold(2, 3)),
    "no padding": (network(pad=None), Fold(3, 2)),
    "several pixels": (network(channels=4), Fold(2, 2, 3)),
    "several pixels and codes with a step": (
        network(codes=ir.Alphabet(3, 3, 9), pad=6),
        Fold(4, 3, 2),
    ),
    "groups, one at a time": (network(channels=6, out=6, groups=3), Fold(1, 2)),
    "groups, several at once": (network(channels=6, out=6, groups=3), Fold(4, 4)),
    "depthwise, all at once, several pixels": (
        network(channels=4, out=4, groups=4),
        Fold(4, 4, 2),
    ),
    "codes of one bit": (network(codes=ir.BIPOLAR), Fold(4, 3)),
    "weights of one bit": (network(weights=ir.BIPOLAR), Fold(4, 3)),
    "weights of 13 bits": (network(weights=ir.Alphabet(-5000, 1, 8192)), Fold(2, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_beat_is_that_of_the_models(name: str) -> None:
    net, fold = NETWORKS[name]
    kinds: tuple[Multiplier, Multiplier] = ("dsp", "logic")
    products = kinds[:: 1 - 2 * (list(NETWORKS).index(name) % 2)]
    check(cased(net, fold, Fold(2, 2), frames=2), products=products)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    channels=st.integers(1, 4),
    out=st.integers(1, 4),
    code_bits=st.integers(1, 5),
    weight_bits=st.integers(2, 6),
    lo=st.integers(-9, 9),
    step=st.integers(1, 3),
    pad=st.one_of(st.none(), st.integers(-4, 4)),
    first=st.sampled_from([None, "dsp", "logic"]),
    second=st.sampled_from([None, "dsp", "logic"]),
    data=st.data(),
)
def test_drawn_layers(
    channels: int,
    out: int,
    code_bits: int,
    weight_bits: int,
    lo: int,
    step: int,
    pad: int | None,
    first: Multiplier | None,
    second: Multiplier | None,
    data: st.DataObject,
) -> None:
    net = network(
        channels=channels,
        out=out,
        codes=ir.Alphabet(lo, step, data.draw(st.integers(2, 1 << code_bits))),
        weights=ir.Alphabet(-(1 << (weight_bits - 1)), 1, 1 << weight_bits),
        pad=pad,
        levels=data.draw(st.sampled_from([2, 3, 8, 20])),
        extreme=data.draw(st.booleans()),
        seed=data.draw(st.integers(0, 99)),
        size=(3, 4),
    )
    fold = Fold(data.draw(st.integers(1, out)), data.draw(st.integers(1, channels)))
    end = Fold(data.draw(st.integers(1, 3)), data.draw(st.integers(1, out)))
    check(cased(net, fold, end, frames=2), products=(first, second))


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("board", "multiplier"),
    [
        ("ulx3s-85f", "dsp"),
        ("tangnano20k", "dsp"),
        ("pynq-z1", "dsp"),
        ("zcu104", "dsp"),
    ],
)
def test_int8_networks_in_verilator(board: str, multiplier: str, tmp_path: Path) -> None:
    net = network(channels=4, out=6, levels=32)
    made = compile_network(net, board, cycles=900)
    arrays = [stage.array for stage in made.spec.stages]
    assert all(isinstance(a, MacSpec) and a.multiplier == multiplier for a in arrays)
    x = cased(net, Fold(1, 1), Fold(1, 1), frames=6).x
    run = made.simulate(x)  # Compares every score with the golden model.
    assert (run.ii, run.latency) == (made.ii, made.latency)
    for stalls in ((0.5, 0.5), (0.0, 0.8), (0.8, 0.0)):
        made.simulate(x, stalls=stalls)
    lint(made.verilog, tmp_path, top="net")
    made.write(tmp_path / "design")
    assert Design.read(tmp_path / "design").net.digest == net.digest


@pytest.mark.rtl
@pytest.mark.parametrize("multiplier", ["dsp", "logic"])
def test_weights_in_large_memories_in_verilator(multiplier: Multiplier) -> None:
    """Weights of 40 kbit go to tiles of block RAM, with an image each."""
    rng = np.random.default_rng(3)
    layers = (
        ir.InputTable("samples", np.arange(256)[None], BYTES),
        ir.Conv("layer", rng.integers(-128, 128, (20, 1, 1, 256)), INT8),
        ir.Scores("scores", np.zeros(20, np.int64)),
    )
    net = ir.IntegerNetwork("net", (1, 1, 256), layers)
    folds, device = (Fold(10, 8),), fpga("ulx3s-85f")
    made = assembler(net, device.board, clock_for(device.board, None))(folds, 256)
    spec = accelerator(
        net,
        folds,
        in_lanes=made.spec.input.lanes,
        out_lanes=made.spec.out_lanes,
        device=device,
        products=[multiplier],
    )
    design = Design(net, folds, spec, device.board, made.clock, predict(spec))
    assert len(spec.stages[0].array.rom.tiles) > 1 and design.emitted.images
    x = rng.integers(0, 256, (3, 1, 1, 256)).astype(np.uint8)
    run = design.simulate(x)
    assert (run.ii, run.latency) == (design.ii, design.latency)
    if multiplier == "dsp":
        assert design.digest == made.digest


def test_without_a_board_there_are_planes() -> None:
    """What suits any FPGA has no multipliers, so no design of before changes."""
    for net, fold in NETWORKS.values():
        spec = accelerator(net, (fold, Fold(1, 1)), in_lanes=1)
        assert all(isinstance(stage.array, DotSpec) for stage in spec.stages)


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "tangnano20k", "pynq-z1"])
@pytest.mark.parametrize("name", ["bipolar", "ternary", "bits"])
def test_layers_of_one_bit_and_ternary_ones_have_planes(name: str, board: str) -> None:
    net = {
        "bipolar": network(weights=ir.BIPOLAR),
        "ternary": network(weights=ir.TERNARY),
        "bits": network(codes=ir.BIPOLAR),
    }[name]
    spec = accelerator(net, (Fold(2, 3), Fold(1, 1)), in_lanes=1, device=fpga(board))
    assert isinstance(spec.stages[0].array, DotSpec)


def dense(outputs: int, inputs: int = 64) -> ir.IntegerNetwork:
    rng = np.random.default_rng(4)
    layers = (
        ir.InputTable("samples", np.arange(256)[None], BYTES),
        ir.Conv("first", rng.integers(-128, 128, (outputs, 1, 1, inputs)), INT8),
        ir.Threshold("steps", np.sort(rng.integers(-9999, 9999, (outputs, 15))), BYTES_4),
        ir.Conv("second", rng.integers(-128, 128, (outputs, 1, 1, outputs)), INT8),
        ir.Scores("scores", np.zeros(outputs, np.int64)),
    )
    return ir.IntegerNetwork("net", (1, 1, inputs), layers)


BYTES_4 = ir.Alphabet(0, 1, 16)


@pytest.mark.parametrize("board", ["ulx3s-25f", "tangnano20k", "arty-a7-35"])
def test_designs_keep_to_the_dsp_blocks(board: str) -> None:
    """At a moderate speed the layers multiply; there are too few blocks for the fastest design."""
    device = fpga(board)
    made = compile_network(dense(24), board, cycles=110)
    used = made.summary()["resources"]
    assert 0 < used["dsp"] <= used["device"]["dsp"] == device.dsps.use()
    assert made.summary()["layers"][0]["multiplier"] == "dsp"
    assert made.ii <= 110
    if board == "ulx3s-25f":
        fastest = compile_network(dense(24), board)
        assert fastest.ii < made.ii
        assert fastest.summary()["resources"].get("dsp", 0) <= device.dsps.use()


def test_a_design_of_planes_alone_is_larger() -> None:
    net, folds = dense(16), (Fold(4, 4), Fold(4, 2))
    device, clock = fpga("ulx3s-85f"), clock_for("ulx3s-85f", None)
    made = assembler(net, device.board, clock)(folds, 256)
    used = made.summary()["resources"]
    spec = accelerator(net, folds, in_lanes=1, device=device, products=(None, None))
    planes = Design(net, folds, spec, device.board, clock, made.timing).summary()["resources"]
    assert used["dsp"] == 24 and "dsp" not in planes
    # Each product takes about nine adders of eight bits where there are planes.
    assert planes["lut"] - used["lut"] > 24 * 40


def test_what_does_not_fit_says_so() -> None:
    """A folding with more products than blocks has planes where they end."""
    net, board = dense(24), "ulx3s-25f"
    folds = (Fold(4, 4), Fold(4, 4))
    made = assembler(net, board, clock_for(board, None))(folds, 256)
    kinds = [type(stage.array).__name__ for stage in made.spec.stages]
    assert sorted(kinds) == ["DotSpec", "MacSpec"]
    assert made.summary()["resources"]["dsp"] == 16
    with pytest.raises(CheckFailed, match="ulx3s-25f"):
        compile_network(dense(60, 300), board, cycles=70)


def test_the_passes_say_what_multiplies() -> None:
    watch = HardwareWatch()
    device = fpga("ulx3s-85f")
    accelerator(dense(8), (Fold(2, 2), Fold(1, 1)), in_lanes=1, device=device, watch=watch)
    assert any("products dsp" in line for line in watch.reports[0].changes)
