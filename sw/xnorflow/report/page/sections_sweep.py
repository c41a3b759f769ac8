"""The sections of the report of a sweep: what was evaluated, and the front of each device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xnorflow.devices.figure import Origin, compact
from xnorflow.report.page.charts_sweep import front_of_network
from xnorflow.report.page.page_blocks import Block, Cell, Fact, Notes, Section, Table, counted

Row = Mapping[str, Any]
ROOMY = "fits"
FITTING = (ROOMY, "tight")
"""Values of `status` of what a device has room for."""
STATUS_WORDS = {
    "fits": "fit",
    "tight": "fit only without headroom",
    "too large": "are too large",
    "out of reach": "are faster than any folding",
    "clock out of reach": "have a clock out of reach",
    "unsupported": "are of a network without hardware",
}
"""What became of points, by their `status`."""
EXACT = "exact schedule"
CLOCK_DOUBT = "clock unproven"
"""Beginning of what `why` says of a clock that no placed design of the family has had."""


@dataclass(frozen=True)
class SweepRows:
    """The rows of a sweep over foldings, for reading.

    Parameters
    ----------
    points, front : sequence of Row
        Rows of ``points.parquet`` and of ``front.parquet``.
    """

    points: Sequence[Row]
    front: Sequence[Row]

    @property
    def networks(self) -> dict[str, str]:
        """What each network is called, by its digest: its name, with a digest if that is double."""
        names = dict.fromkeys((r["network_digest"], r["network"]) for r in self.points)
        count = Counter(name for _, name in names)
        return {d: name if count[name] == 1 else f"{name} ({d[:8]})" for d, name in names}

    def of(self, rows: Sequence[Row], digest: str) -> dict[str, list[Row]]:
        """Return a network's rows that fit, each device's at its fastest clock, by device."""
        found: dict[str, list[Row]] = {}
        for row in rows:
            if row["network_digest"] == digest:
                found.setdefault(row["board"], []).append(row)
        return {board: _at_fastest_clock(each) for board, each in found.items()}


def _at_fastest_clock(rows: Sequence[Row]) -> list[Row]:
    fitting = [row for row in rows if row["status"] in FITTING and row["fps"] is not None]
    most = max((row["clock_mhz"] for row in fitting), default=0.0)
    return [row for row in fitting if row["clock_mhz"] == most]


def clock_doubt(row: Row) -> str:
    """Return what speaks against the clock of a row; empty if nothing does."""
    clause = next((part for part in row["why"].split("; ") if part.startswith(CLOCK_DOUBT)), "")
    return clause and f"{row['board']} at {row['clock_mhz']:g} MHz: {clause}"


def sweep_facts(rows: SweepRows) -> list[Fact]:
    """Return what a reader wants to know first about a sweep."""
    count = Counter(row["status"] for row in rows.points)
    fitting = sum(count[status] for status in FITTING)
    words = (f"{n:,} {STATUS_WORDS[s]}" for s, n in count.items() if s != "fits")
    boards = {row["board"] for row in rows.points}
    facts = [
        Fact(
            "Points",
            f"{len(rows.points):,}",
            f"{counted(len(rows.networks), 'network')}, {counted(len(boards), 'device')}",
        ),
        Fact("Fit", f"{fitting:,}", ", ".join(words), bool(fitting), Origin.ESTIMATED),
    ]
    for digest, name in rows.networks.items():
        exact = [r for each in rows.of(rows.front, digest).values() for r in each]
        if exact:
            # What fits only without headroom is refused by compile, so it is named last.
            best = max(exact, key=lambda row: (row["status"] == ROOMY, row["fps"]))
            facts.append(
                Fact(
                    f"Fastest, {name}",
                    f"{compact(best['fps'])} frames/s",
                    f"{best['board']} at {best['clock_mhz']:g} MHz, {best['lut']:,} LUT"
                    + (f"; {CLOCK_DOUBT}" if clock_doubt(best) else "")
                    + ("" if best["status"] == ROOMY else "; only without headroom"),
                    kind=Origin.ESTIMATED,
                )
            )
    return facts


def front_sections(rows: SweepRows) -> list[Section]:
    """Return a section for each network: the chart of its fronts, and their table."""
    sections = []
    for index, (digest, name) in enumerate(rows.networks.items()):
        points, fronts = rows.of(rows.points, digest), rows.of(rows.front, digest)
        shown = {board: each for board, each in points.items() if each}
        none = [board for board, each in points.items() if not each]
        blocks: list[Block] = []
        if shown:
            blocks.append(front_of_network(name, shown, fronts, index))
        if any(fronts.values()):
            blocks.append(_front_table(fronts))
        doubts = dict.fromkeys(clock_doubt(r) for each in fronts.values() for r in each)
        if any(doubts):
            blocks.append(Notes([f"* {doubt}" for doubt in doubts if doubt]))
        if none:
            blocks.append(Notes([_without(board, rows.points, digest) for board in none]))
        sections.append(Section(f"network-{index}", name, blocks))
    return sections


def _without(board: str, points: Sequence[Row], digest: str) -> str:
    """Return why no point of a network fits a device."""
    own = [r for r in points if r["board"] == board and r["network_digest"] == digest]
    least = min(own, key=lambda row: row["lut"] if row["lut"] is not None else 1 << 62)
    why = f": {least['why']}" if least["why"] else ""
    return f"{board}: no point fits; {least['status']}{why}"


def _clock(row: Row) -> Cell:
    """Return the cell of a clock, with a star where the notes below the table doubt it."""
    doubt = clock_doubt(row)
    return Cell(f"{row['clock_mhz']:g}{' *' if doubt else ''}", tip=doubt, alarm=bool(doubt))


def _front_table(fronts: Mapping[str, Sequence[Row]]) -> Table:
    heads = ["device", "room", "clock, MHz", "frames/s", "interval, cycles", "latency, cycles"]
    heads += ["LUT", "FF", "block RAM"]

    def figure(text: str, tip: str, share: float | None = None) -> Cell:
        return Cell(text, Origin.ESTIMATED, tip, share)

    table = [
        [
            Cell(board),
            Cell(row["status"], tip=row["why"], alarm=row["status"] != ROOMY),
            _clock(row),
            figure(f"{row['fps']:,.0f}", EXACT),
            figure(f"{row['ii']:,}", EXACT),
            figure(f"{row['latency']:,}", EXACT),
            *(
                figure(f"{row[name]:,}", "resource model", row[f"{name}_share"])
                for name in ("lut", "ff", "bram")
            ),
        ]
        for board, each in fronts.items()
        for row in sorted(each, key=lambda row: row["ii"])
    ]
    caption = "The front of each device at its fastest clock: interval and latency to the cycle."
    return Table(heads, table, caption)
