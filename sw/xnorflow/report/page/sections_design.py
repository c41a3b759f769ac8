"""The sections of a report about one design: network, layers, resources, pipeline, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xnorflow.design.design import Design
from xnorflow.devices.figure import Figure, Origin, compact
from xnorflow.devices.links import links
from xnorflow.devices.tables import fpga
from xnorflow.report.page.charts_design import cycles_chart, front_chart, pipeline_chart, use_chart
from xnorflow.report.page.graph_drawing import Box, draw
from xnorflow.report.page.page_blocks import (
    Block,
    Cell,
    Drawing,
    Fact,
    Notes,
    Section,
    Table,
    counted,
    figure_cell,
)
from xnorflow.schedule.activity import activities

FRAMES = 3
"""Frames of the picture of the pipeline."""
MOST_STAGES = 80
"""A pipeline of more stages has no chart of its own: nobody could read it."""


def design_facts(design: Design, *, simulated: bool = False) -> list[Fact]:
    """Return what a reader wants to know first about a design.

    Parameters
    ----------
    design : Design
        The design.
    simulated : bool
        Whether a simulation has shown the predicted interval and latency.
    """
    kind = Origin.SIMULATED if simulated else Origin.ESTIMATED
    summary = design.summary()
    facts = []
    if (used := summary.get("resources")) is not None:
        there, usable = used["device"], used["usable"]
        shares = {
            name: 100 * used[key] / there[key]
            for key, name in (("lut", "LUT"), ("ff", "FF"), ("bram", used["bram_unit"]))
        }
        fits = all(used[key] <= there[key] for key in ("lut", "ff", "bram"))
        roomy = all(used[key] <= usable[key] for key in ("lut", "ff", "bram"))
        words = ", ".join(f"{share:.0f} % of {name}" for name, share in shares.items())
        value = f"fits {design.board_name}" if fits else f"does not fit {design.board_name}"
        detail = words if roomy or not fits else f"{words}: tight, beyond the usual headroom"
        facts.append(Fact("Size", value, detail, fits, Origin.ESTIMATED))
    timing = design.timing
    limiting = _limiting(design)
    facts.append(
        Fact(
            "Accelerator",
            f"{compact(design.fps)} frames/s",
            f"a frame every {design.ii:,} cycles at {design.clock.mhz:g} MHz"
            f" ({design.clock.source.partition(':')[0]}); that needs"
            f" {compact(design.frame_bytes.rate(design.fps))}B/s from and to the host",
            kind=Origin.ESTIMATED,
        )
    )
    facts.append(
        Fact(
            "Single stream",
            f"{compact(design.clock.mhz * 1e6 / design.latency)} frames/s",
            f"one frame at a time: {design.latency:,} cycles,"
            f" {design.latency / design.clock.mhz:,.1f} µs",
            kind=Origin.ESTIMATED,
        )
    )
    facts.append(
        Fact(
            "Limited by",
            limiting[0] if len(limiting) == 1 else f"{limiting[0]} and {len(limiting) - 1} more",
            ("" if len(limiting) == 1 else f"{_listed(limiting)}: ")
            + f"{counted(timing.bound, 'cycle')} a frame"
            + ("; interval and latency are the simulated ones" if simulated else "")
            + (f". Faster: {design.limit}" if design.limit else ""),
            kind=kind,
        )
    )
    host = summary["host"]
    name = host["chosen"] or host["board_link"]
    if name is not None:
        entry = host["links"][name]
        facts.append(
            Fact(
                "Its link carries",
                f"{compact(entry['fps'])} frames/s",
                f"{entry['title']}; the accelerator would need"
                f" {compact(host['bytes_per_second'])}B/s",
                not entry["limits"],
                Origin.ESTIMATED,
            )
        )
    return facts


def _limiting(design: Design) -> list[str]:
    """Return what takes the whole interval: the part named by the timing, then layers like it."""
    first = design.timing.busiest
    layers = design.summary()["layers"]
    equal = [layer["name"] for layer in layers if layer["cycles"] >= design.timing.bound]
    return list(dict.fromkeys([first, *equal]))


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[: most - 1])}, …"


def _titled(name: str, kind: str) -> str:
    """Return the name of a layer, with its kind unless the name has it already."""
    return name if kind in name else f"{name}, {kind}"


def network_section(design: Design) -> Section:
    """Return the pictures of a network and of its pipeline."""
    net = design.net
    boxes = [Box("x", f"{_shape(net.shape)} {net.samples}", end=True)]
    for (layer, _, out), reads in zip(net, net.reads, strict=True):
        boxes.append(
            Box(_titled(layer.name, layer.kind), f"{_shape(out.shape)} {out.alphabet}", reads)
        )
    stages = [Box("s_axis", f"{counted(design.spec.input.lanes, 'sample')} a beat", end=True)]
    into: dict[int, list[int]] = {}
    for stream in design.spec.streams:
        into.setdefault(stream.sink, []).append(stream.source)
    summary = design.summary()
    limiting = _limiting(design)
    for k, layer in enumerate(summary["layers"]):
        lanes = (
            f"PE {layer['pe']} × SIMD {layer['simd']}"
            if "rom" in layer
            else counted(layer["simd"], "lane")
        )
        stages.append(
            Box(
                layer["name"],
                f"{lanes}, {counted(layer['cycles'], 'cycle')}",
                tuple(into[k]),
                layer["cycles"] / design.ii,
                layer["name"] in limiting,
            )
        )
    last = len(design.spec.stages)
    stages.append(
        Box(
            "m_axis",
            f"{counted(design.spec.out_lanes, 'score')} a beat",
            tuple(into[last]),
            end=True,
        )
    )
    return Section(
        "network",
        "Network and pipeline",
        [
            Drawing(
                "The network in integers",
                "Layers from input to scores, each with the shape and the values of its output.",
                draw(boxes, f"layers of {net.name}"),
            ),
            Drawing(
                "Its pipeline",
                "One stage a layer with weights, a pool or a join. The bar is the share of the"
                " interval that a stage is busy; a thick frame marks what limits.",
                draw(stages, f"pipeline of {net.name}"),
            ),
        ],
    )


def layers_section(design: Design) -> Section:
    """Return the table of the layers, and the chart of their cycles."""
    summary = design.summary()
    rows, strong = [], set()
    limiting = _limiting(design)
    for k, layer in enumerate(summary["layers"]):
        rom, buffer = layer.get("rom"), layer.get("buffer")
        conv = rom is not None
        if layer["name"] in limiting:
            strong.add(k)
        rows.append(
            [
                Cell(layer["name"]),
                Cell(layer["kind"]),
                Cell(_shape(layer["output_shape"])),
                Cell(str(layer["pe"]) if conv else ""),
                Cell(str(layer["simd"])),
                Cell(str(layer["pixels"])),
                Cell(f"{layer['cycles']:,}", Origin.ESTIMATED, "exact cycle model"),
                Cell(
                    f"{100 * layer['cycles'] / design.ii:.0f} %",
                    Origin.ESTIMATED,
                    "share of the interval",
                ),
                Cell(_memory(rom)),
                Cell(_memory(buffer)),
            ]
        )
    heads = ["layer", "kind", "output", "PE", "SIMD", "pixels", "cycles", "of the interval"]
    blocks: list[Block] = [
        Table(
            [*heads, "weights, words × bits", "buffer, words × bits"],
            rows,
            "Marked: what limits, busy all the time." if strong else "",
            frozenset(strong),
        )
    ]
    if len(rows) <= MOST_STAGES:
        blocks.insert(0, cycles_chart(summary["layers"], design.ii, limiting))
    return Section("layers", "Layers", blocks)


def resources_section(
    design: Design, points: Sequence[tuple[int, float, float]] = ()
) -> Section | None:
    """Return what a design takes of its board and, given other foldings, the front.

    `points` are interval, LUTs and frames per second. None without a board.
    """
    used = design.summary().get("resources")
    if used is None:
        return None
    blocks: list[Block] = [use_chart(used, str(design.board_name))]
    if points:
        device = fpga(str(design.board))
        own = (float(used["lut"]), design.fps)
        unit = f"LUT{used['lut_inputs']}"
        blocks.append(front_chart(points, own, device.luts.use(), unit))
    blocks.append(Notes([f"Error of the resource model ({used['kind']}): {used['error']}."]))
    return Section("resources", "Resources", blocks)


def pipeline_section(design: Design) -> Section | None:
    """Return the chart of a frame's way; None for pipelines too long to draw."""
    if len(design.spec.stages) > MOST_STAGES:
        return None
    found = activities(design.spec, FRAMES)
    return Section("pipeline", "Pipeline", [pipeline_chart(found, design.ii)])


