"""A folder of built things, each under the digest of everything it was made from.

An entry appears whole or not at all, and several processes may ask for the same one at once: one
makes it, the others wait. Entries are never changed; deleting any of them is always safe.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def default() -> Path:
    """Return ``$XNORFLOW_CACHE``, or ``xnorflow`` in the user's cache folder."""
    named = os.environ.get("XNORFLOW_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "xnorflow"


def digest(parts: Iterable[str | bytes]) -> str:
    """Return the SHA-256, in hexadecimal, of a list of texts; how they are split counts too."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()


def entry(root: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``root/name``, made first if it is not there.

    Parameters
    ----------
    root : Path
        The cache; created if absent.
    name : str
        Name of the entry, which ends in the digest of its inputs.
    make : callable
        Fills the empty folder it is given, which becomes the entry if it returns.
    """
    folder = root / name
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{name}.lock"):
        if folder.is_dir():  # Another process made it while this one waited.
            return folder
        work = Path(tempfile.mkdtemp(prefix=f".{name[:24]}-", dir=root))
        try:
            make(work)
            work.chmod(0o755)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file that is left behind: removing it would race."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
