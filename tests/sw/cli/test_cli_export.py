"""``xnorflow export``: which files it writes, in which format, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from xnorflow import demo, load
from xnorflow.evidence.executor import Executor
from xnorflow.ir import file as ir_file

from ...test_sample_kinds import model as kinds_model
from ..evidence import small_design
from .test_cli import refused, run

MODEL = str(demo.model_path())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("options", "domains"), [([], {""}), (["--format", "qonnx"], 2)])
def test_a_network_is_written_and_executed(here: Path, options: list[str], domains: object) -> None:
    x = demo.data()["x_test"][:20]
    np.save("x.npy", x)
    text = run("export", MODEL, "-o", "net.onnx", "--data", "x.npy", *options).stdout
    assert "net.onnx: 20 frames in" in text and "wrote net.onnx" in text
    found = {o.domain for o in onnx.load("net.onnx").opset_import}
    assert found == domains or len(found) == domains
    np.testing.assert_array_equal(Executor("net.onnx").run(x[..., None]).scores, load(MODEL)(x))
    Path("x.npy").unlink()
    assert [p.name for p in here.iterdir()] == ["net.onnx"]


def test_networks_come_from_files_archives_and_designs(here: Path) -> None:
    net = small_design.network()
    folder = small_design.design().write("small")
    ir_file.save(net, "net.npz")
    for source in (folder, "net.npz", folder / "network.npz"):
        run("export", source, "-o", "net.onnx")
        assert json.loads(
            run("export", source, "-o", "net.onnx", "--json").stdout
        ) == {
            "network": net.digest,
            "format": "onnx",
            "files": [
                {
                    "path": "net.onnx",
                    "tool": Executor("net.onnx").tool,
                    "frames": 16,
                    "differ": 0,
                }
            ],
            "parameters": [],
        }  # fmt: skip


def test_each_step_of_the_lowering_is_a_file_and_a_folder_of_them_is_replaced(here: Path) -> None:
    for _ in range(2):
        text = run("export", MODEL, "--passes", "steps").stdout
        names = sorted(p.name for p in Path("steps").iterdir())
        assert names[0] == "00_imported.onnx" and names[-1].endswith("_integer.onnx")
        assert all(name in text for name in names) and "wrote steps" in text
    Path("steps/mine.txt").write_text("not to be lost")
    assert "holds other files" in refused("export", MODEL, "--passes", "steps")


@pytest.mark.parametrize(("kind", "element"), [("int8", "INT8"), ("uint12", "UINT16")])
def test_the_kind_of_samples_goes_for_the_network_and_for_each_step(
    here: Path, kind: str, element: str
) -> None:
    kinds_model(here / "kinds.onnx", "Sign")
    x = np.random.default_rng(3).integers(-128 if kind == "int8" else 0, 128, (9, 2, 3, 4))
    np.save("x.npy", x)
    text = run(
        *("export", "kinds.onnx", "--input", kind, "--data", "x.npy"),
        *("-o", "net.onnx", "--passes", "steps"),
    ).stdout
    assert "net.onnx: 9 frames in" in text
    net = load("kinds.onnx", input=kind)
    for path in (Path("net.onnx"), *Path("steps").iterdir()):
        given = onnx.load(path).graph.input[0].type.tensor_type.elem_type
        assert onnx.TensorProto.DataType.Name(given) == element
        scores = Executor(path).run(net.input_order.frames(x, net.shape)).scores
        np.testing.assert_array_equal(scores.argmax(1), net(x).argmax(1))


def test_weights_go_by_suffix_or_format(here: Path) -> None:
    assert "conv0.weights" in run("export", MODEL, "-o", "w.npz").stdout
    with np.load("w.npz") as arrays:
        np.testing.assert_array_equal(arrays["conv0.weights"], load(MODEL).layers[1].weights)
    run("export", MODEL, "-o", "w.h")
    assert "static const int8_t digits_conv0_weights[16][3][3][1]" in Path("w.h").read_text()
    for _ in range(2):
        run("export", MODEL, "-o", "hex", "--format", "hex")
    assert (here / "hex" / "conv0.weights.hex").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([MODEL], "give a file to write with -o"),
        ([MODEL, "-o", "net.txt"], "written as .onnx, .npz or .h"),
        ([MODEL, "-o", "net.txt", "--format", "onnx"], "onnx is written as a .onnx file"),
        ([MODEL, "-o", "w.hex", "--format", "hex"], "hex is written as a folder"),
        ([MODEL, "-o", "no/net.onnx"], "there is no folder no"),
        ([MODEL, "-o", "w.npz", "--data", "x.npy"], "npz files are not executed"),
        (["net.npz", "--passes", "steps"], "is lowered already"),
        ([".", "--passes", "steps"], "is lowered already"),
        ([".", "-o", "net.onnx"], "is not a design that xnorflow wrote"),
        (["none.onnx", "-o", "net.onnx"], "there is no file none.onnx"),
        ([MODEL, "-o", "net.onnx", "--data", "none.npy"], "there is no data file none.npy"),
    ],
)
def test_what_cannot_be_exported_is_one_message_and_leaves_nothing(
    here: Path, arguments: list[object], message: str
) -> None:
    assert message in refused("export", *arguments)
    assert not list(here.iterdir())
