"""Data of the demo: 8 x 8 handwritten digits, and a small binary network that reads them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def data_path() -> Path:
    """Return the path of the images, an ``.npz`` file."""
    return Path(str(resources.files(__name__) / "digits.npz"))


def model_path() -> Path:
    """Return the path of the network, a QONNX file that takes raw samples."""
    return Path(str(resources.files(__name__) / "digits.onnx"))


def data() -> dict[str, NDArray[np.uint8]]:
    """Read the images and their labels.

    Returns
    -------
    dict of str to uint8 array
        ``x_train`` [1343, 8, 8] and ``x_test`` [454, 8, 8], samples from 0 (paper) to 16 (ink);
        ``y_train`` [1343] and ``y_test`` [454], classes from 0 to 9. The network was trained
        without ``x_test``.
    """
    with np.load(data_path(), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
