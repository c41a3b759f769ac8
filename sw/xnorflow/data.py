"""Reads images: ``.npz``, ``.npy`` or a folder of PNG."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from xnorflow.errors import BadInput

MAX_BYTES = 1 << 33
"""Largest array that is read, in bytes."""


@dataclass(frozen=True)
class Images:
    """Frames `x`, uint8 [frames, ...], and labels `y`, int64 [frames], where known."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64] | None

    def first(self, limit: int | None) -> Images:
        """Give the first `limit` frames."""
        if limit is None:
            return self
        return Images(self.x[:limit], None if self.y is None else self.y[:limit])


def read_images(path: str | Path) -> Images:
    """Read images and, if they are there, labels.

    Parameters
    ----------
    path : path
        An ``.npz`` with ``x`` (or ``x_test``) uint8 and optional ``y`` (``y_test``); a ``.npy``
        of uint8; or a folder of PNG files of one size, taken in order of their names, with labels
        from a leading number and underscore (``7_0001.png``) if all names have one.

    Raises
    ------
    BadInput
        If there is no such data; says what is there instead.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise BadInput(f"there is no data file {path}")
    try:
        if path.suffix == ".npy":
            with path.open("rb") as f:
                x = _member(f, path.name)
            return _checked(x, None, path)
        return _archive(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise BadInput(f"{path} is not a readable .npz or .npy file: {e}") from e


def _member(f: Any, name: str) -> NDArray[Any]:
    """Read one array, after a look at the size that its header claims."""
    version = npy.read_magic(f)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(f)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never loaded")
    if size > MAX_BYTES:
        raise ValueError(f"{name} claims {size} bytes, more than the {MAX_BYTES} allowed")
    f.seek(0)
    return np.asarray(npy.read_array(f, allow_pickle=False))


def _archive(path: Path) -> Images:
    with zipfile.ZipFile(path) as z:
        names = {n.removesuffix(".npy"): n for n in z.namelist()}

        def take(*choices: str) -> NDArray[Any] | None:
            for choice in choices:
                if choice in names:
                    with z.open(names[choice]) as f:
                        return _member(f, choice)
            return None

        x, y = take("x", "x_test"), take("y", "y_test")
    if x is None:
        raise BadInput(f"{path} holds no array x or x_test, only {', '.join(names) or 'nothing'}")
    return _checked(x, y, path)


def _checked(x: NDArray[Any], y: NDArray[Any] | None, path: Path) -> Images:
    if x.dtype != np.uint8 or x.ndim < 2:
        raise BadInput(
            f"{path}: images are {x.dtype} of shape {list(x.shape)}; uint8 [frames, ...] is needed"
        )
    if y is not None:
        if y.shape != (len(x),) or y.dtype.kind not in "iu":
            raise BadInput(
                f"{path}: labels are {y.dtype} of shape {list(y.shape)}; whole numbers"
                f" [{len(x)}] are needed"
            )
        y = y.astype(np.int64)
    return Images(x, y)


def _folder(path: Path) -> Images:
    from PIL import Image, UnidentifiedImageError

    files = sorted(path.glob("*.png"))
    if not files:
        raise BadInput(f"the folder {path} holds no PNG files")
    frames = []
    for file in files:
        try:
            with Image.open(file) as picture:
                mode = "L" if picture.mode in ("1", "L", "LA", "P", "I;16") else "RGB"
                frames.append(np.asarray(picture.convert(mode)))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as e:
            raise BadInput(f"{file} is not a readable picture: {e}") from e
        if frames[-1].shape != frames[0].shape:
            raise BadInput(
                f"{file} has shape {frames[-1].shape}, {files[0].name} has {frames[0].shape}"
            )
    heads = [file.stem.partition("_")[0] for file in files]
    labelled = all("_" in file.stem and h.isdigit() for file, h in zip(files, heads, strict=True))
    y = np.array([int(h) for h in heads]) if labelled else None
    return _checked(np.stack(frames), y, path)
