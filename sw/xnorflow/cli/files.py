"""Result files of commands: refused early, written whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xnorflow.errors import BadInput


def check_output(path: Path | None, what: str, *suffixes: str) -> None:
    """Refuse a file that could not be written, before any long work.

    Raises
    ------
    BadInput
        If the suffix is none of `suffixes`, or there is no such folder.
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


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, of the same suffix; it becomes `path` if all goes well.

    Raises
    ------
    BadInput
        If it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            part.replace(path)
    except OSError as e:
        raise BadInput(f"cannot write {path}: {e.strerror or e}") from e
