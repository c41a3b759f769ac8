"""Every method trains, is written, imported, and gives the scores of ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import xnorflow
from xnorflow.errors import BadInput
from xnorflow.evidence.executor import Executor
from xnorflow.evidence.score_orders import compare_orders
from xnorflow.train.data_sets import DataSet
from xnorflow.train.fit import fit
from xnorflow.train.methods import METHODS, Method, find_method

from .tiny import NAMES, needs_torch, stripes, task, trained

CONVOLUTIONAL = [
    m.name
    for m in METHODS
    if m.module
    in (
        "binary_connect",
        "binary_net",
        "dorefa",
        "quantized_cnn",
        "ternary_residual",
        "ternary_weights",
        "xnor_net",
        "xnor_net_k",
    )
]


LEARNED: dict[str, float] = {}
"""Shares of the test images that a method has to get right, where it is not 0.9."""


def load(method: Method, path: Path, data: DataSet) -> xnorflow.IntegerNetwork:
    """Import a file as `xnorflow train` does at its end."""
    if method.fixed_point is None:
        return xnorflow.load(path, edges=method.with_edges)
    return xnorflow.load(path, fixed_point=method.fixed_point, calibrate=data.x_train)


def agree(method: Method, path: Path, data: DataSet) -> None:
    x = data.x_test
    golden = load(method, path, data)(x)
    orders = compare_orders(Executor(path).run(x).scores, golden)
    if method.fixed_point is None:
        assert not orders.order.any()
    assert orders.labels.mean() < 0.1
    assert len(np.unique(golden, axis=0)) > 1, "all frames have the same scores"


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_model_orders_scores_as_onnx_runtime(name: str, tmp_path: Path) -> None:
    method = find_method(name)
    needs_torch(method)
    trained(method, tmp_path / "a.onnx")
    agree(method, tmp_path / "a.onnx", stripes())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_writes_the_same_file(name: str, tmp_path: Path) -> None:
    method = find_method(name)
    needs_torch(method)
    for file in ("a.onnx", "b.onnx"):
        trained(method, tmp_path / file)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_training_ends_in_the_same_weights(name: str, tmp_path: Path) -> None:
    method, kept = find_method(name), tmp_path / "c.npz"
    needs_torch(method)
    wanted = task(method, epochs=3, shift=1)
    whole = fit(method, wanted).state()

    def stop(done: int, total: int, epoch: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(method, wanted, checkpoint=kept, progress=stop)
    resumed = fit(method, wanted, resume=kept).state()
    assert resumed.keys() == whole.keys()
    for key, array in whole.items():
        np.testing.assert_array_equal(resumed[key], array, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_moved_images_train_another_network(name: str) -> None:
    method = find_method(name)
    needs_torch(method)
    plain, moved = (fit(method, task(method, shift=shift)).state() for shift in (0, 1))
    assert any(not np.array_equal(moved[key], array) for key, array in plain.items())


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_convolutions_with_pools_and_colours(name: str, tmp_path: Path) -> None:
    method, data = find_method(name), stripes(channels=3)
    needs_torch(method)
    trained(method, tmp_path / "a.onnx", task(method, net="6C3-P2-5C3-8", data=data))
    agree(method, tmp_path / "a.onnx", data)


@pytest.mark.parametrize("name", NAMES)
def test_stripes_are_learned(name: str, tmp_path: Path) -> None:
    method = find_method(name)
    needs_torch(method)
    trained(method, tmp_path / "a.onnx", task(method, epochs=100))
    data, path = stripes(), tmp_path / "a.onnx"
    fixed = method.fixed_point is not None
    # The width of fixed point takes its time, and says nothing about learning.
    scores = Executor(path).run(data.x_test).scores if fixed else xnorflow.load(path)(data.x_test)
    assert (scores.argmax(1) == data.y_test).mean() > LEARNED.get(name, 0.9)


@pytest.mark.parametrize("name", ["bnn", "binary-connect", "binary-connect-stochastic", "bwn"])
def test_weights_are_signs(name: str, tmp_path: Path) -> None:
    needs_torch(find_method(name))
    trained(find_method(name), tmp_path / "a.onnx")
    for array in weights(tmp_path / "a.onnx"):
        assert set(np.unique(array)) <= {-1.0, 1.0}


def weights(path: Path) -> list[np.ndarray]:
    """Return the weights of all layers of a file."""
    graph = onnx.load(path).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    return [stored[n.input[1]] for n in graph.node if n.op_type in ("Gemm", "Conv")]


def test_names_are_unique_and_alike_ones_are_suggested() -> None:
    assert len(set(NAMES)) == len(METHODS)
    with pytest.raises(BadInput, match="did you mean bwn"):
        find_method("bwm")
    with pytest.raises(BadInput, match="--list"):
        find_method("quantum")


def test_seeds_and_epochs_matter() -> None:
    method = find_method("bnn")
    needs_torch(method)
    one, other = task(method), task(method)
    object.__setattr__(other, "seed", 4)
    a, b = fit(method, one).state(), fit(method, other).state()
    assert any((a[k] != b[k]).any() for k in a)
