"""--fixed-point and --calibrate on the command line, and what `check` makes of rounded networks."""

import json
from pathlib import Path

import numpy as np
import pytest

from xnorflow import load
from xnorflow.evidence.executor import Executor
from xnorflow.evidence.record import read_evidence
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import file as ir_file
from xnorflow.ir import labels

from ..real_networks import NETWORKS, frames, lenet, middle
from .test_cli import refused, run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder with two networks and images for them."""
    monkeypatch.chdir(tmp_path)
    for make in (middle, lenet):
        make().save(tmp_path).rename(f"{make.__name__}.onnx")
        net = load(f"{make.__name__}.onnx", fixed_point=4)
        np.savez(f"{make.__name__}.npz", x=frames(net), y=np.zeros(40, int))
    return tmp_path


def test_inspect_says_what_would_work_and_what_was_rounded(here: Path) -> None:
    assert "--fixed-point auto" in refused("inspect", "middle.onnx")
    text = " ".join(run("inspect", "middle.onnx", "--fixed-point", 6).stdout.split())
    assert "Fixed point of 6 bits: on 256 drawn samples (give your own with --calibrate)" in text
    assert "Fixed point, conv1_threshold:" in text and "decisions differ" in text
    args = ["--fixed-point", "auto", "--calibrate", "middle.npz", "--json"]
    found = json.loads(run("inspect", "middle.onnx", *args).stdout)
    x = np.load("middle.npz")["x"]
    net = load("middle.onnx", fixed_point="auto", calibrate=x)
    assert found["digest"] == net.digest and found["notes"] == list(net.notes)
    assert "on 40 samples, 0 have another label" in found["notes"][0]


def test_the_passes_of_a_rounded_network_are_shown(here: Path) -> None:
    args = ["--fixed-point", 6, "--passes", "--json"]
    passes = json.loads(run("inspect", "middle.onnx", *args).stdout)["passes"]
    names = [p["name"] for p in passes]
    assert names.index("round_weights") + 1 == names.index("integer")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fixed-point", 1], "fixed point of '1' is not possible; 2 to 24 bits are, or auto"),
        (["--fixed-point", 25], "2 to 24 bits are, or auto"),
        (["--fixed-point", "2.5"], "2 to 24 bits are, or auto"),
        (["--fixed-point", "auto "], "2 to 24 bits are, or auto"),
        (["--calibrate", "middle.npz"], "calibration data are for fixed point"),
        (["--fixed-point", 8, "--calibrate", "no.npz"], "there is no data file no.npz"),
        (["--fixed-point", 8, "--calibrate", "lenet.npz"], "do not fit"),
    ],
)
def test_options_that_do_not_fit_are_one_message(
    here: Path, arguments: list[object], message: str
) -> None:
    before = sorted(here.iterdir())
    assert message in refused("inspect", "middle.onnx", *arguments)
    assert message in refused("export", "middle.onnx", "-o", "i.onnx", *arguments)
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("option", ["--fixed-point", "--calibrate"])
def test_what_is_in_integers_takes_no_fixed_point(here: Path, option: str) -> None:
    run("compile", "middle.onnx", "-o", "made", "--fixed-point", 6)
    value = "8" if option == "--fixed-point" else "middle.npz"
    for command in (["inspect"], ["export", "-o", "i.onnx"], ["check", "--data", "middle.npz"]):
        refused(*command, "made/network.npz", option, value)
    assert f"{option}: made is compiled already" in refused(
        "export", "-o", "i.onnx", "made", option, value
    )


@pytest.mark.parametrize("form", ["onnx", "qonnx"])
@pytest.mark.parametrize("bits", [3, 8])
def test_an_exported_file_is_the_golden_model(here: Path, bits: int, form: str) -> None:
    for name in ("middle", "lenet"):
        args = ["--fixed-point", bits, "--data", f"{name}.npz", "--format", form]
        text = " ".join(run("export", f"{name}.onnx", "-o", "i.onnx", *args).stdout.split())
        assert "40 frames in" in text and "every score is the golden model's" in text
        net, x = load(f"{name}.onnx", fixed_point=bits), np.load(f"{name}.npz")["x"]
        stream = x.transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(Executor("i.onnx").run(stream).scores, net(x))


def test_sums_that_float32_does_not_hold_are_refused(here: Path) -> None:
    message = refused("export", "lenet.onnx", "-o", "i.onnx", "--fixed-point", 12)
    assert "float32 holds integers up to 16777216" in message and not Path("i.onnx").exists()
    assert "conv0_rescale.multiply" in run(
        "export", "lenet.onnx", "-o", "w.npz", "--fixed-point", 12
    ).stdout  # fmt: skip


def test_steps_are_counted_but_the_last_is_exact(here: Path) -> None:
    args = ["--fixed-point", 3, "--data", "lenet.npz"]
    lines = run("export", "lenet.onnx", "--passes", "steps", *args).stdout.splitlines()
    assert "by rounding to fixed point" in " ".join(lines)
    names = sorted(p.name for p in Path("steps").iterdir())
    assert names[-2:] == ["07_round_weights.onnx", "08_integer.onnx"]
    x = np.load("lenet.npz")["x"]
    net = load("lenet.onnx", fixed_point=3)
    last = Executor(Path("steps") / names[-1]).run(x.transpose(0, 2, 3, 1)).scores
    np.testing.assert_array_equal(last, net(x))
    # The steps before the rounding are the file.
    want = Executor(Path("lenet.onnx"), InputScale()).run(x).scores
    for name in names[:-2]:
        got = Executor(Path("steps") / name).run(x.transpose(0, 2, 3, 1)).scores
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_labels_that_rounding_changed_are_counted_and_are_no_failure(here: Path) -> None:
    x = np.load("lenet.npz")["x"]
    want = Executor(Path("lenet.onnx"), InputScale()).run(x).scores.argmax(1)
    differ = int((labels(load("lenet.onnx", fixed_point=2)(x)) != want).sum())
    assert differ > 5
    args = ["check", "lenet.onnx", "--data", "lenet.npz", "--fixed-point"]
    text = " ".join(run(*args, 2).stdout.split())
    assert "equal but for the rounding to fixed point" in text and "EQUAL" not in text
    evidence = read_evidence("evidence.json")
    (outcome,) = evidence.outcomes
    assert outcome.rounded and outcome.labels == differ and not outcome.differs
    assert evidence.options["fixed_point"] == "2" and not evidence.differs
    assert any(note.startswith("Fixed point of 2 bits") for note in evidence.notes)
    # The same again from the evidence, whose options have the width.
    assert "nothing has changed" in run("check", "--against", "evidence.json").stdout
    calibrated = ["auto", "--calibrate", "lenet.npz"]
    text = run(*args, *calibrated).stdout
    assert "rounding to fixed point" in text or "EQUAL in everything" in text
    assert read_evidence("evidence.json").outcomes[0].labels == 0
    assert read_evidence("evidence.json").options["calibrate"] == "lenet.npz"
    assert "nothing has changed" in run("check", "--against", "evidence.json").stdout


def test_a_rounded_archive_is_checked_against_its_file(here: Path) -> None:
    ir_file.save(load("lenet.onnx", fixed_point=3), here / "net.npz")
    args = ["check", "net.npz", "--file", "lenet.onnx", "--data", "lenet.npz"]
    text = " ".join(run(*args, "--fixed-point", 3).stdout.split())
    assert "rounding to fixed point" in text and "is not what this version makes" not in text
    text = " ".join(run(*args, "--fixed-point", 4).stdout.split())
    assert "net.npz is not what this version makes of lenet.onnx" in text


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("name", "bits"), [("middle", 3), ("float_ends", 3), ("lenet", 4), ("lenet", 24), ("mean", 3)]
)
def test_the_hardware_of_a_rounded_network_is_the_golden_model(
    here: Path, name: str, bits: int
) -> None:
    path = NETWORKS[name]().save(here)
    np.save("x.npy", frames(load(path, fixed_point=bits)))
    args = ["check", path, "--data", "x.npy", "--fixed-point", bits, "--rtl", 2]
    run(*args, "--cycles", 6000)
    golden, rtl = read_evidence("evidence.json").outcomes
    assert golden.rounded and not golden.differs and (golden.order > 0 or bits == 24)
    assert not rtl.rounded and rtl.total > 5 and rtl.scores == rtl.labels == 0


@pytest.mark.rtl
def test_hardware_that_differs_is_a_failure_although_the_network_is_rounded(here: Path) -> None:
    from ..evidence import small_design

    run("compile", "middle.onnx", "-o", "made", "--fixed-point", 3, "--cycles", 3000)
    args = ["check", "made", "--file", "middle.onnx", "--data", "middle.npz", "--fixed-point", 3]
    run(*args, "--rtl", 2)
    text = Path("made/middle.v").read_text()
    assert "memory[" in text, "weights are not in the text, so that none can be turned"
    # Any weight of the last layer changes a score by 2.
    small_design.turn_weight_bit(Path("made"), "dense0")
    text = run(*args, "--rtl", 2, code=1).stdout
    assert "DIFFERS" in text
    golden, rtl = read_evidence("evidence.json").outcomes
    assert not golden.differs and rtl.differs and rtl.scores > 0 and not rtl.failure
