"""What a user may call a board: a shipped name, a board file, a platform's class, or a part.

Boards and parts of other packages are entry points of the groups `BOARDS` and `PARTS`, whose
objects are the text of a board file or its path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from xnorflow.devices.board_file import CLASS, NAME, BoardFile
from xnorflow.devices.board_text import toml_text
from xnorflow.devices.near_names import did_you_mean, same_but_case
from xnorflow.devices.part_names import PartName, known_parts
from xnorflow.errors import BadInput
from xnorflow.inputs import blaming

SHIPPED = (
    "ulx3s-85f",
    "ulx3s-25f",
    "icebreaker",
    "orangecrab-85f",
    "colorlight-i5",
    "tangnano9k",
    "tangnano20k",
    "arty-a7-35",
    "arty-a7-100",
    "pynq-z1",
    "pynq-z2",
    "zc706",
    "zcu104",
    "ultra96-v2",
    "kv260",
    "u250",
)
"""Names of the shipped boards, those with an open flow first; their files are in ``boards``."""
BOARDS, PARTS = "xnorflow.boards", "xnorflow.parts"
"""Groups of entry points."""
SUFFIX = ".toml"


@cache
def shipped(name: str) -> BoardFile:
    """Return the file of a shipped board."""
    text = files(__package__).joinpath("boards", f"{name}{SUFFIX}").read_text(encoding="utf-8")
    return BoardFile.parse(text, f"{name}{SUFFIX}")


def described(board: str) -> BoardFile:
    """Return the description of the board that a user named.

    Parameters
    ----------
    board : str
        Name of a shipped board or of another package's, in any case; path of a board file, which
        ends in ``.toml``; class of an Amaranth platform as module:Class, which is imported; or a
        part, such as LFE5U-45F, which is a board without pins.

    Raises
    ------
    BadInput
        If there is no such board, or its file is wrong; the message says what would work.
    """
    if not isinstance(board, str):
        raise BadInput(f"a board has to be named by a text, not {board!r}")
    if (name := same_but_case(board, SHIPPED)) is not None:
        return shipped(name)
    if board.endswith(SUFFIX):
        return _of_path(board)
    if (found := plugged_in(BOARDS, board)) is not None:
        return found
    if CLASS.fullmatch(board):
        return _of_class(board)
    if (part := PartName.read(board)) is not None:
        return BoardFile(part.text, part, title=part.text)
    known = [*SHIPPED, *plugged_names(BOARDS)]
    raise BadInput(
        f"unknown board {board[:100]!r}; known are {', '.join(known)}; a board file"
        f" (my_board{SUFFIX}), a platform (module:Class) or a part (LFE5U-45F) would work, too"
        f"{did_you_mean(board, [*known, *known_parts()])}"
    )


def canonical(board: str) -> str:
    """Return a board as `described` takes it from any folder: the name, or an absolute path."""
    if board.endswith(SUFFIX):
        return os.path.abspath(board)
    return board if CLASS.fullmatch(board) else described(board).name


def portable(board: str) -> BoardFile | None:
    """Return the description that has to travel with a design; None for boards known by name."""
    return described(board) if board.endswith(SUFFIX) or CLASS.fullmatch(board) else None


def is_name(board: object) -> bool:
    """Return whether a value from a file is a board's name or a part: no path, and no class."""
    if not isinstance(board, str) or board.endswith(SUFFIX):
        return False
    return NAME.fullmatch(board) is not None or PartName.read(board) is not None


def part_named(text: str) -> str:
    """Return the name of a part in its maker's spelling.

    Raises
    ------
    BadInput
        If it is of no known family.
    """
    return PartName.of(text).text


def plugged_names(group: str) -> Iterator[str]:
    """Yield the names of the boards or parts that other packages bring."""
    for point in _entry_points(group, tuple(sys.path)):
        yield point.name


