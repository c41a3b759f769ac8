"""What commands print fits 80 columns, and no number is broken or parted from its unit."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from xnorflow import demo
from xnorflow.cli import console, main
from xnorflow.cli import demo as demo_command
from xnorflow.cli import run as run_command
from xnorflow.design.design import Design
from xnorflow.ir import file as ir_file
from xnorflow.report import pictures, plot
from xnorflow.report.page import render
from xnorflow_boards.build import bitstream, load_bitstream
from xnorflow_sim.simulation import Run

from ... import dense, small_graphs

UNITS = re.compile(
    r"\d (?:x|[kMGT]|%|s|us|ms|MHz|Mbaud|cycles|frames(?:/s)?|bytes|bits|images|LUT\d|FF|EBR"
    r"|DP16KD|RAMB18|BSRAM|[kMG]?B/s|scores|nodes|layers)(?![\w/])"
)
SHOWN = [
    ("inspect", "digits.onnx"),
    ("inspect", "digits.onnx", "--input-scale", "1/255", "--no-merge"),
    ("inspect", "digits.onnx", "--passes", "--board", "icebreaker"),
    ("inspect", "design"),
    ("inspect", "wide.npz"),
    ("inspect", "maps.npz"),
    ("compile", "digits.onnx", "-o", "again", "--board", "ulx3s-25f", "--cycles", "1152"),
    ("compile", "residual.npz", "-o", "linked", "--board", "u250", "--link", "uart"),
    ("compile", "residual.npz", "--board", "icebreaker", "--pareto"),
    ("compile", "residual.npz", "-o", "branched"),
    ("simulate", "design", "--data", "digits.npz", "--limit", "8"),
    ("simulate", "digits.onnx", "--data", "digits.npz", "--engine", "golden"),
    ("check", "digits.onnx", "--data", "digits.npz", "--limit", "8", "-o", "e.json"),
    ("export", "digits.onnx", "-o", "digits_int.onnx"),
    ("export", "digits.onnx", "-o", "weights.h"),
    ("build", "design"),
    ("program", "design"),
    ("compare", "digits.onnx", "--fpga", "icebreaker,ulx3s-85f,u250", "--gpu", "a100,orin-nano"),
    ("compare", "residual.npz", "--fpga", "pynq-z1", "--link", "uart", "--gpu", "t4"),
    ("boards",),
    ("doctor",),
    ("train", "--list"),
    ("demo", "-o", "out"),
]


def simulated(self: Design, x: Any, **options: Any) -> Run:
    """Return what a simulation gives, at the predicted pace."""
    done = self.latency + self.ii * np.arange(len(x))
    return Run(self.net(x), done - self.latency, done, done, done, 0, np.zeros(1, np.int64))


BUILT = {
    "name": "digits",
    "board": "ulx3s-25f",
    "kind": "placed",
    "resources": {"lut": {"used": 12345, "available": 24288}, "ff": {"used": 9, "available": 0}},
    "fmax_mhz": 112.34,
    "clock_mhz": 100.0,
    "met": True,
    "seed": 1,
    "fps": 86805.6,
    "ii": 1152,
    "unrouted": [{"seed": 2, "why": "a long reason why there was none, word by word, 3 times"}],
    "notes": ["the serial port has 1000000 bits per second"],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the demo's network, a design of it and networks with large numbers."""
    folder = tmp_path_factory.mktemp("screens")
    images = demo.data()
    np.savez(folder / "digits.npz", x=images["x_test"][:40], y=images["y_test"][:40])
    (folder / "digits.onnx").write_bytes(demo.model_path().read_bytes())
    ir_file.save(dense.dense_network(1024, 2048, 10, seed=1), folder / "wide.npz")
    ir_file.save(small_graphs.residual(), folder / "residual.npz")
    ir_file.save(small_graphs.two_outputs(), folder / "maps.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Design, "simulate", simulated)
        patch.setattr(Design, "simulator", lambda self, **options: None)
        patch.setattr(demo_command, "_check_executor", lambda path, net, x: None)
        for module in (pictures, plot, render):
            patch.setattr(module, "save", lambda *given, **options: None)
        patch.setattr(demo_command, "FPGAS", ("icebreaker", "ulx3s-25f"))
        patch.setattr(bitstream, "build", lambda directory, **options: BUILT)
        patch.setattr(load_bitstream, "program", lambda directory, flash: ("ulx3s-25f", 1.5))
        shown(120, "compile", "digits.onnx", "-o", "design", "--board", "ulx3s-25f")
        yield folder


@cache
def shown(width: int, *arguments: str) -> str:
    """Run a command on a terminal of so many columns, and return what it prints."""
    console.out.width = width
    try:
        result = CliRunner(env={"COLUMNS": str(width)}).invoke(main, arguments)
    finally:
        console.out._width = None
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("arguments", SHOWN, ids=lambda words: "-".join(words[:3]))
def test_a_screen_has_80_columns_and_no_broken_number(
    here: Path, arguments: tuple[str, ...]
) -> None:
    narrow, wide = (_steady(shown(width, *arguments)) for width in (80, 400))
    lines = narrow.splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    for pattern in (re.compile(r"\S*\d\S*"), UNITS):
        counted = Counter(pattern.findall(narrow)), Counter(pattern.findall(wide))
        assert counted[0] == counted[1], (counted[0] - counted[1], counted[1] - counted[0])
    assert len(wide) > 20
    if arguments[0] != "demo":  # It shows shades of pictures.
        assert "..." not in narrow and "…" not in narrow


def _steady(text: str) -> str:
    """Leave out what two runs do not share: the time, and the rules of tables."""
    text = re.sub(r"in \d+(\.\d+)? s", "in a while", text).replace(" \\\n", "\n")
    return text.replace("─", "")


@pytest.mark.parametrize("name", ["", *sorted(main.commands)])
def test_help_has_80_columns(name: str) -> None:
    words = [name, "--help"] if name else ["--help"]
    text = CliRunner(env={"COLUMNS": "80"}).invoke(main, words).stdout
    assert max(map(len, text.splitlines())) <= 80
    # Without the dots of what may come several times.
    assert "..." not in re.sub(r"(\[ARGS\]|MODEL\|DIR|\w,)\.\.\.", "", text)


@pytest.mark.parametrize("arguments", [SHOWN[0], ("boards",)], ids=lambda words: words[0])
def test_quiet_commands_print_nothing(here: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert result.exit_code == 0 and result.output == "" == result.stderr
    assert not console.out.quiet


@pytest.mark.parametrize("arguments", [SHOWN[0], SHOWN[-1]], ids=lambda words: words[0])
def test_json_is_printed_though_a_command_is_quiet(here: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "-q", "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout)["digest"]
    assert not console.out.quiet


def test_errors_are_shown_though_a_command_is_quiet() -> None:
    result = CliRunner().invoke(main, ["inspect", "none.onnx", "-q"])
    assert result.exit_code == 2 and "there is no file none.onnx" in result.stderr


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_quiet_and_json(name: str) -> None:
    options = {o for parameter in main.commands[name].params for o in parameter.opts}
    assert {"-q", "--quiet", "--json"} <= options


def test_compile_ends_with_speed_size_and_limit(here: Path) -> None:
    arguments = ("-o", "again", "--board", "ulx3s-25f", "--cycles", "1152")
    lines = shown(80, "compile", "digits.onnx", *arguments).splitlines()
    labels = [line.split()[0] for line in lines if line[:1].isalpha()][-5:]
    assert labels == ["wrote", "speed", "link", "size", "limit"]
    text = " ".join(" ".join(lines).split())
    assert "86,806 frames/s at 100 MHz" in text and "latency 2,759 cycles" in text
    assert re.search(r"1,841 LUT4 ±\d+ % \(8 % of ulx3s-25f\)", text)
    assert "limit the link; of the accelerator, conv0, busy in 1,152 of 1,152 cycles" in text


def test_doctor_has_a_line_for_a_tool_and_one_command_at_its_foot(here: Path) -> None:
    text = shown(80, "doctor")
    tools = [line for line in text.splitlines() if line.startswith(("ok ", "-  "))]
    names = [line[3:].split()[0] for line in tools]
    assert len(names) == len(set(names)) > 15 and "verilator" in names and "ecppack" in names
    assert text.count("to install the rest:") + text.count("everything is installed") == 1


def test_what_a_board_did_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"frames": 10_000, "seconds": 12.34, "fps": 8103.7, "sent_again": 1_024}
    run_command._report(result | {"mismatches": 0, "accuracy": 0.9846})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("10,000 frames in 12.34 s: 8,104 frames/s over the link, 1,024")
    assert max(map(len, lines)) <= 80 and lines[-1] == "accuracy 98.46 %"
