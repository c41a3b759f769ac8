"""Draw a comparison as a plot: throughput and latency by device, on logarithmic axes.

The plot uses Matplotlib's Agg and SVG canvases directly, without pyplot, so that it changes no
global state and needs no display.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.row import Row
from xnorflow.devices.figure import Origin, compact
from xnorflow.errors import BadInput

HATCH = {
    Origin.ESTIMATED: "////",
    Origin.PUBLISHED: "xxxx",
    Origin.SIMULATED: "....",
    Origin.PLACED: "",
    Origin.MEASURED: "",
}
COLOUR = {"exact": "#009E73", "fp16": "#8C8C8C", "int8": "#56B4E9", "b1": "#E69F00"}
MEANING = {
    "exact": "FPGA, the binary network",
    "b1": "GPU, 1-bit",
    "int8": "GPU, INT8",
    "fp16": "GPU, FP16",
}
TYPE_NAME = {"fp16": "FP16", "int8": "INT8", "b1": "1-bit"}
INK, FAINT, ALARM = "#222222", "#DDDDDD", "#C0392B"
SUBTITLE = (
    "FPGA: one frame at a time. GPU: bars are a tuned matrix product and a launch per "
    "layer, lines lead to other estimates. Hatching is the kind of a figure."
)
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "xnorflow",
}


@dataclass(frozen=True)
class Bar:
    """Bar of the plot: a device in one data type and batch size.

    Parameters
    ----------
    row : Row
        Estimate that the bar shows.
    others : tuple of Row
        Other estimates, to which lines lead.
    y, height : float
        Position and height of the bar; devices are about 1 apart.
    """

    row: Row
    others: tuple[Row, ...]
    y: float
    height: float


def _bars(comparison: Comparison) -> tuple[list[Bar], list[tuple[float, str]], float, float]:
    """Compute the layout from top to bottom.

    Returns
    -------
    bars : list of Bar
        All bars.
    labels : list of (float, str)
        Position and text of the label of each device.
    divide : float
        Position of the line between FPGAs and GPUs.
    extent : float
        Position of the lower end.
    """
    bars, labels, y = [], [], 0.0
    fpgas = sorted(
        (r for r in comparison.rows if r.category == "FPGA"), key=lambda r: -r.figures["fps"].value
    )
    for row in fpgas:
        bars.append(Bar(row, (), y, 0.68))
        labels.append((y, row.title))
        y += 1
    divide = y - 0.4
    if fpgas:
        y += 0.3
    groups: dict[tuple[str, str], dict[int, list[Row]]] = {}
    for row in comparison.rows:
        if row.category == "GPU":
            batches = groups.setdefault((row.title, row.data_type), {})
            batches.setdefault(row.batch, []).append(row)
    last = ""
    for (title, data_type), batches in groups.items():
        if last and title != last:
            y += 0.35
        last = title
        step = 0.42
        for i, rows in enumerate(batches.values()):
            main = next(r for r in rows if r.column == "gemm")
            bars.append(Bar(main, tuple(r for r in rows if r is not main), y + i * step, 0.36))
        labels.append((y + (len(batches) - 1) * step / 2, f"{title}, {TYPE_NAME[data_type]}"))
        y += max(1.0, len(batches) * step + 0.2)
    return bars, labels, divide, y


def _round(value: float, unit: str) -> str:
    """Return the label of a tick on an axis, without decimals, as ticks are powers of ten."""
    steps = (
        ((1e6, "s"), (1e3, "ms"), (1, "us"))
        if unit == "us"
        else ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    )
    for limit, suffix in steps:
        if value >= limit * 0.999:
            return f"{value / limit:g} {suffix}"
    return f"{value:g} {unit}".strip()


def _panel(axes: Axes, bars: Sequence[Bar], key: str) -> None:
    values = [b.row.figures[key].value for b in bars]
    values += [o.figures[key].value for b in bars for o in b.others]
    room = 40 if key == "fps" else 15
    low, high = min(values) / 4, max(values) * room
    figure_unit = "us" if key == "latency" else ""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.grid(axis="x", which="major", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(LogLocator(numticks=7 if key == "latency" else 9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round(value, figure_unit)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="both", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for bar in bars:
        figure, colour = bar.row.figures[key], COLOUR[bar.row.data_type]
        fits = bar.row.fits
        axes.barh(
            bar.y,
            figure.value - low,
            left=low,
            height=bar.height,
            zorder=2,
            color=colour if fits else "white",
            edgecolor="white" if fits else ALARM,
            hatch=HATCH[figure.kind],
            linewidth=0.8,
        )
        end = figure.value
        for other in bar.others:
            value = other.figures[key].value
            end = max(end, value)
            axes.plot([figure.value, value], [bar.y, bar.y], color=INK, linewidth=0.9, zorder=3)
            axes.plot(
                value,
                bar.y,
                marker="|" if other.column == "peak" else "D",
                markersize=7 if other.column == "peak" else 3.6,
                color=INK,
                zorder=4,
            )
        words = str(figure).removesuffix(" frames/s")
        if key == "fps" and bar.row.category == "GPU":
            words += f"  (batch {bar.row.batch:,})"
        if key == "fps" and not fits:
            words += "  does not fit"
        axes.annotate(
            words,
            (end, bar.y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=INK if fits else ALARM,
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )


def _legend(canvas: Canvas, bars: Sequence[Bar]) -> None:
    types = {b.row.data_type for b in bars}
    kinds = {b.row.figures[k].kind for b in bars for k in ("fps", "latency")}
    columns = {o.column for b in bars for o in b.others}
    handles: list[Patch | Line2D] = [
        Patch(facecolor=COLOUR[t], label=MEANING[t]) for t in MEANING if t in types
    ]
    handles += [
        Patch(facecolor="#BBBBBB", edgecolor="white", hatch=HATCH[k], label=str(k))
        for k in Origin
        if k in kinds
    ]
    if any(not b.row.fits for b in bars):
        handles.append(Patch(facecolor="white", edgecolor=ALARM, label="does not fit (estimated)"))
    for column, marker, words in (
        ("peak", "|", "peak rates alone"),
        ("end-to-end", "D", "as a whole network was seen"),
    ):
        if column in columns:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=INK,
                    marker=marker,
                    linewidth=0.9,
                    label=words,
                    markersize=7 if marker == "|" else 3.6,
                )
            )
    canvas.legend(
        handles=handles,
        loc="lower center",
        ncols=min(4, len(handles)),
        frameon=False,
        fontsize=8,
        handlelength=2.2,
        columnspacing=1.8,
    )


def draw(comparison: Comparison) -> Canvas:
    """Draw a comparison.

    Bars show the figures of FPGAs and, for GPUs, the estimate for a tuned matrix product; lines
    lead from the bar of a GPU to its other estimates. The hatching shows the kind of a figure.

    Raises
    ------
    BadInput
        If the comparison has no rows.
    """
    if not comparison.rows:
        raise BadInput("there is nothing to plot: name at least one FPGA or GPU")
    bars, labels, divide, extent = _bars(comparison)
    inches = 0.30 * extent + 2.0
    with rc_context(STYLE):
        canvas = Canvas(figsize=(11.5, inches))
        FigureCanvasAgg(canvas)
        left, right = canvas.subplots(1, 2, sharey=True, width_ratios=(1.35, 1))
        for axes, key, title in (
            (left, "fps", "Throughput, frames per second (more is better)"),
            (right, "latency", "Latency of a frame or batch (less is better)"),
        ):
            _panel(axes, bars, key)
            axes.set_title(title, loc="left", fontsize=10, fontweight="bold", pad=8)
            if 0 < divide < extent - 1:
                axes.axhline(divide, color="#AAAAAA", linewidth=0.8, linestyle=(0, (4, 3)))
        left.set_yticks([y for y, _ in labels], [words for _, words in labels])
        left.set_ylim(extent - 0.4, -0.7)
        title = f"{comparison.name}: {compact(comparison.macs)} multiply-accumulates a frame"
        canvas.text(
            0.012,
            1 - 0.14 / inches,
            title,
            va="top",
            fontsize=13,
            fontweight="bold",
            parse_math=False,
        )
        canvas.text(0.012, 1 - 0.40 / inches, SUBTITLE, va="top", fontsize=8.5, color="#555555")
        _legend(canvas, bars)
        canvas.tight_layout(rect=(0, 0.55 / inches, 1, 1 - 0.60 / inches), w_pad=1.5)
    return canvas


def save(comparison: Comparison, path: str | Path) -> None:
    """Write the plot to a file; the suffix of `path`, ``.png`` or ``.svg``, is the format."""
    write(draw(comparison), path)


def write(canvas: Canvas, path: str | Path) -> None:
    """Write a picture to a file; the suffix of `path` is the format.

    Raises
    ------
    BadInput
        If the suffix is neither ``.png`` nor ``.svg``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".svg"):
        raise BadInput(f"{path}: a plot can only be written as .png or .svg")
    Path(path).write_bytes(encode(canvas, suffix[1:]))


def render(comparison: Comparison, form: str) -> bytes:
    """Return the plot as the content of a PNG or SVG file, always the same for the same figures."""
    return encode(draw(comparison), form)


def encode(canvas: Canvas, form: str) -> bytes:
    """Return a picture as the content of a "png" or "svg" file, without dates or versions in it."""
    out = io.BytesIO()
    with rc_context(STYLE):
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        canvas.savefig(out, format=form, dpi=150, metadata=metadata, facecolor="white")
    return out.getvalue()
