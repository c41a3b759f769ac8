"""``xnorflow check``: prove a model equal to its hardware, on the user's own images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.options import (
    ReadingOptions,
    edges_option,
    input_options,
    jobs_option,
    json_option,
    limit_option,
    load_model,
    target_options,
)
from xnorflow.data import Images, read_images
from xnorflow.devices.board_file import CLASS
from xnorflow.errors import BadInput
from xnorflow.report.terminal import bare_table

if TYPE_CHECKING:
    from xnorflow.design.design import Design
    from xnorflow.evidence.proof import NetlistRun, PrepareNetlist
    from xnorflow.evidence.record import Change, Evidence, Outcome

COUNTED = (
    *("rtl", "gates", "board", "part", "fps", "cycles", "folding", "clock"),
    *("input", "input_scale", "layout", "fixed_point", "calibrate", "with_edges", "no_merge"),
    "edges",
)
"""Options that --against takes from the earlier evidence."""
LISTED = 5
"""Most alterations or changes that are printed; the evidence file has all of them."""


@click.command("check")
@click.argument(
    "model", type=click.Path(path_type=Path), metavar="[MODEL|DIR]", required=False, default=None
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="IMAGES",
    help="An .npz with x and optional y, a .npy, or a folder of PNG.",
)
@limit_option
@click.option(
    "--rtl",
    type=click.IntRange(min=0),
    metavar="N",
    help="Simulate N images in the Verilog, with Verilator.  [default: 10 for the folder of a"
    " design, else 0]",
)
@click.option(
    "--gates",
    type=click.IntRange(min=0),
    metavar="N",
    help="Simulate N images in the synthesised netlist for --board, with Verilator.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="The model file that DIR or a network.npz was made from, which the executor runs.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="File for the evidence.  [default: evidence.json; with --against, none is written]",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a report as well: one page that loads nothing.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="EVIDENCE.json",
    help="Repeat an earlier check with the same options, and say what has changed.",
)
@click.option(
    "--allow-ties", is_flag=True, help="Do not fail if only equal scores are ordered differently."
)
@edges_option
@jobs_option
@target_options
@input_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: Path | None,
    data: Path | None,
    limit: int | None,
    file: Path | None,
    output: Path | None,
    report: Path | None,
    against: Path | None,
    allow_ties: bool,
    jobs: int,
    reading: ReadingOptions,
    as_json: bool,
    **options: Any,
) -> None:
    """Prove a model on your own images, and write the evidence.

    The model file runs in an independent executor (ONNX Runtime without optimisations, or qonnx)
    and in the golden model; with --rtl and --gates, its Verilog and its netlist are simulated, too.
    Labels, the order of all scores and single scores are compared. If you give the folder of a
    design, the Verilog in it is simulated as it is, and compared with what xnorflow would write.

    If anything differs, the exit code is 1 and the first layer that differs is named.

    \b
    Examples:
      xnorflow check cnv.onnx --data cifar10.npz --rtl 20
      xnorflow check tfc.onnx --data mnist.npz --input-scale 1/255 \\
          --board icebreaker --cycles 5000 --gates 2
      xnorflow check build/cnv --file cnv.onnx --data cifar10.npz --limit 100
      xnorflow check --against evidence.json
    """
    from xnorflow.evidence.proof import check
    from xnorflow.evidence.record import changes, read_evidence

    before = None
    options |= vars(reading)
    if reading.calibrate is not None:
        options["calibrate"] = str(reading.calibrate)
    if against is not None:
        given = [
            name.replace("input_type", "input")
            for name in ctx.params
            if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ]
        if useless := [name for name in given if name in (*COUNTED, "limit")]:
            option = "--" + useless[0].replace("_", "-")
            raise BadInput(f"{option}: --against takes it from {against}, so leave it out")
        before = read_evidence(against)
        options |= _repeated(before, against)
        limit = options.pop("frames")
        model, data, file = _paths(before, against, model, data, file)
    elif output is None:
        output = Path("evidence.json")
    if model is None or data is None:
        raise click.UsageError("give a model and --data, or --against with an earlier evidence")
    check_output(output, "evidence is", ".json")
    check_output(report, "a report is", ".html")
    if not model.exists():
        raise BadInput(f"there is no file {model}")
    images = read_images(data).first(limit)
    options["gates"] = options["gates"] or 0
    found = check(
        model,
        images.x,
        y=images.y,
        file=file,
        jobs=jobs,
        netlist=_netlist(options["board"]) if options["gates"] else None,
        stages=console.progress,
        command=("xnorflow", *sys.argv[1:]),
        **options,
    )
    found.data["path"] = str(data)
    changed = () if before is None else changes(before, found)
    if output is not None:
        with whole_file(output) as part:
            found.write(part)
    if report is not None:
        _report(report, found, model, images, reading, allow_ties)
    wrong = _wrong(found, allow_ties) or any(c.matters for c in changed)
    if as_json:
        content = found.to_json()
        if before is not None:
            content["changes"] = [vars(c) for c in changed]
        console.print_json(content)
    else:
        _show(found, allow_ties)
        if before is not None:
            _show_changes(changed, before)
        for written in (output, report):
            if written is not None:
                console.say(f"wrote {written}")
    ctx.exit(1 if wrong else 0)


def _report(
    path: Path,
    found: Evidence,
    model: Path,
    images: Images,
    reading: ReadingOptions,
    allow_ties: bool,
) -> None:
    """Write the report of a proof, with the first images and the golden model's labels."""
    from xnorflow.design.design import Design
    from xnorflow.report.page import render, reports
    from xnorflow.report.page.images import MOST
    from xnorflow_sim import golden

    design = Design.describe(model) if model.is_dir() else None
    net = load_model(model, reading) if design is None else design.net
    x, y = images.x[:MOST], None if images.y is None else images.y[:MOST]
    labels = net.labels_of(golden.run_frames(net, golden.frames(net, x)))
    first = next(iter(labels.values()))
    page = reports.of_proof(
        found,
        x,
        first if first.ndim == 1 else None,
        y,
        design=design,
        ties_allowed=allow_ties,
        classes=net.classes,
    )
    with whole_file(path) as part:
        render.save(page, part)


