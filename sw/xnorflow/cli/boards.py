"""``xnorflow boards``: list the boards that designs can be built for."""

from __future__ import annotations

import tomllib

import click

from xnorflow.cli import console
from xnorflow.cli.known_names import BOARD
from xnorflow.cli.options import json_option
from xnorflow.report.terminal import bare_table


@click.command("boards")
@click.option(
    "--show",
    type=BOARD,
    metavar="B",
    help="Print the board file of a board, a platform's class or a part, to begin your own with.",
)
@json_option
def command(show: str | None, as_json: bool) -> None:
    """List the boards, their FPGAs, and how each is built.

    The clock is the one assumed before placement. With --json, every figure has its source. Any
    command that takes a board also takes a board file, see docs/boards.md.

    \b
    Examples:
      xnorflow boards
      xnorflow boards --json
      xnorflow boards --show colorlight-i5 > my_board.toml
    """
    from xnorflow.devices.board_names import BOARDS, plugged_names
    from xnorflow.devices.tables import STATUS_TEXT, Datum
    from xnorflow_boards import board, boards

    if show is not None:
        _show(show, as_json)
        return
    found = [*boards().values(), *map(board, plugged_names(BOARDS))]

    def figure(datum: Datum) -> dict[str, object]:
        source = datum.source
        return {"value": datum.value, "source": source.document, "kind": STATUS_TEXT[source.status]}

    rows = []
    for entry in found:
        device = entry.device
        rows.append(
            {
                "name": entry.name,
                "title": entry.title,
                "url": entry.url,
                "part": entry.part,
                "flow": entry.flow.name,
                "bitstream": entry.open,
                "host": entry.host,
                "family": device.family.name,
                "lut_inputs": device.family.lut_inputs,
                "bram_unit": device.family.ram,
                "lut": figure(device.luts),
                "ff": figure(device.ffs),
                "bram": figure(device.ram_blocks),
                "dsp": figure(device.dsps),
                **({"spram": figure(device.sprams)} if device.sprams else {}),
                "clock_mhz": figure(device.family.clock_mhz),
            }
        )
    if as_json:
        console.print_json(rows)
        return
    numbers = ("LUT", "FF", "block RAM", "MHz")
    table = bare_table("", ("board", "FPGA", "tools", *numbers), numbers)
    for entry in found:
        device = entry.device
        table.add_row(
            entry.name,
            device.part,
            "open" if entry.open else "Vivado",
            f"{device.luts.value:,}",
            f"{device.ffs.value:,}",
            f"{device.ram_blocks.value:,} {device.family.ram}",
            f"{device.family.clock_mhz.value:g}",
        )
    console.show(table)


def _show(name: str, as_json: bool) -> None:
    """Print the file of a board."""
    from xnorflow.devices.board_names import described
    from xnorflow.devices.board_text import template

    file = described(name)
    text = file.text or template(file.part)
    if as_json:
        console.print_json(tomllib.loads(text))
    else:
        console.out.print(text, end="", markup=False, highlight=False, soft_wrap=True)
