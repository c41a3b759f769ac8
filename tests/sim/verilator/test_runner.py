"""The compiled simulator on a small hand-written accelerator, correct and broken."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.errors import BadInput, CheckFailed
from xnorflow_sim.locate import locate
from xnorflow_sim.verilator.library import lint
from xnorflow_sim.verilator.runner import SimulationFailed, Simulator

from ..small import TAP, Small, small

pytestmark = pytest.mark.rtl


def simulator(design: Small, *, trace: bool = False) -> Simulator:
    return Simulator(design.verilog, design.interface, images=design.images, trace=trace)


def test_full_speed_gives_exact_scores_and_timing() -> None:
    design = small(50)
    run = simulator(design).run(design.x)
    assert (run.scores == design.scores).all()
    assert (run.labels == design.scores.argmax(axis=1)).all()
    frames = np.arange(50)
    # A frame has four input beats, and its answer comes right after the last of them.
    assert (run.first_in == 4 * frames).all() and (run.last_in == 4 * frames + 3).all()
    assert (run.first_out == 4 * frames + 4).all() and (run.last_out == 4 * frames + 6).all()
    assert (run.ii, run.latency, run.cycles) == (4, 6, 4 * 49 + 7)
    assert isinstance(run.ii, int) and (run.ii_all == 4).all() and len(run.ii_all) == 49


@settings(max_examples=8, deadline=None)
@given(st.floats(0, 0.9), st.floats(0, 0.9), st.integers(0, 2**63))
def test_stalls_change_no_score(stall_in: float, stall_out: float, seed: int) -> None:
    design = small(20)
    run = simulator(design).run(design.x, stall_in=stall_in, stall_out=stall_out, seed=seed)
    assert (run.scores == design.scores).all()
    assert (np.diff(run.last_out) >= 4).all()


def test_stalls_are_seeded_and_as_frequent_as_asked() -> None:
    design = small(400)
    sim = simulator(design)
    slow = [sim.run(design.x, stall_in=0.75, seed=seed).last_in for seed in (1, 1, 2)]
    assert (slow[0] == slow[1]).all() and (slow[0] != slow[2]).any()
    # 1600 beats that each wait for a success of probability 1/4: 6400 cycles, sigma 139.
    assert 5700 < slow[0][-1] < 7100


def test_several_processes_give_the_same_scores() -> None:
    design = small(11)
    progress: list[tuple[int, int]] = []
    run = simulator(design).run(design.x, jobs=3, progress=lambda *done: progress.append(done))
    assert (run.scores == design.scores).all()
    assert run.starts.tolist() == [0, 3, 7]
    assert run.first_in[run.starts].tolist() == [0, 0, 0]
    assert (run.ii_all == 4).all() and len(run.ii_all) == 11 - 3 and run.ii == 4
    assert progress[-1] == (11, 11) and progress == sorted(progress)
    assert simulator(design).run(design.x[:2], jobs=5).starts.tolist() == [0, 1]


def test_one_frame_has_a_latency_but_no_interval() -> None:
    design = small(1)
    run = simulator(design).run(design.x)
    assert run.ii is None and run.latency == 6


def test_a_result_file_holds_scores_labels_and_timing(tmp_path: Path) -> None:
    design = small(5)
    simulator(design).run(design.x).save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz", allow_pickle=False) as result:
        assert (result["scores"] == design.scores).all() and result["scores"].dtype == np.int64
        assert (result["labels"] == design.scores.argmax(axis=1)).all()
        assert (result["ii"], result["latency"]) == (4, 6)


@pytest.mark.parametrize(
    ("fault", "stall_out", "reason"),
    [
        (2, 0.5, "m_axis_tvalid fell"),
        (3, 0.0, "m_axis_tlast does not mark"),
        (4, 0.5, "m_axis_tdata or m_axis_tlast changed"),
        (5, 0.0, "stuck, 1000 cycles passed without a transfer"),
        (6, 0.0, "another beat after the last frame's last one"),
    ],
)
def test_a_broken_rule_is_named(fault: int, stall_out: float, reason: str) -> None:
    design = small(4 if fault != 6 else 1, fault=fault)
    with pytest.raises(SimulationFailed, match=reason):
        simulator(design).run(design.x, stall_out=stall_out, idle_limit=1000)


def test_a_stuck_design_says_how_far_it_came() -> None:
    design = small(4, fault=5)
    with pytest.raises(SimulationFailed, match="16 of 16 input beats and 0 of 12 output") as caught:
        simulator(design).run(design.x, idle_limit=100)
    error = caught.value
    assert (error.frame, error.in_beats, error.out_beats) == (0, 16, 0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_crash_of_the_model_is_an_error_not_a_crash(jobs: int) -> None:
    design = small(4, fault=7)
    with pytest.raises(CheckFailed, match="broken on purpose"):
        simulator(design).run(design.x, jobs=jobs)


def test_what_progress_raises_stops_the_run() -> None:
    design = small(6)

    def progress(done: int, total: int) -> None:
        raise KeyError(total)

    with pytest.raises(KeyError, match="6"):
        simulator(design).run(design.x, jobs=2, progress=progress)


def test_probes_show_every_transfer_and_the_first_mismatch() -> None:
    design = small(6, taps=True)
    run = simulator(design).run(design.x, taps=True, jobs=2, stall_out=0.3)
    samples = run.taps["samples"]
    assert samples.shape == (6, 4, 3)
    assert (samples.reshape(6, 2, 6)[..., :5].reshape(6, 10) == design.x).all()
    codes = design.x.reshape(6, 1, 2, 5).astype(np.int64)
    assert locate({"samples": codes}, run.taps, design.interface.taps) is None
    codes[4, 0, 1, 2] ^= 64
    codes[5, 0, 0, 0] ^= 1
    found = locate({"samples": codes}, run.taps, design.interface.taps)
    assert found is not None
    assert (found.layer, found.frame, found.row, found.column, found.channel) == (
        "samples", 4, 0, 1, 2,
    )  # fmt: skip
    assert found.expected == codes[4, 0, 1, 2] and found.got == codes[4, 0, 1, 2] ^ 64


def test_a_probe_that_shows_another_number_of_beats_is_an_error() -> None:
    design = small(3, taps=True)
    wrong = replace(design.interface, taps=(replace(TAP, beats=3),))
    sim = Simulator(design.verilog, wrong, images=design.images)
    with pytest.raises(SimulationFailed, match="12 beats passed the probe samples, not 9"):
        sim.run(design.x, taps=True)


def test_waveforms_are_written_on_demand(tmp_path: Path) -> None:
    design = small(2)
    sim = simulator(design, trace=True)
    run = sim.run(design.x, waves=tmp_path / "a.vcd")
    assert (run.scores == design.scores).all()
    text = (tmp_path / "a.vcd").read_text()
    assert "$enddefinitions" in text and "m_axis_tdata" in text and "in_beat" in text
    with pytest.raises(BadInput, match="trace=True"):
        simulator(design).run(design.x, waves=tmp_path / "b.vcd")
    with pytest.raises(BadInput, match="vcd"):
        sim.run(design.x, waves=tmp_path / "b.fst")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: to a writer that is a full disk with another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100_000])
def test_waves_that_find_no_room_are_one_line_and_leave_nothing(tmp_path: Path, room: int) -> None:
    design = small(300)
    sim = simulator(design, trace=True)
    sim.run(design.x, waves=tmp_path / "all.vcd")
    size = (tmp_path / "all.vcd").stat().st_size
    (tmp_path / "a.vcd").write_text("the former one")
    # Nothing, the header, or all but the last part, which is written when the file is closed.
    least = 128 + 10 * 300 * 4  # The frames on their way to the model need a file, too.
    limit = {0: least, 1: size // 2, 100_000: size - 1}[room]
    with files_of_at_most(limit), pytest.raises(BadInput, match="waveforms: File too large"):
        sim.run(design.x, waves=tmp_path / "a.vcd")
    assert (tmp_path / "a.vcd").read_text() == "the former one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vcd", "all.vcd"]


@pytest.mark.parametrize("folder", ["/proc", "file", "none/such"])
def test_waves_that_cannot_be_made_are_one_line(tmp_path: Path, folder: str) -> None:
    design = small(2)
    (tmp_path / "file").write_text("")
    (tmp_path / "none").write_text("")
    with pytest.raises(BadInput, match="cannot write .*a.vcd: "):
        simulator(design, trace=True).run(design.x, waves=tmp_path / folder / "a.vcd")


def test_the_waves_of_a_failure_are_kept(tmp_path: Path) -> None:
    design = small(4, fault=5)
    with pytest.raises(SimulationFailed, match="stuck"):
        simulator(design, trace=True).run(design.x, idle_limit=100, waves=tmp_path / "a.vcd")
    assert "$enddefinitions" in (tmp_path / "a.vcd").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a.vcd"]


def test_a_damaged_library_is_compiled_again(tmp_path: Path) -> None:
    design = small(3)
    library = simulator(design).model.library
    # With Verilator's own objects, which need not be compiled again.
    for folder in (library.parent, *library.parents[1].glob("verilated-*")):
        if folder.is_dir():
            shutil.copytree(folder, tmp_path / folder.name)
    content = library.read_bytes()
    (tmp_path / library.parent.name / library.name).write_bytes(content[: len(content) // 2])
    again = Simulator(design.verilog, design.interface, images=design.images, cache=tmp_path)
    assert again.model.library.parent.parent == tmp_path
    assert (again.run(design.x).scores == design.scores).all()


def test_a_library_that_vanishes_is_one_line(tmp_path: Path) -> None:
    design = small(3)
    sim = simulator(design)
    gone = replace(sim.model, library=tmp_path / "model.so")
    sim.model = gone
    with pytest.raises(CheckFailed, match="ended with 1: OSError: .*model.so") as caught:
        sim.run(design.x)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_a_temporary_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    design = small(3)
    sim = simulator(design)
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(BadInput, match="temporary folder.* set TMPDIR"):
        sim.run(design.x)


def test_the_design_may_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = small(3)
    (tmp_path / "a.v").write_text(design.verilog)
    for name, text in design.images.items():
        (tmp_path / name).write_text(text)
    sim = Simulator(tmp_path / "a.v", design.interface)
    (tmp_path / "weights.hex").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (sim.run(design.x).scores == design.scores).all()


def test_other_images_need_no_other_library() -> None:
    one, two = small(3, seed=0), small(3, seed=1)
    assert simulator(one).model.library == simulator(two).model.library
    assert simulator(one).model.folder != simulator(two).model.folder
    assert simulator(one).model == simulator(small(9, seed=0)).model
    assert (simulator(one).run(one.x).scores == one.scores).all()
    assert (simulator(two).run(two.x).scores == two.scores).all()


def test_a_missing_image_or_a_path_is_refused() -> None:
    design = small(1)
    with pytest.raises(BadInput, match=r"ROM image fault\.hex"):
        Simulator(design.verilog, design.interface)
    text = design.verilog.replace("weights.hex", "../weights.hex")
    with pytest.raises(BadInput, match="not a plain file name"):
        Simulator(text, design.interface, images=design.images)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"in_lanes": 4}, "s_axis_tdata.*32 bits wide"),
        ({"taps": (TAP,)}, "does not have the port tap_0_data"),
        ({"top": "other"}, "Verilator refuses other"),
    ],
)
def test_an_interface_that_is_not_the_designs_is_refused(
    changed: dict[str, object], reason: str
) -> None:
    design = small(1)
    interface = replace(design.interface, **changed)  # type: ignore[arg-type]
    with pytest.raises((BadInput, CheckFailed), match=reason):
        Simulator(design.verilog, interface, images=design.images)


@pytest.mark.parametrize(
    "options",
    [{"stall_in": 1.0}, {"stall_out": -0.1}, {"jobs": 0}, {"idle_limit": 0}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    design = small(1)
    with pytest.raises(BadInput, match=next(iter(options))):
        simulator(design).run(design.x, **options)  # type: ignore[arg-type]


def test_no_frames_and_misshapen_frames_are_refused() -> None:
    design = small(1)
    with pytest.raises(BadInput, match="no frames"):
        simulator(design).run(design.x[:0])
    with pytest.raises(BadInput, match="need uint8"):
        simulator(design).run(design.x[:, :9])


def test_lint_reports_warnings_and_nothing_on_clean_text() -> None:
    assert lint(small(1).verilog, "accelerator") == []
    text = small(1).verilog.replace("reg full;", "reg full, forgotten;")
    (found,) = lint(text, "accelerator")
    assert found.startswith("%Warning-UNUSEDSIGNAL: design.sv:") and "forgotten" in found
