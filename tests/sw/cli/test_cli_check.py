"""``xnorflow check``: one screen, evidence, exit codes, and earlier evidence repeated."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from xnorflow import demo, load
from xnorflow.design.design import Design
from xnorflow.errors import ToolMissing
from xnorflow.evidence.record import read_evidence
from xnorflow.ir import file as ir_file

from ..evidence import small_design
from ..evidence.test_proof import changed, tie
from .test_cli import refused, run

MODEL = str(demo.model_path())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder that has nothing but images of digits."""
    data = demo.data()
    monkeypatch.chdir(tmp_path)
    np.savez("digits.npz", x=data["x_test"][:40], y=data["y_test"][:40])
    np.save("small.npy", small_design.frames(12))
    return tmp_path


def one_screen(text: str) -> str:
    """Check that a text fits 80 columns and 24 rows, and return it without its line breaks."""
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, text
    return " ".join(text.split())


def test_a_model_is_proved_on_one_screen_and_the_evidence_written(here: Path) -> None:
    text = one_screen(run("check", MODEL, "--data", "digits.npz").stdout)
    assert "digits: 40 images of digits.npz" in text and "0 of 400" in text
    assert "EQUAL in everything that was compared" in text and "wrote evidence.json" in text
    evidence = read_evidence("evidence.json")
    assert evidence.command[0] == "xnorflow" and evidence.data["path"] == "digits.npz"
    assert evidence.model["path"] == MODEL and not evidence.differs
    assert evidence.network["digest"] == load(MODEL).digest
    assert [o.frames for o in evidence.outcomes] == [40]


def test_json_is_what_the_file_holds(here: Path) -> None:
    result = run("check", MODEL, "--data", "digits.npz", "--limit", 7, "-o", "e.json", "--json")
    assert json.loads(result.stdout) == json.loads(Path("e.json").read_text())
    assert json.loads(result.stdout)["data"]["frames"] == 7
    assert sorted(p.name for p in here.iterdir()) == ["digits.npz", "e.json", "small.npy"]


def test_an_altered_folder_ends_with_code_1_and_names_the_layer(here: Path) -> None:
    folder = small_design.design().write("small")
    args = ["check", folder, "--data", "small.npy", "--rtl", 0]
    assert "nothing was compared" in run(*args).stdout
    line = small_design.turn_weight_bit(folder, "conv0", word=3)
    text = one_screen(run(*args, code=1).stdout)
    assert f"altered: small.v, line {line} in module small__conv0_array_rom: layer conv0" in text
    assert "DIFFERS" in text and read_evidence("evidence.json").differs


def test_many_alterations_are_counted(here: Path) -> None:
    folder = small_design.design().write("small")
    path = folder / "small.v"
    path.write_text(path.read_text().replace("endmodule", " endmodule"))
    text = one_screen(run("check", folder, "--data", "small.npy", "--rtl", 0, code=1).stdout)
    more = len(read_evidence("evidence.json").alterations) - 5
    assert more > 3 and f"... and {more} more" in text


def test_another_network_than_the_file_s_ends_with_code_1_and_names_the_layer(here: Path) -> None:
    net = load(MODEL)
    weights = next(layer for layer in net.layers if layer.name == "conv2").weights.copy()
    weights[5] *= -1
    ir_file.save(changed(net, "conv2", weights=weights), "net.npz")
    args = ["check", "net.npz", "--file", MODEL, "--data", "digits.npz"]
    text = one_screen(run(*args, code=1).stdout)
    assert "golden model: first in layer conv2_threshold, frame" in text and "DIFFERS" in text


def test_ties_are_let_pass_when_asked(here: Path) -> None:
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (20, 4)).astype(np.uint8))
    ir_file.save(load(tie(here, 1.0)), "net.npz")
    args = ["check", "net.npz", "--file", tie(here, 1.0000001), "--data", "x.npy"]
    text = one_screen(run(*args, code=1).stdout)
    assert "the order differs only in scores that are equal in one of the two" in text
    assert "in 20 frames, equal scores decide the label" in text
    assert "equal but for ties" in run(*args, "--allow-ties").stdout


def test_earlier_evidence_is_repeated(here: Path) -> None:
    run("check", MODEL, "--data", "digits.npz", "--limit", 30)
    before = Path("evidence.json").read_text()
    text = one_screen(run("check", "--against", "evidence.json").stdout)
    assert "30 images" in text and "nothing has changed since" in text and "wrote" not in text
    assert Path("evidence.json").read_text() == before
    result = run("check", "--against", "evidence.json", "--json", "-o", "again.json")
    assert json.loads(result.stdout)["changes"] == []
    assert read_evidence("again.json").options == read_evidence("evidence.json").options


