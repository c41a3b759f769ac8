"""``xnorflow compile``: write the Verilog, ROM images and design.json of a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.options import (
    ReadingOptions,
    input_options,
    json_option,
    link_option,
    load_model,
    model_argument,
    target_options,
)
from xnorflow.design.described import limit, size, speed, traffic
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.report.terminal import bare_table

POINTS = 16
"""Foldings beside the design in a report's picture of speed against size."""


def design_table(design: Design) -> Table:
    """Return a table of the engines of a design."""
    summary = design.summary()
    layers, streams = summary["layers"], summary.get("streams", [])
    several = any(layer["pixels"] > 1 for layer in layers)
    numbers = ["PE", "SIMD", *(["pixels"] if several else [])]
    numbers += ["cycles", "of II", "weight ROM", "buffer"]
    reads = ["reads"] if streams else []
    columns = ["layer", "kind", *numbers, *reads]
    table = bare_table(f"{design.net.name}: folding", columns, numbers, columns[:2])
    for layer in layers:
        rom, buffer = layer.get("rom"), layer.get("buffer")
        conv = rom is not None
        table.add_row(
            layer["name"],
            layer["kind"],
            str(layer["pe"]) if conv else "",
            str(layer["simd"]),
            *([str(layer["pixels"]) if conv else ""] if several else []),
            f"{layer['cycles']:,}",
            f"{100 * layer['cycles'] / design.ii:.0f} %",
            f"{rom['depth']} x {rom['width']}" if rom else "",
            (f"{layer['pixels']} x " if layer["pixels"] > 1 else "")
            + f"{buffer['depth']} x {buffer['width']}"
            if buffer
            else "",
            *([_reads(layer["name"], streams)] if streams else []),
        )
    return table


def _reads(name: str, streams: list[dict[str, Any]]) -> str:
    """Return what a part reads, each with the beats and bits of its queue if there is one."""
    read = []
    for stream in streams:
        if stream["sink"] == name:
            queue = stream["queue"]
            size = f" ({queue['depth']} x {queue['width']})" if queue else ""
            read.append(stream["source"] + size)
    return ", ".join(read)


def made_of(design: Design) -> str:
    """Return what the folder of a design holds."""
    images = len(design.emitted.images)
    roms = f" {images} ROM image{'s' if images > 1 else ''}," if images else ""
    return f"{design.net.name}.v,{roms} design.json"


def show_design(design: Design) -> None:
    """Print how fast a design is, how large, and what limits it."""
    console.item("speed", speed(design))
    console.item("link", traffic(design, option=True))
    for number, line in enumerate(size(design)):
        console.item("" if number else "size", line)
    console.item("limit", limit(design))


def front_of(design: Design) -> list[tuple[int, float, float]]:
    """Return interval, LUTs and frames per second of other foldings; none without a board."""
    from xnorflow.folding.room import Room

    if design.board is None:
        return []
    found = Room(design.net).front(fpga(design.board), POINTS)
    return [(cycles, takes.luts, design.clock.mhz * 1e6 / cycles) for cycles, takes in found]


def write_report(design: Design, path: Path) -> None:
    """Write the report of a design."""
    from xnorflow.report.page import render, reports

    found = reports.of_design(design, console.command_line(), front_of(design))
    with whole_file(path) as part:
        render.save(found, part)


@click.command("compile")
@model_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder to write; if xnorflow wrote it before, it is replaced.",
)
@target_options
@link_option
@click.option(
    "--pareto",
    is_flag=True,
    help="Show which speeds fit the board, and what each takes; write no design.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --pareto: draw the front to a file, .png or .svg.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a report of the design: one page that loads nothing.",
)
@input_options
@json_option
def command(
    model: Path,
    output: Path | None,
    board: str | None,
    fps: float | None,
    cycles: int | None,
    folding: Path | None,
    clock: float | None,
    link: str | None,
    pareto: bool,
    plot: Path | None,
    report: Path | None,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Turn a model into Verilog, ROM images and design.json.

    With --board alone, this writes the fastest design that fits the board. With --board and --fps
    or --cycles, it writes the smallest design that is fast enough. Without any of them, it writes
    the fastest design with at most 1,024 XNOR lanes.

    \b
    Examples:
      xnorflow compile cnv.onnx -o build/cnv --board ulx3s-85f
      xnorflow compile cnv.onnx -o build/cnv --board ulx3s-85f --fps 1000
      xnorflow compile cnv.onnx -o build/cnv \\
          --folding finn_folding.json --clock 100
      xnorflow compile tfc.onnx -o build/tfc --input-scale 1/255 --cycles 512
      xnorflow compile cnv.onnx -o build/cnv --board pynq-z1 \\
          --link axi-dma --report cnv.html
      xnorflow compile cnv.onnx --board ulx3s-85f --pareto --plot front.png
      xnorflow compile tfc.onnx -o build/tfc --board my_board.toml
      xnorflow compile tfc.onnx -o build/tfc --part LFE5U-45F
    """
    from xnorflow.cli import pareto as front
    from xnorflow.compiler import compile_network

    if pareto:
        front.check(output, board, plot, (fps, cycles, folding, link), report)
    elif plot is not None:
        raise click.UsageError("--plot draws the front of --pareto: give --pareto, too")
    elif output is None:
        raise click.UsageError("give a folder to write with -o, or --pareto to write no design")
    check_output(report, "a report is", ".html")
    started = time.monotonic()
    net = load_model(model, reading)
    if output is None:
        assert board is not None
        front.show(net, board, clock, plot, as_json)
        return
    with console.working("folding and scheduling") as doing:
        design = compile_network(
            net,
            board,
            fps=fps,
            cycles=cycles,
            folding=folding,
            clock=clock,
            link=link,
            progress=doing,
        )
    with console.working("writing Verilog"):
        design.write(output)
    if report is not None:
        with console.working("writing the report"):
            write_report(design, report)
    if as_json:
        console.print_json(design.summary())
        return
    console.show_table(design_table(design))
    seconds = time.monotonic() - started
    console.item("wrote", f"{output} in {seconds:.1f} s: {made_of(design)}")
    if report is not None:
        console.item("wrote", str(report))
    show_design(design)
    for note in net.notes:
        console.item("note", note)
