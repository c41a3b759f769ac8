"""Which code computes a point: workers have to have the same, and results say which they are of."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from xnorflow.errors import BadInput
from xnorflow.version import __version__

ROOMS = ("devices", "folding", "ir", "plan", "resources", "schedule", "storage")
"""Rooms of the compiler that decide the figures of a folding, beside the hardware library."""
SUFFIXES = (".py", ".json", ".toml")


@cache
def code_version() -> str:
    """Return the version of this package with a digest of all that decides a folding's figures."""
    digest = hashlib.sha256()
    ours = files("xnorflow")
    for name, folder in (*((r, ours / r) for r in ROOMS), ("hw", files("xnorflow_hw"))):
        for path, text in sorted(_texts(folder, name)):
            digest.update(f"{path} {len(text)}\n".encode() + text)
    return f"{__version__}+{digest.hexdigest()[:16]}"


def check_code(wanted: str) -> None:
    """Check that this process has the same code as the one that asks.

    Raises
    ------
    BadInput
        If it has another version.
    """
    if wanted != code_version():
        raise BadInput(
            f"a worker has xnorflow {code_version()}, but this sweep was started with {wanted}."
            " What would work: install the same version on all machines, and start the workers anew"
        )


def _texts(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            found += _texts(entry, path)
        elif entry.name.endswith(SUFFIXES):
            found.append((path, entry.read_bytes()))
    return found
