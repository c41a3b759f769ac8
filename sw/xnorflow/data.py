"""Read images from an ``.npz``, an ``.npy`` or a folder of PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import BadInput
from xnorflow.inputs import blaming, opened
from xnorflow.npz import read_archive, read_array

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 1 << 33
"""Most bytes that the arrays of a file may take in memory."""
MAX_PICTURE = 1 << 26
"""Most bytes of a picture file."""
MAX_PIXELS = 1 << 24
"""Most pixels of a picture; no network takes larger ones."""
READABLE = "a readable .npz or .npy file"


@dataclass(frozen=True)
class Images:
    """Images with their labels.

    Parameters
    ----------
    x : array [frames, ...]
        Frames, usually uint8; the network decides whether it accepts other numbers.
    y : int64 array [frames] or None
        Labels, if they are known.
    """

    x: NDArray[Any]
    y: NDArray[np.int64] | None

    def first(self, limit: int | None) -> Images:
        """Return the first `limit` frames, or all if it is None."""
        if limit is None:
            return self
        return Images(self.x[:limit], None if self.y is None else self.y[:limit])

    def check_labels(self, classes: int) -> None:
        """Check that all labels are classes of a network with `classes` classes.

        Raises
        ------
        BadInput
            If a label is not, as happens if the labels belong to another network.
        """
        if self.y is not None and len(self.y) and not 0 <= self.y.min() <= self.y.max() < classes:
            raise BadInput(
                f"the labels go from {self.y.min()} to {self.y.max()}, but the network has"
                f" {classes} classes; labels from 0 to {classes - 1}, or no labels, would work"
            )


def read_images(path: str | Path) -> Images:
    """Read images and, if there are any, their labels.

    Parameters
    ----------
    path : path
        An ``.npz`` with ``x`` (or ``x_test``) and optionally ``y`` (or ``y_test``); an ``.npy``
        with the frames alone; or a folder of PNG files of one size, which are read in the order of
        their names. If all names begin with a number and an underscore (``7_0001.png``), these
        numbers are the labels.

    Returns
    -------
    Images
        Frames [frames, ...] and labels, int64 [frames] or None.

    Raises
    ------
    BadInput
        If there are no images at `path`; the message says what is there instead.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise BadInput(f"there is no data file {path}")
    if path.suffix == ".npy":
        return _checked(read_array(path, MAX_BYTES, what=READABLE), None, path)
    return _archive(path)


def _archive(path: Path) -> Images:
    names = ("x", "x_test", "y", "y_test")
    arrays, there = read_archive(path, MAX_BYTES, names, what=READABLE)
    x, y = (arrays.get(name, arrays.get(f"{name}_test")) for name in ("x", "y"))
    if x is None:
        raise BadInput(
            f"{path} holds no array named x or x_test, only {', '.join(there) or 'nothing'}"
        )
    return _checked(x, y, path)


def _checked(x: NDArray[Any], y: NDArray[Any] | None, path: Path) -> Images:
    if x.dtype.kind not in "iubf" or x.ndim < 2:
        raise BadInput(
            f"{path}: the images are {x.dtype} of shape {list(x.shape)}; they have to be uint8"
            " [frames, ...], or other numbers if the network takes them"
        )
    if not x.size:
        raise BadInput(f"{path} holds no images: their shape is {list(x.shape)}")
    if y is not None:
        if y.shape != (len(x),) or y.dtype.kind not in "iu":
            raise BadInput(
                f"{path}: the labels are {y.dtype} of shape {list(y.shape)}; they have to be whole"
                f" numbers of shape [{len(x)}]{_cure_of_labels(y, len(x))}"
            )
        y = y.astype(np.int64)
    return Images(x, y)


def _cure_of_labels(y: NDArray[Any], frames: int) -> str:
    """Return a phrase that says how to turn an array into labels, if that is obvious."""
    if y.ndim == 2 and len(y) == frames and y.dtype.kind in "iubf":
        if y.shape[1] == 1:
            return ": y[:, 0] would work"
        if y.size and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
            return ": they are one-hot, so y.argmax(1) would work"
    whole = y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all()
    return ": y.astype(int) would work" if y.shape == (frames,) and whole else ""


def _pixels(picture: Image) -> NDArray[np.uint8]:
    """Return the pixels of a picture: grey [height, width] or colour [height, width, 3].

    Raises
    ------
    ValueError
        If the picture has more than 8 bits per channel.
    """
    grey = picture.mode in ("1", "L", "LA")
    if picture.mode == "P":
        palette = np.array(picture.getpalette("RGB")).reshape(-1, 3)
        grey = bool((palette == palette[:, :1]).all())
    elif not grey and picture.mode not in ("RGB", "RGBA"):
        raise ValueError(
            f"its pixels are of mode {picture.mode!r}; only 8 bits per channel can be read"
        )
    return np.asarray(picture.convert("L" if grey else "RGB"))


def _folder(path: Path) -> Images:
    from PIL import Image

    files = sorted(path.glob("*.png"))
    if not files:
        raise BadInput(f"the folder {path} holds no PNG files")
    frames = []
    for file in files:
        with (
            blaming(f"{file} is not a readable picture"),
            opened(file, MAX_PICTURE) as f,
            Image.open(f, formats=["PNG"]) as picture,
        ):
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(
                    f"it has {picture.width} x {picture.height} pixels, more than the {MAX_PIXELS}"
                    " allowed"
                )
            frames.append(_pixels(picture))
        if frames[-1].shape != frames[0].shape:
            raise BadInput(
                f"all pictures of a folder need the same shape, but {file} has shape"
                f" {frames[-1].shape} and {files[0].name} has {frames[0].shape}"
            )
    heads = [file.stem.partition("_")[0] for file in files]
    labelled = all("_" in file.stem and h.isdecimal() for file, h in zip(files, heads, strict=True))
    y = np.array([int(h) for h in heads]) if labelled else None
    return _checked(np.stack(frames), y, path)
