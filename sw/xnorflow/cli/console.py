"""The consoles that all commands print to, and their progress displays."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from xnorflow import progress as displays
from xnorflow.report.terminal import Prose

out = Console()
err = Console(stderr=True)


def be_quiet(quiet: bool) -> None:
    """Leave out, or show again, all results and progress; errors and JSON are always shown."""
    out.quiet = err.quiet = quiet


def complain(message: str) -> None:
    """Print an error message to the standard error, in one line whatever characters it has."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    quiet, err.quiet = err.quiet, False
    err.print(Text.assemble(("error: ", "bold red"), shown), soft_wrap=True)
    err.quiet = quiet


def say(text: str = "", lead: str = "", *, hang: int = 0, style: str = "") -> None:
    """Print a paragraph of plain text; see `xnorflow.report.terminal.Prose`."""
    show(Prose(text, lead, hang=hang, style=style))


def item(label: str, text: str, *, style: str = "") -> None:
    """Print a text behind its label, such as "speed"."""
    show(Prose(text, label, label=True, style=style))


def show(what: RenderableType) -> None:
    """Print a table or text; words that are longer than a line stay whole."""
    out.print(what, crop=False)


def show_table(table: RenderableType) -> None:
    """Print a table and an empty line."""
    show(table)
    say()


def print_json(content: Any) -> None:
    """Print plain values as JSON to the standard output."""
    quiet, out.quiet = out.quiet, False
    out.print(json.dumps(content, indent=1), markup=False, highlight=False, soft_wrap=True)
    out.quiet = quiet


def plain(text: str) -> Text:
    """Return text that is shown as it is, even if it has square brackets, rich's markup."""
    return Text(text)


def command_line() -> tuple[str, ...]:
    """Return the command line as the user wrote it, for reports."""
    return ("xnorflow", *sys.argv[1:])


def progress(what: str) -> AbstractContextManager[Callable[[int, int], object]]:
    """Show a progress bar on the standard error.

    Yields a function that takes the number of items done and the number of all items.
    """
    return displays.bar(what, err)


def working(what: str) -> AbstractContextManager[Callable[[str], object]]:
    """Show a spinner on the standard error.

    Yields a function that takes a text about what is being done.
    """
    return displays.spinner(what, err)
