"""A sweep over foldings: its points are those of the tables, its front has the exact schedule."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import xnorflow as xf
from xnorflow import ir
from xnorflow.devices.board_names import shipped
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput, CheckFailed, ToolMissing, UnsupportedModel
from xnorflow.folding.folding_file import read_folding
from xnorflow.plan.layer_rules import reductions
from xnorflow.resources.usage import design_resources
from xnorflow.sweeps import cluster, code_version, front_points
from xnorflow.sweeps.dispatch import PointBatch, Sending, check_lost
from xnorflow.sweeps.folding_points import FOLDINGS, folding_of, spread
from xnorflow.sweeps.front_points import FRONT, front

from ... import small_graphs

pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")

BOARDS = ["icebreaker", "ulx3s-85f"]


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_every_combination_is_a_row(net: ir.IntegerNetwork, results: Path, scheduler: str) -> None:
    told = []
    found = xf.sweep(
        [net, net],
        [*BOARDS, "ulx3s-85f"],
        results,
        clocks=[24, 48],
        cycles=[1, 5000, 50_000],
        scheduler=scheduler,
        progress=lambda *now: told.append(now),
    )
    points = rows(found.points)
    assert {(r["board"], r["clock_mhz"], r["cycles"]) for r in points} == {
        (b, c, t) for b in BOARDS for c in (24.0, 48.0) for t in (1, 5000, 50_000)
    }
    assert len(points) == 12 and all(r["key"] == FOLDINGS.key(r) for r in points)
    for row in points:
        if row["cycles"] == 1:
            assert row["status"] == "out of reach" and row["ii"] is None
            assert "1 cycles per frame are out of reach" in row["why"]
        else:
            assert row["status"] == "fits" and row["ii"] <= row["cycles"]
            assert row["fps"] == row["clock_mhz"] * 1e6 / row["ii"]
            assert 0 < row["lut_share"] < 100
    assert told[0] == ("points", 0, 12) and ("points", 12, 12) in told
    assert told[-1][0] == "schedules" and told[-1][1] == told[-1][2] == found.front.num_rows
    assert "12 points" in repr(found)


def test_the_front_is_what_compile_gives_for_its_folding(
    net: ir.IntegerNetwork, results: Path, scheduler: str, tmp_path: Path
) -> None:
    found = xf.sweep(net, ["icebreaker"], results, targets=6, schedules=3, scheduler=scheduler)
    front_rows = rows(found.front)
    assert len(front_rows) == 3
    for row in front_rows:
        path = tmp_path / "folding.json"
        path.write_text(row["folding"])
        design = xf.compile(net, "icebreaker", folding=path)
        assert folding_of(design.parts, row["folding"]) == design.folds
        takes = design_resources(design.shape, fpga("icebreaker").family)
        assert (row["ii"], row["latency"]) == (design.ii, design.latency)
        assert (row["lut"], row["bram"]) == (round(takes.luts), takes.ram_blocks)
        assert row["status"] in ("fits", "tight") and row["clock_mhz"] == design.clock.mhz
    intervals = [row["ii"] for row in front_rows]
    assert intervals == sorted(intervals)


def test_what_is_done_is_not_evaluated_again(
    net: ir.IntegerNetwork, results: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"schedules": 2, "scheduler": scheduler}
    first = xf.sweep(net, BOARDS[:1], results, cycles=[5000, 9000], **options)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "_remote", lambda address: pytest.fail("a cluster was asked for"))
        again = xf.sweep(net, BOARDS[:1], results, cycles=[5000, 9000], **options)
    assert again.points.equals(first.points) and again.front.equals(first.front)
    # A larger sweep evaluates what is new, and the file keeps all.
    more = xf.sweep(net, BOARDS, results, cycles=[5000], **options)
    assert [r["board"] for r in rows(more.points)] == BOARDS
    import pyarrow.parquet as pq

    assert pq.read_table(results / "points.parquet").num_rows == 3
    assert sorted(p.name for p in results.iterdir()) == [
        ".lock",
        "front.parquet",
        "points.parquet",
    ]


def test_a_sweep_that_was_interrupted_goes_on(
    net: ir.IntegerNetwork, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xnorflow.sweeps.folding_points.AT_ONCE", 2)
    options: dict[str, Any] = {"targets": 6, "schedules": 2, "scheduler": scheduler}

    def interrupt(what: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        xf.sweep(net, BOARDS[:1], tmp_path / "a", **options, progress=interrupt)
    parts = list((tmp_path / "a/points.parts").iterdir())
    assert len(parts) == 1
    told = []
    xf.sweep(net, BOARDS[:1], tmp_path / "a", **options, progress=lambda *n: told.append(n))
    assert told[0] == ("points", 2, 6)
    xf.sweep(net, BOARDS[:1], tmp_path / "b", **options)
    for name in ("points.parquet", "front.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_clocks_out_of_reach_and_devices_without_room_are_rows(
    net: ir.IntegerNetwork, results: Path, scheduler: str
) -> None:
    found = xf.sweep(
        net, ["tangnano9k"], results, clocks=[100, 5000], cycles=[600], scheduler=scheduler
    )
    slow, fast = rows(found.points)
    assert slow["clock_mhz"] == 100 and slow["status"] in ("fits", "tight", "too large")
    assert fast["status"] == "clock out of reach" and "5000 MHz is out of reach" in fast["why"]
    assert fast["fps"] is None
    found = xf.sweep(net, ["tangnano9k"], results, fps=[100], clocks=[50], scheduler=scheduler)
    assert [r["cycles"] for r in rows(found.points)] == [500_000]


def test_a_board_file_travels_to_the_workers(
    net: ir.IntegerNetwork, tmp_path: Path, scheduler: str
) -> None:
    path = tmp_path / "mine.toml"
    text = shipped("ulx3s-85f").text
    path.write_text(text.replace('name = "ulx3s-85f"', 'name = "mine"'))
    found = xf.sweep(
        net, [str(path), "LFE5U-45F"], tmp_path / "r", cycles=[5000], scheduler=scheduler
    )
    part, mine = sorted(rows(found.points), key=lambda r: r["board"])
    assert mine["board"] == "mine" and part["board"].upper().startswith("LFE5U-45F")
    assert mine["lut"] == part["lut"] and mine["lut_share"] < part["lut_share"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": []}, "at least one network and one device"),
        ({"devices": ["ulx4s"]}, "unknown board 'ulx4s'"),
        ({"clocks": [0]}, "clock of 0 MHz is not possible"),
        ({"cycles": [0]}, "whole numbers of 1 or more, not 0"),
        ({"cycles": [2.5]}, "whole numbers of 1 or more, not 2.5"),
        ({"cycles": [5], "fps": [5]}, "only one of cycles and fps"),
        ({"fps": [-1]}, "above 0, not -1"),
        ({"targets": 0}, "0 targets would be no sweep"),
        ({"jobs": 0}, "0 processes would not evaluate"),
        ({"jobs": 1, "scheduler": "tcp://127.0.0.1:1"}, "leave one of the two out"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    net: ir.IntegerNetwork, results: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        xf.sweep(net, **({"devices": BOARDS} | options), output=results)
    assert not results.exists()


def test_a_scheduler_that_does_not_answer_is_named(
    net: ir.IntegerNetwork, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(BadInput, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        xf.sweep(net, BOARDS, results, cycles=[5000], scheduler="tcp://127.0.0.1:1")


def test_workers_of_another_version_are_refused(
    net: ir.IntegerNetwork, results: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_version, "code_version", lambda: "0.0.1+other")
    with pytest.raises(BadInput, match="a worker has xnorflow 0.0.1.other, but this sweep"):
        xf.sweep(net, BOARDS[:1], results, cycles=[5001], scheduler=scheduler)


def test_a_missing_package_is_named_with_its_extra(
    net: ir.IntegerNetwork, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ToolMissing, match=r"needs pyarrow, .* pip install .*\[sweep\]"):
        xf.sweep(net, BOARDS, results)


def test_a_scheduler_without_workers_is_named(
    net: ir.IntegerNetwork, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import distributed

    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0"
        ) as empty,
        pytest.raises(BadInput, match="has no workers"),
    ):
        xf.sweep(net, BOARDS, results, cycles=[5000], scheduler=empty.scheduler_address)


def test_workers_without_the_package_are_refused(
    net: ir.IntegerNetwork, results: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xnorflow.sweeps.dispatch", None)
    with (
        pytest.raises(ToolMissing, match="the workers lack xnorflow"),
        cluster.connected(scheduler),
    ):
        pass


class EndedTask:
    """Stands for a future of Dask that ends with an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def result(self) -> None:
        raise self.error


