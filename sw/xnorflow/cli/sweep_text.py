"""What ``xnorflow sweep`` prints of its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from xnorflow.cli.console import plain
from xnorflow.devices.figure import compact
from xnorflow.report.page.sections_sweep import (
    FITTING,
    STATUS_WORDS,
    SweepRows,
    clock_doubt,
)

Row = Mapping[str, Any]


def fronts_table(rows: SweepRows) -> Table:
    """Return a table of the fastest and the smallest folding of each network on each device."""
    table = Table(title="fastest and smallest foldings that fit, exact schedule")
    for name in ("network", "device"):
        table.add_column(name, overflow="fold")
    for name in ("MHz", "frames/s", "interval", "LUT", "BRAM"):
        table.add_column(name, justify="right", no_wrap=True)
    for digest, name in rows.networks.items():
        fronts = rows.of(rows.front, digest)
        for board in rows.of(rows.points, digest):
            each = sorted(fronts.get(board, ()), key=lambda row: row["ii"])
            for row in dict.fromkeys((0, len(each) - 1)) if each else ():
                _add(table, name, each[row])
            if not each:
                table.add_row(plain(name), board, "", "none", "", "", "")
    return table


def _clock(row: Row) -> str:
    """Return a clock in MHz, with a star if no design of the family has had one like it."""
    return f"{row['clock_mhz']:g}{' *' if clock_doubt(row) else ''}"


def _add(table: Table, name: str, row: Row) -> None:
    table.add_row(
        plain(name),
        row["board"],
        _clock(row),
        compact(row["fps"]),
        f"{row['ii']:,}",
        f"{row['lut']:,}",
        f"{row['bram']:,}",
    )


def points_lines(rows: SweepRows) -> list[str]:
    """Return in lines what became of the points."""
    count = Counter(row["status"] for row in rows.points)
    said = ", ".join(f"{n:,} {STATUS_WORDS[status]}" for status, n in count.most_common())
    doubts = dict.fromkeys(filter(None, map(clock_doubt, rows.front)))
    exact = sum(row["status"] in FITTING for row in rows.front)
    return [
        *(f"* {doubt}" for doubt in doubts),
        f"{len(rows.points):,} points by the cost tables (estimated): {said}",
        f"{len(rows.front):,} rows of fronts with the exact schedule, {exact:,} of which fit",
    ]


def frames_summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what was found of the frames of each design."""
    designs: dict[str, list[Row]] = {}
    for row in rows:
        designs.setdefault(row["design_digest"], []).append(row)
    return [_frames_of(each) for each in designs.values()]


def _frames_of(rows: Sequence[Row]) -> dict[str, Any]:
    wrong = [row for row in rows if not row["equal"]]
    known = [row for row in rows if row["truth"] >= 0 and row["label"] is not None]
    # The first frames after a reset fill the pipeline.
    intervals = Counter(row["interval"] for row in rows if row["interval"] is not None)
    latencies = [row["latency"] for row in rows if row["latency"] is not None]
    return {
        "design": rows[0]["design"],
        "design_digest": rows[0]["design_digest"],
        "frames": len(rows),
        "mismatches": len(wrong),
        "why": next((row["why"] for row in wrong if row["why"]), ""),
        "accuracy": sum(row["label"] == row["truth"] for row in known) / len(known)
        if len(known) == len(rows)
        else None,
        "ii": intervals.most_common(1)[0][0] if intervals else None,
        "latency": min(latencies, default=None),
    }


def frames_table(summary: Sequence[Row]) -> Table:
    """Return a table of simulated designs."""
    table = Table(title="simulated in Verilator, against the golden model")
    table.add_column("design", overflow="fold")
    for name in ("frames", "mismatches", "accuracy", "interval", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in summary:
        accuracy = entry["accuracy"]
        table.add_row(
            plain(entry["design"]),
            f"{entry['frames']:,}",
            f"{entry['mismatches']:,}",
            "" if accuracy is None else f"{100 * accuracy:.2f} %",
            "" if entry["ii"] is None else f"{entry['ii']:,}",
            "" if entry["latency"] is None else f"{entry['latency']:,}",
        )
    return table


def seeds_summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what was found of the seeds of each design and clock."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["design_digest"], row["board"], row["wish_mhz"])
        groups.setdefault(key, []).append(row)
    return [_seeds_of(each) for each in groups.values()]


def _seeds_of(rows: Sequence[Row]) -> dict[str, Any]:
    routed = sorted((r for r in rows if r["fmax_mhz"] is not None), key=lambda r: -r["fmax_mhz"])
    fmax = [row["fmax_mhz"] for row in routed]
    return {
        "design": rows[0]["design"],
        "design_digest": rows[0]["design_digest"],
        "board": rows[0]["board"],
        "wish_mhz": rows[0]["wish_mhz"],
        "clock_mhz": rows[0]["clock_mhz"],
        "seeds": len(rows),
        "met": sum(row["status"] == "met" for row in rows),
        "unrouted": len(rows) - len(routed),
        "best_seed": routed[0]["seed"] if routed else None,
        "least_mhz": min(fmax, default=None),
        "median_mhz": median(fmax) if fmax else None,
        "best_mhz": max(fmax, default=None),
        "why": next((row["why"] for row in rows if row["why"]), ""),
    }


def seeds_table(summary: Sequence[Row]) -> Table:
    """Return a table of placed designs."""
    table = Table(title="placed and routed")
    for name in ("design", "board"):
        table.add_column(name, overflow="fold")
    for name in ("MHz", "seeds", "met", "no route", "median", "best", "its seed"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in summary:
        found = [entry["median_mhz"], entry["best_mhz"]]
        table.add_row(
            plain(entry["design"]),
            entry["board"],
            f"{entry['clock_mhz']:g}",
            str(entry["seeds"]),
            str(entry["met"]),
            str(entry["unrouted"]),
            *("" if mhz is None else f"{mhz:.1f}" for mhz in found),
            "" if entry["best_seed"] is None else str(entry["best_seed"]),
        )
    return table


def seeds_advice(summary: Sequence[Row], models: Sequence[Path]) -> list[str]:
    """Return what went wrong if no seed found a route, or how the best one becomes a bitstream."""
    best = [entry for entry in summary if entry["best_seed"] is not None]
    if not best:
        return [entry["why"] for entry in summary if entry["why"]][:1]
    if len(models) > 1 or len(best) > 1:
        return ["'xnorflow build DIR --seed N' makes the bitstream of a seed"]
    return [
        f"Next: xnorflow build {models[0]} --clock {best[0]['wish_mhz']:g} --seed"
        f" {best[0]['best_seed']}"
    ]
