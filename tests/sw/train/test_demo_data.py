"""The digits and the network that come with xnorflow: complete, disjoint, as accurate as stated."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from xnorflow import demo
from xnorflow.errors import ToolMissing
from xnorflow.train import needs
from xnorflow.train.digits_data import load, split

# Digests of each array's bytes: that of the file would depend on the compressor.
DIGESTS = {
    "x_train": "ae8430122713b44741a125c2f720469292e5d5f32fc6e0201a251610d63df19c",
    "y_train": "657faa33d152b9805bc76ac50f28a8d08d67bdff38e9051a322d20657ea06f7a",
    "x_test": "63d2d9cffee0c73d03f7646631c4e49f0cd962cf4c34719f6f726aac6ca095a9",
    "y_test": "250a70a1035e53ad63177e2c7ccf3eb99f23ef212a93a2acf0c746a0fa7ec0b0",
}
MODEL_DIGEST = "a3c860d9dfe12991dcd965e2b9068a10e81310532700d40bd731da65c0ff87a6"


def test_arrays() -> None:
    data = demo.data()
    assert data.keys() == DIGESTS.keys()
    for part, count in (("train", 1343), ("test", 454)):
        x, y = data[f"x_{part}"], data[f"y_{part}"]
        assert x.dtype == y.dtype == np.uint8
        assert x.shape == (count, 8, 8) and y.shape == (count,)
        assert x.max() == 16 and set(y.tolist()) == set(range(10))
    for name, digest in DIGESTS.items():
        assert hashlib.sha256(data[name].tobytes()).hexdigest() == digest, name


def test_held_out_images_are_not_trained_on() -> None:
    data = demo.data()
    train, test = ({x.tobytes() for x in data[name]} for name in ("x_train", "x_test"))
    assert not train & test
    assert len(train) + len(test) == 1797


def test_classes_keep_their_proportions() -> None:
    data = demo.data()
    held_out = np.bincount(data["y_test"])
    of = held_out + np.bincount(data["y_train"])
    np.testing.assert_array_equal(held_out, -(-of // 4))


def test_split_takes_the_first_of_every_four_of_a_class() -> None:
    labels = np.array([3, 1, 3, 3, 3, 1, 3, 1, 1, 1])
    np.testing.assert_array_equal(np.flatnonzero(split(labels)), [0, 1, 6, 9])


def test_data_file_is_what_the_script_makes() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn (extra: train) ships the original")
    for name, array in load().items():
        np.testing.assert_array_equal(demo.data()[name], array)


def test_model_is_small_static_and_binary() -> None:
    content = demo.model_path().read_bytes()
    assert len(content) < 300_000
    assert hashlib.sha256(content).hexdigest() == MODEL_DIGEST
    graph = onnx.load_from_string(content).graph
    shapes = [
        [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [[1, 1, 8, 8], [1, 10]]
    weights = [onnx.numpy_helper.to_array(t) for t in graph.initializer if len(t.dims) > 1]
    assert sum(w.size for w in weights) == 25_744
    assert all(np.isin(w, (-1, 1)).all() for w in weights)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    gammas = [constants[n.input[1]] for n in graph.node if n.op_type == "BatchNormalization"]
    assert len(gammas) == 3 and all((g < 0).any() and (g > 0).any() for g in gammas)


def test_accuracy_of_the_executor() -> None:
    model, data = ModelWrapper(str(demo.model_path())), demo.data()
    inp, out = model.graph.input[0].name, model.graph.output[0].name
    frames = data["x_test"].astype(np.float32)[:, None, None]
    scores = np.concatenate([execute_onnx(model, {inp: frame})[out] for frame in frames])
    np.testing.assert_array_equal(scores, scores.round())
    assert (scores.argmax(axis=1) == data["y_test"]).sum() == 447  # 98.46 %, as the README says


def test_a_missing_package_is_named_with_the_remedy() -> None:
    with pytest.raises(ToolMissing, match=r"'no_such_package'.*pip install .*\[train\]"):
        needs("no_such_package.part")
