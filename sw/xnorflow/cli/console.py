"""The consoles that all commands print to, and their progress displays."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

out = Console()
err = Console(stderr=True)


def complain(message: str) -> None:
    """Print an error message to the standard error, in one line whatever characters it has."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    err.print(Text.assemble(("error: ", "bold red"), shown), soft_wrap=True)


def print_json(content: Any) -> None:
    """Print plain values as JSON to the standard output."""
    out.print(json.dumps(content, indent=1), markup=False, highlight=False, soft_wrap=True)


def plain(text: str) -> Text:
    """Return text that is shown as it is, even if it has square brackets, rich's markup."""
    return Text(text)


def command_line() -> tuple[str, ...]:
    """Return the command line as the user wrote it, for reports."""
    return ("xnorflow", *sys.argv[1:])


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on the standard error.

    Yields a function that takes the number of items done and the number of all items.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner on the standard error.

    Yields a function that takes a text about what is being done.
    """
    with err.status(plain(what)) as status:
        yield lambda doing: status.update(plain(f"{what}: {doing}"))
