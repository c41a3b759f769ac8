"""Opens files from anywhere: regular ones of a bounded size, whose every fault is a `BadInput`."""

from __future__ import annotations

import json
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from xnorflow.errors import BadInput, XnorflowError

MAX_JSON_BYTES = 1 << 26
"""Largest JSON file that is read."""
MAX_REASON = 400
"""Characters of a foreign error that a message repeats."""


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a `BadInput`.

    Readers of damaged files raise errors of dozens of kinds (zlib's, tokenize's, struct's, ...),
    and which ones is their own affair: within this block they all mean that the file is bad. What
    they warn of is not shown, because a hostile file chooses the text.

    Parameters
    ----------
    what : str
        What the file is not, such as "a.npy is not a readable .npy file".

    Raises
    ------
    BadInput
        With `what` and the reason. Errors of ours pass as they are.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except XnorflowError:
        raise
    except Exception as e:
        raise BadInput(f"{what}: {reason(e)}") from e


def reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    match error:
        case MemoryError():
            return "there is not enough memory for it"
        case RecursionError():
            return "it is nested too deeply"
        case KeyError(args=(name, *_)):
            return f"it has no {name!r}"
        case OSError(strerror=str(text)):
            return text
    text = " ".join(str(error).split())
    if len(text) > MAX_REASON:
        text = f"{text[:MAX_REASON]}..."
    return text or type(error).__name__


@contextmanager
def opened(path: Path, limit: int) -> Iterator[IO[bytes]]:
    """Open a regular file; anything else (a pipe, a device) could block or never end.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Most bytes that it may have.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is no regular file, or too large.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > limit:
        raise ValueError(f"it has {status.st_size} bytes, more than the {limit} allowed")
    with path.open("rb") as f:
        yield f


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    what : str
        What it should be, such as "a folding file", for messages.

    Raises
    ------
    BadInput
        If it is no JSON, or has numbers that JSON lacks (NaN, Infinity).
    """
    with blaming(f"{path} is not {what}"):
        with opened(path, MAX_JSON_BYTES) as f:
            text = f.read().decode()
        content = json.loads(text, parse_constant=_no_number)
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number in JSON")


def whole(value: Any, what: str) -> int:
    """Return a whole number out of a file, and nothing that only looks like one.

    Raises
    ------
    ValueError
        If it is none, or so large that no machine counts it.
    """
    if type(value) is not int or abs(value) >= 1 << 63:
        shown = repr(value) if len(repr(value)) < 40 else "that"
        raise ValueError(f"its {what} has to be a whole number, not {shown}")
    return value
