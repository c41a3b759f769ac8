"""Small tasks that every method is tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xnorflow.train.data_sets import DataSet
from xnorflow.train.fit import fit, write_file
from xnorflow.train.methods import METHODS, Method
from xnorflow.train.training import Task, Training


def stripes(frames: int = 90, channels: int = 1, most: int = 255) -> DataSet:
    """Return noisy pictures of three classes, 6 x 6: a bright third of the rows."""
    drawn = np.random.default_rng(5)
    y = drawn.integers(0, 3, 2 * frames)
    y[:3] = y[frames : frames + 3] = (0, 1, 2)
    x = drawn.integers(0, most // 2, (2 * frames, channels, 6, 6))
    for i, label in enumerate(y):
        x[i, :, 2 * label : 2 * label + 2] += most // 2
    x[0, 0, 0, 0] = most
    x = x.astype(np.uint8)
    return DataSet("stripes", Path("stripes.npz"), x[:frames], y[:frames], x[frames:], y[frames:])


NETS = {
    "perceptron": "",
    "committee": "5",
    "true-north": "12-30",
    "q-cnn": "12-16",
    "xnor-net-k": "6C3-8",
    "bi-real": "6-8",
    "react-net": "4-8",
    "quick-net": "8-6",
    "frac-bnn": "4-8",
}
"""Small networks of the methods that do not take any, by the beginning of their names."""


def task(
    method: Method,
    *,
    net: str | None = None,
    epochs: int = 2,
    data: DataSet | None = None,
    shift: int = 0,
) -> Task:
    """Return a task that takes no second."""
    if net is None:
        net = next((n for name, n in NETS.items() if method.name.startswith(name)), "24")
    return Task(data or stripes(), net, epochs, 3, method.variant, shift)


def trained(method: Method, path: Path, wanted: Task | None = None) -> Training:
    """Train, and write the network to a file."""
    wanted = wanted or task(method)
    training = fit(method, wanted)
    write_file(training, method, wanted, path)
    return training


def needs_torch(method: Method) -> None:
    """Skip a test if the method needs PyTorch and it is not installed."""
    if method.module not in ("expectation_backpropagation",):
        pytest.importorskip("torch", reason="PyTorch (extra: train) trains it")


NAMES = [m.name for m in METHODS]
