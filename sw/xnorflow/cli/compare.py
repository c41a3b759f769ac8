"""``xnorflow compare``: compare a model on FPGAs and GPUs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.known_names import BOARDS, GPUS, PARTS
from xnorflow.cli.options import (
    Numbers,
    ReadingOptions,
    input_options,
    json_option,
    link_option,
    load_model,
    model_argument,
)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@click.command("compare", short_help="Compare a model on FPGAs and GPUs.")
@model_argument
@click.option(
    "--fpga",
    type=BOARDS,
    default="",
    metavar="A,B",
    help="Boards: names that 'xnorflow boards' lists, board files, or parts such as LFE5U-45F.",
)
@click.option(
    "--part",
    "parts",
    type=PARTS,
    default="",
    metavar="P,Q",
    help="FPGAs beside the boards of --fpga.",
)
@click.option(
    "--gpu",
    type=GPUS,
    default="",
    metavar="C,D",
    help="GPUs: t4, l4, rtx3090, a40, a100, a100-80gb, h100, orin-nano.",
)
@click.option(
    "--batch",
    type=Numbers(whole=True),
    default="1024",
    metavar="N,M",
    show_default=True,
    help="Batch sizes for the GPUs; a batch of 1 is always shown, too.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Target of the FPGA designs in frames per second.",
)
@click.option(
    "--cycles",
    type=click.IntRange(min=1),
    metavar="N",
    help="Target of the FPGA designs in cycles per frame.",
)
@click.option(
    "--folding",
    type=click.Path(path_type=Path),
    metavar="F.json",
    help="Folding file for all FPGA designs, ours or FINN's.",
)
@click.option(
    "--clock",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MHz",
    help="Clock of all FPGAs, instead of the one assumed for each family.",
)
@link_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="Write a report: .html, .json, .png or .svg.",
)
@input_options
@json_option
def command(
    model: Path,
    fpga: str,
    parts: str,
    gpu: str,
    batch: tuple[int, ...],
    fps: float | None,
    cycles: int | None,
    folding: Path | None,
    clock: float | None,
    link: str | None,
    output: Path | None,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Compare throughput, latency, resources and energy of a model on FPGAs and GPUs.

    Each figure says how it is known: estimated, published, simulated, placed or measured. Of the
    folder of a design, the board that it was made for is compared with that very design and, if it
    has been built, with the figures of place and route.

    \b
    Examples:
      xnorflow compare cnv.onnx --fpga ulx3s-85f,pynq-z1 --gpu a100,t4
      xnorflow compare cnv.onnx --fpga ulx3s-85f --gpu h100 \\
          --batch 16,256 -o report.html
    """
    from xnorflow.api import compare
    from xnorflow.comparison.placed import read_placed
    from xnorflow.design.design import Design
    from xnorflow.devices.board_names import canonical, part_named
    from xnorflow.report import plot
    from xnorflow.report.page import render, reports
    from xnorflow.report.table import table

    boards = [*_names(fpga), *map(part_named, _names(parts))]
    if not boards:
        raise click.UsageError("name at least one board with --fpga, or a part with --part")
    check_output(output, "a report is", ".html", ".json", ".png", ".svg")
    net = load_model(model, reading)
    designs, placed = {}, {}
    if model.is_dir() and (fps, cycles, folding, clock) == (None,) * 4:
        # The folder's own design is the one to compare on its board, as place and route found it.
        design = Design.describe(model)
        for board in boards:
            if design.board is not None and canonical(board) == design.board:
                designs[board] = design
                if (found := read_placed(model, design.digest)) is not None:
                    placed[board] = found
    with console.working("folding and scheduling"):
        result = compare(
            net,
            boards,
            _names(gpu),
            batches=sorted({1, *batch}),
            fps=fps,
            cycles=cycles,
            folding=folding,
            clocks=dict.fromkeys(boards, clock) if clock is not None else None,
            link=link,
            designs=designs,
            placed=placed,
        )
    if output is not None:
        with whole_file(output) as part:
            match output.suffix:
                case ".html":
                    digest = net.digest
                    render.save(reports.of_comparison(result, console.command_line(), digest), part)
                case ".json":
                    part.write_text(json.dumps(result.to_json(), indent=1) + "\n")
                case _:
                    plot.save(result, part)
    if as_json:
        console.print_json(result.to_json())
        return
    console.show(table(result))
    if output is not None:
        console.say(f"wrote {output}")
