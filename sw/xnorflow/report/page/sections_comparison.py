"""The sections of a report that compare devices: tables, charts, fairness, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS
from xnorflow.comparison.row import Row
from xnorflow.devices.tables import STATUS_TEXT, Source
from xnorflow.report.page.charts_comparison import (
    MEANING,
    batch_chart,
    roofline_chart,
    throughput_chart,
)
from xnorflow.report.page.page_blocks import (
    Block,
    Cell,
    Fact,
    Notes,
    Section,
    SourceLine,
    Sources,
    Table,
    figure_cell,
)
from xnorflow.report.table import gpu_groups
from xnorflow.resources.usage import checked, status

FPGA_COLUMNS = {
    "headline": "frames/s with the link",
    "fps": "frames/s of the accelerator",
    "traffic": "needs",
    "link": "its link carries, frames/s",
    "single": "single stream, frames/s",
    "latency": "latency",
    "clock": "clock",
    "ii": "interval, cycles",
    "luts": "LUT",
    "ffs": "FF",
    "ram_blocks": "block RAM",
    "dsps": "DSP",
    "energy": "energy per frame",
}


def comparison_facts(comparison: Comparison) -> list[Fact]:
    """Return what a reader wants to know first about a comparison."""
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    fitting = [r for r in fpgas if r.fits]
    facts = [
        Fact(
            "Fits",
            f"{len(fitting)} of {len(fpgas)} FPGAs",
            ", ".join(r.device for r in fitting) or "none of those compared",
            bool(fitting),
            None if not fpgas else fpgas[0].figures["luts"].kind,
        )
    ]
    if fitting:
        key = "headline" if "headline" in fitting[0].figures else "fps"
        best = max(fitting, key=lambda r: (r.figures[key].value, _carried(r)))
        facts.append(_fastest("Fastest FPGA that fits", best, key))
        single = max(fitting, key=lambda r: r.figures["single"].value)
        facts.append(_fastest("Fastest single stream, FPGA", single, "single"))
    gpus = [r for r in comparison.rows if r.category == "GPU" and r.column == "gemm"]
    if gpus:
        best = max(gpus, key=lambda r: r.figures["fps"].value)
        facts.append(_fastest(f"Fastest GPU, batch {best.batch:,}", best, "fps"))
        alone = [r for r in gpus if "single" in r.figures]
        if alone:
            best = max(alone, key=lambda r: r.figures["single"].value)
            facts.append(_fastest("Fastest single stream, GPU", best, "single"))
    return facts


def _carried(row: Row) -> float:
    """Return the frames per second that a board's link carries, 0 if no link is known."""
    return row.figures["link"].value if "link" in row.figures else 0.0


def _fastest(name: str, row: Row, key: str) -> Fact:
    figure = row.figures[key]
    details = [row.title if row.category == "FPGA" else f"{row.title}, {row.data_type}"]
    if "link" in row.figures and key == "fps":
        details.append(f"{row.link} carries {row.figures['link']}")
    if figure.error:
        details.append(figure.error)
    return Fact(name, str(figure), "; ".join(details), kind=figure.kind)


def devices_section(comparison: Comparison) -> Section:
    """Return the charts of a comparison."""
    blocks: list[Block] = [throughput_chart(comparison)]
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    pairs = [(r, comparison.designs[r.device]) for r in fpgas if r.device in comparison.designs]
    if pairs:
        batch = batch_chart(comparison, pairs[0][1])
        blocks += [] if batch is None else [batch]
        blocks.append(roofline_chart(comparison, [(r, d) for r, d in pairs if r.fits] or pairs))
    return Section("devices", "Devices side by side", blocks)


def fpga_section(comparison: Comparison) -> Section | None:
    """Return the table of the FPGAs; None without any."""
    rows = [r for r in comparison.rows if r.category == "FPGA"]
    if not rows:
        return None
    shown = [
        key
        for key in FPGA_COLUMNS
        if any(key in r.figures for r in rows) and (key != "energy" or comparison.energy_known)
    ]
    table = []
    for r in rows:
        cells = [Cell(r.title, alarm=not r.fits)]
        for key in shown:
            cells.append(figure_cell(r.figures.get(key), r.figures.get(f"{key}_share")))
        table.append([*cells, Cell(r.link or "none known")])
    heads = ["board", *(FPGA_COLUMNS[key] for key in shown), "link"]
    notes = [f"{r.title}: {note}" for r in rows for note in r.notes]
    blocks: list[Block] = [Table(heads, table, "The binary network itself, one frame at a time.")]
    return Section("fpgas", "FPGAs", [*blocks, *([Notes(notes)] if notes else [])])


