"""The command line: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

import xnorflow as xf
from xnorflow import demo
from xnorflow.cli import main
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed

MODEL = str(demo.model_path())


def run(*arguments: object, code: int = 0) -> Result:
    """Run the command line, and check that it raises nothing but an exit."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    raised = result.exception
    assert raised is None or isinstance(raised, SystemExit), result.exc_info
    assert result.exit_code == code, result.output + result.stderr
    return result


def refused(*arguments: object, code: int = 2) -> str:
    """Run a command that has to fail, and return its message without line breaks."""
    result = run(*arguments, code=code)
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert result.stderr.count("error:") + result.stderr.count("Error:") == 1
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = demo.data()
    path = tmp_path_factory.mktemp("images") / "digits.npz"
    np.savez(path, x=data["x_test"][:40], y=data["y_test"][:40])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("design") / "out"
    run("compile", MODEL, "-o", out, "--cycles", 3000)
    return out


def test_help_has_every_command_with_examples() -> None:
    listed = run("--help").stdout
    for name, command in main.commands.items():
        assert name in listed
        text = run(name, "--help").stdout
        assert "Examples:" in text and f"xnorflow {name}" in text, name
        assert (command.help or "").strip()
    assert xf.__version__ in run("--version").stdout


def test_inspect_describes_every_layer() -> None:
    net = xf.load(MODEL)
    content = json.loads(run("inspect", MODEL, "--json").stdout)
    assert [row["name"] for row in content["layers"]] == [layer.name for layer in net.layers]
    assert content["digest"] == net.digest and content["input_shape"] == [8, 8, 1]
    assert content["macs"] == sum(row.get("macs", 0) for row in content["layers"]) > 0
    text = run("inspect", MODEL).stdout
    assert all(layer.name in text for layer in net.layers)


def test_the_folder_of_a_design_can_be_inspected(folder: Path, tmp_path: Path) -> None:
    of_folder = json.loads(run("inspect", folder, "--json").stdout)
    of_model = json.loads(run("inspect", MODEL, "--json").stdout)
    # A design's own network knows what it takes of a sample.
    assert of_folder == of_model | {"takes": None}
    assert "is not a design that xnorflow wrote" in refused("inspect", tmp_path)
    os.mkfifo(tmp_path / "a.onnx")
    assert "a.onnx is no regular file" in refused("inspect", tmp_path / "a.onnx")


def test_inspect_says_what_x_is() -> None:
    text = " ".join(run("inspect", MODEL, "--input-scale", "1/255").stdout.split())
    assert "x: uint8 [frames, 1, 8, 8] (the file's own order), or [frames, 8, 8, 1]" in text
    assert "the model takes x / 255" in text
    text = " ".join(
        run("inspect", MODEL, "--input-scale", "0.3", "--layout", "file").stdout.split()
    )
    assert "the model takes x * 0.300000012 (float32)" in text and "channels last" not in text
    content = json.loads(run("inspect", MODEL, "--input", "int8", "--json").stdout)
    assert (content["samples"], content["takes"]) == ("int8", "x")
    assert "samples of type 'int99' are not supported" in refused(
        "inspect", MODEL, "--input", "int99"
    )
    for scale in ("0", "-1", "1/0", "inf", "x", "1e-99", "1/255/2"):
        assert "--input-scale" in refused("inspect", MODEL, "--input-scale", scale)


def tied(path: Path) -> Path:
    """A network whose two scores are always equal, with a Softmax behind them."""
    weights = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            helper.make_node("Softmax", ["y"], ["p"], name="last", axis=1),
        ],
        "tied",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, 2])],
        [weights],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def test_simulate_prints_notes_and_ties(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(12, dtype=np.uint8).reshape(3, 4))
    arguments = ("simulate", tied(tmp_path / "tied.onnx"), "--engine", "golden", "--data")
    text = " ".join(run(*arguments, tmp_path / "x.npy").stdout.split())
    assert "in 3 of 3 frames several classes have the greatest score" in text
    assert "note: Softmax 'last' at the end was dropped" in text and "saturates" in text


