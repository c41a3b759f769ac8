"""The known boards, one module each: a `Board` with its flow, part, pins and loader.

May import `xnorflow_boards.board` and `xnorflow_boards.flows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from xnorflow.errors import BadInput
from xnorflow_boards.board import Board

_MODULES = (
    "ulx3s",
    "icebreaker",
    "orangecrab",
    "colorlight_i5",
    "tangnano9k",
    "tangnano20k",
    "arty_a7",
    "pynq_z1",
    "pynq_z2",
    "zc706",
    "zcu104",
    "ultra96_v2",
    "kv260",
    "u250",
)


@cache
def boards() -> Mapping[str, Board]:
    """Return every board by name, those with an open flow first."""
    found = {}
    for module in _MODULES:
        for entry in import_module(f"{__name__}.{module}").BOARDS:
            found[entry.name] = entry
    return found


def board(name: str) -> Board:
    """Return the board of a name.

    Raises
    ------
    BadInput
        If there is no such board; the message lists the known ones.
    """
    if name not in boards():
        raise BadInput(f"unknown board {name!r}; known are {', '.join(boards())}")
    return boards()[name]
