"""The trained networks and data sets that the benchmarks run on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import demo

DATA = Path(os.environ.get("XNORFLOW_DATA", Path(__file__).parents[2] / "shared" / "data"))

DEMO = "digits"
"""The network that the project ships."""


@dataclass(frozen=True)
class Trained:
    """A trained network with its data set, the scale of its input and its accuracy in percent."""

    name: str
    data: str
    scale: float
    accuracy: float

    @property
    def path(self) -> Path:
        """Path of the ONNX file."""
        if self.name == DEMO:
            return demo.model_path()
        return DATA / "models" / f"{self.name}.onnx"

    def images(self) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """Return the whole test set."""
        if self.name == DEMO:
            arrays = demo.data()
            return arrays["x_test"], arrays["y_test"]
        with np.load(DATA / "datasets" / f"{self.data}.npz", allow_pickle=False) as z:
            x, y = ("x_test", "y_test") if "x_test" in z.files else ("x", "y")
            return z[x], z[y]

    def scores(self) -> NDArray[Any] | None:
        """Return the scores of an independent implementation; None where there are none."""
        path = DATA / "models" / f"{self.name}.scores.npy"
        return np.load(path, allow_pickle=False) if path.exists() else None


TRAINED = (
    Trained("TFC_1W1A", "mnist", 1 / 255, 92.96),
    Trained("TFC_1W2A", "mnist", 1 / 255, 94.74),
    Trained("LFC_1W1A_finn", "mnist", 1 / 255, 98.35),
    Trained("mnist_lfcW1A1", "mnist", 1.0, 98.34),
    Trained("mnist_lfcW1A2", "mnist", 1.0, 98.55),
    Trained("cifar10_cnvW1A1", "cifar10_test", 1.0, 79.22),
    Trained("cifar10_cnvW1A2", "cifar10_test", 1.0, 82.66),
)


def trained(name: str) -> Trained:
    """Return the network of a name in `TRAINED`, or the demo network."""
    if name == DEMO:
        return Trained(name, "", 1.0, 98.46)
    return next(t for t in TRAINED if t.name == name)