def test_a_design_keeps_its_layout(folder: Path, images: Path) -> None:
    message = refused("simulate", folder, "--data", images, "--layout", "nhwc")
    assert "is compiled already" in message


def test_inspect_refuses_what_compile_refuses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.choice([-1, 1], (300, 9)) * rng.uniform(1, 2, 9).round(3)
    graph = helper.make_graph(
        # Without what clips, the scores are float32 products, which hardware computes.
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])],
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 300])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 9])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    opset = helper.make_opsetid("", 13)
    path = tmp_path / "scaled.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    said = refused("inspect", path)
    assert "a table of them would take" in said
    assert refused("compile", path, "-o", tmp_path / "out") == said


def test_compile_writes_a_design_that_can_be_read(folder: Path) -> None:
    design = Design.read(folder)
    assert design.ii <= 3000 and design.net.digest == xf.load(MODEL).digest
    assert json.loads((folder / "design.json").read_text())["ii"] == design.ii


def test_compile_says_what_a_board_has_for_it(tmp_path: Path) -> None:
    args = ["compile", MODEL, "-o", tmp_path / "out", "--cycles", 1152, "--board"]
    fits = run(*args, "ulx3s-85f").stdout
    assert "LUT4" in fits and "estimated" in fits
    widest = {"PE": 32, "SIMD": 32}
    folding = tmp_path / "folding.json"
    folding.write_text(
        json.dumps(
            {
                "MVAU_0": {"PE": 16, "SIMD": 1},
                "MVAU_1": {"PE": 32, "SIMD": 16},
                "MVAU_2": widest,
                "MVAU_3": {"PE": 10, "SIMD": 32},
            }
        )
    )
    tight = refused(*args[:4], "--folding", folding, "--board", "icebreaker", code=1)
    assert "does not fit icebreaker" in tight and "frames per second at 30 MHz" in tight


def test_compile_without_a_target_fills_the_board(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = run("compile", MODEL, "-o", out, "--board", "icebreaker").stdout
    content = json.loads((out / "design.json").read_text())
    assert "EBR" in content["limit"] or "LUT" in content["limit"]
    assert Design.read(out).limit == content["limit"]
    assert content["limit"] in " ".join(text.split())
    assert all(
        content["resources"][k] <= content["resources"]["device"][k] for k in ("lut", "ff", "bram")
    )


def test_compile_shows_and_draws_the_front(tmp_path: Path) -> None:
    picture = tmp_path / "front.svg"
    args = ["compile", MODEL, "--board", "icebreaker", "--pareto"]
    content = json.loads(run(*args, "--json").stdout)
    rows = content["designs"]
    assert len(rows) > 2 and content["board"] == "icebreaker"
    family = fpga("icebreaker").family
    sizes = [
        r["lut"] + family.block_luts.use() * r["bram"] + family.spram_luts.use() * r["spram"]
        for r in rows
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert [r["ii"] for r in rows] == sorted({r["ii"] for r in rows})
    assert f"{rows[0]['ii']:,}" in run(*args, "--plot", picture).stdout
    assert "digits on icebreaker" in picture.read_text()
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give a folder to write with -o"),
        (["-o", "out", "--plot", "p.png"], "--plot draws the front of --pareto"),
        (["--pareto"], "needs a --board"),
        (["--pareto", "--board", "icebreaker", "-o", "out"], "leave out -o"),
        (["--pareto", "--board", "icebreaker", "--fps", "10"], "leave out --fps"),
        (["--pareto", "--board", "icebreaker", "--plot", "p.gif"], ".png or .svg"),
    ],
)
def test_compile_refuses_options_that_contradict(options: list[str], message: str) -> None:
    assert message in refused("compile", MODEL, *options)


def test_compile_prints_what_it_writes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("compile", MODEL, "-o", out, "--board", "ulx3s-85f", "--fps", 10_000, "--json")
    assert json.loads(result.stdout) == json.loads((out / "design.json").read_text())
    text = run("compile", MODEL, "-o", out, "--clock", 50).stdout
    assert "initiation interval" in text and "50 MHz" in text and "given by the user" in text


