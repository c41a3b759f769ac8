"""Draw input images in a grid, with the labels that the accelerator computed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from xnorflow.errors import BadInput

RIGHT, WRONG, INK = "#1B7F3B", "#C0392B", "#222222"


def _pixels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images in colour, uint8 [n, height, width, 3].

    Raises
    ------
    BadInput
        If they are not pictures.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3):
        raise BadInput(
            "pictures have to be uint8 of shape [n, height, width] or [n, height, width, 1 or 3],"
            f" not {images.dtype} of shape {list(images.shape)}"
        )
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images


def _name(label: int, classes: Sequence[str]) -> str:
    return classes[label] if 0 <= label < len(classes) else str(label)


def grid(
    images: NDArray[Any],
    labels: Sequence[int] | NDArray[Any],
    truths: Sequence[int] | NDArray[Any] | None = None,
    *,
    classes: Sequence[str] = (),
    title: str = "",
    columns: int = 8,
) -> bytes:
    """Draw a grid of images with their predicted labels.

    Parameters
    ----------
    images : uint8 array [n, height, width] or [n, height, width, channels]
        Images in grey (1 channel) or colour (3 channels), all drawn with the same range of
        brightness.
    labels : ints [n]
        Predicted labels. A right one is green; a wrong one is red, with the true label beside it.
    truths : ints [n], optional
        True labels. Without them predicted labels are neither green nor red.
    classes : sequence of str
        Names of the labels; a label without a name is shown as a number.
    title : str
        Heading of the picture.
    columns : int
        Images per row.

    Returns
    -------
    bytes
        Content of a PNG file.

    Raises
    ------
    BadInput
        If the numbers of images and labels differ, there is no image, or the arrays are no
        pictures.
    """
    pixels = _pixels(images)
    n = len(pixels)
    if n == 0 or len(labels) != n or (truths is not None and len(truths) != n):
        raise BadInput(
            f"{n} images, {len(labels)} labels"
            + ("" if truths is None else f" and {len(truths)} true labels")
            + " do not make a grid: it needs at least one image and as many labels as images"
        )
    if columns < 1:
        raise BadInput(f"a grid of pictures needs at least 1 column, not {columns}")
    columns = min(columns, n)
    rows = ceil(n / columns)
    top = int(pixels.max()) or 1
    shown = np.minimum(pixels.astype(np.float32) / top, 1)
    long_names = bool(classes) and max(map(len, classes)) > 3
    gap = "\n" if long_names else " "
    with rc_context({"font.family": "DejaVu Sans"}):
        head = 0.55 if title or truths is not None else 0.1
        width, height = 1.15 * columns + 0.2, 1.42 * rows + head
        canvas = Canvas(figsize=(width, height))
        FigureCanvasAgg(canvas)
        if title:
            canvas.text(
                0.15 / width,
                1 - 0.12 / height,
                title,
                va="top",
                fontsize=12,
                fontweight="bold",
                color=INK,
                parse_math=False,
            )
        if truths is not None:
            right = int(np.sum(np.asarray(labels) == np.asarray(truths)))
            canvas.text(
                1 - 0.15 / width,
                1 - 0.14 / height,
                f"{right} of {n} right",
                va="top",
                ha="right",
                fontsize=10,
                color=RIGHT if right == n else INK,
            )
        for i in range(n):
            column, row = i % columns, i // columns
            axes = canvas.add_axes(
                (
                    (0.15 + 1.15 * column) / width,
                    1 - (head + 1.42 * row + 1.05) / height,
                    1.0 / width,
                    1.0 / height,
                )
            )
            axes.imshow(shown[i], interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            label, colour = int(labels[i]), INK
            words = _name(label, classes)
            if truths is not None:
                good = label == int(truths[i])
                colour = RIGHT if good else WRONG
                if not good:
                    words += f"{gap}(is {_name(int(truths[i]), classes)})"
            for spine in axes.spines.values():
                spine.set(color=colour, linewidth=2.0)
            axes.set_xlabel(
                words,
                color=colour,
                labelpad=3,
                parse_math=False,
                fontweight="bold",
                fontsize=7.5 if long_names else 11,
            )
        out = io.BytesIO()
        canvas.savefig(out, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def save(
    path: str | Path,
    images: NDArray[Any],
    labels: Sequence[int] | NDArray[Any],
    truths: Sequence[int] | NDArray[Any] | None = None,
    *,
    classes: Sequence[str] = (),
    title: str = "",
    columns: int = 8,
) -> None:
    """Write a grid of images to a PNG file; the parameters are those of `grid`.

    Raises
    ------
    BadInput
        If `path` does not end in ``.png``, or as for `grid`.
    """
    if Path(path).suffix.lower() != ".png":
        raise BadInput(f"{path}: a grid of pictures can only be written as .png")
    Path(path).write_bytes(
        grid(images, labels, truths, classes=classes, title=title, columns=columns)
    )
