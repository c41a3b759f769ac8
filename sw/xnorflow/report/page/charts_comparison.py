"""The charts of a comparison: throughput, throughput against batch, roofline."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from xnorflow.comparison import gpu as gpu_model
from xnorflow.comparison.comparison import Comparison
from xnorflow.comparison.row import Row
from xnorflow.devices.figure import Origin
from xnorflow.devices.tables import gpu as gpu_named
from xnorflow.report.page.axes import log_axis
from xnorflow.report.page.page_blocks import Chart
from xnorflow.resources.engine import DesignSummary

HATCH = {
    Origin.ESTIMATED: "/",
    Origin.PUBLISHED: "x",
    Origin.SIMULATED: ".",
    Origin.PLACED: "",
    Origin.MEASURED: "",
}
COLOUR = {"exact": "var(--c3)", "b1": "var(--c2)", "int8": "var(--c6)", "fp16": "var(--c7)"}
MEANING = {
    "exact": "FPGA, the binary network",
    "b1": "GPU, 1 bit",
    "int8": "GPU, INT8",
    "fp16": "GPU, FP16",
}
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
BATCHES = tuple(4**k for k in range(7))
"""Batches of the curves, beside those that were asked for."""


def throughput_chart(comparison: Comparison) -> Chart:
    """Return the chart of the frames per second of every device, and of what links carry."""
    data: list[dict[str, Any]] = []
    order = []
    batches = {r.batch for r in comparison.rows if r.category == "GPU"}
    ends = {min(batches), max(batches)} if batches else set()
    for data_type, meaning in MEANING.items():
        rows = [
            r
            for r in comparison.rows
            if r.data_type == data_type
            and (r.category == "FPGA" or (r.column == "gemm" and r.batch in ends))
        ]
        if not rows:
            continue
        names = [_name(row) for row in rows]
        order += names
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": meaning,
                "y": names,
                "x": [row.figures["fps"].value for row in rows],
                "marker": {
                    "color": COLOUR[data_type],
                    "pattern": {"shape": [HATCH[row.figures["fps"].kind] for row in rows]},
                    "line": {
                        "color": ["var(--ink)" if row.fits else "var(--bad)" for row in rows],
                        "width": [0 if row.fits else 2 for row in rows],
                    },
                },
                "customdata": [
                    [str(row.figures["fps"].kind), "" if row.fits else ", does not fit"]
                    for row in rows
                ],
                "hovertemplate": "%{y}: %{x:,.0f} frames/s (%{customdata[0]})%{customdata[1]}"
                "<extra></extra>",
            }
        )
    linked = [row for row in comparison.rows if "link" in row.figures]
    if linked:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "what its link carries",
                "y": [_name(row) for row in linked],
                "x": [row.figures["link"].value for row in linked],
                "text": [row.link for row in linked],
                "marker": {
                    "symbol": "diamond",
                    "size": 10,
                    "color": "var(--paper)",
                    "line": {"color": "var(--ink)", "width": 2},
                },
                "hovertemplate": "%{y}: %{text}, %{x:,.0f} frames/s<extra></extra>",
            }
        )
    values = [x for trace in data for x in trace["x"]]
    low = min(values) / 3
    for trace in data:
        if trace["type"] == "bar":
            # Bars on a logarithmic axis begin at its lower end.
            trace["base"] = low
            trace["x"] = [x - low for x in trace["x"]]
            trace["text"] = [f"{x + low:,.0f}" for x in trace["x"]]
            trace["hovertemplate"] = trace["hovertemplate"].replace("%{x:,.0f}", "%{text}")
            trace["textposition"] = "none"
    return Chart(
        "throughput",
        "Throughput",
        "Frames per second, more is better. GPU: a tuned matrix product and a launch per layer."
        " Hatching is how a figure is known (/ estimated, . simulated, none placed); the diamond is"
        " what the board's link carries; a red frame does not fit."
        + (" Of the batches, the smallest and the largest." if len(batches) > 2 else ""),
        data,
        {
            "barmode": "overlay",
            "xaxis": {
                **log_axis("frames/s", [low, max(values)]),
                "range": [log10(low), log10(max(values) * 1.5)],
            },
            "yaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": order,
                "range": [len(order) - 0.5, -0.5],
            },
        },
        24 * len(order) + 150,
    )


def _type(name: str) -> gpu_model.DataType:
    """Return the type of a row's arithmetic."""
    return next(known for known in gpu_model.DATA_TYPES if known == name)


def _symbol(number: int) -> str:
    """Return the shape of the marks of a device, so that they differ without colour."""
    return SYMBOLS[number % len(SYMBOLS)]


def _name(row: Row) -> str:
    if row.category == "FPGA":
        return row.device
    return f"{row.device} {row.data_type}, batch {row.batch:,}"


