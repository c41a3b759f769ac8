"""Turn images of the data into pictures that a page can hold."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pixels

from xnorflow.report.page.page_blocks import Gallery, Image

MOST = 32
"""Images of a gallery."""


def gallery(
    x: NDArray[Any],
    labels: Sequence[int] | NDArray[Any],
    truths: Sequence[int] | NDArray[Any] | None,
    *,
    classes: Sequence[str] = (),
    by: str,
) -> Gallery | None:
    """Return the first images of a data set with their labels.

    Parameters
    ----------
    x : uint8 array
        Images [n, height, width], or with 1 or 3 channels behind or ahead of the pixels.
    labels, truths : ints [n]
        Labels that the network gave, and true ones if they are known.
    classes : sequence of str
        Names of the labels.
    by : str
        What gave the labels, in words.

    Returns
    -------
    Gallery or None
        None if the samples are no pictures.
    """
    pixels = _pictures(np.asarray(x))
    if pixels is None:
        return None
    count = min(MOST, len(pixels))
    top = int(pixels[:count].max()) or 1
    shown = (pixels[:count].astype(np.float64) * 255 / top).round().astype(np.uint8)

    def name(label: int) -> str:
        return classes[label] if 0 <= label < len(classes) else str(label)

    images = [
        Image(
            _uri(shown[k]),
            name(int(labels[k])),
            "" if truths is None else name(int(truths[k])),
        )
        for k in range(count)
    ]
    right = sum(bool(image.right) for image in images)
    words = f"The first {count} images, with the labels by {by}"
    return Gallery(images, words + (f": {right} right." if truths is not None else "."))


def _pictures(x: NDArray[Any]) -> NDArray[Any] | None:
    """Return images [n, height, width] or [n, height, width, 3]; None if they are no pictures."""
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        return None
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[3] not in (1, 3):
        x = x.transpose(0, 2, 3, 1)
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if min(x.shape[1:3]) < 4 or (x.ndim == 4 and x.shape[3] != 3):
        return None
    return x


def _uri(pixels: NDArray[np.uint8]) -> str:
    out = io.BytesIO()
    Pixels.fromarray(pixels).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
