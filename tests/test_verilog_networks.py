"""Generated Verilog of whole networks: lint-clean, the same every time, and right in Verilator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from xnorflow import ir
from xnorflow.compiler import DEFAULT_CLOCK, compile_network
from xnorflow.design.design import Design
from xnorflow.errors import CheckFailed
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.reductions import Fold
from xnorflow_hw.spec import DotSpec
from xnorflow_sim import golden
from xnorflow_sim.bench.cocotb_bench import run_cocotb

from .bench import check_verilog, design
from .dense import dense_network
from .hw.verilog import lint
from .strategies import Case, cases

quiet = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def network() -> ir.IntegerNetwork:
    """Build a network with zero padding, ternary and int4 weights, both pools and ROM images."""
    rng = np.random.default_rng(3)
    table = np.stack([np.arange(256) > t for t in (90, 128, 200)]).astype(np.int64)
    pads = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))

    def thresholds(channels: int, spread: int, alphabet: ir.Alphabet) -> ir.Ints:
        return np.sort(rng.integers(-spread, spread, (channels, alphabet.levels - 1)), axis=1)

    uint2 = ir.Alphabet(0, 1, 4)
    return ir.IntegerNetwork(
        "net",
        (9, 8, 3),
        (
            ir.InputTable("samples", table, ir.BIPOLAR),
            ir.Conv("conv0", rng.choice([-1, 1], (40, 3, 3, 3)), ir.BIPOLAR, pads),
            ir.Threshold("sign0", thresholds(40, 9, ir.BIPOLAR), ir.BIPOLAR),
            ir.MaxPool("pool0", ir.Window((3, 2), (2, 2)), rng.random(40) < 0.3),
            ir.Conv("conv1", rng.integers(-1, 2, (30, 3, 3, 40)), ir.TERNARY, pads),
            ir.Threshold("steps1", thresholds(30, 30, uint2), uint2),
            ir.SumPool("pool1", ir.Window((2, 2), (2, 2))),
            ir.Flatten("flat"),
            ir.Conv("dense", rng.integers(-8, 8, (7, 1, 1, 120)), ir.Alphabet(-8, 1, 16)),
            ir.Scores("scores", rng.integers(-900, 900, 7)),
        ),
    )


@pytest.fixture(scope="module")
def made() -> Design:
    folds = (Fold(7, 3), Fold(7, 7), Fold(9, 16), Fold(4, 4), Fold(2, 9))
    return Design.assemble(
        network(), folds, in_lanes=2, out_lanes=3, board=None, clock=DEFAULT_CLOCK
    )


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(8).integers(0, 256, (count, 9, 8, 3)).astype(np.uint8)


def test_the_text_is_clean_and_has_plain_names(made: Design, tmp_path: Path) -> None:
    names = {re.sub(r"_\d+\.hex$", "", name) for name in made.emitted.images}
    assert "net_conv1_weights" in names and len(made.emitted.images) > len(names)
    assert not re.search(r"\\", made.verilog)
    lint(made.verilog, tmp_path, top="net")


def test_words_of_verilog_are_no_names(made: Design, tmp_path: Path) -> None:
    """The name of a file, such as small.onnx, may be a keyword of Verilog."""
    words = "input", "real", "logic", "large", "begin", "wire", "output", "table", "reg", "bit"
    layers = tuple(
        replace(layer, name=word) for layer, word in zip(made.net.layers, words, strict=True)
    )
    net = replace(made.net, name="small", layers=layers)
    odd = compile_network(net, cycles=4000)
    assert odd.interface.top == "small_" and "\\" not in odd.verilog
    lint(odd.verilog, tmp_path, top="small_")


@settings(max_examples=6, **quiet)
@given(cases(frames=1))
def test_drawn_networks_are_clean(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    verilog = design(case).verilog
    assert "\\" not in verilog
    lint(verilog, tmp_path_factory.mktemp("lint"), top="net")


def test_the_text_is_the_same_in_every_process(made: Design) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from tests.test_verilog_networks import network\n"
        "from xnorflow.compiler import compile_network\n"
        "print(compile_network(network(), cycles=2000).digest)\n"
    )
    here = compile_network(made.net, cycles=2000).digest
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parents[1]), *sys.path],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here


@pytest.mark.rtl
def test_the_verilog_computes_the_network_in_the_predicted_time(made: Design) -> None:
    x = frames(12)
    run = made.simulate(x)
    assert run.ii == made.ii == made.timing.bound
    assert run.latency == made.latency
    assert run.last_out[:5].tolist() == list(made.timing.last_out)
    made.simulate(x, stalls=(0.4, 0.4), seed=1)
    made.simulate(x, stalls=(0.0, 0.7), seed=2, jobs=2)


@pytest.mark.rtl
@settings(max_examples=4, **quiet)
@given(cases(frames=4))
def test_drawn_networks_run_in_verilator(case: Case) -> None:
    check_verilog(case)


@pytest.mark.rtl
def test_several_pixels_at_once_run_in_verilator(tmp_path: Path) -> None:
    """Weights and thresholds of two engines that share words, ROMs as images."""
    rng = np.random.default_rng(6)
    pads = ir.Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
    net = ir.IntegerNetwork(
        "net",
        (8, 11, 3),
        (
            ir.InputTable("samples", np.arange(256)[None] // 128, ir.BIPOLAR),
            ir.Conv("conv0", rng.choice([-1, 1], (24, 3, 3, 3)), ir.BIPOLAR, pads, -1),
            ir.Threshold("sign0", rng.integers(-5, 5, (24, 1)), ir.BIPOLAR),
            ir.Conv(
                "conv1",
                rng.integers(-1, 2, (30, 3, 3, 24)),
                ir.TERNARY,
                ir.Window((3, 3), (1, 2)),
                0,
            ),
            ir.Threshold(
                "steps1", np.sort(rng.integers(-9, 9, (30, 3)), axis=1), ir.Alphabet(0, 1, 4)
            ),
            ir.SumPool("pool1", ir.Window((6, 5))),
            ir.Conv("dense", rng.choice([-1, 1], (7, 1, 1, 30)), ir.BIPOLAR),
            ir.Scores("scores", rng.integers(-900, 900, 7)),
        ),
    )
    folds = (Fold(5, 3, 4), Fold(8, 12, 3), Fold(4, 4), Fold(2, 9))
    x = rng.integers(0, 256, (5, 8, 11, 3)).astype(np.uint8)
    check_verilog(Case(net, folds, 2, 3, x))
    made = design(Case(net, folds, 2, 3, x))
    lint(made.verilog, tmp_path, top="net")
    made.write(tmp_path / "design")
    assert Design.read(tmp_path / "design").folds == folds


@pytest.mark.rtl
def test_cocotb_finds_nothing(made: Design) -> None:
    x = frames(4)
    results = run_cocotb(
        made.verilog, made.interface, x, made.net(x), images=made.emitted.images, seed=2
    )
    assert len(results) == 5 and all(r.passed for r in results)


def first_difference(
    net: ir.IntegerNetwork, other: ir.IntegerNetwork, x: np.ndarray, layer: str
) -> tuple[int, ...]:
    """Return frame, row, column and channel at which a layer's values first differ."""
    found = [values for n in (net, other) for at, values in golden.trace(n, x) if at.name == layer]
    return tuple(np.argwhere(found[0] != found[1])[0].tolist())


