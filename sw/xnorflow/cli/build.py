"""``xnorflow build``: build a compiled design into a bitstream, or write a Vivado project."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from xnorflow.cli import console
from xnorflow.cli.options import board_options, json_option
from xnorflow.design.described import traffic_in_words
from xnorflow.report.terminal import bare_table


@click.command("build", short_help="Make the bitstream of a design, or a Vivado project.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@board_options("Board to build for, if not the one that DIR was compiled for.")
@click.option(
    "--clock",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MHz",
    help="Clock to build for, if not the one that DIR was compiled for.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Place and route N times and keep the fastest.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=1),
    metavar="N",
    help="Place and route with this seed alone, such as the best one of 'xnorflow sweep'.",
)
@click.option(
    "--baud",
    type=click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Bits per second of the serial port.",
)
@click.option(
    "--core", is_flag=True, help="Measure the accelerator alone, without the link to the host."
)
@click.option(
    "--rip-up",
    is_flag=True,
    help="Rip up slow routes: up to a tenth faster, but dense designs may find no route.",
)
@click.option("--any-clock", is_flag=True, help="Do not fail if the clock is missed.")
@click.option(
    "--import-platform",
    is_flag=True,
    help="Import the platform's class that a board file names, and so run its package's code.",
)
@json_option
def command(
    directory: Path,
    board: str | None,
    clock: float | None,
    seeds: int,
    seed: int | None,
    baud: int,
    core: bool,
    rip_up: bool,
    any_clock: bool,
    import_platform: bool,
    as_json: bool,
) -> None:
    """Synthesise, place, route and pack a design that 'xnorflow compile' wrote.

    Writes the bitstream, the tools' logs and build.json to DIR/build. For boards that only their
    maker's tools can build, it writes Verilog, constraints and a project script instead. If the
    design does not fit or misses its clock, the exit code is 1 and nothing is written.

    \b
    Examples:
      xnorflow build build/cnv
      xnorflow build build/cnv --seeds 4 --rip-up
      xnorflow build build/tfc --board icebreaker --clock 24
      xnorflow build build/tfc --board my_board.toml
    """
    from xnorflow_boards.build.bitstream import FOLDER, build

    started = time.monotonic()
    with console.working("building") as doing_now:

        def tell(step: str, doing: str) -> None:
            passed = time.monotonic() - started
            if not doing:
                console.err.print(f"[{passed:6.1f} s] {step}", markup=False, highlight=False)
            doing_now(f"{step}: {doing[:60]}" if doing else step)

        result = build(
            directory,
            board=board,
            clock=clock,
            seeds=seeds,
            seed=seed,
            baud=baud,
            core_only=core,
            check_clock=not any_clock,
            rip_up=rip_up,
            import_platform=import_platform,
            progress=tell,
        )
    if as_json:
        console.print_json(result)
        return
    console.show_table(_table(result))
    if not core and result["fmax_mhz"] is not None:
        console.say(
            "placed with the link to the host, which compile's estimate and build --core leave out"
        )
    _say(result)
    console.say(f"wrote {directory / FOLDER} in {time.monotonic() - started:.0f} s")


def _table(result: dict[str, Any]) -> Table:
    numbers = ("used", "available", "")
    title = f"{result['name']} on {result['board']}: {result['kind']}"
    table = bare_table(title, ("resource", *numbers), numbers)
    for name, entry in result["resources"].items():
        used, available = entry["used"], entry["available"]
        share = f"{100 * used / available:.0f} %" if available else ""
        table.add_row(name.upper(), f"{used:,}", f"{available:,}", share)
    return table


def _say(result: dict[str, Any]) -> None:
    if result["fmax_mhz"] is not None:
        console.say(
            f"clock {result['clock_mhz']:g} MHz: {'met' if result['met'] else 'missed'}; up to"
            f" {result['fmax_mhz']:g} MHz by place and route (seed {result['seed']})",
            style="green" if result["met"] else "yellow",
        )
    wished = "" if result["fmax_mhz"] is not None else ", if Vivado meets the wished clock"
    console.say(
        f"{result['fps']:,.0f} frames/s: {result['clock_mhz']:g} MHz / {result['ii']:,} cycles per"
        f" frame{wished}"
    )
    if host := result.get("host"):
        console.say(_traffic(result["fps"], host))
    for lost in result["unrouted"]:
        console.say(f"seed {lost['seed']} found no route ({lost['why']})")
    for note in result.get("notes", ()):
        console.say(note)


def _traffic(fps: float, host: dict[str, Any]) -> str:
    """Return what the frames a second need of the link, and what the link carries."""
    link = host["links"].get(host["chosen"] or host["board_link"])
    carried = None if link is None else (link["title"], link["fps"])
    return traffic_in_words(
        host["bytes_per_second"], fps, carried, chosen=host["chosen"] is not None
    )
