"""Build the tables of a comparison for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.gpu import COLUMN_TEXT, COLUMNS
from xnorflow.comparison.row import Row
from xnorflow.devices.figure import SHORT, Figure, Origin

STYLE = {
    Origin.ESTIMATED: "yellow",
    Origin.PUBLISHED: "blue",
    Origin.SIMULATED: "cyan",
    Origin.PLACED: "green",
    Origin.MEASURED: "bold green",
}
SPEED_COLUMNS = {
    "headline": "frames/s\nwith link",
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


def cell(figure: Figure | None, share: Figure | None = None) -> Text:
    """Return the cell of a figure with its kind and, below it, its share of the device."""
    if figure is None:
        return Text("-", style="dim")
    words = str(figure)
    for unit in (" frames/s", " cycles", "/frame"):
        words = words.removesuffix(unit)
    text = Text("< " if figure.error == "upper bound" else "")
    text.append(words).append(f" {SHORT[figure.kind]}", style=STYLE[figure.kind])
    if share is not None:
        text.append(f"\n{share.value:.0f} %", style="red" if share.value > 100 else "dim")
    return text


def _start(title: str, *columns: tuple[str, bool]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name, number in columns:
        table.add_column(
            name, justify="right" if number else "left", overflow="fold", no_wrap=name == "board"
        )
    return table


def _fpga_table(title: str, columns: Mapping[str, str], rows: Sequence[Row], energy: bool) -> Table:
    hidden = set() if energy else {"energy"}
    shown = [k for k in columns if k not in hidden and any(k in r.figures for r in rows)]
    table = _start(
        title,
        ("board", False),
        *((columns[key], True) for key in shown),
    )
    for row in rows:
        get = row.figures.get
        board = escape(row.title.replace(" (", "\n("))
        table.add_row(board, *(cell(get(k), get(f"{k}_share")) for k in shown))
    return table


def gpu_groups(comparison: Comparison) -> Mapping[tuple[str, str, int], Mapping[str, Row]]:
    """Return the GPU rows by title, data type and batch, and within these by column (estimate)."""
    groups: dict[tuple[str, str, int], dict[str, Row]] = {}
    for row in comparison.rows:
        if row.category == "GPU":
            groups.setdefault((row.title, row.data_type, row.batch), {})[row.column] = row
    return groups


def _gpu_table(comparison: Comparison) -> Table:
    table = _start(
        "GPU: three estimates of frames/s; the rest by gemm",
        ("GPU", False),
        ("type", False),
        ("batch", True),
        *((name, True) for name in COLUMNS),
        ("latency\nof a batch", True),
        *([("energy\nper frame", True)] if comparison.energy_known else []),
    )
    last = ""
    for (title, data_type, batch), by_column in gpu_groups(comparison).items():
        if last and title != last:
            table.add_section()
        fps = [cell(row.figures["fps"] if (row := by_column.get(c)) else None) for c in COLUMNS]
        gemm = by_column["gemm"].figures
        table.add_row(
            "" if title == last else escape(title),
            data_type,
            f"{batch:,}",
            *fps,
            cell(gemm["latency"]),
            *([cell(gemm.get("energy"))] if comparison.energy_known else []),
        )
        last = title
    return table


def table(comparison: Comparison) -> Group:
    """Return the comparison as a renderable, to be printed by a ``rich.console.Console``."""
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    parts: list[Table | Text] = []
    if fpgas:
        known = comparison.energy_known
        speed, size = "FPGA: the binary network itself, one frame at a time", "What it takes"
        parts.append(_fpga_table(speed, SPEED_COLUMNS, fpgas, known))
        parts.append(_fpga_table(size, SIZE_COLUMNS, fpgas, known))
    if len(fpgas) < len(comparison.rows):
        parts.append(_gpu_table(comparison))
        parts += [Text(f"{name}: {words}", style="dim") for name, words in COLUMN_TEXT.items()]
    legend = Text("kinds: ")
    for kind in Origin:
        legend.append(SHORT[kind], style=STYLE[kind]).append(f" {kind}  ")
    parts.append(legend)
    for row in fpgas:
        if row.link and "traffic" in row.figures:
            needs = f"{row.figures['traffic']} for its frames/s; the link is {row.link}"
            parts.append(Text(f"{row.device}: {needs}", style="dim"))
        style = "yellow" if row.fits else "red"
        parts += [Text(f"{row.device}: {note}", style=style) for note in row.notes]
    parts += [Text(f"left out: {words}", style="dim") for words in comparison.omitted]
    return Group(*parts)
