"""The charts of a sweep: frames per second against LUTs, for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xnorflow.report.page.axes import log_axis
from xnorflow.report.page.charts_comparison import SYMBOLS
from xnorflow.report.page.page_blocks import Chart

COLOURS = tuple(f"var(--c{number})" for number in range(1, 8))
DASHES = ("solid", "dash", "dot", "dashdot")
MOST = 300
"""Most foldings beside the front that are drawn for a device."""
Row = Mapping[str, Any]


def front_of_network(
    name: str, points: Mapping[str, Sequence[Row]], fronts: Mapping[str, Sequence[Row]], index: int
) -> Chart:
    """Return the chart of a network.

    Parameters
    ----------
    name : str
        Name of the network.
    points, fronts : mapping of str to sequence of Row
        Foldings by the cost tables and those with an exact schedule, by name of the device.
    index : int
        Number of the chart within the page.
    """
    data: list[dict[str, Any]] = []
    for number, board in enumerate(points):
        colour = COLOURS[number % len(COLOURS)]
        symbol = SYMBOLS[number % len(SYMBOLS)]
        style = {"symbol": f"{symbol}-open", "size": 5, "color": colour, "opacity": 0.5}
        rows = _thinned(points[board])
        data.append(_trace(board, rows, {"mode": "markers", "marker": style, "showlegend": False}))
        line = {
            "mode": "lines+markers",
            "line": {"color": colour, "width": 1.5, "dash": DASHES[number % len(DASHES)]},
            "marker": {"symbol": symbol, "size": 9, "color": colour},
        }
        exact = sorted(fronts.get(board, ()), key=lambda row: (row["lut"], row["fps"]))
        data.append(_trace(board, exact, line))
    return Chart(
        f"front-{index}",
        f"{name}: speed against size",
        "Large marks are foldings of each device's front that got the exact schedule; lines only"
        " join them. Small marks are other foldings by the cost tables. All at the fastest clock of"
        " the sweep at which anything fits. LUTs of different families differ in size.",
        data,
        {
            "xaxis": log_axis("LUT, estimated", [x for trace in data for x in trace["x"]]),
            "yaxis": log_axis("frames/s", [y for trace in data for y in trace["y"]]),
        },
        460,
    )


def _trace(board: str, rows: Sequence[Row], style: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "name": board,
        "x": [row["lut"] for row in rows],
        "y": [float(f"{row['fps']:.4g}") for row in rows],
        "customdata": [[row["ii"], row["bram"], f"{row['clock_mhz']:g}"] for row in rows],
        "hovertemplate": "%{x:,} LUT, %{customdata[1]:,} block RAM, %{y:,.0f} frames/s at"
        " %{customdata[2]} MHz, interval %{customdata[0]:,}<extra>%{fullData.name}</extra>",
        **style,
    }


def _thinned(rows: Sequence[Row]) -> list[Row]:
    """Return foldings that differ, and not more of them than a reader can tell apart."""
    unique = list({(row["lut"], row["ii"]): row for row in rows}.values())
    step = -(-len(unique) // MOST) if unique else 1
    return unique[::step]
