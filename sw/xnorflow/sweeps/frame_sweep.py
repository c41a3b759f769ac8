"""Simulate the Verilog of compiled designs on whole test sets, in shares of frames."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.data import Images
from xnorflow.design.design import Design
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.progress import Stages, staged
from xnorflow.sweeps.dispatch import PointBatch, Request
from xnorflow.sweeps.parcels import digest, packed_folder, scratch, unpacked_folder
from xnorflow.sweeps.row_store import RowStore, results_folder
from xnorflow.sweeps.sweep_rows import RowKind
from xnorflow.sweeps.sweep_workers import SweepWorkers

if TYPE_CHECKING:
    import pyarrow as pa

SHARE = 100
"""Frames that are simulated together, unless another number is given."""

FRAMES = RowKind(
    "frames",
    {
        "design": "string",
        "design_digest": "string",
        "frame": "int64",
        "frame_digest": "string",
        "truth": "int64",
    },
    {
        "equal": "bool",
        "why": "string",
        "label": "int64",
        "scores": "list<int64>",
        "latency": "int64",
        "interval": "int64",
    },
    ("design", "design_digest", "frame"),
)
"""Rows of simulated frames. `equal` says whether all scores are the golden model's, `interval` is
the time since the frame before was done, which the first frame of a share does not have. `truth` is
the label of the data, or `UNKNOWN`."""
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class StoredFolder:
    """A design that lies in a folder.

    Parameters
    ----------
    path : Path
        The folder.
    design : Design
        What is in it.
    files : bytes
        Its files, packed.
    """

    path: Path
    design: Design
    files: bytes

    @classmethod
    def read(cls, path: Path) -> StoredFolder:
        """Read a folder; BadInput if `Design.write` did not write it."""
        return cls(path, Design.describe(path), packed_folder(path))

    @property
    def parcel(self) -> str:
        """Name of its files among the parcels."""
        return digest(self.files)


@dataclass(frozen=True)
class FrameSweep:
    """The result of a sweep over frames.

    Parameters
    ----------
    folder : Path
        Folder with ``frames.parquet``.
    frames : pyarrow.Table
        A row for each design and frame.
    """

    folder: Path
    frames: pa.Table


def sweep_frames(
    designs: Sequence[Path],
    images: Images,
    output: Path,
    *,
    share: int = SHARE,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool | Stages | None = None,
) -> FrameSweep:
    """Simulate every frame in the Verilog of every design, at full speed.

    Parameters
    ----------
    designs : sequence of Path
        Folders of compiled designs.
    images : Images
        Frames, and labels if they are known.
    output : Path
        Folder for ``frames.parquet``.
    share : int
        Frames that are simulated together; each share begins with a reset.
    jobs, scheduler, progress
        As for `xnorflow.sweep`.

    Returns
    -------
    FrameSweep
        Rows of all frames, whether they were simulated now or before. That scores differ from the
        golden model's is no exception here.

    Raises
    ------
    BadInput
        If a folder holds no design, the frames do not fit it, or the results' folder holds other
        rows.
    CheckFailed
        If workers died over some frames again and again.
    ToolMissing
        If Dask, Verilator or a compiler is missing.
    """
    if share < 1:
        raise BadInput(f"shares of {share} frames would hold none; 1 or more would work")
    stored = [StoredFolder.read(path) for path in designs]
    stored = list({each.design.digest: each for each in stored}.values())
    with (
        staged(progress) as told,
        SweepWorkers(scheduler, jobs, {each.parcel: each.files for each in stored}) as workers,
        results_folder(output) as folder,
    ):
        rows = RowStore(folder, FRAMES)
        keys: set[str] = set()
        batches: list[PointBatch] = []
        for each in stored:
            all_keys, open_ = _shares(each, images, share, rows.done)
            keys |= all_keys
            batches += open_
        workers.run(batches, rows, keys, partial(told, "frames"))
        rows.finish()
        workers.check_lost(str(folder))
        return FrameSweep(folder, rows.table(keys))


def _shares(
    stored: StoredFolder, images: Images, share: int, done: set[str]
) -> tuple[set[str], list[PointBatch]]:
    """Return the keys of all frames of a design, and batches of those that are not done."""
    from xnorflow_sim import golden

    design = stored.design
    x = golden.frames(design.net, images.x)
    images.check_labels(design.net.label_count)
    y = np.full(len(x), UNKNOWN) if images.y is None else images.y
    points = [_point(design.net.name, design.digest, n, x[n], y[n]) for n in range(len(x))]
    keys = [FRAMES.key(point) for point in points]
    batches = []
    for start in range(0, len(x), share):
        open_ = [n for n in range(start, min(start + share, len(x))) if keys[n] not in done]
        if not open_:
            continue
        request = {
            "name": design.net.name,
            "digest": design.digest,
            "numbers": open_,
            "truths": [int(y[n]) for n in open_],
            "frames": _packed(x[open_]),
        }
        name = digest("".join(keys[n] for n in open_).encode())
        batches.append(
            PointBatch(f"frames-{name}", len(open_), simulate, request, (stored.parcel,))
        )
    return set(keys), batches


def _point(
    name: str, design_digest: str, number: int, frame: NDArray[Any], truth: int
) -> dict[str, Any]:
    data = np.ascontiguousarray(frame)
    found = hashlib.sha256(f"{data.dtype.str} {data.shape} ".encode() + data.tobytes())
    return {
        "design": name,
        "design_digest": design_digest,
        "frame": number,
        "frame_digest": found.hexdigest(),
        "truth": int(truth),
    }


def _packed(frames: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, frames, allow_pickle=False)
    return content.getvalue()


@lru_cache(maxsize=2)
def unpacked_design(files: bytes) -> tuple[Path, Design]:
    """Return the folder of a design on this worker, and the design, whose Verilog is the same."""
    folder = scratch() / digest(files)[:32]
    folder.mkdir(exist_ok=True)
    unpacked_folder(files, folder)
    return folder, Design.read(folder)


def simulate(request: Request, parcels: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Return the rows of a share of frames, on a worker."""
    from xnorflow_sim import golden

    _, design = unpacked_design(parcels[0])
    x = np.load(io.BytesIO(request["frames"]), allow_pickle=False)
    numbers = request["numbers"]
    each = zip(numbers, x, request["truths"], strict=True)
    rows = [_point(request["name"], request["digest"], *one) for one in each]
    try:
        run = design.simulator().run(x)
    except CheckFailed as e:
        return [row | {"equal": False, "why": str(e)} for row in rows]
    equal = (run.scores == golden.run_frames(design.net, x)).all(axis=1)
    why = [""] * len(x)
    if not equal.all():
        first = int((~equal).argmax())
        why[first] = design.locate(x[first : first + 1], numbers[first])
    labels = next(iter(design.net.labels_of(run.scores).values()))
    latency = run.last_out - run.first_in
    return [
        row
        | {
            "equal": bool(equal[i]),
            "why": why[i],
            # A map has a label for each of its pixels; its scores say them all.
            "label": int(labels[i]) if labels.ndim == 1 else None,
            "scores": [int(score) for score in run.scores[i]],
            "latency": int(latency[i]),
            "interval": int(run.ii_all[i - 1]) if i else None,
        }
        for i, row in enumerate(rows)
    ]
