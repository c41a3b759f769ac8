"""Progress displays on the standard error, for commands and for `progress=True` in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Count = Callable[[int, int], object]
"""Callback that receives the number of items done and the number of all items."""
Stages = Callable[[str, int, int], object]
"""Callback that receives what is being done, the number of items done and the number of all."""
Words = Callable[[str], object]
"""Callback that receives a text about what is being done."""
Call = TypeVar("Call", Count, Stages, Words)


def _console(console: Console | None) -> Console:
    from rich.console import Console as Made

    return Made(stderr=True) if console is None else console


def seen(console: Console) -> bool:
    """Return whether somebody watches a console: on a terminal or in a notebook."""
    return (console.is_terminal or console.is_jupyter) and not console.quiet


@contextmanager
def bar(what: str, console: Console | None = None) -> Iterator[Count]:
    """Show a progress bar while the block runs; where nobody watches, nothing is shown.

    Yields a function that takes the number of items done and the number of all items.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    out = _console(console)
    with Progress(*columns, console=out, transient=True, disable=not seen(out)) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def bars(console: Console | None = None) -> Iterator[Stages]:
    """Show a progress bar for each stage of a long work, one after the other.

    Yields a function that takes the stage, the number of items done and the number of all items.
    """
    with ExitStack() as shown:
        ticks: dict[str, Count] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in ticks:
                # Only one bar at a time can be shown.
                shown.pop_all().close()
                ticks[what] = shown.enter_context(bar(what, console))
            ticks[what](done, total)

        yield tell


@contextmanager
def _callback(
    progress: bool | Call | None, display: AbstractContextManager[Call]
) -> Iterator[Call | None]:
    """Yield what a user gave as `progress`, or for True the callback of a display."""
    if progress is True:
        with display as tell:
            yield tell
    else:
        yield progress or None


@contextmanager
def staged(progress: bool | Stages | None) -> Iterator[Stages]:
    """Yield the callback of a parameter `progress` that receives stages; True shows bars.

    Parameters
    ----------
    progress : bool, callable or None
        As the user gave it.
    """
    with _callback(progress, bars()) as tell:
        yield tell or (lambda what, done, total: None)


@contextmanager
def spinner(what: str, console: Console | None = None) -> Iterator[Words]:
    """Show a spinner while the block runs; where nobody watches, nothing is shown.

    Yields a function that takes a text about what is being done.
    """
    from rich.text import Text

    out = _console(console)
    if not seen(out):
        yield lambda doing: None
        return
    with out.status(Text(what)) as status:
        yield lambda doing: status.update(Text(f"{what}: {doing}"))


@contextmanager
def counted(progress: bool | Count | None, what: str) -> Iterator[Count | None]:
    """Yield the callback of a parameter `progress` that counts; True is a progress bar.

    Parameters
    ----------
    progress : bool, callable or None
        As the user gave it.
    what : str
        What the bar says.
    """
    with _callback(progress, bar(what)) as tick:
        yield tick


@contextmanager
def told(progress: bool | Words | None, what: str) -> Iterator[Words | None]:
    """Yield the callback of a parameter `progress` that receives texts; True is a spinner.

    Parameters
    ----------
    progress : bool, callable or None
        As the user gave it.
    what : str
        What the spinner says.
    """
    with _callback(progress, spinner(what)) as tell:
        yield tell
