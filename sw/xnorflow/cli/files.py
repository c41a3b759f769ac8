"""Result files of commands: check early that they can be written; `whole_file` writes them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from xnorflow.errors import BadInput
from xnorflow.outputs import whole_file

__all__ = ["check_output", "whole_file"]


def check_output(path: Path | None, what: str, *suffixes: str) -> None:
    """Check that a result file can be written, before any long work starts.

    Parameters
    ----------
    path : Path or None
        File to write, if any.
    what : str
        Beginning of the message about a wrong suffix, such as "results are".
    *suffixes : str
        Suffixes that the file may have.

    Raises
    ------
    BadInput
        If the file has another suffix, or its folder does not exist or cannot be written to.
    """
    if path is None:
        return
    if path.suffix not in suffixes:
        *others, last = suffixes
        known = f"{', '.join(others)} or {last}" if others else last
        raise BadInput(f"{path}: {what} written as {known}")
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(
            f"cannot write {path}: "
            + ("it is a folder" if path.is_dir() else f"there is no folder {path.parent}")
        )
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as e:
        raise BadInput(f"cannot write {path}: {e.strerror or e}") from e
