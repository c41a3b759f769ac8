"""``xnorflow sweep``: what it prints, what it writes, and which options go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow.cli import sweep_text
from xnorflow.report.page import reports
from xnorflow.report.page.render import page
from xnorflow.report.page.sections_sweep import STATUS_WORDS, SweepRows, clock_doubt
from xnorflow.sweeps import folding_points

from .test_cli import MODEL, refused, run

pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, scheduler: str) -> tuple[Path, str]:
    """Return the folder of a sweep, and what it printed."""
    out = tmp_path_factory.mktemp("swept") / "results"
    devices = ("--device", "icebreaker,ulx3s-85f", "--device", "LFE5U-25F")
    options = ("--clock", "24,400", "--targets", 4, "--schedules", 2)
    return out, run("sweep", MODEL, *devices, *options, "-o", out, "--scheduler", scheduler).stdout


def test_a_sweep_prints_the_ends_of_the_fronts(swept: tuple[Path, str]) -> None:
    out, text = swept
    assert sorted(p.name for p in out.iterdir()) == [
        ".lock",
        "front.parquet",
        "points.parquet",
        "report.html",
    ]
    for name in ("icebreaker", "ulx3s-85f", "LFE5U-25F", "400 *", "24 points by the cost tables"):
        assert name in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "ulx3s-85f at 400 MHz: clock unproven" in " ".join(text.split())


def test_the_report_loads_nothing_and_has_a_chart_for_each_network(swept: tuple[Path, str]) -> None:
    text = (swept[0] / "report.html").read_text(encoding="utf-8")
    assert "digits: speed against size" in text and 'id="chart-front-0"' in text
    assert "xnorflow sweep" not in text.partition("<footer>")[0]
    assert "<script src" not in text and len(text) < 3_000_000


def test_the_same_command_again_prints_json(swept: tuple[Path, str], scheduler: str) -> None:
    out, _ = swept
    result = run(
        "sweep", MODEL, "--device", "icebreaker", "--clock", "24", "--targets", 4,
        "--schedules", 2, "-o", out, "--scheduler", scheduler, "--json",
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert found["points"] == 4 and len(found["front"]) == 2
    assert {row["board"] for row in found["front"]} == {"icebreaker"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "name at least one board or part with --device"),
        (
            ("--device", "icebreaker", "--cycles", "5,x"),
            "'5,x' is no list of whole numbers above 0",
        ),
        (("--device", "icebreaker", "--clock", "-5"), "no list of numbers above 0"),
        (("--device", "icebreaker", "--cycles", "5", "--fps", "5"), "only one of --targets"),
        (("--device", "icebreaker", "--limit", "5"), "--limit has no effect on a sweep over"),
        (("--data", "x.npz", "--seeds", "5"), "give one of the two"),
        (("--data", "x.npz", "--clock", "5"), "--clock has no effect on --data"),
        (("--data", "x.npz", "--device", "icebreaker"), "--device has no effect on --data"),
        (("--seeds", "5", "--fps", "5"), "--fps has no effect on --seeds"),
        (("--seeds", "5", "--device", "a,b"), "--seeds takes one --device at most"),
        (("--seeds", "5"), "is for compiled designs, and .*digits.onnx is no folder"),
        (("--device", "ulx4s"), "unknown board 'ulx4s'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    import re

    said = refused("sweep", MODEL, "-o", tmp_path / "out", *options)
    assert re.search(message, said), said
    assert not (tmp_path / "out").exists()


def test_every_status_has_words() -> None:
    known = {getattr(folding_points, name) for name in (
        "FITS", "TIGHT", "LARGE", "UNREACHED", "TOO_FAST", "UNSUPPORTED",
    )}  # fmt: skip
    assert known == set(STATUS_WORDS)


def point(board: str, digest: str = "a" * 64, **more: Any) -> dict[str, Any]:
    """Return a row of a point that fits."""
    return {
        "network": "net", "network_digest": digest, "board": board, "cycles": 10,
        "clock_mhz": 50.0, "status": "fits", "why": "", "ii": 10, "fps": 5e6, "lut": 100,
        "ff": 100, "bram": 1, "latency": 20, "lut_share": 1.0, "ff_share": 1.0, "bram_share": 1.0,
    } | more  # fmt: skip


def test_a_report_says_which_device_has_no_room_and_why() -> None:
    large = {"status": "too large", "why": "it takes about 9 LUT of 5"}
    rows = SweepRows(
        [point("icebreaker"), point("tangnano9k", **large), point("icebreaker", "b" * 64)],
        [point("icebreaker")],
    )
    text = page(reports.of_sweep(rows, ("xnorflow", "sweep")))
    assert "tangnano9k: no point fits; too large: it takes about 9 LUT of 5" in text
    # Two networks of one name are told apart.
    assert "net (aaaaaaaa)" in text and "net (bbbbbbbb)" in text
    said = sweep_text.points_lines(rows)
    assert "2 fit, 1 are too large" in said[0]


def test_the_doubt_about_a_clock_is_found_among_others() -> None:
    row = point("icebreaker", why="it takes about 9 LUT of 5; clock unproven: above 5 MHz")
    assert clock_doubt(row) == "icebreaker at 50 MHz: clock unproven: above 5 MHz"
    assert clock_doubt(point("icebreaker")) == ""


def frame(number: int, **more: Any) -> dict[str, Any]:
    return {
        "design": "net", "design_digest": "a", "frame": number, "equal": True, "why": "",
        "label": 1, "truth": 1, "latency": 50, "interval": 30 if number else None,
    } | more  # fmt: skip


def test_frames_are_summed_up() -> None:
    found = sweep_text.frames_summary(
        [frame(0), frame(1, truth=2), frame(2, equal=False, why="layer 'x'")]
    )
    assert found == [
        {
            "design": "net", "design_digest": "a", "frames": 3, "mismatches": 1,
            "why": "layer 'x'", "accuracy": 2 / 3, "ii": 30, "latency": 50,
        }
    ]  # fmt: skip
    (unknown,) = sweep_text.frames_summary([frame(0, truth=-1)])
    assert unknown["accuracy"] is None and unknown["ii"] is None


def seed(number: int, fmax: float | None, status: str) -> dict[str, Any]:
    return {
        "design": "net", "design_digest": "a", "board": "icebreaker", "wish_mhz": 24.0,
        "clock_mhz": 24.0, "seed": number, "fmax_mhz": fmax, "status": status,
        "why": "" if fmax else "router1: no progress",
    }  # fmt: skip


def test_seeds_are_summed_up() -> None:
    rows = [seed(1, 20.0, "missed"), seed(2, 30.0, "met"), seed(3, None, "no route")]
    (found,) = sweep_text.seeds_summary(rows)
    assert (found["seeds"], found["met"], found["unrouted"], found["best_seed"]) == (3, 1, 1, 2)
    assert (found["least_mhz"], found["median_mhz"], found["best_mhz"]) == (20, 25, 30)
    assert sweep_text.seeds_advice([found], [Path("out")]) == [
        "Next: xnorflow build out --clock 24 --seed 2"
    ]
    none = sweep_text.seeds_summary([seed(1, None, "no route")])
    assert sweep_text.seeds_advice(none, [Path("out")]) == ["router1: no progress"]
    assert sweep_text.seeds_table(none).row_count == 1


def test_a_mismatch_ends_with_code_1(
    tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    folder = xf.compile(xf.load(demo.model_path()), cycles=3000).write(tmp_path / "digits")
    data = demo.data()
    np.savez(tmp_path / "x.npz", x=data["x_test"][:4], y=data["y_test"][:4])

    class Table:
        """Stands for the table of rows."""

        def to_pylist(self) -> list[dict[str, Any]]:
            return [frame(0), frame(1, equal=False, why="layer 'x'")]

    monkeypatch.setattr(
        "xnorflow.sweeps.frame_sweep.sweep_frames",
        lambda *a, **o: type("Found", (), {"frames": Table()}),
    )
    result = run("sweep", folder, "--data", tmp_path / "x.npz", "-o", tmp_path / "r", code=1)
    assert "1 of 2 frames of net differ from the golden model: layer 'x'" in result.stderr
    assert "mismatches" in result.stdout