def batch_chart(comparison: Comparison, network: DesignSummary) -> Chart | None:
    """Return the chart of throughput against batch; None without a GPU."""
    data: list[dict[str, Any]] = []
    kinds = dict.fromkeys((r.device, r.data_type) for r in comparison.rows if r.category == "GPU")
    devices = list(dict.fromkeys(device for device, _ in kinds))
    batches = sorted({*BATCHES, *(r.batch for r in comparison.rows if r.category == "GPU")})
    for device, data_type in kinds:
        found = [
            gpu_model.estimate(
                network,
                gpu_named(device),
                _type(data_type),
                batch,
                "gemm",
                comparison.settings,
            )
            for batch in batches
        ]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{device} {data_type}",
                "x": batches,
                "y": [f.fps.value for f in found if f is not None],
                "line": {"color": COLOUR[data_type], "width": 1.5},
                "marker": {"symbol": _symbol(devices.index(device)), "size": 7},
                "hovertemplate": "batch %{x:,}: %{y:,.0f} frames/s<extra>%{fullData.name}</extra>",
            }
        )
    if not data:
        return None
    fitting = [row for row in comparison.rows if row.category == "FPGA" and row.fits]
    for number, row in enumerate(fitting):
        # Marks at both ends and at a place of their own tell lines of one height apart.
        fps, inner = row.figures["fps"].value, 1 + number % (len(batches) - 2)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": row.device,
                "x": [batches[0], batches[inner], batches[-1]],
                "y": [fps, fps, fps],
                "line": {"color": "var(--c3)", "width": 1.5, "dash": "dash"},
                "marker": {"symbol": f"{_symbol(number)}-open", "size": 9},
                "hovertemplate": "%{y:,.0f} frames/s<extra>%{fullData.name}</extra>",
            }
        )
    return Chart(
        "batch",
        "Throughput against batch",
        "An FPGA (dashed) takes frames one by one, whatever the batch; a GPU needs many at once."
        " GPUs by the estimate of a tuned matrix product; all estimated but for the FPGAs marked in"
        " the table.",
        data,
        {
            "xaxis": log_axis("frames in a batch", batches),
            "yaxis": log_axis("frames/s", [y for trace in data for y in trace["y"]]),
        },
        420,
    )


def roofline_chart(comparison: Comparison, designs: Sequence[tuple[Row, DesignSummary]]) -> Chart:
    """Return the roofline: operations per second against operations per byte.

    The roof of an FPGA are its array's lanes at its clock and what its link carries; that of a GPU
    is its 1-bit or INT8 peak and its memory.
    """
    ops = 2 * comparison.macs
    data: list[dict[str, Any]] = []
    for number, (row, design) in enumerate(designs):
        frame = design.frame_bytes
        if frame is None:
            continue
        intensity = ops / (frame.sent + frame.returned)
        lanes = sum(e.pe * e.simd * e.at_once for e in design.engines if e.rom_depth)
        roof = 2 * lanes * row.figures["clock"].value * 1e6
        slope = row.figures["link"].value * ops / intensity if "link" in row.figures else None
        data.append(_roof(row.device, roof, slope, intensity, "var(--c3)", "solid"))
        data.append(
            _point(
                row.device, intensity, row.figures["fps"].value * ops, "var(--c3)", _symbol(number)
            )
        )
    names = dict.fromkeys(r.device for r in comparison.rows if r.category == "GPU")
    for number, name in enumerate(names):
        device = gpu_named(name)
        kind: gpu_model.DataType = "b1" if gpu_model.supports(device, "b1") else "int8"
        rows = [
            r
            for r in comparison.rows
            if r.device == name and r.data_type == kind and r.column == "gemm"
        ]
        if not rows or not designs:
            continue
        best = max(rows, key=lambda r: r.batch)
        found = gpu_model.estimate(
            designs[0][1],
            device,
            kind,
            best.batch,
            "peak",
            comparison.settings,
        )
        assert found is not None
        bandwidth = device.bandwidth_gbs.use() * 1e9
        moved = sum(layer.traffic for layer in found.layers) * bandwidth / best.batch
        colour = COLOUR[kind]
        data.append(
            _roof(
                f"{name} {kind}",
                device.tops[kind].use() * 1e12,
                bandwidth,
                ops / moved,
                colour,
                "dot",
            )
        )
        data.append(
            _point(
                f"{name} {kind}, batch {best.batch:,}",
                ops / moved,
                best.figures["fps"].value * ops,
                colour,
                _symbol(number),
            )
        )
    return Chart(
        "roofline",
        "Roofline",
        "Operations per second (two per multiply-accumulate) against operations per byte moved:"
        " between host and FPGA over its link, or to and from a GPU's memory. Lines are what"
        " arithmetic and bytes allow, marks what is estimated of the network; above the line of its"
        " link, an FPGA waits for the host.",
        data,
        {
            "xaxis": log_axis("operations per byte", [x for trace in data for x in trace["x"]]),
            "yaxis": log_axis("operations/s", [y for trace in data for y in trace["y"]]),
        },
        440,
    )


def _roof(
    name: str, peak: float, slope: float | None, at: float, colour: str, dash: str
) -> dict[str, Any]:
    """Return the roof of a device around the intensity `at`."""
    xs = [at / 100, at / 10, at, at * 10, at * 100]
    if slope is not None:
        xs = sorted({*xs, peak / slope})
    ys = [min(peak, slope * x) if slope is not None else peak for x in xs]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{name}: roof",
        "x": xs,
        "y": ys,
        "line": {"color": colour, "width": 1.2, "dash": dash},
        "showlegend": False,
        "hovertemplate": "%{y:.3s} operations/s<extra>%{fullData.name}</extra>",
    }


def _point(name: str, x: float, y: float, colour: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x],
        "y": [y],
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": 11,
            "line": {"color": "var(--ink)", "width": 0.8},
        },
        "hovertemplate": "%{y:.3s} operations/s, %{x:.3s} operations per byte"
        "<extra>%{fullData.name}</extra>",
    }
