"""Folders that commands write: whole, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from xnorflow import outputs
from xnorflow.errors import BadInput


@contextmanager
def whole_folder(target: Path, known: Collection[str]) -> Iterator[Path]:
    """Give a folder to fill; it becomes `target` once the block is through, or vanishes.

    Parameters
    ----------
    target : Path
        Must not exist, or hold nothing but what is in `known`: then it is replaced.
    known : collection of str
        Names of the files and folders that the block makes.

    Raises
    ------
    BadInput
        If `target` is a file, holds something else or cannot be written.
    """
    target = target.resolve()
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder")
    if target.exists() and not {path.name for path in target.iterdir()} <= set(known):
        raise BadInput(f"{target} holds other files; give a new folder or an empty one")
    with outputs.whole_folder(target) as made:
        yield made
