"""Open untrusted files: only regular ones of limited size, with every fault as a `BadInput`."""

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
"""Most characters that a message quotes of another library's error."""


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turn everything that goes wrong while a file is read into a `BadInput`.

    On damaged files, libraries raise errors of many kinds (from zlib, tokenize, struct, ...), which
    may change at any time. Within this block all of them mean that the file is bad. Warnings are
    not shown, because a hostile file could choose their text.

    Parameters
    ----------
    what : str
        Beginning of the message, such as "a.npy is not a readable .npy file".

    Raises
    ------
    BadInput
        If an error occurs; the message is `what` and the reason. An `XnorflowError` passes as it
        is.
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
    """Return the text of an error in one line."""
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
    """Open a regular file for reading; a pipe or a device could block or never end.

    Parameters
    ----------
    path : Path
        File to open.
    limit : int
        Most bytes that the file may have.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a regular file or is too large.
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
        File to read, UTF-8.
    what : str
        Description of what the file should be, such as "a folding file", for messages.

    Raises
    ------
    BadInput
        If the file is not JSON, or has numbers that JSON does not have (NaN, Infinity).
    """
    with blaming(f"{path} is not {what}"):
        with opened(path, MAX_JSON_BYTES) as f:
            text = f.read().decode()
        content = json.loads(text, parse_constant=_no_number)
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is not a number in JSON")


def whole(value: Any, what: str) -> int:
    """Return a value from a file as a whole number, without converting other types.

    Parameters
    ----------
    value : object
        Value as it was read.
    what : str
        Name of the value, for the message.

    Raises
    ------
    ValueError
        If the value is not an int, or does not fit 64 bits.
    """
    if type(value) is not int or abs(value) >= 1 << 63:
        shown = repr(value) if len(repr(value)) < 40 else "what is there"
        raise ValueError(f"its {what} has to be a whole number, not {shown}")
    return value
