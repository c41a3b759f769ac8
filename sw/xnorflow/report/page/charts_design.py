"""The charts of a design: cycles of its layers, use of the FPGA, a frame's way, and the front."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from xnorflow.report.page.axes import log_axis
from xnorflow.report.page.page_blocks import Chart
from xnorflow.schedule.activity import Activity

ROW = 26
"""Pixels of a row of a chart with bars."""
FRAME_STYLES = (("var(--c1)", ""), ("var(--c2)", "/"), ("var(--c3)", "x"))
"""Colour and hatching of the frames of a pipeline."""


def cycles_chart(layers: Sequence[Mapping[str, Any]], ii: int, limiting: Collection[str]) -> Chart:
    """Return the chart of the cycles that each layer takes for a frame."""
    names = [layer["name"] for layer in layers]
    most = [name in limiting for name in names]
    longest = max(layer["cycles"] for layer in layers)
    return Chart(
        "cycles",
        "Cycles of each layer",
        f"Cycles a frame; the interval is {ii:,}."
        + (" Hatched: busy all the time, which limits." if any(most) else ""),
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": names,
                "x": [layer["cycles"] for layer in layers],
                "marker": {
                    "color": ["var(--c2)" if m else "var(--c1)" for m in most],
                    "pattern": {"shape": ["/" if m else "" for m in most]},
                },
                "hovertemplate": "%{y}: %{x:,} cycles<extra></extra>",
            }
        ],
        {
            "xaxis": {
                "title": {"text": "cycles"},
                "separatethousands": True,
                **({"dtick": 1} if longest <= 10 else {}),
            },
            "yaxis": {"autorange": "reversed", "type": "category"},
            "showlegend": False,
        },
        max(180, ROW * len(names) + 70),
    )


def use_chart(resources: Mapping[str, Any], board: str) -> Chart:
    """Return the chart of what a design takes of each resource of a board."""
    names = {"lut": "LUT", "ff": "FF", "bram": resources["bram_unit"], "spram": "SPRAM"}
    names["dsp"] = "DSP"
    there, usable = resources["device"], resources["usable"]
    shown = [key for key in names if key in resources and there.get(key)]
    share = [100 * resources[key] / there[key] for key in shown]
    limits = [100 * usable[key] / there[key] if key in usable else 100.0 for key in shown]
    return Chart(
        "use",
        f"Share of {board}",
        "Estimated share of each resource. The mark is what designs may take: the rest is headroom"
        " for place and route, and the host link.",
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": "design",
                "y": [names[key] for key in shown],
                "x": share,
                "text": [f"{s:.0f} %" for s in share],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {
                    "color": [
                        "var(--c1)" if s <= m else "var(--bad)"
                        for s, m in zip(share, limits, strict=True)
                    ],
                    "pattern": {"shape": "/"},
                },
                "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "may be taken",
                "y": [names[key] for key in shown],
                "x": limits,
                "marker": {
                    "symbol": "line-ns",
                    "size": 20,
                    "color": "var(--ink)",
                    "line": {"width": 2, "color": "var(--ink)"},
                },
                "hovertemplate": "designs may take %{x:.0f} %<extra></extra>",
            },
        ],
        {
            "xaxis": {"title": {"text": "%"}, "range": [0, max(108.0, 1.1 * max(share))]},
            "yaxis": {"autorange": "reversed", "type": "category"},
        },
        ROW * len(shown) + 130,
    )


def pipeline_chart(found: Sequence[Activity], ii: int) -> Chart:
    """Return the chart of when each stage works on each frame."""
    frames = sorted({a.frame for a in found})
    stages = list(dict.fromkeys(a.stage for a in found))
    data: list[dict[str, Any]] = []
    for frame in frames:
        own = [a for a in found if a.frame == frame]
        colour, shape = FRAME_STYLES[frame % len(FRAME_STYLES)]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": f"frame {frame + 1}",
                "y": [a.stage for a in own],
                "base": [a.begins for a in own],
                "x": [a.ends - a.begins + 1 for a in own],
                "width": 0.62,
                "marker": {"color": colour, "pattern": {"shape": shape}},
                "customdata": [[a.fills, a.begins, a.ends] for a in own],
                "hovertemplate": "%{y}: first input in cycle %{customdata[0]:,}, works from"
                " %{customdata[1]:,} to %{customdata[2]:,}<extra>%{fullData.name}</extra>",
            }
        )
    return Chart(
        "pipeline",
        "A frame's way through the pipeline",
        f"When each stage computes, for {len(frames)} frames without a pause between them, by the"
        f" exact cycle model. In the steady state a frame ends every {ii:,} cycles.",
        data,
        {
            "barmode": "overlay",
            "xaxis": {"title": {"text": "cycle"}, "separatethousands": True},
            "yaxis": {
                "autorange": "reversed",
                "type": "category",
                "categoryorder": "array",
                "categoryarray": stages,
            },
        },
        max(200, ROW * len(stages) + 110),
    )


def front_chart(
    points: Sequence[tuple[int, float, float]], own: tuple[float, float], limit: float, unit: str
) -> Chart:
    """Return the chart of frames per second against LUTs.

    Parameters
    ----------
    points : sequence of (int, float, float)
        Interval in cycles, LUTs and frames per second of other foldings.
    own : (float, float)
        LUTs and frames per second of the design.
    limit : float
        LUTs of the FPGA.
    unit : str
        Name of its LUTs.
    """
    return Chart(
        "front",
        "Speed against size",
        "Foldings with the fewest lanes for a speed, estimated without the search for the least"
        " depths, so the true front is at least as good; the star is this design, the dashed line"
        f" the FPGA's {limit:,.0f} {unit}.",
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "other foldings",
                "x": [p[1] for p in points],
                "y": [p[2] for p in points],
                "customdata": [p[0] for p in points],
                "line": {"color": "var(--c1)", "width": 1.2},
                "marker": {"symbol": "circle-open", "size": 8, "color": "var(--c1)"},
                "hovertemplate": f"%{{x:,.0f}} {unit}, %{{y:,.0f}} frames/s, interval"
                " %{customdata:,}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "this design",
                "x": [own[0]],
                "y": [own[1]],
                "marker": {"symbol": "star", "size": 15, "color": "var(--c2)"},
                "hovertemplate": f"%{{x:,.0f}} {unit}, %{{y:,.0f}} frames/s<extra></extra>",
            },
        ],
        {
            "xaxis": log_axis(unit, [*(p[1] for p in points), own[0], limit]),
            "yaxis": log_axis("frames/s", [*(p[2] for p in points), own[1]]),
            "shapes": [
                {
                    "type": "line",
                    "x0": limit,
                    "x1": limit,
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "line": {"color": "var(--soft)", "width": 1.2, "dash": "dash"},
                }
            ],
        },
        360,
    )
