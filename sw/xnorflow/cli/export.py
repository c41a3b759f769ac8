"""``xnorflow export``: write the integer network, its weights or the steps of its lowering."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from numpy.typing import NDArray

from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.cli.folders import whole_folder
from xnorflow.cli.options import (
    ReadingOptions,
    input_options,
    json_option,
    limit_option,
    load_model,
    read_model,
)
from xnorflow.data import read_images
from xnorflow.errors import BadInput
from xnorflow.lower.fixed_point import FIXED_POINT

if TYPE_CHECKING:
    from xnorflow.export.checked import Exported
    from xnorflow.ir import IntegerNetwork

SUFFIXES = {"onnx": ".onnx", "qonnx": ".onnx", "npz": ".npz", "hex": "", "c": ".h"}
"""Formats and the suffixes of their files; hex is written as a folder."""


@click.command("export")
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL|DIR")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write (.onnx, .npz or .h), or for --format hex the folder.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(SUFFIXES), case_sensitive=False),
    help="Format, by default that of the suffix; qonnx has MultiThreshold nodes.",
)
@click.option(
    "--passes",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write each step of the lowering as QONNX to a new folder.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="IMAGES",
    help="Images to execute the written files on, instead of random frames.",
)
@limit_option
@input_options
@json_option
def command(
    model: Path,
    output: Path | None,
    kind: str | None,
    passes: Path | None,
    data: Path | None,
    limit: int | None,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Write the integer network of a model for other tools.

    The ONNX file takes samples as the network does, [frames, rows, columns, channels], as the
    narrowest integers that hold them or as float32, and returns int64 scores. It has standard
    operators only, opens in Netron and has QONNX's data types. After writing, it is executed, and
    its scores have to be those of the golden model. Weights can be written as npz, as hex images
    or as a C header.

    \b
    Examples:
      xnorflow export cnv.onnx -o cnv_int.onnx --data cifar10.npz --limit 200
      xnorflow export tfc.onnx --input-scale 1/255 -o weights.h
      xnorflow export build/cnv -o weights --format hex
      xnorflow export cnv.onnx --passes steps
    """
    if output is None and passes is None:
        raise click.UsageError("give a file to write with -o, or a folder with --passes")
    if passes is not None and (model.is_dir() or model.suffix == ".npz"):
        raise BadInput(
            f"--passes: {model} is lowered already; give the ONNX file that it was made from"
        )
    chosen = _format(output, kind)
    if data is not None and passes is None and chosen not in ("onnx", "qonnx"):
        raise BadInput(
            f"--data: {chosen} files are not executed, so leave it out or write an .onnx file"
        )
    if chosen != "hex":
        check_output(output, "networks are", *dict.fromkeys(s for s in SUFFIXES.values() if s))
    net = _network(model, reading)
    x = None if data is None else read_images(data).first(limit).x
    made: list[Exported] = []
    files: tuple[str, ...] = ()
    if passes is not None:
        made += _steps(model, passes, reading, x)
    if output is not None:
        wrote, files = _write(net, output, chosen, x)
        made += wrote
    if as_json:
        console.print_json(
            {
                "network": net.digest,
                "format": chosen or None,
                "files": [
                    {"path": str(e.path), "tool": e.tool, "frames": e.frames, "differ": e.differing}
                    for e in made
                ],
                "parameters": files,
            }
        )
        return
    fixed = any(note.startswith(FIXED_POINT) for note in net.notes)
    rounding = "to fixed point" if fixed else "of float32 sums"
    for e in made:
        verdict = "every score is the golden model's" if e.path == output else "the same order"
        if e.differing:
            verdict = f"the order differs in {e.differing} frames, by rounding {rounding}"
        console.say(f"{e.path.name}: {e.frames} frames in {e.tool}: {verdict}")
    if files:
        console.say(f"{_count(files)}: {', '.join(files)}")
    for path in (output, passes):
        if path is not None:
            console.say(f"wrote {path}")


def _count(files: tuple[str, ...]) -> str:
    return f"{len(files)} arrays" if len(files) > 1 else "1 file"


def _format(output: Path | None, kind: str | None) -> str:
    """Return the format that the option or else the suffix of the file says.

    Raises
    ------
    BadInput
        If there is no format with that suffix, or the two contradict each other.
    """
    if output is None:
        return ""
    if kind is None:
        known = {suffix: name for name, suffix in SUFFIXES.items() if suffix and name != "qonnx"}
        if output.suffix not in known:
            raise BadInput(
                f"{output}: networks are written as .onnx, .npz or .h; for another suffix, choose"
                " a --format"
            )
        return known[output.suffix]
    if output.suffix != SUFFIXES[kind]:
        what = f"a {SUFFIXES[kind]} file" if SUFFIXES[kind] else "a folder, without a suffix"
        raise BadInput(f"{output}: {kind} is written as {what}")
    return kind


def _network(model: Path, reading: ReadingOptions) -> IntegerNetwork:
    if not model.is_dir():
        return load_model(model, reading)
    reading.check_compiled(model)
    from xnorflow.design.design import Design

    return Design.describe(model).net


def _steps(
    model: Path, passes: Path, reading: ReadingOptions, x: NDArray[Any] | None
) -> tuple[Exported, ...]:
    from dataclasses import replace

    from xnorflow.export.checked import export_steps

    graph, fixed = read_model(model, reading)
    known = {path.name for path in passes.glob("[0-9][0-9]_*.onnx")} if passes.is_dir() else set()
    with whole_folder(passes, known) as folder:
        made = export_steps(graph, folder, fixed=fixed, x=x, stages=console.progress)
    return tuple(replace(e, path=passes / e.path.name) for e in made)


def _write(
    net: IntegerNetwork, output: Path, kind: str, x: NDArray[Any] | None
) -> tuple[list[Exported], tuple[str, ...]]:
    from dataclasses import replace

    from xnorflow.export import export_network, save_weights

    match kind:
        case "onnx" | "qonnx":
            with whole_file(output) as part, console.progress(f"executing {output.name}") as tick:
                made = export_network(net, part, qonnx=kind == "qonnx", x=x, progress=tick)
            return [replace(made, path=output)], ()
        case "npz" | "c":
            with whole_file(output) as part:
                return [], save_weights(net, part, kind)
        case "hex":
            known = {path.name for path in output.glob("*.hex")} if output.is_dir() else set()
            with whole_folder(output, known) as folder:
                return [], save_weights(net, folder, "hex")
        case _:
            raise TypeError(f"no writer for {kind}")