def _repeated(before: Evidence, path: Path) -> dict[str, Any]:
    """Return the options of an earlier evidence, after checking their types.

    Raises
    ------
    BadInput
        If an option has a type that xnorflow never writes: the file may come from anywhere.
    """
    kinds: dict[str, tuple[type, ...]] = {
        "rtl": (int,),
        "gates": (int,),
        "frames": (int,),
        "cycles": (int, type(None)),
        "fps": (int, float, type(None)),
        "clock": (int, float, type(None)),
        "board": (str, type(None)),
        "folding": (str, type(None)),
        "input": (str,),
        "input_scale": (int, float, str),
        "layout": (str, type(None)),
        "fixed_point": (str, int, type(None)),
        "calibrate": (str, type(None)),
        "with_edges": (int, type(None)),
        "merge": (int, type(None)),
        "edges": (int, type(None)),
    }
    found = {name: before.options.get(name) for name in kinds}
    for name, known in kinds.items():
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, known):
            raise BadInput(f"{path} is no evidence that xnorflow wrote: {name} is {value!r}")
    found["with_edges"] = bool(found["with_edges"])
    found["merge"] = found["merge"] is None or bool(found["merge"])
    if isinstance(found["board"], str) and CLASS.fullmatch(found["board"]):
        raise BadInput(
            f"{path} is about the board {found['board']}, a class that would be imported. What"
            " would work: a new check with --board, without --against"
        )
    return found


