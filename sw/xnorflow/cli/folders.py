"""Folders that commands write completely or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from xnorflow import outputs
from xnorflow.errors import BadInput


@contextmanager
def whole_folder(target: Path, known: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder to fill, which becomes `target` when the block ends.

    If the block raises an error, the folder is removed and `target` is left as it was.

    Parameters
    ----------
    target : Path
        Folder to write. If it exists, it may hold only names in `known`, and it is replaced.
    known : collection of str
        Names of the files and folders that the block writes.

    Raises
    ------
    BadInput
        If `target` is a file, holds other files or cannot be written.
    """
    target = target.resolve()
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder")
    if target.exists() and not {path.name for path in target.iterdir()} <= set(known):
        raise BadInput(f"{target} holds other files; give a new folder or an empty one")
    with outputs.whole_folder(target) as made:
        yield made
