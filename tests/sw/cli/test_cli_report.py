"""Options for numbers that do not mislead, and the report of each command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xnorflow import demo
from xnorflow.design.design import Design
from xnorflow.devices.links import link

from ..report.page.page_reader import read
from .test_cli import MODEL, refused, run

COMPILE = ("compile", MODEL, "--board", "ulx3s-25f", "--cycles", 4608)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The folder of a design, its report, and what was printed."""
    out = tmp_path_factory.mktemp("compiled")
    folder, report = out / "design", out / "report.html"
    text = run(*COMPILE, "-o", folder, "--link", "uart", "--report", report).stdout
    return folder, report, " ".join(text.split())


def test_compile_says_what_the_link_carries(made: tuple[Path, Path, str]) -> None:
    folder, report, text = made
    content = json.loads((folder / "design.json").read_text())
    design = Design.read(folder)
    carried = link("uart").fps(design.frame_bytes)
    assert content["fps"] == design.fps > carried == content["headline_fps"]
    host = content["host"]
    assert (host["chosen"], host["board_link"]) == ("uart", "uart")
    assert host["bytes_per_second"] == design.frame_bytes.rate(design.fps)
    assert host["links"]["uart"]["limits"] and not host["links"]["pcie"]["limits"]
    assert design.headline_fps == carried
    assert f"together {carried:,.0f} frames/s: the link is the limit" in text
    assert "designs may take" in text and "headroom" in text and f"wrote {report}" in text
    usable, there = content["resources"]["usable"], content["resources"]["device"]
    assert all(0 < usable[name] < there[name] for name in ("lut", "ff", "bram"))


def test_the_report_of_a_design_is_of_that_design(made: tuple[Path, Path, str]) -> None:
    folder, report, _ = made
    text = read(report.read_text(encoding="utf-8")).text
    assert Design.read(folder).digest in text and "Speed against size" in text
    assert "A frame's way through the pipeline" in text


def test_reports_and_links_are_checked_before_the_work(tmp_path: Path) -> None:
    out = tmp_path / "o"
    assert "a report is written as .html" in refused(*COMPILE, "-o", out, "--report", "r.pdf")
    assert "'usb' is no link; known are uart," in refused(*COMPILE, "-o", out, "--link", "usb")
    front = ("compile", MODEL, "--board", "ulx3s-25f", "--pareto", "--report", tmp_path / "r.html")
    assert "--pareto writes no design" in refused(*front)
    said = refused("compile", MODEL, "--board", "ulx3s-25f", "-o", out, "--clock", 500)
    assert "500 MHz is out of reach of ecp5" in said and "100 MHz" in said
    assert not list(tmp_path.iterdir())


def test_an_unproven_clock_is_marked(tmp_path: Path) -> None:
    out = tmp_path / "o"
    run(*COMPILE, "-o", out, "--clock", 200)
    assert (
        "unproven: above the 143 MHz"
        in json.loads((out / "design.json").read_text())["clock_source"]
    )


def test_compare_takes_what_was_placed(made: tuple[Path, Path, str], tmp_path: Path) -> None:
    folder, _, _ = made
    content = json.loads((folder / "design.json").read_text())
    build = folder / "build" / "build.json"
    build.parent.mkdir(exist_ok=True)
    placed = {
        "format": "any",
        "kind": "placed",
        "design_digest": content["design_digest"],
        "board": "ulx3s-25f",
        "flow": "nextpnr-ecp5",
        "fmax_mhz": 123.4,
        "clock_mhz": 100.0,
        "resources": {"lut": {"used": 2000, "available": 24288}},
    }
    arguments = ("compare", folder, "--fpga", "ulx3s-25f,icebreaker", "--link", "spi", "--json")
    build.write_text(json.dumps(placed))
    own, other = json.loads(run(*arguments).stdout)["rows"]
    assert own["figures"]["clock"]["kind"] == "placed" and own["figures"]["ii"]["value"] == 4608
    assert own["figures"]["luts"] | {"how": ""} == {
        "value": 2000,
        "unit": "LUT",
        "kind": "placed",
        "how": "",
        "error": None,
    }
    assert other["figures"]["clock"]["kind"] == "estimated"
    assert own["link"] == "SPI at 30 MHz"
    figures = own["figures"]
    least = min(figures["fps"]["value"], figures["link"]["value"])
    assert figures["headline"]["value"] == least
    build.write_text(json.dumps(placed | {"design_digest": "another"}))
    own, _ = json.loads(run(*arguments).stdout)["rows"]
    assert own["figures"]["clock"]["kind"] == "estimated"
    build.write_text("{}")
    assert "is not a build.json" in refused(*arguments)
    build.unlink()
    build.parent.rmdir()
    page = tmp_path / "c.html"
    run("compare", folder, "--fpga", "ulx3s-25f", "--gpu", "t4", "-o", page)
    assert "Throughput against batch" in read(page.read_text(encoding="utf-8")).text


def test_compare_shows_each_batch_that_was_asked_for() -> None:
    pair = ("--fpga", "icebreaker", "--gpu", "t4", "--cycles", "4608")
    rows = json.loads(run("compare", MODEL, *pair, "--batch", "256,16", "--json").stdout)["rows"]
    batches = [r["batch"] for r in rows if r["column"] == "gemm" and r["data_type"] == "b1"]
    assert batches == [1, 16, 256]
    found = refused("compare", MODEL, *pair, "--batch", "16,many")
    assert "'16,many' is no list of whole numbers above 0" in found
    assert "no list" in refused("compare", MODEL, *pair, "--batch", "0")


def test_check_writes_a_report(tmp_path: Path) -> None:
    data = demo.data()
    path, page = tmp_path / "digits.npz", tmp_path / "proof.html"
    np.savez(path, x=data["x_test"][:6], y=data["y_test"][:6])
    out = ("-o", tmp_path / "e.json", "--report", page)
    text = run("check", MODEL, "--data", path, *out).stdout
    assert f"wrote{page}" in "".join(text.split())
    found = read(page.read_text(encoding="utf-8"))
    assert "equal" in found.text and sum(tag == "img" for tag, _ in found.tags) == 6
    assert "0 of 60 scores" in found.text


def test_a_forgotten_scale_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "wide.npz"
    x = np.random.default_rng(1).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    np.savez(path, x=x)
    golden = ("simulate", MODEL, "--data", path, "--engine", "golden")
    said = json.loads(run(*golden, "--json").stdout)["saturated"]
    assert "samples from 0 to 15, but yours go from" in said
    assert "warning: the first layer" in " ".join(run(*golden).stdout.split())
    scaled = json.loads(run(*golden, "--input-scale", "1/16", "--json").stdout)
    assert scaled["saturated"] is None
    content = json.loads(run("inspect", MODEL, "--json").stdout)
    assert content["told_apart"] == [0, 15]
    assert content["bytes_per_frame"] == {"to_board": 64, "to_host": 20}
    assert "tells samples from 0 to 15 apart" in " ".join(run("inspect", MODEL).stdout.split())
