"""Draw the Pareto front of the foldings for a board: frames per second against LUTs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter

from xnorflow.devices.figure import compact
from xnorflow.devices.tables import Fpga
from xnorflow.report.plot import FAINT, INK, STYLE, write

LINE, FILL = "#009E73", "#56B4E9"


def draw(name: str, rows: Sequence[Mapping[str, Any]], device: Fpga, clock: str) -> Canvas:
    """Draw the Pareto front.

    Parameters
    ----------
    name : str
        Name of the network.
    rows : sequence of mapping
        Designs, at least one, each with ``fps``, ``ii`` in cycles, ``lut`` and ``bram``.
    device : Fpga
        FPGA of the board.
    clock : str
        Clock in words, such as "100 MHz".
    """
    luts = [row["lut"] for row in rows]
    fps = [row["fps"] for row in rows]
    with rc_context(STYLE):
        canvas = Canvas(figsize=(8.5, 5.2))
        FigureCanvasAgg(canvas)
        axes = canvas.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(luts, fps, color=LINE, linewidth=1.2, zorder=2)
        blocks = device.ram_blocks.use()
        sizes = [20 + 160 * row["bram"] / blocks for row in rows]
        axes.scatter(luts, fps, s=sizes, color=FILL, edgecolors=LINE, zorder=3)
        axes.axvline(device.luts.use(), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{device.part.upper()}: {device.luts.use():,.0f}",
            (device.luts.use(), min(fps)),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            rotation=90,
            fontsize=8,
        )
        for row in (rows[0], rows[-1]):
            axes.annotate(
                f"II {row['ii']:,}",
                (row["lut"], row["fps"]),
                xytext=(-8, 8),
                textcoords="offset points",
                ha="right",
                fontsize=8,
            )
        axes.grid(which="major", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(
            f"LUT{device.family.lut_inputs}, estimated; the area of a dot is its share"
            f" of the {blocks:,.0f} {device.family.ram}"
        )
        axes.set_ylabel(f"frames per second at {clock}")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_title(
            f"{name} on {device.board}",
            loc="left",
            fontsize=12,
            fontweight="bold",
            parse_math=False,
        )
        canvas.tight_layout()
    return canvas


def save(
    name: str, rows: Sequence[Mapping[str, Any]], device: Fpga, clock: str, path: str | Path
) -> None:
    """Write the picture to a file; the suffix of `path`, ``.png`` or ``.svg``, is the format."""
    write(draw(name, rows, device, clock), path)
