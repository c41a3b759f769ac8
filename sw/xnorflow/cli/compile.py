"""``xnorflow compile``: Verilog, ROM images and design.json of a model."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from xnorflow.cli import console
from xnorflow.cli.options import (
    input_options,
    json_option,
    load_model,
    model_argument,
    target_options,
)
from xnorflow.design import Design


def design_table(design: Design) -> Table:
    """Give a table of a design's engines."""
    table = Table(title=f"{design.net.name}: folding")
    for name in ("layer", "kind"):
        table.add_column(name, no_wrap=True)
    for name in ("PE", "SIMD", "cycles", "of II", "weight ROM", "buffer"):
        table.add_column(name, justify="right")
    for layer in design.summary()["layers"]:
        rom, buffer = layer.get("rom"), layer["buffer"]
        conv = rom is not None
        table.add_row(
            layer["name"], layer["kind"], str(layer["pe"]) if conv else "", str(layer["simd"]),
            f"{layer['cycles']:,}", f"{100 * layer['cycles'] / design.ii:.0f} %",
            f"{rom['depth']} x {rom['width']}" if rom else "",
            f"{buffer['depth']} x {buffer['width']}",
        )
    return table


def describe(design: Design) -> str:
    """Give the prediction in one line."""
    return (
        f"initiation interval {design.ii:,} cycles (estimated, exact cycle model), latency"
        f" {design.latency:,} cycles; {design.fps:,.0f} frames/s at {design.clock.mhz:g} MHz"
        f" ({design.clock.source.partition(':')[0]})"
    )


def resources(design: Design) -> Text | None:
    """Give the estimated resources in one line, if there is a board to hold them against."""
    used = design.summary().get("resources")
    if used is None:
        return None
    parts, fits = [], True
    for name, unit in (("lut", f"LUT{used['lut_inputs']}"), ("ff", "FF"),
                       ("bram", used["bram_unit"])):
        share = 100 * used[name] / used["device"][name]
        fits = fits and share <= 100
        parts.append(f"{used[name]:,} {unit} ({share:.0f} %)")
    line = f"about {', '.join(parts)} of {design.board} (estimated)"
    if fits:
        return Text(line)
    return Text(f"{line}: does not fit; ask for fewer frames per second, or for more cycles",
                style="red")


@click.command("compile")
@model_argument
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Folder to write; replaced as a whole if xnorflow wrote it.")
@target_options
@input_options
@json_option
def command(
    model: Path, output: Path, board: str | None, fps: float | None, cycles: int | None,
    folding: Path | None, clock: float | None, input_type: str, input_scale: float, as_json: bool,
) -> None:
    """Turn a model into Verilog, ROM images and design.json.

    Without --fps, --cycles or --folding the fastest folding of at most 1,024 XNOR lanes is taken.

    \b
    Examples:
      xnorflow compile cnv.onnx -o build/cnv --board ulx3s-85f --fps 1000
      xnorflow compile cnv.onnx -o build/cnv --folding finn_folding.json --clock 100
      xnorflow compile tfc.onnx -o build/tfc --input-scale 1/255 --cycles 512
    """
    from xnorflow.compiler import compile_network

    started = time.monotonic()
    net = load_model(model, input_type, input_scale)
    with console.working("folding and scheduling"):
        design = compile_network(
            net, board, fps=fps, cycles=cycles, folding=folding, clock=clock
        )
    with console.working("writing Verilog"):
        design.write(output)
    if as_json:
        console.print_json(design.summary())
        return
    console.out.print(design_table(design))
    console.out.print(describe(design), highlight=False)
    if (line := resources(design)) is not None:
        console.out.print(line)
    for note in net.notes:
        console.out.print(f"note: {note}", highlight=False, markup=False)
    console.out.print(
        f"wrote {output} in {time.monotonic() - started:.1f} s", highlight=False, markup=False
    )