def plugged_in(group: str, name: str) -> BoardFile | None:
    """Return what another package says of a board or part; None if none knows the name.

    Parameters
    ----------
    group : str
        `BOARDS` or `PARTS`.
    name : str
        Name of the entry point, in any case.

    Raises
    ------
    BadInput
        If the package does not load or says what cannot be.
    """
    for point in _entry_points(group, tuple(sys.path)):
        if point.name.casefold() == name.casefold():
            return _of_entry_point(point)
    return None


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read the metadata of all packages on the path, which takes tens of milliseconds."""
    return tuple(entry_points(group=group))


@cache
def _of_entry_point(point: EntryPoint) -> BoardFile:
    where = f"the entry point {point.name!r} of {point.group} ({point.value})"
    with blaming(f"{where} does not load"):
        found: Any = point.load()
    match found:
        case Path():
            board = BoardFile.read(found)
        case str():
            board = BoardFile.parse(found, where)
        case _:
            raise BadInput(
                f"{where} is a {type(found).__name__}; it has to be the text of a board file or"
                " its path"
            )
    # A design's folder keeps the name alone.
    if point.group == BOARDS and board.name != point.name:
        raise BadInput(f"{where}: name is {board.name!r}, not {point.name!r}")
    return board


def _of_path(board: str) -> BoardFile:
    path = Path(board)
    try:
        status = path.stat()
    except OSError:
        return BoardFile.read(path)
    return _read(path.resolve(), status.st_mtime_ns, status.st_size)


@cache
def _read(path: Path, changed: int, size: int) -> BoardFile:
    """Read a file; the time of its last change and its size say whether that has to be repeated."""
    return BoardFile.read(path)


@cache
def _of_class(name: str) -> BoardFile:
    """Describe a board by the class of its Amaranth platform, which names the part."""
    cls = platform_class(name)
    said = {key: getattr(cls, key, "") for key in ("device", "package", "speed", "part", "family")}
    with blaming(f"{name} does not name its part"):
        device, package, speed = (said[key] for key in ("device", "package", "speed"))
        found = PartName.read(said["part"]) if isinstance(said["part"], str) else None
        for form in (
            f"{device}-{speed}{package}",
            f"{device}-{package}",
            f"{device}{package}-{speed}",
            f"{device}-{package}-{speed}",
        ):
            found = found or PartName.read(form)
        if found is None:
            raise ValueError(f"{device or said['part']} is of no known family")
    text = {
        "name": cls.__name__,
        "part": found.text,
        **({"die": said["family"]} if said["part"] and said["family"] else {}),
        "platform": {"class": name},
    }
    return BoardFile.parse(toml_text(text), name)


def platform_class(name: str) -> Any:
    """Import the class of an Amaranth platform; this runs the code of its module.

    Parameters
    ----------
    name : str
        The class as module:Class.

    Raises
    ------
    BadInput
        If there is no such class.
    ImportError
        If amaranth_boards is not installed.
    """
    module, _, attribute = name.partition(":")
    if not CLASS.fullmatch(name):
        raise BadInput(f"{name[:100]!r} is no class of a platform; it has to be module:Class")
    try:
        found = import_module(module)
    except ModuleNotFoundError as e:
        if e.name == "amaranth_boards":
            raise
        raise BadInput(f"{name} cannot be imported: there is no module {e.name}") from e
    except Exception as e:
        raise BadInput(f"{name} cannot be imported: {e}") from e
    cls = getattr(found, attribute, None)
    # Amaranth's platforms have both; to import Amaranth only to ask would make this room heavy.
    if not (isinstance(cls, type) and hasattr(cls, "prepare") and hasattr(cls, "request")):
        there = [n for n in dir(found) if hasattr(getattr(found, n), "prepare")]
        raise BadInput(
            f"{name} is no Amaranth platform; {module} has"
            f" {', '.join(there) or 'none'}{did_you_mean(attribute, there)}"
        )
    return cls
