"""``xnorflow train`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import xnorflow
from xnorflow.cli import main
from xnorflow.train import fit as fit_module
from xnorflow.train.methods import METHODS


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["train", *args])
    return result.exit_code, result.output


def test_the_list_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    code, out = run("--list")
    assert code == 0 and all(m.name in out for m in METHODS)
    code, out = run("--list", "--json")
    assert code == 0 and [m["name"] for m in json.loads(out)] == [m.name for m in METHODS]


def test_without_torch_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in __import__("sys").modules if n.startswith("xnorflow.train.recipes.")]:
        monkeypatch.delitem(__import__("sys").modules, name)
    for name in ("torch_layers", "torch_networks", "gradient_training", "weight_rules"):
        monkeypatch.delitem(__import__("sys").modules, f"xnorflow.train.{name}", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    code, out = run("bnn", "-o", str(tmp_path / "a.onnx"))
    assert code == 2 and "pip install 'xnorflow[train]'" in out.replace("\n", " ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "give a method"),
        (("bnn",), "-o"),
        (("bnnn", "-o", "a.onnx"), "did you mean bnn"),
        (("bnn", "-o", "a.bin"), "networks are written as .onnx"),
        (("bnn", "-o", "a.onnx", "--data", "nothing.npz"), "there is no data file"),
        (("bnn", "-o", "a.onnx", "--net", "8C4"), "no middle"),
        (("bnn", "-o", "a.onnx", "--resume", "no.npz"), "there is no checkpoint"),
        (("bnn", "-o", "a.onnx", "--epochs", "0"), "x>=1"),
    ],
)
def test_bad_usage_ends_in_a_line(
    args: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")
    monkeypatch.chdir(tmp_path)
    code, out = run(*args)
    assert code == 2 and why in out
    assert not list(tmp_path.iterdir())


def test_the_digits_are_trained_checked_and_explained(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")
    file = tmp_path / "a.onnx"
    args = ("bnn", "-o", str(file), "--epochs", "3", "--net", "32")
    code, out = run(*args)
    assert code == 0, out
    assert (
        "with the weights of the file" in out.replace("\n", " ")
        and f"next: xnorflow check {file}" in out
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
    written = file.read_bytes()
    code, out = run(*args, "--json")
    found = json.loads(out)
    assert code == 0 and found["accuracy"] == found["golden"] > 0.7 and found["order"] == 0
    assert file.read_bytes() == written


def test_fixed_point_is_found_on_training_images(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")
    file, kept = tmp_path / "a.onnx", tmp_path / "a.calibration.npz"
    args = ("xnor-net-k", "--epochs", "2", "--net", "4C3-P2-4C3", "--limit", "300")
    code, out = run(*args, "-o", str(file), "--json")
    found = json.loads(out)
    assert code == 0 and found["labels"] <= 40 and found["accuracy"] > 0.4
    assert {p.name for p in tmp_path.iterdir()} == {"a.onnx", kept.name}
    net = xnorflow.load(file, fixed_point=found["fixed_point"], calibrate=kept)
    assert net.notes[0].startswith(f"Fixed point of {found['fixed_point']} bits: on 300 samples, 0")


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")
    whole, file = tmp_path / "whole.onnx", tmp_path / "a.onnx"
    common = ("--net", "16", "--limit", "200")
    assert run("bnn", "-o", str(whole), "--epochs", "3", *common)[0] == 0
    save = fit_module.save

    def save_and_stop(path: Path, origin: object, state: object) -> None:
        save(path, origin, state)  # type: ignore[arg-type]
        if origin.done == 2:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "save", save_and_stop)
    code, out = run("bnn", "-o", str(file), "--epochs", "3", *common)
    kept = tmp_path / "a.checkpoint.npz"
    assert code == 130 and f"--resume {kept}" in out and not file.exists()
    monkeypatch.undo()
    assert run("bnn", "-o", str(file), "--resume", str(kept), "--limit", "200")[0] == 0
    assert file.read_bytes() == whole.read_bytes()
    assert not kept.exists()