def test_golden_scores_are_written(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.npz"
    result = run(
        "simulate",
        MODEL,
        "--data",
        images,
        "--engine",
        "golden",
        "--limit",
        30,
        "-o",
        out,
        "--json",
    )
    content, data = json.loads(result.stdout), np.load(images)
    scores = xf.load(MODEL)(data["x"][:30])
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["scores"], scores)
        np.testing.assert_array_equal(arrays["labels"], scores.argmax(1))
        assert arrays["scores"].dtype == arrays["labels"].dtype == np.int64
    accuracy = float((scores.argmax(1) == data["y"][:30]).mean())
    best = scores.max(1, keepdims=True)
    assert content == {
        "engine": "golden",
        "frames": 30,
        "ties": int(((scores == best).sum(1) > 1).sum()),
        "notes": list(xf.load(MODEL).notes),
        "accuracy": accuracy,
        "saturated": None,
    }
    assert (
        f"{100 * accuracy:.2f} %"
        in run("simulate", MODEL, "--data", images, "--engine", "golden", "--limit", 30).stdout
    )


@pytest.mark.rtl
def test_rtl_is_compared_with_golden(folder: Path, images: Path) -> None:
    content = json.loads(run("simulate", folder, "--data", images, "--json").stdout)
    assert content["mismatches"] == 0 and content["frames"] == 40
    assert content["ii"] == content["predicted_ii"]
    assert content["latency"] == content["predicted_latency"]


def test_a_mismatch_ends_with_code_1(
    folder: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*args: object, **options: object) -> None:
        raise CheckFailed("2 of 40 frames differ [at once]")

    monkeypatch.setattr(Design, "simulate", differ)
    out = tmp_path / "scores.npz"
    message = refused("simulate", folder, "--data", images, "-o", out, code=1)
    assert message.endswith("error: 2 of 40 frames differ [at once]")
    assert not out.exists()


