"""A whole proof of a file with several outputs: a map and a vector behind a shortcut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import xnorflow as xf
from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.evidence.executor import Executor
from xnorflow.ir import file as ir_file
from xnorflow_sim import golden

from ..frontend.onnx_models import Model, f32, signs

X = np.random.default_rng(1).integers(0, 256, (12, 4, 6, 2)).astype(np.uint8)


def written(folder: Path) -> Path:
    """Write a file whose outputs are called ``map`` and ``a/vector``."""
    rng = np.random.default_rng(5)
    m = Model(1, 2, 4, 6)

    def conv(x: str, out: int, channels: int, size: int) -> str:
        pads = [size // 2] * 4
        return str(m("Conv", x, signs(rng, out, channels, size, size), pads=pads))

    trunk = m.bipolar(conv(m.bipolar(m("Sub", "x", f32(127))), 3, 2, 1))
    joined = m("Add", conv(trunk, 3, 3, 3), trunk)
    last = m.bipolar(m("Sub", joined, f32(0.5)))
    conv(last, 3, 3, 1)
    m.nodes[-1].output[0] = "map"
    flat = m("Flatten", m("GlobalMaxPool", last))
    m("MatMul", flat, signs(rng, 3, 4))
    m.nodes[-1].output[0] = "a/vector"
    model = m.proto()
    del model.graph.output[:]
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 3, 4, 6]),
            helper.make_tensor_value_info("a/vector", TensorProto.FLOAT, [1, 4]),
        ]
    )
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("outputs"))


def test_the_executor_computes_the_outputs_that_are_named(path: Path) -> None:
    both = Executor(path, outputs=["map", "a/vector"]).run(X)
    assert both.sizes == (72, 4) and both.scores.shape == (12, 76) and both.labels is None
    for name, part in (("map", both.scores[:, :72]), ("a/vector", both.scores[:, 72:])):
        np.testing.assert_array_equal(Executor(path, outputs=[name]).run(X).scores, part)
    np.testing.assert_array_equal(Executor(path).run(X).scores, both.scores[:, :72])
    with pytest.raises(BadInput, match="has no output 'none'"):
        Executor(path, outputs=["none"])


def test_the_network_gives_the_files_outputs(path: Path) -> None:
    net = xf.load(path)
    assert [(o.name, o.shape) for o in net.outputs] == [("map", (3, 4, 6)), ("a/vector", (4,))]
    for name, values in net.evaluate(X).items():
        found = Executor(path, outputs=[name]).run(X).scores
        assert (
            np.argsort(found, 1, "stable") == np.argsort(values.reshape(12, -1), 1, "stable")
        ).all()


def test_all_outputs_are_compared_with_the_file(path: Path) -> None:
    found = xf.check(path, X)
    (outcome,) = found.outcomes
    assert not found.differs and outcome.frames == 12
    assert outcome.total in (0, 12 * 76)
    assert xf.check(path, X, y=np.zeros(12, np.int64)).accuracy is None


@pytest.mark.parametrize("which", [0, 1])
def test_a_difference_in_any_output_is_found(path: Path, tmp_path: Path, which: int) -> None:
    net = xf.load(path)
    layers = list(net.layers)
    at = net.reads[layers.index(net.score_layers[which])][0] - 1
    while not isinstance(layers[at], ir.Conv):
        at = net.reads[at][0] - 1
    before = layers[at]
    assert isinstance(before, ir.Conv)
    layers[at] = replace(before, weights=before.weights[::-1].copy())
    ir_file.save(replace(net, layers=tuple(layers)), tmp_path / "net.npz")
    found = xf.check(tmp_path / "net.npz", X, file=path)
    assert found.differs and found.outcomes[0].order > 0


@pytest.mark.rtl
def test_the_hardware_is_compared_in_all_scores(path: Path) -> None:
    found = xf.check(path, X[:4], rtl=3)
    assert not found.differs
    rtl = found.outcomes[1]
    assert (rtl.name, rtl.frames, rtl.total) == ("rtl", 3, 3 * 76)
    net = xf.load(path)
    assert golden.run(net, X[:1]).shape == (1, 76)