def links_section(design: Design) -> Section:
    """Return what each link between host and board carries."""
    frame, rows = design.frame_bytes, []
    own = design.summary()["host"]["board_link"]
    strong = set()
    for k, (name, link) in enumerate(links().items()):
        if name == own:
            strong.add(k)
        carried = link.figure(frame)
        smaller = min(carried.value, design.fps)
        rows.append(
            [
                Cell(link.title + (", this board's" if name == own else "")),
                figure_cell(link.to_board.figure("B/s")),
                figure_cell(link.to_host.figure("B/s")),
                figure_cell(carried),
                Cell(compact(smaller), Origin.ESTIMATED, "the smaller of link and accelerator"),
                Cell("link" if carried.value < design.fps else "accelerator"),
            ]
        )
    needs = Figure(frame.rate(design.fps), "B/s", Origin.ESTIMATED, "")
    return Section(
        "links",
        "What a link carries",
        [
            Table(
                [
                    "link",
                    "to the board",
                    "to the host",
                    "it carries, frames/s",
                    "with this accelerator, frames/s",
                    "limit",
                ],
                rows,
                f"A frame has {frame.sent:,} bytes and its scores {frame.returned:,};"
                f" {compact(design.fps)} frames/s of the accelerator need {needs}.",
                frozenset(),
            ),
        ],
    )


def _memory(memory: Mapping[str, Any] | None) -> str:
    """Return words, bits and kind of a memory; its size stays on one line."""
    if not memory:
        return ""
    return f"{memory['depth']}\u00a0×\u00a0{memory['width']}, {memory['kind']}"


def _shape(shape: Any) -> str:
    return "×".join(map(str, shape))
