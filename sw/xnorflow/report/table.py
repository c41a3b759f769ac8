"""Build the tables of a comparison for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS
from xnorflow.comparison.row import Row
from xnorflow.devices.figure import SHORT, Figure, Origin
from xnorflow.report.terminal import Prose, bare_table

STYLE = {
    Origin.ESTIMATED: "yellow",
    Origin.PUBLISHED: "blue",
    Origin.SIMULATED: "cyan",
    Origin.PLACED: "green",
    Origin.MEASURED: "bold green",
}
SPEED_COLUMNS = {
    "headline": "with link\nframes/s",
    "fps": "frames/s",
    "link": "its link\ncarries",
    "single": "single\nstream",
    "latency": "latency",
    "clock": "clock",
    "ii": "interval\ncycles",
}
SIZE_COLUMNS = {
    "luts": "LUT",
    "ffs": "FF",
    "ram_blocks": "block RAM",
    "dsps": "DSP",
    "energy": "energy",
}


def kind_of(figures: Iterable[Figure | None]) -> Origin | None:
    """Return the kind that all figures of a column have; None if they have several, or none."""
    kinds = {figure.kind for figure in figures if figure is not None}
    return kinds.pop() if len(kinds) == 1 else None


def cell(figure: Figure | None, share: Figure | None = None, *, kind: Origin | None = None) -> Text:
    """Return the cell of a figure and, below it, its share of the device.

    Parameters
    ----------
    figure : Figure or None
        What the cell shows.
    share : Figure, optional
        Its share of the device.
    kind : Origin, optional
        Kind that the head of the column names; without it the cell names its own.
    """
    if figure is None:
        return Text("-", style="dim")
    words = str(figure)
    for unit in (" frames/s", " cycles", "/frame"):
        words = words.removesuffix(unit)
    text = Text("< " if figure.error == "upper bound" else "")
    text.append(words, style=STYLE[figure.kind])
    below = [] if kind else [(SHORT[figure.kind], STYLE[figure.kind])]
    if share is not None:
        below.insert(0, (f"{share.value:.0f} %", "red" if share.value > 100 else "dim"))
    for number, (said, style) in enumerate(below):
        text.append(" " if number else "\n").append(said, style=style)
    return text


def _head(name: str, kind: Origin | None) -> str:
    """Return the head of a column, with the kind that all its figures have."""
    return f"{name}\n{SHORT[kind]}" if kind else name


def _fpga_table(title: str, columns: Mapping[str, str], rows: Sequence[Row], energy: bool) -> Table:
    hidden = set() if energy else {"energy"}
    shown = [k for k in columns if k not in hidden and any(k in r.figures for r in rows)]
    kinds = {k: kind_of(row.figures.get(k) for row in rows) for k in shown}
    heads = [_head(columns[k], kinds[k]) for k in shown]
    table = bare_table(title, ("board", *heads), heads)
    for row in rows:
        get = row.figures.get
        board = row.title.replace(" (", "\n(")
        table.add_row(board, *(cell(get(k), get(f"{k}_share"), kind=kinds[k]) for k in shown))
    return table


def gpu_groups(comparison: Comparison) -> Mapping[tuple[str, str, int], Mapping[str, Row]]:
    """Return the GPU rows by title, data type and batch, and within these by column (estimate)."""
    groups: dict[tuple[str, str, int], dict[str, Row]] = {}
    for row in comparison.rows:
        if row.category == "GPU":
            groups.setdefault((row.title, row.data_type, row.batch), {})[row.column] = row
    return groups


def _gpu_table(comparison: Comparison) -> Table:
    rows = [row.figures for row in comparison.rows if row.category == "GPU"]
    latency, energy = "latency\nof a batch", "energy\nper frame"
    named: dict[str, Origin | None] = {
        name: kind_of(row.get(key) for row in rows)
        for name, key in (
            *((column, "fps") for column in COLUMNS),
            (latency, "latency"),
            *([(energy, "energy")] if comparison.energy_known else []),
        )
    }
    heads = {name: _head(name, kind) for name, kind in named.items()}
    table = bare_table(
        "GPU: three estimates of frames/s; the rest by gemm",
        ("GPU", "type", "batch", *heads.values()),
        ("batch", *heads.values()),
    )
    last = ""
    for (title, data_type, batch), by_column in gpu_groups(comparison).items():
        if last and title != last:
            table.add_section()
        found: dict[str, Figure | None] = {c: row.figures["fps"] for c, row in by_column.items()}
        gemm = by_column["gemm"].figures
        found |= {latency: gemm["latency"], energy: gemm.get("energy")}
        table.add_row(
            "" if title == last else title,
            data_type,
            f"{batch:,}",
            *(cell(found.get(name), kind=kind) for name, kind in named.items()),
        )
        last = title
    return table


def table(comparison: Comparison) -> Group:
    """Return the comparison as a renderable, to be printed by a ``rich.console.Console``."""
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    parts: list[RenderableType] = []
    if fpgas:
        known = comparison.energy_known
        speed, size = "FPGA: the binary network itself, one frame at a time", "What it takes"
        parts += [_fpga_table(speed, SPEED_COLUMNS, fpgas, known), Text()]
        parts += [_fpga_table(size, SIZE_COLUMNS, fpgas, known), Text()]
    if len(fpgas) < len(comparison.rows):
        parts += [_gpu_table(comparison), Text()]
        parts += [
            Prose(words, f"{name}: ", hang=2, style="dim") for name, words in COLUMN_TEXT.items()
        ]
    parts.append(_legend({f.kind for row in comparison.rows for f in row.figures.values()}))
    for row in fpgas:
        if row.link and "traffic" in row.figures:
            needs = f"{row.figures['traffic']} for its frames/s; the link is {row.link}"
            parts.append(Prose(f"{row.device}: {needs}", hang=2, style="dim"))
        style = "yellow" if row.fits else "red"
        parts += [Prose(f"{row.device}: {note}", hang=2, style=style) for note in row.notes]
    parts += [Prose(f"left out: {words}", hang=2, style="dim") for words in comparison.omitted]
    return Group(*parts)


def _legend(kinds: set[Origin]) -> Text:
    """Return what the abbreviations of kinds mean, for those that are shown."""
    legend = Text("kinds: ")
    for kind in Origin:
        if kind in kinds:
            legend.append(SHORT[kind], style=STYLE[kind]).append(f" {kind}  ")
    legend.rstrip()
    return legend