def test_what_becomes_of_a_task_is_said() -> None:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    batch = PointBatch("foldings-abc", 7, lambda request, parcels: [], {})
    client: Any = None
    sending = Sending(client, {})

    def ends(error: BaseException) -> Any:
        task: Any = EndedTask(error)
        return sending._result(task, batch)

    worker: Any = None
    assert ends(KilledWorker("task", worker, 3)) is None
    assert sending.lost == ["7 points of foldings"]
    with pytest.raises(CheckFailed, match="connection to the Dask scheduler was lost"):
        ends(CancelledError())
    with pytest.raises(ToolMissing, match="the workers lack xnorflow"):
        ends(ModuleNotFoundError("No module", name="xnorflow"))
    with pytest.raises(ZeroDivisionError):
        ends(ZeroDivisionError())


def test_lost_points_are_told() -> None:
    check_lost([], "results")
    with pytest.raises(CheckFailed, match="5 points of foldings.*results has the other points"):
        check_lost(["5 points of foldings"], "results")


def test_targets_reach_from_the_fastest_to_the_slowest_folding(net: ir.IntegerNetwork) -> None:
    found = spread(net, 10)
    assert len(found) == 10 and found == sorted(found)
    slowest = max(part.cycles(part.smallest_fold) for part in reductions(net))
    assert found[-1] == slowest
    with pytest.raises(BadInput, match="out of reach"):
        xf.compile(net, "ulx3s-85f", cycles=found[0] - 1)
    assert xf.compile(net, "ulx3s-85f", cycles=found[0]).ii <= found[0]
    assert spread(net, 1) == [found[0], found[-1]]


