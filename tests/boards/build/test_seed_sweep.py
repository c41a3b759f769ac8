"""Many seeds on Dask: synthesis once, a row for each seed, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow_boards.build import seed_sweep
from xnorflow_boards.build.bitstream import build
from xnorflow_boards.build.open_build import OpenBuild, Placement, Synthesised
from xnorflow_boards.build.seed_sweep import PLACEMENTS, sweep_seeds
from xnorflow_boards.flows import ICE40, tools
from xnorflow_boards.flows.report import SlowPath, Usage
from xnorflow_boards.flows.routing import Impasse

pytest.importorskip("amaranth_boards")
pytest.importorskip("distributed", reason="sweeps need Dask (extra: sweep)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = compile_network(load(demo.model_path()), board="icebreaker", cycles=20_000, clock=12)
    return made.write(tmp_path_factory.mktemp("design") / "digits")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Put other steps in the place of the tools, and return what was run of them."""
    run: list[Any] = []

    def synthesise(self: OpenBuild, wish: float, baud: int | None, core: bool) -> Synthesised:
        run.append(("synthesis", wish, baud, core))
        (self.folder / "netlist.json").write_text(f"{wish:g} MHz")
        tool: Any = None
        plan: Any = None
        return Synthesised(plan, wish, tool, tool)

    def place(self: OpenBuild, made: Synthesised, seed: int, rip_up: bool) -> Placement:
        assert (self.folder / "netlist.json").read_text() == f"{made.mhz:g} MHz"
        (self.folder / "netlist.json").write_text("changed by the tool")
        run.append((seed, made.mhz, rip_up))
        if seed == 2:
            raise Impasse("router1: no progress")
        if seed == 3:
            raise CheckFailed("placement failed: a reason")
        usage = Usage(lut=(100, 5280), ff=(50, 5280), bram=(3, 30), dsp=(0, 8))
        path = SlowPath("a", "b", 1.0, 2.0)
        return Placement(seed, 20.0 + seed, usage, {}, path, "router2", "place.log")

    monkeypatch.setattr(OpenBuild, "synthesise", synthesise)
    monkeypatch.setattr(OpenBuild, "place", place)
    seed_sweep._netlist.cache_clear()
    yield run
    seed_sweep._netlist.cache_clear()


def test_every_seed_is_a_row(folder: Path, tmp_path: Path, scheduler: str, runs: list[Any]) -> None:
    found = sweep_seeds([folder, folder], 4, tmp_path, clocks=[12, 23], scheduler=scheduler)
    rows = found.placements.to_pylist()
    assert [(r["wish_mhz"], r["seed"]) for r in rows] == [
        (mhz, seed) for mhz in (12.0, 23.0) for seed in (1, 2, 3, 4)
    ]
    assert all(row["key"] == PLACEMENTS.key(row) for row in rows)
    assert [row["status"] for row in rows[:4]] == ["met", "no route", "failed", "met"]
    assert [row["status"] for row in rows[4:]] == ["missed", "no route", "failed", "met"]
    assert rows[1]["why"] == "router1: no progress" and rows[1]["fmax_mhz"] is None
    assert rows[0]["fmax_mhz"] == 21 and rows[0]["lut"] == 100 and rows[0]["router"] == "router2"
    assert rows[0]["fps"] == 12e6 / rows[0]["ii"]
    # Synthesis ran once for each clock, and what the tools did to its folder did not last.
    assert [r for r in runs if r[0] == "synthesis"] == [
        ("synthesis", mhz, 1_000_000, False) for mhz in (12.0, 23.0)
    ]


def test_more_seeds_and_other_options_are_added(
    folder: Path, tmp_path: Path, scheduler: str, runs: list[Any]
) -> None:
    sweep_seeds([folder], 1, tmp_path, scheduler=scheduler)
    assert [r for r in runs if r[0] != "synthesis"] == [(1, 12.0, False)]
    runs.clear()
    found = sweep_seeds([folder], 2, tmp_path, scheduler=scheduler)
    assert runs == [(2, 12.0, False)] and found.placements.num_rows == 2
    found = sweep_seeds([folder], 1, tmp_path, rip_up=True, core_only=True, scheduler=scheduler)
    (row,) = found.placements.to_pylist()
    assert row["core"] and row["rip_up"] and runs[-1] == (1, 12.0, True)


def test_requests_that_make_no_sense_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="0 seeds would not place"):
        sweep_seeds([folder], 0, tmp_path)
    free = compile_network(load(demo.model_path()), cycles=20_000).write(tmp_path / "free")
    with pytest.raises(BadInput, match="pynq-z1 is built by .* tools, which take no seeds"):
        sweep_seeds([free], 1, tmp_path / "results", board="pynq-z1")
    with pytest.raises(BadInput, match="a clock of -1 MHz"):
        sweep_seeds([folder], 1, tmp_path, clocks=[-1])


def test_a_tool_that_a_worker_lacks_ends_the_sweep(
    folder: Path, tmp_path: Path, scheduler: str, runs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(self: OpenBuild, *arguments: object) -> Synthesised:
        raise ToolMissing("nextpnr-ice40 was not found. Install it with: pip install it")

    monkeypatch.setattr(OpenBuild, "synthesise", lacking)
    with pytest.raises(ToolMissing, match="nextpnr-ice40 was not found"):
        sweep_seeds([folder], 2, tmp_path, scheduler=scheduler)
    assert not list(tmp_path.glob("*.parquet"))


def test_a_build_takes_one_seed(folder: Path) -> None:
    for options in ({"seed": 0}, {"seed": 3, "seeds": 2}):
        with pytest.raises(BadInput, match="seed"):
            build(folder, **options)


@pytest.mark.slow
def test_a_seed_gives_what_a_build_with_it_gives(
    folder: Path, tmp_path: Path, scheduler: str
) -> None:
    for find in (tools.yosys, ICE40.find_nextpnr, ICE40.find_packer):
        try:
            find()
        except ToolMissing as error:
            pytest.skip(str(error))
    found = sweep_seeds([folder], 2, tmp_path, scheduler=scheduler).placements.to_pylist()
    made = build(folder, seed=2)
    assert made["seed"] == 2 and made["seeds"] == [{"seed": 2, "fmax_mhz": made["fmax_mhz"]}]
    assert found[1]["fmax_mhz"] == made["fmax_mhz"]
    assert found[1]["lut"] == made["resources"]["lut"]["used"]
