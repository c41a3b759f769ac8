"""A folder of built things, each under the digest of everything it was made from.

An entry appears whole or not at all, and several processes may ask for the same one at once: one
makes it, the others wait. Entries are never changed; deleting any of them is always safe, and a
damaged one is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xnorflow.errors import BadInput

CONTENTS = "contents.json"
"""Lists the files of an entry with their digests."""


def default() -> Path:
    """Return ``$XNORFLOW_CACHE``, or ``xnorflow`` in the user's cache folder.

    Raises
    ------
    BadInput
        If there is no such user or no home.
    """
    named = os.environ.get("XNORFLOW_CACHE")
    try:
        if named:
            return Path(named).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "xnorflow"
    except RuntimeError as e:
        raise BadInput(
            f"there is no folder for compiled simulations: {e} What would work: set XNORFLOW_CACHE"
            " to a folder that can be written"
        ) from e


def digest(parts: Iterable[str | bytes]) -> str:
    """Return the SHA-256, in hexadecimal, of a list of texts; how they are split counts too."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()


def entry(root: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``root/name``, made first if it is not there or not as it was made.

    Parameters
    ----------
    root : Path
        The cache; created if absent.
    name : str
        Name of the entry, which ends in the digest of its inputs.
    make : callable
        Fills the empty folder it is given, which becomes the entry if it returns.

    Raises
    ------
    BadInput
        If the entry has to be made and the cache cannot be written.
    """
    folder = root / name
    if _sound(folder):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{name}.lock"):
            if _sound(folder):  # Another process made it while this one waited.
                return folder
            work = Path(tempfile.mkdtemp(prefix=f".{name[:24]}-", dir=root))
            try:
                make(work)
                _seal(work)
                work.chmod(0o755)
                _remove(folder)
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as e:
        where = f" ({e.filename})" if e.filename else ""
        raise BadInput(
            f"cannot keep compiled simulations in {root}: {e.strerror or e}{where}. What would"
            " work: set XNORFLOW_CACHE to a folder that can be written and has room"
        ) from e
    return folder


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and digest of every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / CONTENTS:
            with path.open("rb") as f:
                found = hashlib.file_digest(f, "sha256").hexdigest()
            yield path.relative_to(folder).as_posix(), found


def _seal(folder: Path) -> None:
    """List what is in a folder, for `_sound`."""
    (folder / CONTENTS).write_text(json.dumps(dict(_files(folder))))


def _sound(folder: Path) -> bool:
    """Return whether an entry is there with all that was made, unchanged.

    A cut or damaged library would end the process that loads it, if not do something worse.
    """
    try:
        made = json.loads((folder / CONTENTS).read_text())
        there = dict(_files(folder))
        return all(there.get(name) == found for name, found in made.items())
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _remove(folder: Path) -> None:
    """Remove a damaged entry, whatever it is, or nothing."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file that is left behind: removing it would race."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
