"""Training and test images, from a file, a folder or the shipped digits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import demo
from xnorflow.data import MAX_BYTES, Images, read_images
from xnorflow.errors import BadInput
from xnorflow.npz import read_archive
from xnorflow.train.digits_data import split

DIGITS = "digits"
"""Name of the data set that comes with xnorflow."""
PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images to train on and to test with, and their classes.

    Parameters
    ----------
    name : str
        What the images are called in messages.
    path : Path
        File or folder that they come from, for the commands that are printed.
    x_train, x_test : uint8 array [images, channels, rows, columns]
        Raw samples.
    y_train, y_test : int64 array [images]
        Classes from 0.
    held_out : bool
        Whether the test images were held out of one set without a test part.

    Attributes
    ----------
    most : int
        Largest sample of the training images.
    classes : int
        Number of classes.
    """

    name: str
    path: Path
    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    held_out: bool = False

    @property
    def most(self) -> int:
        """Largest sample of the training images."""
        return int(self.x_train.max())

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.y_train.max()) + 1

    @property
    def frame(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a frame."""
        _, channels, height, width = self.x_train.shape
        return channels, height, width

    @property
    def digest(self) -> str:
        """SHA-256 of the training images and classes, which a checkpoint is held to."""
        found = hashlib.sha256(repr((self.x_train.shape, self.frame)).encode())
        found.update(np.ascontiguousarray(self.x_train).tobytes())
        found.update(np.ascontiguousarray(self.y_train).tobytes())
        return found.hexdigest()


def read_data_set(source: str, limit: int | None = None) -> DataSet:
    """Read a data set.

    Parameters
    ----------
    source : str
        "digits"; an ``.npz`` with ``x_train``, ``y_train``, ``x_test`` and ``y_test``; or an
        ``.npz`` with ``x`` and ``y`` or a folder of labelled PNG, as `xnorflow.data` reads them, of
        which the first of every four images of a class are held out.
    limit : int, optional
        Most training images, the first of them; all test images are kept.

    Raises
    ------
    BadInput
        If there are no images with classes, or too few.
    """
    path = demo.data_path() if source == DIGITS else Path(source)
    parts: dict[str, NDArray[Any]] = {}
    if path.suffix == ".npz" and path.is_file():
        parts, there = read_archive(path, MAX_BYTES, PARTS)
        if parts and len(parts) < len(PARTS) and "x_train" in parts:
            missing = [p for p in PARTS if p not in parts]
            raise BadInput(
                f"{path} holds {', '.join(there)}; training needs {', '.join(missing)} too"
            )
    held_out = len(parts) < len(PARTS)
    if held_out:
        images = read_images(path)
        if images.y is None:
            raise BadInput(
                f"{path} has no classes. What would work: an array y beside x, or names of PNG that"
                " begin with the class and an underscore"
            )
        test = split(images.y)
        parts = {
            "x_train": images.x[~test],
            "y_train": images.y[~test],
            "x_test": images.x[test],
            "y_test": images.y[test],
        }
    train = _checked(path, Images(parts["x_train"], parts["y_train"]).first(limit))
    test_part = _checked(path, Images(parts["x_test"], parts["y_test"]))
    if train[0].shape[1:] != test_part[0].shape[1:]:
        raise BadInput(
            f"{path}: training images are {list(train[0].shape[1:])} and test images"
            f" {list(test_part[0].shape[1:])} (channels, rows, columns)"
        )
    found = DataSet(
        source if source == DIGITS else path.stem, path, *train, *test_part, held_out=held_out
    )
    if found.most == 0 or found.classes < 2 or int(found.y_test.max()) >= found.classes:
        raise BadInput(
            f"{path}: the training images are blank, of one class, or lack a class of the test"
            " images" + (f"; more than {limit} of them may do" if limit else "")
        )
    return found


def _checked(path: Path, images: Images) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images as [N, C, H, W] with their classes.

    Raises
    ------
    BadInput
        If they are no bytes of a known shape, or have no classes from 0.
    """
    x, y = images.x, images.y
    assert y is not None
    if x.dtype != np.uint8 or x.ndim not in (2, 3, 4) or not len(x):
        raise BadInput(
            f"{path}: training needs uint8 images [images, rows, columns], [images, rows, columns,"
            f" channels] or [images, features], not {x.dtype} {list(x.shape)}"
        )
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or int(y.min()) < 0:
        raise BadInput(
            f"{path}: {len(x)} images need as many classes, whole numbers from 0, not {y.dtype}"
            f" {list(y.shape)}"
        )
    match x.ndim:
        case 2:
            x = x[:, None, None, :]
        case 3:
            x = x[:, None]
        case 4:
            x = x.transpose(0, 3, 1, 2)
        case _:
            raise TypeError(f"no order of axes for {x.ndim} axes")
    return np.ascontiguousarray(x), y.astype(np.int64)
