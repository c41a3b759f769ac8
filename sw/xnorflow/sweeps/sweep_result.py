"""What a sweep of foldings gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xnorflow.sweeps.folding_points import FITS, TIGHT

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep: its points, and the front of each network on each device.

    Parameters
    ----------
    folder : Path
        Folder with ``points.parquet`` and ``front.parquet``.
    points : pyarrow.Table
        A row for each point: network, device, target in cycles per frame and clock in MHz; what the
        cost tables say of the smallest folding for it.
    front : pyarrow.Table
        A row for each folding of the fronts and each clock, with its exact schedule.
    """

    folder: Path
    points: pa.Table
    front: pa.Table

    def __repr__(self) -> str:
        """Return a line with the numbers of points."""
        fitting = sum(s in (FITS, TIGHT) for s in self.points["status"].to_pylist())
        return (
            f"Sweep of {self.points.num_rows:,} points, {fitting:,} of which fit;"
            f" {self.front.num_rows:,} rows of fronts; in {self.folder}"
        )
