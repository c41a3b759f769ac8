"""``xnorflow boards``: list the boards that designs can be built for."""

from __future__ import annotations

import click
from rich.table import Table

from xnorflow.cli import console
from xnorflow.cli.options import json_option


@click.command("boards")
@json_option
def command(as_json: bool) -> None:
    """List the boards, their FPGAs, and how each is built.

    The clock is the one assumed before placement. With --json, every figure has its source.

    \b
    Examples:
      xnorflow boards
      xnorflow boards --json
    """
    from xnorflow.devices.tables import STATUS_TEXT, Datum, fpga
    from xnorflow_boards import boards

    def figure(datum: Datum) -> dict[str, object]:
        source = datum.source
        return {"value": datum.value, "source": source.document, "kind": STATUS_TEXT[source.status]}

    rows = []
    for board in boards().values():
        device = fpga(board.name)
        rows.append(
            {
                "name": board.name,
                "title": board.title,
                "url": board.url,
                "part": board.part,
                "flow": board.flow.name,
                "bitstream": board.open,
                "host": board.host,
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
    table = Table(box=None, pad_edge=False)
    for name in ("board", "FPGA", "tools"):
        table.add_column(name, no_wrap=True)
    for name in ("LUT", "FF", "block RAM", "MHz"):
        table.add_column(name, justify="right", no_wrap=True)
    for board in boards().values():
        device = fpga(board.name)
        table.add_row(
            board.name,
            device.part,
            "open" if board.open else "Vivado",
            f"{device.luts.value:,}",
            f"{device.ffs.value:,}",
            f"{device.ram_blocks.value:,} {device.family.ram}",
            f"{device.family.clock_mhz.value:g}",
        )
    console.out.print(table)
