"""Place and route compiled designs with many seeds and clocks on Dask."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xnorflow.design.clock import Clock
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.progress import Stages, staged
from xnorflow.sweeps.dispatch import PointBatch, Request
from xnorflow.sweeps.frame_sweep import StoredFolder, unpacked_design
from xnorflow.sweeps.parcels import board_named, board_text, digest, scratch
from xnorflow.sweeps.row_store import RowStore, results_folder
from xnorflow.sweeps.sweep_rows import RowKind
from xnorflow.sweeps.sweep_workers import SweepWorkers
from xnorflow_boards.build.bitstream import BAUD, checked_board
from xnorflow_boards.build.open_build import OpenBuild, Synthesised
from xnorflow_boards.catalogue import board as find_board
from xnorflow_boards.flows.routing import Impasse

if TYPE_CHECKING:
    import pyarrow as pa

MET, MISSED, UNROUTED, FAILED = "met", "missed", "no route", "failed"
"""What became of a seed: its clock is met or missed; no router found a route; a tool failed, or the
design does not fit."""

PLACEMENTS = RowKind(
    "placements",
    {
        "design": "string",
        "design_digest": "string",
        "board": "string",
        "board_digest": "string",
        "wish_mhz": "float64",
        "baud": "int64",
        "core": "bool",
        "rip_up": "bool",
        "seed": "int64",
    },
    {
        "status": "string",
        "why": "string",
        "clock_mhz": "float64",
        "fmax_mhz": "float64",
        "ii": "int64",
        "fps": "float64",
        "lut": "int64",
        "ff": "int64",
        "bram": "int64",
        "dsp": "int64",
        "router": "string",
        "slowest_path": "string",
        "tools": "string",
    },
    ("design", "design_digest", "board", "wish_mhz", "seed"),
)
"""Rows of placements: placed figures with board logic and host link. `clock_mhz` is what the PLL
makes of `wish_mhz`, and `fps` is at that clock."""


@dataclass(frozen=True)
class SeedSweep:
    """The result of a sweep over seeds.

    Parameters
    ----------
    folder : Path
        Folder with ``placements.parquet``.
    placements : pyarrow.Table
        A row for each design, clock and seed.
    """

    folder: Path
    placements: pa.Table


@dataclass(frozen=True)
class _Kind:
    """What all seeds of a sweep have in common."""

    baud: int
    core: bool
    rip_up: bool


def sweep_seeds(
    designs: Sequence[Path],
    seeds: int,
    output: Path,
    *,
    clocks: Sequence[float] = (),
    board: str | None = None,
    baud: int = BAUD,
    core_only: bool = False,
    rip_up: bool = False,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool | Stages | None = None,
) -> SeedSweep:
    """Place and route every design at every clock with seeds 1 to `seeds`.

    A worker runs synthesis once for a design and a clock. No bitstream is made: `build` with the
    best seed makes it.

    Parameters
    ----------
    designs : sequence of Path
        Folders of compiled designs.
    seeds : int
        Number of seeds.
    output : Path
        Folder for ``placements.parquet``.
    clocks : sequence of float
        Wished clocks in MHz, by default that of each design.
    board, baud, core_only, rip_up
        As for `xnorflow_boards.build.bitstream.build`.
    jobs, scheduler, progress
        As for `xnorflow.sweep`.

    Returns
    -------
    SeedSweep
        Rows of all seeds, whether they were placed now or before. That a seed misses its clock, or
        finds no route, is no exception here.

    Raises
    ------
    BadInput
        If a folder holds no design, it cannot be built for its board with open tools, or the
        results' folder holds other rows.
    CheckFailed
        If workers died over some seeds again and again.
    ToolMissing
        If Dask or a tool of the board's flow is missing.
    """
    if seeds < 1:
        raise BadInput(f"{seeds} seeds would not place and route at all; 1 or more would work")
    stored = [StoredFolder.read(path) for path in designs]
    stored = list({each.design.digest: each for each in stored}.values())
    kind = _Kind(baud, core_only, rip_up)
    with (
        staged(progress) as told,
        SweepWorkers(scheduler, jobs, {each.parcel: each.files for each in stored}) as workers,
        results_folder(output) as folder,
    ):
        rows = RowStore(folder, PLACEMENTS)
        keys: set[str] = set()
        batches: list[PointBatch] = []
        for each in stored:
            name, target = checked_board(each.design, each.path, board=board, core_only=core_only)
            if not target.open:
                raise BadInput(
                    f"{target.name} is built by {target.flow.title}'s tools, which take no seeds of"
                    " ours. What would work: a board with open tools, or 'xnorflow build'"
                )
            text = board_text(name)
            for mhz in sorted({Clock.given(c).mhz for c in clocks} or {each.design.clock.mhz}):
                points = [
                    _point(each.design.net.name, each.design.digest, target.name, text)
                    | {"wish_mhz": mhz, **vars(kind), "seed": seed}
                    for seed in range(1, seeds + 1)
                ]
                found = {PLACEMENTS.key(point): point for point in points}
                keys |= set(found)
                batches += [
                    _batch(key, point, text, each.parcel)
                    for key, point in found.items()
                    if key not in rows.done
                ]
        workers.run(batches, rows, keys, partial(told, "placements"))
        rows.finish()
        workers.check_lost(str(folder))
        return SeedSweep(folder, rows.table(keys))


def _point(name: str, design_digest: str, board: str, text: str) -> dict[str, Any]:
    return {
        "design": name,
        "design_digest": design_digest,
        "board": board,
        "board_digest": digest(text.encode()),
    }


def _batch(key: str, point: dict[str, Any], board: str, parcel: str) -> PointBatch:
    request = {"point": point, "board": board}
    return PointBatch(f"placements-{key}", 1, placed, request, (parcel,))


@dataclass(frozen=True, eq=False)
class _Netlist:
    """A design after synthesis, which `build` has run in its folder."""

    build: OpenBuild
    made: Synthesised

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.build.folder, ignore_errors=True)


_synthesis = threading.Lock()
"""Held during synthesis, because several threads of a worker may want the same netlist."""


@lru_cache(maxsize=2)
def _netlist(files: bytes, board: str, wish: float, baud: int, core: bool) -> _Netlist:
    _, design = unpacked_design(files)
    # Another machine may lack the package of a platform, or have another of that name.
    target = find_board(board_named(board))
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    build = OpenBuild(design, target, folder, lambda step, doing: None)
    rate = None if target.file.stream is not None else baud
    return _Netlist(build, build.synthesise(wish, rate, core))


def placed(request: Request, parcels: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Return the row of a seed, on a worker."""
    point = request["point"]
    with _synthesis:
        netlist = _netlist(
            parcels[0], request["board"], point["wish_mhz"], point["baud"], point["core"]
        )
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        folder = Path(name) / "seed"
        shutil.copytree(netlist.build.folder, folder)
        build = copy.copy(netlist.build)
        build.folder, build.steps = folder, list(netlist.build.steps)
        result = _result(build, netlist.made, point["seed"], point["rip_up"])
    return [point | {"clock_mhz": netlist.made.mhz, "ii": build.design.ii} | result]


def _result(build: OpenBuild, made: Synthesised, seed: int, rip_up: bool) -> dict[str, Any]:
    """Return the columns of what place and route found."""
    try:
        found = build.place(made, seed, rip_up)
    except Impasse as e:
        return {"status": UNROUTED, "why": str(e), "tools": _tools(build)}
    except CheckFailed as e:
        return {"status": FAILED, "why": str(e), "tools": _tools(build)}
    used = {name: pair["used"] for name, pair in found.usage.summary().items()}
    return {
        "status": MET if found.fmax_mhz >= made.mhz else MISSED,
        "why": "",
        "fmax_mhz": round(found.fmax_mhz, 2),
        "fps": made.mhz * 1e6 / build.design.ii,
        **{name: used.get(name) for name in ("lut", "ff", "bram", "dsp")},
        "router": found.router,
        "slowest_path": json.dumps(found.path.summary()) if found.path else "",
        "tools": _tools(build),
    }


def _tools(build: OpenBuild) -> str:
    return "; ".join(dict.fromkeys(f"{step.tool} {step.version}" for step in build.steps))
