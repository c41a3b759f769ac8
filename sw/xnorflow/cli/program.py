"""``xnorflow program``: load a bitstream onto a board."""

from __future__ import annotations

from pathlib import Path

import click

from xnorflow.cli import console


@click.command("program")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--flash",
    is_flag=True,
    help="Write the bitstream to the board's flash memory, so that it survives power-off.",
)
def command(directory: Path, flash: bool) -> None:
    """Load the bitstream that 'xnorflow build' wrote onto the board, with openFPGALoader.

    \b
    Examples:
      xnorflow program build/cnv
      xnorflow program build/cnv --flash
    """
    from xnorflow_boards.build.load_bitstream import program

    with console.working("loading"):
        name, seconds = program(directory, flash=flash)
    console.out.print(f"loaded {name} in {seconds:.1f} s", highlight=False, markup=False)
    console.out.print(
        f"Next: xnorflow run {directory} --port /dev/ttyUSB0 --data IMAGES.npz",
        highlight=False,
        markup=False,
    )
