"""Real networks of other people, lowered and run on real images."""

from pathlib import Path

import numpy as np
import pytest

from xnorflow.frontend import read
from xnorflow.lower import lower
from xnorflow_sim import golden

DATA = Path(__file__).parents[4] / "shared/data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


@pytest.mark.parametrize(
    ("name", "scale", "accuracy"),
    [
        ("TFC_1W1A", 1 / 255, 92.96),
        ("TFC_1W2A", 1 / 255, 94.74),
        ("LFC_1W1A_finn", 1 / 255, 98.35),
        ("mnist_lfcW1A1", 1.0, 98.34),
        ("mnist_lfcW1A2", 1.0, 98.55),
    ],
)
def test_mnist_accuracy_is_the_published_one(name, scale, accuracy):
    net = lower(read(DATA / f"models/{name}.onnx", input_scale=scale))
    with np.load(DATA / "datasets/mnist.npz") as data:
        x, y = data["x_test"], data["y_test"]
    labels = golden.run(net, x).argmax(1)
    assert round(100 * float((labels == y).mean()), 2) == accuracy


@pytest.mark.parametrize("name", ["cifar10_cnvW1A1", "cifar10_cnvW1A2"])
def test_cifar_scores_are_those_of_an_independent_implementation(name):
    net = lower(read(DATA / f"models/{name}.onnx"))
    truth = np.load(DATA / f"models/{name}.scores.npy", allow_pickle=False)
    with np.load(DATA / "datasets/cifar10_test.npz") as data:
        x = data["x"]
    some = slice(None, None, 500)
    np.testing.assert_array_equal(golden.run(net, x[some]), truth[some])
