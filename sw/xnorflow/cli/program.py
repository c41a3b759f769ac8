"""``xnorflow program``: load a bitstream onto a board."""

from __future__ import annotations

from pathlib import Path

import click

from xnorflow.cli import console
from xnorflow.cli.options import json_option


@click.command("program", short_help="Load a bitstream onto a board.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--flash",
    is_flag=True,
    help="Write the bitstream to the board's flash memory, so that it survives power-off.",
)
@json_option
def command(directory: Path, flash: bool, as_json: bool) -> None:
    """Load the bitstream that 'xnorflow build' wrote onto the board, with openFPGALoader.

    \b
    Examples:
      xnorflow program build/cnv
      xnorflow program build/cnv --flash
    """
    from xnorflow_boards.build.load_bitstream import program

    with console.working("loading"):
        name, seconds = program(directory, flash=flash)
    if as_json:
        console.print_json({"loaded": name, "flash": flash, "seconds": round(seconds, 1)})
        return
    console.say(f"loaded {name} in {seconds:.1f} s")
    console.say(f"Next: xnorflow run {directory} --port /dev/ttyUSB0 --data IMAGES.npz")