def test_doctor_lists_the_tools() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"])
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert {"python", "amaranth", "verilator", "g++"} <= set(rows)
    missing = not all(rows[t]["version"] for t in ("verilator", "g++", "make", "perl"))
    assert result.exit_code == missing
    assert all(row["version"] or row["install"] for row in rows.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "none.onnx"], "there is no file none.onnx"),
        (["compile", MODEL, "-o", "out", "--cycles", 1], "1 cycles per frame are out of reach"),
        (["compile", MODEL, "-o", "out", "--cycles", 0], "--cycles"),
        (["compile", MODEL, "-o", "out", "--fps", -3], "--fps"),
        (
            ["compile", MODEL, "-o", "out", "--cycles", 99, "--fps", 9],
            "one of fps, cycles and folding",
        ),
        (["compile", MODEL, "-o", "out", "--board", "none-such"], "none-such"),
        (["compile", MODEL, "-o", "out", "--folding", "none.json"], "is not a folding file"),
        (["compile", MODEL], "-o"),
        (["compile", MODEL, "-o", "out", "--input-scale", "1/0"], "is not a number or a quotient"),
        (["simulate", MODEL, "--data", "none.npz"], "there is no data file none.npz"),
        (["simulate", MODEL, "--data", "none.npz", "-o", "a.txt"], "results are written as .npz"),
        (["simulate", MODEL, "--data", "x.npy", "-o", "none/a.npz"], "there is no folder none"),
        (
            ["simulate", MODEL, "--data", "x.npy", "--waves", "a.fst"],
            "waveforms are written as .vcd",
        ),
        (
            ["compare", MODEL, "--fpga", "ulx3s-85f", "--gpu", "t4", "-o", "none/a.html"],
            "there is no folder none",
        ),
        (
            ["compare", MODEL, "--fpga", "ulx3s-85f", "--gpu", "t4", "-o", "a.pdf"],
            ".html, .json, .png or .svg",
        ),
        (["compare", MODEL, "--fpga", "none-such", "--gpu", "t4"], "none-such"),
        (["simulate", "none.onnx", "--data", "x.npy", "--engine", "golden"], "no file none.onnx"),
        (["simulate", ".", "--data", "x.npy"], "is not a design that xnorflow wrote"),
        (
            ["simulate", MODEL, "--data", "wrong.npy", "--engine", "golden"],
            "it takes uint8 [frames, 1, 8, 8]",
        ),
        (["simulate", MODEL, "--data", "x.npy", "--limit", 0], "--limit"),
        (["simulate", MODEL, "--data", "x.npy", "--stalls", 1], "--stalls"),
        (["simulate", MODEL, "--data", "x.npy", "--waves", "no/w.vcd"], "there is no folder no"),
        (
            ["simulate", MODEL, "--data", "x.npy", "--waves", "w.fst"],
            "waveforms are written as .vcd",
        ),
        (
            ["simulate", MODEL, "--data", "x.npy", "--engine", "golden", "--waves", "w.vcd"],
            "the golden model has no waveforms",
        ),
        (
            ["simulate", MODEL, "--data", "x.npy", "--engine", "cocotb", "--stalls", 0.5],
            "is for --engine rtl",
        ),
        (
            ["simulate", MODEL, "--data", "x.npy", "--engine", "golden", "--cycles", 9],
            "the golden model is no hardware",
        ),
        (["simulate", ".", "--data", "x.npy", "--cycles", 9], "is compiled already"),
        (
            ["simulate", MODEL, "--data", "labels.npz", "--engine", "golden"],
            "the labels go from 9 to 10, but the network has 10 classes",
        ),
        (["simulate", MODEL, "--data", "x.npy", "-o", "/proc/a.npz"], "cannot write /proc/a.npz"),
        (["simulate", MODEL, "--data", "x.npy", "--waves", "/proc/a.vcd"], "write /proc/a.vcd"),
        (["compile", MODEL, "-o", "/proc/out", "--cycles", 3000], "cannot write /proc/out"),
        (["compile", MODEL, "-o", "x.npy/out", "--cycles", 3000], "cannot write"),
        (["demo", "-o", "/proc/out"], "cannot write /proc/out"),
        (["demo", "-o", "."], "holds other files; give a new folder or an empty one"),
        (["demo", "-o", "x.npy"], "is a file, not a folder"),
        (["nothing"], "No such command"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((2, 8, 8), np.uint8))
    np.save("wrong.npy", np.zeros((2, 9, 9), np.uint8))
    np.savez("labels.npz", x=np.zeros((2, 8, 8), np.uint8), y=np.array([9, 10]))
    assert message in refused(*arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.npz", "wrong.npy", "x.npy"]


def test_a_result_that_cannot_be_written_leaves_the_former_one(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "scores.npz"
    out.write_text("the former one")
    monkeypatch.setattr(np, "savez_compressed", full)
    message = refused("simulate", MODEL, "--data", images, "--engine", "golden", "-o", out)
    assert "scores.npz: No space left on device" in message
    assert out.read_text() == "the former one" and len(list(tmp_path.iterdir())) == 1


def test_reports_are_written_in_every_format(tmp_path: Path) -> None:
    for suffix in ("html", "json", "png", "svg"):
        out = tmp_path / f"report.{suffix}"
        run("compare", MODEL, "--fpga", "ulx3s-85f", "--gpu", "t4", "-o", out)
        assert out.stat().st_size > 500
    content = json.loads((tmp_path / "report.json").read_text())
    assert content == json.loads(
        run("compare", MODEL, "--fpga", "ulx3s-85f", "--gpu", "t4", "--json").stdout
    )


def test_debug_shows_the_traceback() -> None:
    result = CliRunner().invoke(main, ["--debug", "inspect", "none.onnx"])
    assert isinstance(result.exception, xf.BadInput)


def test_square_brackets_of_a_message_are_no_markup(tmp_path: Path) -> None:
    name = tmp_path / "[bold]x[/red].onnx"
    assert "[bold]x[/red].onnx" in refused("inspect", name)
