"""``xnorflow compile --pareto``: show which speeds fit a board, and what each takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from xnorflow import ir
from xnorflow.cli import console
from xnorflow.cli.files import check_output, whole_file
from xnorflow.devices.figure import compact
from xnorflow.devices.links import FrameBytes, link_of
from xnorflow.devices.tables import Fpga, fpga
from xnorflow.report.terminal import bare_table


def check(
    output: Path | None,
    board: str | None,
    plot: Path | None,
    targets: tuple[object, ...],
    report: Path | None,
) -> None:
    """Check that the other options go with --pareto.

    Raises
    ------
    click.UsageError
        If there is no board, or an option would have no effect.
    BadInput
        If the plot cannot be written.
    """
    if board is None:
        raise click.UsageError("--pareto needs a --board")
    if output is not None:
        raise click.UsageError("--pareto writes no design: leave out -o")
    if any(target is not None for target in targets):
        raise click.UsageError(
            "--pareto shows all speeds: leave out --fps, --cycles, --folding and --link"
        )
    if report is not None:
        raise click.UsageError("--pareto writes no design: leave out --report, or use --plot")
    check_output(plot, "a picture is", ".png", ".svg")


def _rows(net: ir.IntegerNetwork, board: str, clock: float | None) -> list[dict[str, Any]]:
    from xnorflow.compiler import front

    with console.working("folding for every speed") as doing:
        found = front(net, board, clock=clock, progress=doing)
    return [
        {
            "ii": f.design.ii,
            "latency": f.design.latency,
            "fps": f.design.fps,
            "bytes_to_board": f.design.frame_bytes.sent,
            "bytes_to_host": f.design.frame_bytes.returned,
            "bytes_per_second": f.design.frame_bytes.rate(f.design.fps),
            "lut": round(f.takes.luts),
            "ff": round(f.takes.ffs),
            "bram": f.takes.ram_blocks,
            **({"spram": f.takes.sprams} if fpga(board).spram_number else {}),
            **({"dsp": f.takes.dsps} if f.takes.dsps else {}),
            "limit": f.limit,
            "layers": {
                part.name: {"pe": fold.pe, "simd": fold.simd}
                for part, fold in zip(f.design.parts, f.design.folds, strict=True)
            },
        }
        for f in found
    ]


def _table(rows: list[dict[str, Any]], device: Fpga) -> Table:
    there = {"lut": device.luts, "ff": device.ffs, "bram": device.ram_blocks}
    names = {"lut": f"LUT{device.family.lut_inputs}", "ff": "FF", "bram": device.family.ram}
    columns = ("II", "frames/s", *names.values())
    table = bare_table(f"foldings for {device.board}", columns, columns)
    for row in rows:
        shares = (f"{row[k]:,} ({100 * row[k] / there[k].use():.0f} %)" for k in names)
        table.add_row(f"{row['ii']:,}", f"{row['fps']:,.0f}", *shares)
    return table


def show(
    net: ir.IntegerNetwork, board: str, clock: float | None, plot: Path | None, as_json: bool
) -> None:
    """Print the Pareto front, and draw it if a file is given.

    Parameters
    ----------
    net : IntegerNetwork
        Network to build.
    board : str
        Name of the board.
    clock : float or None
        Clock in MHz; None for the one assumed for the board.
    plot : Path or None
        File for the picture, if any.
    as_json : bool
        Whether to print JSON instead of a table.
    """
    from xnorflow.compiler import clock_for
    from xnorflow.resources.usage import checked, status, typical_error

    rows, device, at = _rows(net, board, clock), fpga(board), clock_for(board, clock)
    kind, error = status(device.family), checked(device.family)
    if plot is not None:
        from xnorflow.report import front as picture

        with whole_file(plot) as part:
            picture.save(net.name, rows, device, f"{at.mhz:g} MHz", part)
    if as_json:
        console.print_json(
            {
                "network": net.name,
                "board": device.board,
                "clock_mhz": at.mhz,
                "clock_source": at.source,
                "kind": kind,
                "error": error,
                "designs": rows,
            }
        )
        return
    console.show_table(_table(rows, device))
    around = (
        f"{words} \u00b1{typical:.0f} %"
        for words, name in (("LUT", "lut"), ("FF", "ff"))
        if (typical := typical_error(device.family, name)) is not None
    )
    lines = [
        f"at {at.mhz:g} MHz ({at.source.partition(':')[0]}); resources {kind},"
        f" {', '.join(around)} (median error)"
    ]
    if (carrier := link_of(board)) is not None:
        frame = FrameBytes(rows[0]["bytes_to_board"], rows[0]["bytes_to_host"])
        lines.append(
            f"the link, {carrier.title}, carries {compact(carrier.fps(frame))} frames/s; the"
            f" fastest design would need {compact(rows[0]['bytes_per_second'])}B/s"
        )
    if rows[0]["limit"]:
        lines.append(f"faster is not possible: {rows[0]['limit']}")
    if plot is not None:
        lines.append(f"wrote {plot}")
    for line in lines:
        console.say(line)
