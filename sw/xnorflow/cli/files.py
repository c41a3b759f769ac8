"""Result files of commands: refused early; `whole_file` then writes them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from xnorflow.errors import BadInput
from xnorflow.outputs import whole_file

__all__ = ["check_output", "whole_file"]


def check_output(path: Path | None, what: str, *suffixes: str) -> None:
    """Refuse a file that could not be written, before any long work.

    Raises
    ------
    BadInput
        If the suffix is none of `suffixes`, or there is no such folder, or none to write in.
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