def altered(net: ir.IntegerNetwork, name: str, **arrays: ir.Ints) -> ir.IntegerNetwork:
    layers = tuple(replace(at, **arrays) if at.name == name else at for at in net.layers)
    return replace(net, layers=layers)


@pytest.mark.rtl
@pytest.mark.parametrize("fault", ["weight", "threshold", "score"])
def test_a_fault_in_the_hardware_is_located(made: Design, fault: str) -> None:
    """The fault is put into the hardware only, so that the golden model does not have it."""
    net, x = made.net, frames(5)
    layers = {at.name: at for at in net.layers}
    match fault:
        case "weight":
            conv = layers["conv1"]
            assert isinstance(conv, ir.Conv)
            weights = conv.weights.copy()
            weights[17, 1, 2, 23] = 1 - abs(weights[17, 1, 2, 23])
            other, stage, shown = altered(net, "conv1", weights=weights), "conv1", "steps1"
        case "threshold":
            sign = layers["sign0"]
            assert isinstance(sign, ir.Threshold)
            thresholds = sign.thresholds.copy()
            thresholds[12] = 100  # Never reached.
            other, stage, shown = altered(net, "sign0", thresholds=thresholds), "conv0", "sign0"
        case _:
            offsets = net.scores.offsets.copy()
            offsets[4] += 1
            other, stage, shown = altered(net, "scores", offsets=offsets), "dense", "scores"
    spec = accelerator(other, made.folds, in_lanes=2, out_lanes=3)
    wrong = (net(x) != other(x)).any(axis=1)
    frame = int(wrong.argmax())
    assert wrong.any()
    _, row, column, channel = first_difference(net, other, x[frame : frame + 1], shown)
    with pytest.raises(CheckFailed) as caught:
        replace(made, spec=spec).simulate(x)
    assert str(caught.value).startswith(
        f"{wrong.sum()} of 5 frames differ from the golden model; first in frame {frame}, layer"
        f" '{stage}', row {row}, column {column}, channel {channel}: expected "
    )


