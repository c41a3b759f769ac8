"""Write files and folders as a whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xnorflow.errors import BadInput
from xnorflow.inputs import reason


@contextmanager
def whole_file(path: Path, keep: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Yield the path of a temporary file to write, which replaces `path` when the block ends.

    The temporary file has the same name in a folder of its own. If the block raises an error, it is
    removed and `path` is left as it was.

    Parameters
    ----------
    path : Path
        File to write; replaced if it exists.
    keep : tuple of exception types
        Errors after which the file is kept in spite of the error.

    Raises
    ------
    BadInput
        If the file cannot be written.
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
    """Yield a temporary folder to fill, which replaces `target` when the block ends.

    If the block raises an error, the folder is removed and `target` is left as it was.

    Raises
    ------
    BadInput
        If the folder cannot be written.
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
        except BaseException:
            # An interruption between the two renames must not lose the old folder.
            if former.exists() and not target.exists():
                former.rename(target)
            raise
    except OSError as e:
        raise _cannot(target, made, e) from e
    finally:
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(made, ignore_errors=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document that has a schema in `xnorflow.schemas`: design, build or evidence.

    Parameters
    ----------
    path : Path
        File to write, inside a folder or file that is written as a whole.
    content : mapping
        Plain values.
    """
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _beside(path: Path) -> Path:
    """Create a temporary folder in the folder of a path that is to be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", dir=path.parent))
    except OSError as e:
        raise BadInput(f"cannot write {path}: {reason(e)}") from e


def _cannot(path: Path, work: Path, error: OSError) -> OSError | BadInput:
    """Return a `BadInput` that names `path`, or the error itself if it concerns another file."""
    names = (error.filename, error.filename2)
    if any(names) and not any(str(n).startswith(str(work)) for n in names if n is not None):
        return error
    return BadInput(f"cannot write {path}: {reason(error)}")
