"""The demo's own data: 8 x 8 handwritten digits and a small binary network that reads them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def data_path() -> Path:
    """Give the path of the images, an ``.npz``."""
    return Path(str(resources.files(__name__) / "digits.npz"))


def model_path() -> Path:
    """Give the path of the network, a QONNX file that takes raw samples."""
    return Path(str(resources.files(__name__) / "digits.onnx"))


def data() -> dict[str, NDArray[np.uint8]]:
    """Read the images.

    Returns
    -------
    dict of uint8 arrays
        ``x_train`` [1343, 8, 8] and ``x_test`` [454, 8, 8], samples 0 (paper) to 16 (ink);
        ``y_train`` and ``y_test``, classes 0 to 9. The network never saw ``x_test`` in training.
    """
    with np.load(data_path(), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
