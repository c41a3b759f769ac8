"""The cocotb testbench passes a correct design and fails a broken one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from xnorflow.errors import BadInput, CheckFailed
from xnorflow_sim.bench import cocotb_bench
from xnorflow_sim.bench.cocotb_bench import run_cocotb

from ..small import small

pytestmark = pytest.mark.rtl

TESTS = [
    "one_by_one", "back_to_back", "both_sides_stalled", "reset_in_mid_frame", "nothing_follows",
]  # fmt: skip


def test_a_sound_design_passes_every_test(tmp_path: Path) -> None:
    design = small(6)
    results = run_cocotb(
        design.verilog, design.interface, design.x, design.scores, images=design.images, seed=3
    )
    assert [result.name for result in results] == TESTS
    assert all(result.passed and result.time_ns > 0 for result in results)


def test_a_wrong_score_is_named_by_frame_and_beat() -> None:
    design = small(6)
    wrong = design.scores.copy()
    wrong[4, 3] += 1
    with pytest.raises(CheckFailed, match="back_to_back fails: frame 4, beat 1: m_axis_tdata"):
        run_cocotb(
            design.verilog, design.interface, design.x, wrong, images=design.images,
            tests=("back_to_back",),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "test", "reason"),
    [
        (2, "both_sides_stalled", "m_axis_tvalid fell"),
        (3, "one_by_one", "m_axis_tlast is 0|m_axis_tlast is 1"),
        (4, "both_sides_stalled", "the beat changed|m_axis_tdata is"),
        (5, "one_by_one", "stuck for 201 cycles after 4 input beats and 0 output beats"),
        (6, "nothing_follows", "a beat that no frame asked for"),
        (7, "one_by_one", r"left no results: design\.sv:\d+: .*broken on purpose"),
        # A register without reset.
        (8, "reset_in_mid_frame", "reset_in_mid_frame fails: frame 0, beat 0: m_axis_tdata is"),
    ],
)
def test_a_broken_rule_fails_its_test(fault: int, test: str, reason: str) -> None:
    design = small(3, fault=fault)
    with pytest.raises(CheckFailed, match=reason):
        run_cocotb(
            design.verilog, design.interface, design.x, design.scores, images=design.images,
            tests=(test,), idle_limit=200,
        )  # fmt: skip


def test_waveforms_are_written_on_demand(tmp_path: Path) -> None:
    design = small(2)
    run_cocotb(
        design.verilog, design.interface, design.x, design.scores, images=design.images,
        tests=("one_by_one",), waves=tmp_path / "a.vcd",
    )  # fmt: skip
    assert "m_axis_tdata" in (tmp_path / "a.vcd").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_waves_that_find_no_room_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, keep: object) -> AbstractContextManager[Path]:
        return nullcontext(Path("/dev/full"))

    design = small(2)
    monkeypatch.setattr(cocotb_bench, "whole_file", full)
    with pytest.raises(BadInput, match="cannot write the waveforms: No space left on device"):
        run_cocotb(
            design.verilog, design.interface, design.x, design.scores, images=design.images,
            tests=("one_by_one",), waves=tmp_path / "a.vcd",
        )  # fmt: skip


def test_frames_without_scores_are_refused() -> None:
    design = small(2)
    with pytest.raises(BadInput, match="2 frames and 1 rows"):
        run_cocotb(
            design.verilog, design.interface, design.x, design.scores[:1], images=design.images
        )