def test_repeated_evidence_says_what_changed(here: Path) -> None:
    run("check", MODEL, "--data", "digits.npz")
    content = json.loads(Path("evidence.json").read_text())
    content["tools"]["numpy"] = "1.0"
    Path("evidence.json").write_text(json.dumps(content))
    text = one_screen(run("check", "--against", "evidence.json").stdout)
    assert f"numpy: 1.0, now {np.__version__} (no result)" in text
    data = demo.data()
    x = data["x_test"][:40].copy()
    x[0, 4, 4] ^= 8
    np.savez("digits.npz", x=x, y=data["y_test"][:40])
    text = one_screen(run("check", "--against", "evidence.json", code=1).stdout)
    assert "images: " in text and "golden, digest of its scores: " in text
    other = run("check", "--against", "evidence.json", "--json", code=1)
    assert {c["what"] for c in json.loads(other.stdout)["changes"] if c["matters"]} >= {"images"}


def test_evidence_is_found_beside_its_files_from_anywhere(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    Path("model.onnx").write_bytes(Path(MODEL).read_bytes())
    run("check", "model.onnx", "--data", "digits.npz")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "nothing has changed" in run("check", "--against", here / "evidence.json").stdout


def test_evidence_from_elsewhere_imports_no_platform(here: Path) -> None:
    run("check", MODEL, "--data", "digits.npz")
    path = here / "evidence.json"
    content = json.loads(path.read_text())
    content["options"]["board"] = "antigravity:Board"
    path.write_text(json.dumps(content))
    said = " ".join(run("check", "--against", path, code=2).output.split())
    assert "antigravity:Board, a class that would be imported" in said
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a model and --data"),
        ([MODEL], "give a model and --data"),
        ([MODEL, "--data", "none.npz"], "there is no data file none.npz"),
        (["none.onnx", "--data", "digits.npz"], "there is no file none.onnx"),
        ([MODEL, "--data", "digits.npz", "--rtl", 41], "there are 40"),
        ([MODEL, "--data", "digits.npz", "-o", "e.txt"], "evidence is written as .json"),
        ([MODEL, "--data", "digits.npz", "-o", "no/e.json"], "there is no folder no"),
        ([MODEL, "--data", "digits.npz", "--cycles", 9], "cycles is for hardware"),
        ([MODEL, "--data", "small.npy"], "it takes uint8 [frames, 1, 8, 8]"),
        (["--against", "none.json"], "no evidence that xnorflow wrote"),
        (["--against", "digits.npz"], "no evidence that xnorflow wrote"),
        (["--against", "digits.npz", "--rtl", 3], "--rtl: --against takes it from"),
        (["--against", "digits.npz", "--limit", 3], "--limit: --against takes it from"),
        (["--against", "digits.npz", "--input-scale", 3], "--input-scale: --against takes it"),
        (["--against", "digits.npz", "--input", "uint8"], "--input: --against takes it from"),
    ],
)
def test_what_cannot_be_proved_is_one_message_and_leaves_nothing(
    here: Path, arguments: list[object], message: str
) -> None:
    assert message in refused("check", *arguments)
    assert sorted(path.name for path in here.iterdir()) == ["digits.npz", "small.npy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("rtl", "2"), ("rtl", True), ("frames", None), ("board", 3), ("input_scale", None)],
)
def test_options_of_a_damaged_evidence_are_refused(here: Path, name: str, value: object) -> None:
    run("check", MODEL, "--data", "digits.npz", "--limit", 2)
    content = json.loads(Path("evidence.json").read_text())
    content["options"][name] = value
    Path("evidence.json").write_text(json.dumps(content))
    assert f"{name} is {value!r}" in refused("check", "--against", "evidence.json")


@pytest.mark.rtl
@pytest.mark.slow
def test_a_netlist_is_proved_too(here: Path) -> None:
    pytest.importorskip("amaranth_boards")
    from xnorflow_boards.flows import tools

    try:
        tools.yosys()
    except ToolMissing as error:
        pytest.skip(str(error))
    folder = small_design.design().write("small")
    args = ["check", folder, "--data", "small.npy", "--rtl", 0, "--gates", 3]
    assert "name one with --board" in refused(*args)
    text = one_screen(run(*args, "--board", "icebreaker").stdout)
    assert "netlist of icebreaker" in text and "0 of 15" in text and "EQUAL" in text
    assert Design.read(folder).digest == read_evidence("evidence.json").design["digest"]
