"""Commands on networks that branch, with several outputs and a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from xnorflow import ir
from xnorflow.cli import main
from xnorflow.ir import file as ir_file

from ..design.test_graph_designs import X, designed, network


def run(*args: Any) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, its frames and labels."""
    monkeypatch.chdir(tmp_path)
    ir_file.save(network(), tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", x=X, y=np.zeros(len(X), np.int64))
    return tmp_path


def test_inspect_says_what_is_read_and_what_comes_out(here: Path) -> None:
    text = " ".join(run("inspect", "net.npz").stdout.split())
    assert "layer reads window" in text and "2x3 zeros" in text and "channels" in text
    assert "output seen: 2 x 4 x 5 scores" in text and "output class: 4 scores" in text
    assert "map: sums plus offsets" in text and "vector: sums plus offsets" in text
    content = json.loads(run("inspect", "net.npz", "--json").stdout)
    layers = {entry["name"]: entry for entry in content["layers"]}
    assert layers["sum"]["reads"] == ["deep", "signs"] and layers["input"]["reads"] == ["x"]
    assert layers["large"]["factors"] == [2, 3] and layers["both"]["axis"] == 2
    assert content["outputs"] == {"seen": [2, 4, 5], "class": [4]}
    assert len(content["scores"]["layers"]) == 2


def test_passes_say_what_queues_they_make(here: Path) -> None:
    found = json.loads(run("inspect", "net.npz", "--passes", "--json").stdout)["passes"]
    changes = {p["name"]: p["changes"] for p in found}
    (mapped,) = (line for line in changes["map"] if line.startswith("all: array "))
    assert "joins 2 maps in turn" in mapped
    (made,) = (line for line in changes["depths"] if line.startswith("conv -> sum: "))
    assert made.startswith("conv -> sum: queue ") and made.endswith(" auto")
    lowered = changes.get("integer", [])
    assert not lowered or "sum: add, 4 x 5 x 3 of {-24..24}, reads deep, signs" in lowered


def test_golden_scores_are_written_by_name(here: Path) -> None:
    args = ["simulate", "net.npz", "--data", "x.npz", "--engine", "golden", "-o", "out.npz"]
    text = run(*args).stdout
    assert "output seen: 2 x 4 x 5 scores" in text and "accuracy" not in text
    expected = network().evaluate(X)
    with np.load("out.npz") as found:
        assert found["outputs"].tolist() == ["seen", "class"]
        for name, values in expected.items():
            np.testing.assert_array_equal(found[f"output.{name}"], values)
        flat = [values.reshape(len(X), -1) for values in expected.values()]
        np.testing.assert_array_equal(found["scores"], np.concatenate(flat, axis=1))
        np.testing.assert_array_equal(found["labels"], expected["seen"].argmax(1))
        np.testing.assert_array_equal(found["labels.class"], expected["class"].argmax(1))
    content = json.loads(run(*args, "--json").stdout)
    assert content["outputs"] == {"seen": [2, 4, 5], "class": [4]}


def test_scores_of_the_hardware_are_written_by_name(here: Path) -> None:
    designed(network()).write(here / "design")
    args = ["simulate", "design", "--data", "x.npz", "-o", "out.npz"]
    assert json.loads(run(*args, "--json").stdout)["mismatches"] == 0
    with np.load("out.npz") as found:
        for name, values in network().evaluate(X).items():
            np.testing.assert_array_equal(found[f"output.{name}"], values)
        assert int(found["latency"]) > 0


def test_an_exported_network_gives_its_outputs(here: Path) -> None:
    import onnxruntime

    run("export", "net.npz", "-o", "made.onnx")
    session = onnxruntime.InferenceSession("made.onnx")
    values = dict(zip(("seen", "class"), session.run(["seen", "class"], {"x": X}), strict=True))
    for name, expected in network().evaluate(X).items():
        np.testing.assert_array_equal(values[name], expected)


def test_a_network_that_branches_needs_no_outputs(here: Path) -> None:
    net = network()
    layers = (*net.layers[:6], ir.SumPool("whole", ir.Window((4, 5))))
    net = ir.IntegerNetwork("net", net.shape, (*layers, ir.Scores("scores", np.arange(3))))
    ir_file.save(net, here / "vector.npz")
    text = run("simulate", "vector.npz", "--data", "x.npz", "--engine", "golden", "-o", "v.npz")
    assert "accuracy" in text.stdout and "output" not in text.stdout
    with np.load("v.npz") as found:
        assert set(found.files) == {"scores", "labels"}
        np.testing.assert_array_equal(found["scores"], net(X))
