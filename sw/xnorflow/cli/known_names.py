"""Types of options that take a known name: any case, the nearest name in messages, completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from xnorflow.devices.near_names import did_you_mean, same_but_case


class Suggested(click.ParamType):
    """Type of a text for which a shell completes names; what is no such name is let through.

    Parameters
    ----------
    what : str
        Word for such a name, such as "board".
    known : callable
        Function that returns the names.
    several : bool
        Whether the text has several names with commas between them.
    """

    def __init__(
        self, what: str, known: Callable[[], Iterable[str]], *, several: bool = False
    ) -> None:
        self.name, self.known, self.several = what, known, several

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the text as it is: what reads it says what would work."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with what was typed, in any case."""
        before, comma, last = incomplete.rpartition(",") if self.several else ("", "", incomplete)
        return [
            CompletionItem(f"{before}{comma}{name}")
            for name in self.known()
            if name.casefold().startswith(last.casefold())
        ]


class Name(Suggested):
    """Type of a name that has to be one of the known ones, in any case."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the known name; fail with the nearest one if there is none."""
        known = tuple(self.known())
        found = same_but_case(str(value), known)
        if found is None:
            near = did_you_mean(str(value), known)
            self.fail(
                f"{value!r} is no {self.name}; known are {', '.join(known)}{near}", param, ctx
            )
        return found


def _boards() -> list[str]:
    from xnorflow.devices.board_names import BOARDS, SHIPPED, plugged_names

    return [*SHIPPED, *plugged_names(BOARDS)]


def _parts() -> tuple[str, ...]:
    from xnorflow.devices.part_names import known_parts

    return known_parts()


def _gpus() -> tuple[str, ...]:
    from xnorflow.devices.tables import gpus

    return tuple(gpus())


def _methods() -> tuple[str, ...]:
    from xnorflow.train.methods import METHODS

    return tuple(m.name for m in METHODS)


BOARD = Suggested("board", _boards)
BOARDS = Suggested("board", _boards, several=True)
PART = Suggested("part", _parts)
PARTS = Suggested("part", _parts, several=True)
GPUS = Suggested("GPU", _gpus, several=True)
METHOD = Suggested("method", _methods)