def gpu_section(comparison: Comparison) -> Section | None:
    """Return the table of the GPUs; None without any."""
    groups = gpu_groups(comparison)
    if not groups:
        return None
    energy = comparison.energy_known
    table = []
    for (title, data_type, batch), by_column in groups.items():
        gemm = by_column["gemm"].figures
        fps = [by_column[c].figures["fps"] if c in by_column else None for c in COLUMNS]
        cells = [
            Cell(title.replace(" GB", "\u00a0GB")),
            Cell(data_type),
            Cell(f"{batch:,}"),
            *map(figure_cell, fps),
        ]
        cells += [figure_cell(gemm.get(key)) for key in ("single", "latency", "traffic")]
        table.append([*cells, *([figure_cell(gemm.get("energy"))] if energy else [])])
    heads = ["GPU", "type", "batch", *(f"frames/s, {c}" for c in COLUMNS)]
    heads += ["single stream, frames/s", "latency of a batch", "needs"]
    words = [f"{c}: {COLUMN_TEXT[c]}." for c in COLUMNS]
    return Section(
        "gpus",
        "GPUs",
        [
            Table(
                [*heads, *(["energy per frame"] if energy else [])],
                table,
                "Three estimates; single stream, latency and what is needed are those of gemm.",
            ),
            Notes(words),
        ],
    )


def energy_section(comparison: Comparison) -> Section:
    """Return the energies that have a source, with the assumptions behind them."""
    narrowest: dict[str, str] = {}
    for r in comparison.rows:
        if r.category == "GPU":
            known = narrowest.setdefault(r.device, r.data_type)
            narrowest[r.device] = min(known, r.data_type, key=tuple(MEANING).index)
    rows = [
        r
        for r in comparison.rows
        if r.column in ("", "gemm")
        and "energy" in r.figures
        and r.data_type == narrowest.get(r.device, r.data_type)
    ]
    without = sorted({r.device for r in comparison.rows if "energy" not in r.figures})
    table = [
        [
            Cell(r.title),
            Cell("" if r.category == "FPGA" else f"{r.data_type}, batch {r.batch:,}"),
            figure_cell(r.figures["energy"]),
            Cell(r.figures["energy"].how.replace(" x ", " × ")),
            Cell(r.figures["energy"].error or ""),
        ]
        for r in rows
    ]
    notes = [
        "Energy of a frame: the published power of the whole board times the time of a frame."
        " Of a GPU that is the limit of its board's power, an upper bound; of an FPGA the measured"
        " power of other designs on the same board.",
    ]
    if without:
        notes.append(
            f"No published power, hence no figure: {', '.join(without)}. So energies are no column"
            " of the tables above, for either side."
        )
    blocks: list[Block] = [Notes(notes)]
    if table:
        heads = ["device", "arithmetic", "energy per frame", "computed as", "error"]
        blocks.insert(0, Table(heads, table))
    return Section("energy", "Energy, and what it assumes", blocks)


def closing_sections(comparison: Comparison) -> Sequence[Section]:
    """Return what makes the comparison fair or not, errors of models, and all sources."""
    sections = [Section("fairness", "What makes this comparable", [Notes(comparison.fairness)])]
    if comparison.omitted:
        sections.append(Section("omitted", "Left out", [Notes(comparison.omitted)], folded=True))
    models = [
        [Cell(name), Cell(status(family)), Cell(checked(family))]
        for name, family in comparison.families.items()
    ]
    if models:
        heads = ["family", "status", "error"]
        sections.append(
            Section("models", "Error of the resource model", [Table(heads, models)], folded=True)
        )
    sources = [
        SourceLine(_together(keys), s.document, s.url, s.looked_up, STATUS_TEXT[s.status])
        for s, keys in _by_source(comparison.sources).items()
    ]
    sections.append(
        Section("sources", "Sources of device figures", [Sources(sources)], folded=True)
    )
    return sections


def _by_source(sources: Mapping[str, Source]) -> dict[Source, list[str]]:
    """Return the figures that come from each source, in the order of their first."""
    found: dict[tuple[str, str, str, str], tuple[Source, list[str]]] = {}
    for key, source in sources.items():
        same = (source.document, source.url, source.looked_up, source.status)
        found.setdefault(same, (source, []))[1].append(key)
    return dict(found.values())


def _together(keys: Sequence[str]) -> str:
    """Return names of figures, each device named once: ``t4 power, bandwidth; l4 power``."""
    devices: dict[str, list[str]] = {}
    for key in keys:
        device, _, figure = key.partition(" ")
        devices.setdefault(device, []).append(figure)
    return "; ".join(f"{device} {', '.join(each)}".strip() for device, each in devices.items())
