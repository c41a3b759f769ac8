"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xnorflow.errors import BadInput
from xnorflow.inputs import reason


@contextmanager
def whole_file(path: Path, keep: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Give a path to write to, of the same name; it becomes `path` if all goes well.

    Parameters
    ----------
    path : Path
        The file; replaced if it is there.
    keep : tuple of exception types
        Errors after which the file is kept all the same.

    Raises
    ------
    BadInput
        If it cannot be written.
    """
    folder = _beside(path)
    part = folder / path.name
    try:
        yield part
        part.replace(path)
    except keep:
        if part.exists():
            part.replace(path)
        raise
    except OSError as e:
        raise _cannot(path, folder, e) from e
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; it becomes `target`, in place of what is there, or vanishes.

    Raises
    ------
    BadInput
        If it cannot be written.
    """
    made = _beside(target)
    former = made.with_name(f"{made.name}.former")
    try:
        yield made
        made.chmod(0o755)
        try:
            if target.exists():
                target.rename(former)
            made.rename(target)
        except BaseException:  # An interruption between the two must not lose what was there.
            if former.exists() and not target.exists():
                former.rename(target)
            raise
    except OSError as e:
        raise _cannot(target, made, e) from e
    finally:
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(made, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Make a folder beside a file or folder that is to be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", dir=path.parent))
    except OSError as e:
        raise BadInput(f"cannot write {path}: {reason(e)}") from e


def _cannot(path: Path, work: Path, error: OSError) -> OSError | BadInput:
    """Return what to raise: the error itself where it is one of another file."""
    names = (error.filename, error.filename2)
    if any(names) and not any(str(n).startswith(str(work)) for n in names if n is not None):
        return error
    return BadInput(f"cannot write {path}: {reason(error)}")