def test_a_front_has_no_folding_that_is_slower_and_as_large() -> None:
    device = fpga("ulx3s-85f")

    def row(ii: int, lut: int, status: str = "fits") -> dict[str, Any]:
        return {"ii": ii, "lut": lut, "bram": 0, "spram": 0, "status": status, "cycles": ii}

    found = front([row(30, 50), row(10, 90), row(20, 95), row(40, 10, "too large")], device, 8)
    assert [r["ii"] for r in found] == [10, 30]
    many = [row(n, 1000 - 50 * n) for n in range(1, 14)]
    assert [r["ii"] for r in front(many, device, 3)] == [1, 7, 13]
    assert front([], device, 3) == []


def test_the_folding_of_a_row_is_a_folding_file(
    net: ir.IntegerNetwork, results: Path, scheduler: str, tmp_path: Path
) -> None:
    found = xf.sweep(net, BOARDS[:1], results, cycles=[5000], schedules=0, scheduler=scheduler)
    assert found.front.num_rows == 0
    (row,) = rows(found.points)
    (tmp_path / "f.json").write_text(row["folding"])
    parts = reductions(net)
    folds = read_folding(tmp_path / "f.json", parts)
    assert max(p.cycles(f) for p, f in zip(parts, folds, strict=True)) <= 5000
    assert json.loads(row["folding"])["layers"].keys() == {p.name for p in parts}
    assert FRONT.key(front_points.point(row)) != row["key"]


def test_networks_that_branch_and_layers_without_hardware_are_swept(
    results: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_graphs.residual()
    found = xf.sweep(net, ["ulx3s-85f"], results, targets=3, scheduler=scheduler)
    assert {row["status"] for row in rows(found.points)} == {"fits"}
    for row in rows(found.front):
        assert row["latency"] >= row["ii"] > 0

    def refuse(*arguments: object) -> None:
        raise UnsupportedModel("there is no hardware for it", node="x", op="Conv")

    monkeypatch.setattr("xnorflow.folding.board_fit.Fit", refuse)
    found = xf.sweep(net, ["icebreaker"], results, cycles=[100], scheduler=scheduler)
    (row,) = rows(found.points)
    assert row["status"] == "unsupported" and "there is no hardware for it" in row["why"]
    assert found.front.num_rows == 0


def test_what_is_too_large_is_said(net: ir.IntegerNetwork, tmp_path: Path, scheduler: str) -> None:
    path = tmp_path / "small.toml"
    text = shipped("ulx3s-85f").text.replace('name = "ulx3s-85f"', 'name = "small"')
    path.write_text(text + '\n[capacities]\nluts = 800\nsource = "a wish"\n')
    found = xf.sweep(net, [str(path)], tmp_path / "r", targets=3, scheduler=scheduler)
    for row in rows(found.points):
        assert row["status"] == "too large" and "LUT of 100" in row["why"]
        assert row["lut"] > 100 and row["lut_share"] == round(row["lut"] / 8, 2)
    assert found.front.num_rows == 0


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(
    net: ir.IntegerNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("xnorflow.sweeps.folding_points.AT_ONCE", 2)
    killed: list[int] = []

    def kill_one(what: str, done: int, total: int) -> None:
        """Kill the worker that is at work, after the first rows have come."""
        if done and not killed and what == "points":
            workers = worker_processes()
            assert len(workers) == 2
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    options: dict[str, Any] = {"targets": 16, "clocks": [20, 40], "schedules": 3, "jobs": 2}
    xf.sweep(net, BOARDS, tmp_path / "a", **options, progress=kill_one)
    assert killed
    xf.sweep(net, BOARDS, tmp_path / "b", **options)
    for name in ("points.parquet", "front.parquet"):
        found = pq.read_table(tmp_path / "a" / name)
        assert len(set(found["key"].to_pylist())) == found.num_rows
        assert found.equals(pq.read_table(tmp_path / "b" / name))
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert pq.read_table(tmp_path / "a/points.parquet").num_rows == 64


def worker_processes() -> list[int]:
    """Return the ids of the processes of Dask's workers below this process."""
    from xnorflow.cli.endings import children

    return sorted(
        pid
        for pid in children(os.getpid())
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
