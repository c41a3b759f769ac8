"""A comparison as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xnorflow.estimate.compare import Comparison, Row
from xnorflow.estimate.gpu import COLUMN_TEXT
from xnorflow.estimate.kinds import SHORT, Figure, Kind

STYLE = {
    Kind.ESTIMATED: "yellow", Kind.PUBLISHED: "blue", Kind.SIMULATED: "cyan",
    Kind.PLACED: "green", Kind.MEASURED: "bold green",
}
FPGA_COLUMNS = {"fps": "frames/s", "latency": "latency", "clock": "clock", "ii": "interval",
                "luts": "LUT", "ffs": "FF", "ram_blocks": "block RAM", "energy": "energy"}
GPU_COLUMNS = {"fps": "frames/s", "latency": "batch latency", "energy": "energy"}


def cell(figure: Figure | None, share: Figure | None = None) -> Text:
    """Write a figure with its kind, and what share of the device it is."""
    if figure is None:
        return Text("-", style="dim")
    words = str(figure).removesuffix(" frames/s").removesuffix(" cycles")
    if share is not None:
        words += f" {share.value:.0f} %"
    bound = figure.error == "upper bound"
    text = Text(("<= " if bound else "") + words, no_wrap=True)
    text.append(f" {SHORT[figure.kind]}", style=STYLE[figure.kind])
    if share is not None and share.value > 100:
        text.stylize("red", 0, len(words))
    return text


def _fpga_table(rows: Iterable[Row]) -> Table:
    table = Table(title="FPGA: the binary network itself, one frame at a time", title_justify="left",
                  header_style="bold", pad_edge=False)
    table.add_column("board (part)", no_wrap=True)
    for title in FPGA_COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        get = row.figures.get
        cells = [cell(get(key), get(f"{key}_share")) for key in FPGA_COLUMNS]
        table.add_row(escape(row.title), *cells)
    return table


def _gpu_table(rows: Iterable[Row]) -> Table:
    table = Table(title="GPU: roofline, bound by peak rates, matrix product, whole network",
                  title_justify="left", header_style="bold", pad_edge=False)
    for title in ("GPU", "type"):
        table.add_column(title, no_wrap=True)
    table.add_column("batch", justify="right")
    table.add_column("estimate", no_wrap=True)
    for title in GPU_COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    last = None
    for row in rows:
        key = (row.device, row.data_type)
        if last is not None and key != last:
            table.add_section()
        table.add_row("" if key == last else escape(row.title), "" if key == last else row.data_type,
                      f"{row.batch:,}", row.column, *(cell(row.figures.get(k)) for k in GPU_COLUMNS))
        last = key
    return table


def table(comparison: Comparison) -> Group:
    """Give the comparison as a rich renderable; print it with a ``rich.console.Console``."""
    fpgas = [r for r in comparison.rows if r.category == "FPGA"]
    gpus = [r for r in comparison.rows if r.category == "GPU"]
    parts: list[Table | Text] = []
    if fpgas:
        parts.append(_fpga_table(fpgas))
    if gpus:
        parts.append(_gpu_table(gpus))
    legend = Text("kinds: ")
    for kind in Kind:
        legend.append(f"{SHORT[kind]} ", style=STYLE[kind])
        legend.append(f"{kind}  ")
    parts.append(legend)
    for row in fpgas:
        for note in row.notes:
            parts.append(Text(f"{row.device}: {note}", style="red" if not row.fits else "yellow"))
    if gpus:
        for name, words in COLUMN_TEXT.items():
            parts.append(Text(f"{name}: {words}", style="dim"))
    for words in comparison.omitted:
        parts.append(Text(f"left out: {words}", style="dim"))
    return Group(*parts)
