"""``xnorflow sweep``: many foldings, frames or seeds over Dask, on one machine or a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from xnorflow.cli import console, sweep_text
from xnorflow.cli.files import whole_file
from xnorflow.cli.options import Numbers, ReadingOptions, input_options, json_option, load_model
from xnorflow.data import read_images
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.progress import bars

REPORT = "report.html"


@dataclass(frozen=True)
class Workers:
    """Where a sweep runs: the options --jobs and --scheduler."""

    jobs: int | None
    scheduler: str | None


@click.command("sweep", short_help="Evaluate many designs, frames or seeds at once.")
@click.argument(
    "models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL|DIR..."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the results; what is in it already is not evaluated again.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="B",
    help="A board that 'xnorflow boards' lists, a board file, or a part such as LFE5U-45F; several"
    " with commas or by repeating the option. With --seeds, the board instead of the design's own.",
)
@click.option(
    "--clock",
    "clocks",
    type=Numbers(),
    metavar="MHz,...",
    help="Clocks.  [default: the one assumed for each device; with --seeds, the design's own]",
)
@click.option(
    "--targets",
    type=click.IntRange(min=1),
    metavar="N",
    help="Targets from a network's fastest to its slowest folding.  [default: 32]",
)
@click.option(
    "--cycles", type=Numbers(whole=True), metavar="N,...", help="Targets in cycles per frame."
)
@click.option("--fps", type=Numbers(), metavar="N,...", help="Targets in frames per second.")
@click.option(
    "--schedules",
    type=click.IntRange(min=0),
    metavar="N",
    help="Foldings of each front that get an exact schedule.  [default: 8]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="IMAGES",
    help="Simulate the Verilog of compiled designs on these images: an .npz, an .npy or a folder of"
    " PNG.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N images.")
@click.option(
    "--share",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images that a process simulates together.  [default: 100]",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Place and route compiled designs with N seeds each.",
)
@click.option("--core", is_flag=True, help="With --seeds: the accelerator without the host link.")
@click.option("--rip-up", is_flag=True, help="With --seeds: rip up slow routes.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes on this machine.  [default: one for each processor]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="A running Dask scheduler, such as tls://10.0.0.1:8786, instead of processes of this"
    " machine.",
)
@input_options
@json_option
def command(
    models: tuple[Path, ...],
    output: Path,
    devices: tuple[str, ...],
    data: Path | None,
    seeds: int | None,
    jobs: int | None,
    scheduler: str | None,
    reading: ReadingOptions,
    as_json: bool,
    **options: Any,
) -> None:
    """Evaluate many designs at once: foldings, simulated images, or seeds of place and route.

    Of models, every combination of network, device, target and clock is folded by the cost tables,
    and the fronts get the exact schedule. Of compiled designs, --data simulates the Verilog on a
    whole test set, and --seeds places and routes. Rows go to Parquet files in DIR while they come.
    The same command once more goes on where it was interrupted.

    Whoever reaches a Dask scheduler can make its workers run any code. Without --scheduler nobody
    else does: processes of this machine talk to each other with keys of their own.

    \b
    Examples:
      xnorflow sweep model.onnx --device ulx3s-85f,pynq-z1 --clock 50,100 -o out/
      xnorflow sweep cnv.onnx tfc.onnx --device u250 --targets 500 -o out/
      xnorflow sweep build/cnv --data cifar10.npz -o simulated/
      xnorflow sweep build/cnv --seeds 100 --clock 80,100 -o placed/
      xnorflow sweep tfc.onnx --device u250 --scheduler tls://big:8786 -o out/
    """
    workers = Workers(jobs, scheduler)
    names = [name.strip() for text in devices for name in text.split(",") if name.strip()]
    if data is not None and seeds is not None:
        raise click.UsageError("--data simulates and --seeds places: give one of the two")
    if data is not None:
        _refuse("--data", options | {"devices": names}, "limit", "share")
        _frames(models, data, output, workers, as_json, reading, **options)
    elif seeds is not None:
        _refuse("--seeds", options, "clocks", "core", "rip_up")
        if len(names) > 1:
            raise click.UsageError("--seeds takes one --device at most")
        _seeds(models, seeds, output, next(iter(names), None), workers, as_json, reading, **options)
    else:
        known = ("clocks", "targets", "cycles", "fps", "schedules")
        _refuse("a sweep over foldings", options, *known)
        if not names:
            raise click.UsageError("name at least one board or part with --device")
        if sum(options[name] is not None for name in ("targets", "cycles", "fps")) > 1:
            raise click.UsageError("give only one of --targets, --cycles and --fps")
        _foldings(models, names, output, workers, as_json, reading, **options)


def _refuse(mode: str, options: dict[str, Any], *known: str) -> None:
    """Refuse options that have no effect.

    Raises
    ------
    click.UsageError
        If there is one.
    """
    names = {"clocks": "--clock", "devices": "--device", "rip_up": "--rip-up"}
    for name, value in options.items():
        if value not in (None, False, []) and name not in known:
            raise click.UsageError(f"{names.get(name, f'--{name}')} has no effect on {mode}")


def _foldings(
    models: tuple[Path, ...],
    devices: list[str],
    output: Path,
    workers: Workers,
    as_json: bool,
    reading: ReadingOptions,
    **options: Any,
) -> None:
    from xnorflow.report.page import render, reports
    from xnorflow.report.page.sections_sweep import SweepRows
    from xnorflow.sweeps.cluster import need_packages
    from xnorflow.sweeps.folding_sweep import sweep

    need_packages()
    nets = [load_model(model, reading) for model in models]
    given = {name: value for name, value in options.items() if value not in (None, False)}
    with bars(console.err) as tell:
        found = sweep(nets, devices, output, **given, **vars(workers), progress=tell)
    rows = SweepRows(found.points.to_pylist(), found.front.to_pylist())
    with whole_file(output / REPORT) as part:
        render.save(reports.of_sweep(rows, console.command_line()), part)
    if as_json:
        console.print_json({"points": len(rows.points), "front": list(rows.front)})
        return
    console.out.print(sweep_text.fronts_table(rows))
    _say(*sweep_text.points_lines(rows), f"wrote {output}: points.parquet, front.parquet, {REPORT}")


def _frames(
    models: tuple[Path, ...],
    data: Path,
    output: Path,
    workers: Workers,
    as_json: bool,
    reading: ReadingOptions,
    **options: Any,
) -> None:
    from xnorflow.sweeps.cluster import need_packages
    from xnorflow.sweeps.frame_sweep import SHARE, sweep_frames

    need_packages()
    _need_designs(models, "--data", reading)
    images = read_images(data).first(options["limit"])
    with bars(console.err) as tell:
        found = sweep_frames(
            models, images, output, share=options["share"] or SHARE, **vars(workers), progress=tell
        )
    summary = sweep_text.frames_summary(found.frames.to_pylist())
    if as_json:
        console.print_json(summary)
    else:
        console.out.print(sweep_text.frames_table(summary))
        _say(f"wrote {output}: frames.parquet")
    wrong = [entry for entry in summary if entry["mismatches"]]
    if wrong:
        raise CheckFailed(
            f"{wrong[0]['mismatches']} of {wrong[0]['frames']} frames of {wrong[0]['design']}"
            f" differ from the golden model: {wrong[0]['why']}"
        )


def _seeds(
    models: tuple[Path, ...],
    seeds: int,
    output: Path,
    board: str | None,
    workers: Workers,
    as_json: bool,
    reading: ReadingOptions,
    **options: Any,
) -> None:
    from xnorflow.sweeps.cluster import need_packages
    from xnorflow_boards.build.seed_sweep import sweep_seeds

    need_packages()
    _need_designs(models, "--seeds", reading)
    with bars(console.err) as tell:
        found = sweep_seeds(
            models,
            seeds,
            output,
            clocks=options["clocks"] or (),
            board=board,
            core_only=options["core"],
            rip_up=options["rip_up"],
            **vars(workers),
            progress=tell,
        )
    summary = sweep_text.seeds_summary(found.placements.to_pylist())
    if as_json:
        console.print_json(summary)
        return
    console.out.print(sweep_text.seeds_table(summary))
    _say(f"wrote {output}: placements.parquet", *sweep_text.seeds_advice(summary, models))


def _need_designs(models: tuple[Path, ...], option: str, reading: ReadingOptions) -> None:
    """Check that folders of compiled designs are given.

    Raises
    ------
    BadInput
        If one is a model, or an option says how models are read.
    """
    for model in models:
        if not model.is_dir():
            raise BadInput(
                f"{option} is for compiled designs, and {model} is no folder. What would work:"
                f" 'xnorflow compile {model} -o DIR', then DIR instead of {model}"
            )
        reading.check_compiled(model)


def _say(*lines: str) -> None:
    for line in lines:
        console.out.print(line, highlight=False, markup=False)
