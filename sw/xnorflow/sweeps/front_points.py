"""The front of a sweep: no folding of a network on a device is both as fast and as small.

Its foldings get what the cost tables do not have: the exact schedule, and with it the interval, the
latency, and the depths of buffers and queues.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xnorflow.devices.tables import Fpga
from xnorflow.folding.search import WORTH
from xnorflow.plan.layer_rules import reductions
from xnorflow.resources.usage import design_resources
from xnorflow.sweeps.code_version import check_code, code_version
from xnorflow.sweeps.dispatch import PointBatch, Request
from xnorflow.sweeps.folding_points import (
    FITS,
    FOLDINGS,
    LARGE,
    TIGHT,
    Target,
    at_clock,
    folding_of,
    tables_of,
    taken,
)
from xnorflow.sweeps.parcels import digest
from xnorflow.sweeps.sweep_rows import Row, RowKind

FRONT = RowKind(
    "front",
    {**FOLDINGS.point, "folding": "string"},
    {"latency": "int64", **{n: t for n, t in FOLDINGS.result.items() if n != "folding"}},
    FOLDINGS.order,
)
"""Rows of foldings with their exact schedule; a point may have several in the course of time."""


def size(row: Row, device: Fpga) -> float:
    """Return the size of a folding in LUTs, with every RAM counted as the LUTs it is worth."""
    family = device.family
    spram = float(family.spram_luts.use()) if family.spram_luts else 0.0
    return float(row["lut"] + family.block_luts.use() * row["bram"] + spram * row["spram"])


def front(rows: Sequence[Row], device: Fpga, most: int) -> list[Row]:
    """Choose the front among the foldings of a network on a device, from fast to slow.

    Parameters
    ----------
    rows : sequence of Row
        Rows of the points, at one clock.
    device : Fpga
        The device.
    most : int
        Most rows to choose. The fastest and the smallest are among them, the others evenly spaced.
    """
    found: list[Row] = []
    fitting = [row for row in rows if row["status"] in (FITS, TIGHT) and row["ii"] is not None]
    # By the target last, so that the choice does not depend on the order of the rows.
    for row in sorted(fitting, key=lambda r: (r["ii"], size(r, device), r["cycles"])):
        if not found or size(row, device) < WORTH * size(found[-1], device):
            found.append(row)
    if len(found) <= most:
        return found
    picks = np.linspace(0, len(found) - 1, most).round().astype(int)
    return [found[i] for i in dict.fromkeys(picks.tolist())]


def fronts(
    rows: Sequence[Row], targets: Sequence[Target], most: int
) -> Iterator[tuple[Target, list[Row]]]:
    """Yield the front of each target, whose rows are those of its points at all clocks."""
    by_target: dict[tuple[str, str], dict[float, list[Row]]] = {}
    for row in rows:
        clocks = by_target.setdefault((row["network_digest"], row["board_digest"]), {})
        clocks.setdefault(row["clock_mhz"], []).append(row)
    for target in targets:
        found = by_target.get((target.net.digest, digest(target.board.encode())), {})
        # A clock that is out of reach has no front; the others may have different targets.
        reached = [r for each in found.values() for r in each if r["fps"] is not None]
        unique = {r["cycles"]: r for r in sorted(reached, key=lambda r: r["clock_mhz"])}
        chosen = {r["cycles"] for r in front(list(unique.values()), target.device, most)}
        yield target, [r for r in reached if r["cycles"] in chosen]


def point(row: Row) -> dict[str, Any]:
    """Return the columns that say which row of the front is meant, given its point's row."""
    return {column: row[column] for column in FRONT.point}


def batches(target: Target, rows: Sequence[Row], done: set[str]) -> list[PointBatch]:
    """Return a batch for each folding of a front that is not done, for all clocks."""
    clocks: dict[tuple[int, str], list[float]] = {}
    for row in rows:
        if FRONT.key(point(row)) not in done:
            clocks.setdefault((row["cycles"], row["folding"]), []).append(row["clock_mhz"])
    found = []
    for (cycles, folding), each in clocks.items():
        request = {
            "code": code_version(),
            "network_digest": target.net.digest,
            "board": target.board,
            "cycles": cycles,
            "folding": folding,
            "clocks": each,
        }
        name = digest(json.dumps(request).encode())
        found.append(
            PointBatch(f"schedules-{name}", len(each), schedule, request, (target.parcel,))
        )
    return found


def schedule(request: Request, parcels: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Return the rows of a folding with its exact schedule, on a worker."""
    check_code(request["code"])
    fit = tables_of(request["board"], parcels[0]).fit
    folds = folding_of(reductions(fit.net), request["folding"])
    design = fit.assemble(folds, request["cycles"])
    takes = design_resources(design.shape, fit.device.family)
    exceeded = fit.whole.exceeded(takes)
    status = LARGE if exceeded else TIGHT if fit.budget.exceeded(takes) else FITS
    found: Mapping[str, Any] = {
        **taken(takes, fit.device),
        "status": status,
        "why": f"it takes about {', '.join(exceeded)}" if exceeded else "",
        "ii": design.ii,
        "latency": design.latency,
    }
    target = Target(fit.net, "", fit.device, request["board"])
    more = {"network_digest": request["network_digest"], "folding": request["folding"]}
    return [
        target.point(request["cycles"], mhz) | more | at_clock(found, fit.device, mhz)
        for mhz in request["clocks"]
    ]