def test_a_dense_network_takes_a_frame_per_cycle() -> None:
    """At a frame per cycle, weights never change and are logic, with primitives or without."""
    rng = np.random.default_rng(1)
    halves = np.repeat([[0, 1]], 128, 1).astype(np.int64)

    def dense(name: str, outputs: int, inputs: int) -> ir.Conv:
        return ir.Conv(name, rng.choice([-1, 1], (outputs, 1, 1, inputs)), ir.BIPOLAR)

    net = ir.IntegerNetwork(
        "net",
        (1, 1, 20),
        (
            ir.InputTable("samples", halves, ir.BIPOLAR),
            dense("dense0", 24, 20),
            ir.Threshold("sign0", rng.integers(-9, 9, (24, 1)), ir.BIPOLAR),
            dense("dense1", 9, 24),
            ir.Threshold("sign1", rng.integers(-30, 30, (9, 1)), ir.BIPOLAR),
            dense("dense2", 5, 9),
            ir.Scores("scores", np.arange(5)),
        ),
    )
    made = compile_network(net, board="pynq-z1", cycles=1)
    assert made.ii == 1 and "LUT6_2" in made.verilog and not made.emitted.images
    x = rng.integers(0, 256, (60, 1, 1, 20)).astype(np.uint8)
    run = made.simulate(x)
    assert run.ii == 1 and run.latency == made.latency
    np.testing.assert_array_equal(run.scores, golden.run(net, x))


@pytest.mark.rtl
def test_weights_of_few_words_are_in_the_sums_and_right(tmp_path: Path) -> None:
    net = dense_network(64, 45, 10, seed=7)
    made = Design.assemble(
        net,
        (Fold(5, 64), Fold(2, 15)),
        in_lanes=8,
        out_lanes=1,
        board="pynq-z1",
        clock=DEFAULT_CLOCK,
    )
    assert [s.array.form for s in made.spec.stages if isinstance(s.array, DotSpec)] == [
        "stored",
        "stored",
    ]
    assert Design.read(made.write(tmp_path / "out")).digest == made.digest
    x = np.random.default_rng(8).integers(0, 256, (200, 1, 1, 64), dtype=np.uint8)
    run = made.simulate(x, expected=net(x))
    assert (run.ii, run.latency) == (made.ii, made.latency)
    made.simulate(x, stalls=(0.3, 0.3), seed=3, expected=net(x))
