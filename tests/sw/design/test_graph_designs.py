"""Designs of networks that branch: folder, description, simulation, and the first difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from xnorflow import ir
from xnorflow.compiler import DEFAULT_CLOCK
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpgas
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.resources.usage import design_resources, engine_parts
from xnorflow_hw.spec import JoinedSpec
from xnorflow_sim import golden
from xnorflow_sim.locate import locate

from ...graph_strategies import GraphCase, graph_cases

quiet = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


def designed(net: ir.IntegerNetwork, board: str | None = None) -> Design:
    """Return the design with a lane for everything."""
    folds = [Fold(1, 1)] * len(reductions(net))
    return Design.assemble(net, folds, in_lanes=1, out_lanes=1, board=board, clock=DEFAULT_CLOCK)


def ternary(name: str, out: int, channels: int, *, size: int = 1, **options: object) -> ir.Conv:
    rng = np.random.default_rng(len(name) + out)
    pads = (size // 2,) * 4
    weights = rng.integers(-1, 2, (out, size, size, channels))
    return ir.Conv(name, weights, ir.TERNARY, ir.Window((size, size), pads=pads), **options)


def network() -> ir.IntegerNetwork:
    """A shortcut, a gate of one pixel, maps side by side, a stretch, and two outputs."""
    table = np.repeat([[0, 1]], 128, axis=1)
    layers = (
        ir.InputTable("input", table, ir.BIPOLAR),
        ternary("conv", 3, 2, size=3),
        ir.Threshold("signs", np.array([[0], [1], [-1]]), ir.BIPOLAR),
        ternary("deep", 3, 3, size=3),
        ir.Add("sum", np.array([[1], [2]]), inputs=("deep", "signs")),
        ir.Threshold("codes", np.array([[-2, 1], [0, 2], [-1, 0]]), ir.TERNARY),
        ir.SumPool("whole", ir.Window((4, 5)), inputs=("codes",)),
        ir.Threshold("gate", np.array([[0], [-1], [2]]), ir.BIPOLAR),
        ir.Multiply("gated", inputs=("codes", "gate")),
        ir.Concat("both", 2, inputs=("gated", "signs")),
        ir.MaxPool("small", ir.Window((2, 2), (2, 2)), np.zeros(6, bool)),
        ir.Stretch("large", (2, 3), "zeros", (0, 0, 0, 1)),
        ternary("head", 2, 6, size=3),
        ir.Scores("map", np.array([3, -4])),
        ternary("class", 4, 3, inputs=("whole",)),
        ir.Scores("vector", np.arange(4)),
        ir.AllScores("all", inputs=("map", "vector")),
    )
    places = np.arange(4 * 5 * 2).reshape(4, 5, 2)
    outputs = (
        ir.Output("seen", (2, 4, 5), places.transpose(2, 0, 1).ravel()),
        ir.Output("class", (4,), 40 + np.arange(4)),
    )
    return ir.IntegerNetwork("branches", (4, 5, 2), layers, outputs=outputs)


X = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 2)).astype(np.uint8)


@pytest.fixture(scope="module")
def design() -> Design:
    return designed(network())


def test_outputs_of_the_hardware_are_those_of_the_file(design: Design) -> None:
    run, net = design.simulate(X, stalls=(0.2, 0.2), seed=3), design.net
    assert [*run.outputs] == ["seen", "class"]
    for name, values in net.evaluate(X).items():
        np.testing.assert_array_equal(run.outputs[name], values)
    np.testing.assert_array_equal(run.scores, net(X))
    assert run.scores.shape == (3, 2, 4, 5) and run.labels.shape == (3, 4, 5)
    np.testing.assert_array_equal(run.output_labels["class"], run.outputs["class"].argmax(1))


def test_interval_and_latency_are_those_of_the_cycle_model(design: Design) -> None:
    run = design.simulate(np.concatenate([X] * 4))
    assert (run.ii, run.latency) == (design.ii, design.latency)


def test_results_are_saved_by_name(design: Design, tmp_path: Path) -> None:
    run = design.simulate(X)
    run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as found:
        assert found["outputs"].tolist() == ["seen", "class"]
        np.testing.assert_array_equal(found["output.seen"], run.outputs["seen"])
        np.testing.assert_array_equal(found["labels.class"], run.output_labels["class"])
        assert found["scores"].shape == (3, 44) and int(found["ii"]) == run.ii


def test_a_folder_is_read_back(design: Design, tmp_path: Path) -> None:
    design.write(tmp_path / "branches")
    read = Design.read(tmp_path / "branches")
    assert read.digest == design.digest and read.net.digest == design.net.digest
    content = json.loads((tmp_path / "branches" / "design.json").read_text())
    assert content == json.loads(json.dumps(read.summary()))
    layers = {entry["name"]: entry for entry in content["layers"]}
    assert layers["sum"]["kind"] == "add" and len(layers["sum"]["join"]["ports"]) == 2
    assert layers["gated"]["join"]["ports"][1]["held"] == "frame"
    assert layers["both"]["join"]["turns"] and layers["large"]["stretch"]["factors"] == [2, 3]
    into = [(s["source"], s["port"]) for s in content["streams"] if s["sink"] == "sum"]
    assert into == [("deep", 0), ("conv", 1)]
    queue = next(s for s in content["streams"] if s["sink"] == "sum" and s["port"] == 1)["queue"]
    assert queue["depth"] > 1 and queue["width"] == 1
    assert [output["name"] for output in content["outputs"]] == ["seen", "class"]
    assert content["outputs"][1] == {"name": "class", "shape": [4], "first": 40, "last": 43}
    assert [entry["name"] for entry in content["scores"]["layers"]] == ["map", "vector"]


def test_every_tap_has_the_codes_of_the_golden_model(design: Design) -> None:
    run = design.simulator(taps=True).run(X, taps=True)
    expected = design.golden_taps(X)
    assert set(expected) == {tap.name for tap in design.taps}
    assert locate(expected, run.taps, design.taps) is None


def test_the_first_difference_is_found_behind_a_fork(design: Design) -> None:
    spec = design.spec
    at = next(k for k, stage in enumerate(spec.stages) if stage.name == "sum")
    array = spec.stages[at].array
    assert isinstance(array, JoinedSpec)
    wrong = replace(array, offsets=array.offsets + 1)
    stages = (*spec.stages[:at], replace(spec.stages[at], array=wrong), *spec.stages[at + 1 :])
    broken = replace(design, spec=replace(spec, stages=stages))
    with pytest.raises(CheckFailed, match=r"layer 'sum', row \d, column \d"):
        broken.simulate(X)


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker", "pynq-z1"])
def test_resources_are_of_every_join_and_queue(board: str) -> None:
    made = designed(network(), board)
    family = fpgas()[board].family
    shape = {engine.name: engine for engine in made.shape.engines}
    parts = engine_parts(shape["sum"], family)
    assert parts["streams"].luts > 0 and parts["array"].luts > 0 and parts["buffer"].ffs > 0
    total = design_resources(made.shape, family)
    assert total.luts > sum(
        engine_parts(shape["deep"], family)[n].luts for n in ("array", "buffer")
    )
    assert made.summary()["resources"]["lut"] == round(total.luts)


@settings(max_examples=6, **quiet)  # type: ignore[arg-type]
@given(graph_cases(frames=2, forms=False))
def test_taps_of_drawn_networks_have_the_golden_codes(case: GraphCase) -> None:
    made = designed(case.net)
    frames = golden.frames(case.net, case.x)
    run = made.simulator(taps=True).run(frames, taps=True)
    assert locate(made.golden_taps(frames), run.taps, made.taps) is None
    np.testing.assert_array_equal(run.scores, golden.run_frames(case.net, frames))
    json.dumps(made.summary())


def test_windows_of_padding_alone_may_run_ahead_of_their_frame() -> None:
    window = ir.Window((1, 1), pads=(0, 2, 0, 0))
    layers = (
        ir.InputTable("input", np.repeat([[0, 1]], 128, axis=1), ir.BIPOLAR),
        ir.Conv("conv", np.ones((2, 1, 1, 2), np.int64), ir.BIPOLAR, window),
        ir.Threshold("signs", np.array([[0], [1]]), ir.BIPOLAR),
        ternary("last", 2, 2, size=1),
        ir.SumPool("pool", ir.Window((3, 6))),
        ir.Scores("scores", np.zeros(2, np.int64)),
    )
    net = ir.IntegerNetwork("ahead", (3, 4, 2), layers)
    x = np.random.default_rng(3).integers(0, 256, (2, 3, 4, 2)).astype(np.uint8)
    made = designed(net)
    frames = golden.frames(net, x)
    run = made.simulator(taps=True).run(frames, taps=True)
    np.testing.assert_array_equal(run.scores, net(x))
    assert locate(made.golden_taps(frames), run.taps, made.taps) is None


def test_expected_scores_are_those_of_all_outputs_in_order() -> None:
    net = network()
    x = np.zeros((2, *net.shape), np.uint8)
    with pytest.raises(BadInput, match=r"expected scores have shape .* leave them out"):
        designed(net).simulate(x, expected=net(x))
