"""Simulation in shares: every frame once, equal to the golden model, whatever was done before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo, ir
from xnorflow.data import Images
from xnorflow.errors import BadInput
from xnorflow.sweeps import frame_sweep
from xnorflow.sweeps.frame_sweep import FRAMES, sweep_frames
from xnorflow.sweeps.parcels import packed_folder, unpacked_folder
from xnorflow_sim.simulation import Run
from xnorflow_sim.verilator.runner import SimulationFailed

pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")


@pytest.fixture(scope="module")
def folder(net: ir.IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return xf.compile(net, cycles=3000).write(tmp_path_factory.mktemp("design") / "digits")


@pytest.fixture(scope="module")
def images() -> Images:
    data = demo.data()
    return Images(data["x_test"][:23], data["y_test"][:23].astype(np.int64))


class TwinSimulator:
    """Stands for Verilator: the golden model's scores, and a frame every 3,000 cycles."""

    wrong = -1
    sent: ClassVar[list[int]] = []
    """Numbers of frames of all runs."""

    def __init__(self, net: ir.IntegerNetwork) -> None:
        self.net = net

    def run(self, x: Any) -> Run:
        from xnorflow_sim import golden

        self.sent.append(len(x))
        scores = golden.run_frames(self.net, x)
        if 0 <= self.wrong < len(x):
            scores[self.wrong, 0] += 1
        last = 4000 + 3000 * np.arange(len(x))
        starts = np.zeros(1, np.int64)
        return Run(scores, last - 4000, last - 10, last - 10, last, int(last[-1]), starts)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> type[TwinSimulator]:
    """Put the twin in the place of Verilator; the worker lives in this process."""
    design = "xnorflow.design.design.Design"
    monkeypatch.setattr(f"{design}.simulator", lambda self, **more: TwinSimulator(self.net))
    monkeypatch.setattr(f"{design}.locate", lambda self, x, frame: f"frame {frame}, layer 'x'")
    return TwinSimulator


def test_every_frame_is_simulated_once(
    folder: Path,
    images: Images,
    results: Path,
    scheduler: str,
    simulated: type[TwinSimulator],
    net: ir.IntegerNetwork,
) -> None:
    told = []
    found = sweep_frames(
        [folder, folder],
        images,
        results,
        share=10,
        scheduler=scheduler,
        progress=lambda *now: told.append(now),
    ).frames.to_pylist()
    assert images.y is not None
    assert [row["frame"] for row in found] == list(range(23))
    assert [row["scores"] for row in found] == net(images.x).tolist()
    assert [row["truth"] for row in found] == images.y.tolist()
    assert all(row["equal"] and row["key"] == FRAMES.key(row) for row in found)
    assert {row["interval"] for row in found} == {None, 3000}
    assert [row["frame"] for row in found if row["interval"] is None] == [0, 10, 20]
    assert told == [("frames", n, 23) for n in (0, 10, 20, 23)] or len(told) == 4
    assert [p.name for p in results.iterdir() if p.name != ".lock"] == ["frames.parquet"]


def test_frames_that_are_done_are_not_simulated_again(
    folder: Path,
    images: Images,
    results: Path,
    scheduler: str,
    simulated: type[TwinSimulator],
) -> None:
    first = images.first(15)
    sweep_frames([folder], first, results, share=10, scheduler=scheduler)
    simulated.sent.clear()
    found = sweep_frames([folder], images, results, share=10, scheduler=scheduler).frames
    assert sorted(simulated.sent) == [3, 5] and found.num_rows == 23
    # The same number of another image is another frame, and so is one with another label.
    x, y = images.x.copy(), np.array(images.y)
    x[3, 0, 0] ^= 1
    y[4] = (y[4] + 1) % 10
    simulated.sent.clear()
    changed = sweep_frames([folder], Images(x, y), results, share=10, scheduler=scheduler).frames
    assert simulated.sent == [2] and changed.num_rows == 23


def test_mismatches_and_designs_that_are_stuck_are_rows(
    folder: Path,
    images: Images,
    results: Path,
    scheduler: str,
    simulated: type[TwinSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(simulated, "wrong", 9)
    found = sweep_frames([folder], images, results, share=10, scheduler=scheduler)
    rows = found.frames.to_pylist()
    assert [row["frame"] for row in rows if not row["equal"]] == [9, 19]
    assert rows[9]["why"] == "frame 9, layer 'x'"

    def stuck(self: TwinSimulator, x: Any) -> Run:
        raise SimulationFailed("it is stuck", 2, 100, 5, 0)

    monkeypatch.setattr(simulated, "run", stuck)
    more = replace(images, x=images.x[:, ::-1])
    rows = sweep_frames([folder], more, results, share=30, scheduler=scheduler).frames.to_pylist()
    assert {(row["equal"], row["why"], row["label"]) for row in rows} == {
        (False, "it is stuck", None)
    }


def test_unknown_labels_are_told_apart(
    folder: Path, images: Images, results: Path, scheduler: str, simulated: type[TwinSimulator]
) -> None:
    found = sweep_frames([folder], Images(images.x[:2], None), results, scheduler=scheduler)
    assert found.frames["truth"].to_pylist() == [frame_sweep.UNKNOWN] * 2


def test_requests_that_make_no_sense_are_refused(
    folder: Path, images: Images, results: Path
) -> None:
    with pytest.raises(BadInput, match="shares of 0 frames"):
        sweep_frames([folder], images, results, share=0)
    with pytest.raises(BadInput, match="is not a design that xnorflow wrote"):
        sweep_frames([folder.parent], images, results)
    with pytest.raises(BadInput, match="do not fit digits"):
        sweep_frames([folder], Images(images.x[:, :5], None), results)


def test_a_folder_arrives_as_it_was(folder: Path, tmp_path: Path) -> None:
    data = packed_folder(folder)
    assert data == packed_folder(folder)
    unpacked_folder(data, tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(BadInput, match="did not arrive"):
        unpacked_folder(data[:-30], tmp_path)


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    import io
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../out", "x")
    with pytest.raises(BadInput, match="'../out' is no file name"):
        unpacked_folder(content.getvalue(), tmp_path)


@pytest.mark.rtl
@pytest.mark.slow
def test_the_verilog_itself_gives_the_rows(
    folder: Path, images: Images, results: Path, scheduler: str, net: ir.IntegerNetwork
) -> None:
    rows = sweep_frames([folder], images, results, share=12, scheduler=scheduler).frames.to_pylist()
    design = xf.Design.read(folder)
    assert [row["scores"] for row in rows] == net(images.x).tolist()
    assert all(row["equal"] for row in rows)
    assert rows[0]["latency"] == design.latency
    assert rows[11]["interval"] == rows[22]["interval"] == design.ii