def _paths(
    before: Evidence, against: Path, *given: Path | None
) -> tuple[Path | None, Path | None, Path | None]:
    """Return the paths of model, data and model file.

    Those that were not given are the ones in the evidence, relative to the current folder or to
    that of the evidence.
    """
    said = (before.model.get("path"), before.data.get("path"), before.model.get("file"))
    found: list[Path | None] = []
    for path, name in zip(given, said, strict=True):
        if path is None and isinstance(name, str):
            beside = against.parent / name
            path = beside if not Path(name).exists() and beside.exists() else Path(name)
        found.append(path)
    return found[0], found[1], found[2]


def _netlist(name: str | None) -> PrepareNetlist:
    """Return a function that synthesises a design for a board, to simulate the netlist."""
    from xnorflow_boards.catalogue import board
    from xnorflow_boards.flows import tools
    from xnorflow_boards.simulated import gates

    def prepare(design: Design) -> Callable[[NDArray[np.uint8]], NetlistRun]:
        named = name or design.board
        if named is None:
            raise BadInput("--gates needs a board to synthesise for: name one with --board")
        target, yosys = board(named), tools.yosys()

        def simulate(x: NDArray[np.uint8]) -> NetlistRun:
            made = gates.netlist(design, target)
            run = gates.simulator(design, made).run(x)
            return f"netlist of {named}, Yosys {yosys.version}", run.scores

        return simulate

    return prepare


def _wrong(found: Evidence, allow_ties: bool) -> bool:
    excused = (o for o in found.outcomes if not (allow_ties and o.only_ties))
    return bool(found.alterations) or any(o.differs for o in excused)


def _show(found: Evidence, allow_ties: bool) -> None:
    say = console.say
    numbers = ("frames", "labels\ndiffer", "orders\ndiffer", "scores differ")
    table = bare_table(
        f"{found.network['name']}: {_frames(found.data['frames'], 'image')} of"
        f" {Path(found.data['path']).name}",
        ("compared", "with", *numbers),
        numbers,
    )
    for o in found.outcomes:
        table.add_row(*_row(o))
    if found.outcomes:
        console.show_table(table)
    else:
        say("nothing was compared", style="yellow")
    for o in found.outcomes:
        if o.failure:
            say(f"{o.tool}: {o.failure}", style="red")
        if o.ties:
            say(
                f"{o.tool}: in {o.ties:,} of {_frames(o.order)}, the order differs only in scores"
                " that are equal in one of the two"
            )
        if o.first:
            say(f"{o.tool}: first in {o.first}", style="red")
    _some([f"altered: {place}" for place in found.alterations], "red")
    if found.accuracy is not None:
        say(f"accuracy {100 * found.accuracy:.2f} %")
    if found.tied:
        say(f"in {_frames(found.tied)}, equal scores decide the label")
    for note in found.notes:
        say(f"note: {note}")
    if _wrong(found, allow_ties):
        say("DIFFERS", style="bold red")
    elif found.differs:
        say("equal but for ties", style="bold yellow")
    elif any(o.rounded and (o.labels or o.order) for o in found.outcomes):
        say("equal but for the rounding to fixed point", style="bold yellow")
    elif found.outcomes:
        say("EQUAL in everything that was compared", style="bold green")


def _frames(count: int, what: str = "frame") -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _row(o: Outcome) -> tuple[str, ...]:
    if o.failure:
        return o.tool, o.against, f"{o.frames:,}", "", "", "failed"
    scores = f"{o.scores:,} of {o.total:,}" if o.total else "not compared"
    return o.tool, o.against, f"{o.frames:,}", f"{o.labels:,}", f"{o.order:,}", scores


def _some(lines: list[str], style: str = "") -> None:
    for line in lines[:LISTED]:
        console.say(line, style=style, hang=2)
    if len(lines) > LISTED:
        console.say(f"... and {len(lines) - LISTED} more", style=style)


def _show_changes(changed: tuple[Change, ...], before: Evidence) -> None:
    when = f"since {before.date}"
    if not changed:
        console.say(f"nothing has changed {when}", style="green")
        return
    console.say(f"changed {when}:")
    ordered = sorted(changed, key=lambda c: not c.matters)
    _some([f"  {c}" + ("" if c.matters else " (no result)") for c in ordered])
