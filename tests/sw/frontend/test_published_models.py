"""Real networks of other people import as the chain of operations that they are."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from xnorflow.frontend import read
from xnorflow.graph import ops

from ..lower.reference import run
from .onnx_models import execute, random_frames

MODELS = Path(__file__).parents[4] / "shared/data/models"

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/data/models")


def stored(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def kinds(graph):
    return [type(op).__name__.removesuffix("Op") for op in graph.ops]


def convs(graph):
    return [op for op in graph.ops if isinstance(op, ops.ConvOp)]


@pytest.mark.parametrize(
    "name,quantiser,names",
    [
        ("TFC_1W1A", "BipolarQuant", ["38", "46", "54", "62"]),
        ("TFC_1W2A", "Quant", ["40", "50", "60", "70"]),
    ],
)
def test_tfc(name, quantiser, names):
    graph = read(MODELS / f"{name}.onnx", input_scale=1 / 255)
    assert (graph.name, graph.shape, graph.classes) == (name, (28, 28, 1), ())
    layer = ["Conv", "BatchNorm", quantiser]
    assert kinds(graph) == [
        "Multiply",
        "Subtract",
        quantiser,
        "Flatten",
        *layer * 3,
        "Conv",
        "Subtract",
        "Divide",
        "Multiply",
        "Add",
    ]
    raw = stored(MODELS / f"{name}.onnx")
    for conv, tensor in zip(convs(graph), names, strict=True):
        np.testing.assert_array_equal(conv.weights[:, 0, 0], raw[tensor])
        assert conv.scale == 1
    if quantiser == "Quant":
        q = graph.ops[2]
        assert (q.bits, q.signed, q.narrow, q.scale, q.rounding) == (2, True, True, 1, "ROUND")


def test_lfc_finn():
    graph = read(MODELS / "LFC_1W1A_finn.onnx", input_scale=1 / 255)
    assert kinds(graph) == [
        "Multiply",
        "Subtract",
        "Sign",
        "Flatten",
        *["Conv", "Multiply", "BatchNorm", "Sign"] * 3,
        "Conv",
        "Multiply",
    ]
    raw = stored(MODELS / "LFC_1W1A_finn.onnx")
    for conv, tensor in zip(convs(graph), ["33", "41", "49", "57"], strict=True):
        np.testing.assert_array_equal(conv.weights[:, 0, 0].T, raw[tensor])
    np.testing.assert_array_equal(graph.ops[5].value, raw["34"].ravel())
    assert graph.ops[5].value.shape == (1024,)


@pytest.mark.parametrize("name,levels", [("mnist_lfcW1A1", 2), ("mnist_lfcW1A2", 3)])
def test_bnn_pynq_lfc(name, levels):
    graph = read(MODELS / f"{name}.onnx")
    assert (graph.shape, graph.classes) == ((28, 28, 1), tuple("0123456789"))
    assert kinds(graph) == [
        "Multiply",
        "Subtract",
        "BipolarQuant",
        "Flatten",
        *["Conv", "MultiThreshold"] * 3,
        "Conv",
        "Subtract",
    ]
    raw = stored(MODELS / f"{name}.onnx")
    for i, conv in enumerate(convs(graph)):
        np.testing.assert_array_equal(conv.weights[:, 0, 0].T, raw[f"w{i}_f"])
    steps = [op for op in graph.ops if isinstance(op, ops.MultiThresholdOp)]
    for i, op in enumerate(steps):
        np.testing.assert_array_equal(op.thresholds, raw[f"t{i}"])
        assert op.thresholds.shape == (1024, levels - 1)
        assert (op.out_scale, op.out_bias) == ((2.0, -1.0) if levels == 2 else (1.0, -1.0))


@pytest.mark.parametrize("name", ["cifar10_cnvW1A1", "cifar10_cnvW1A2"])
def test_bnn_pynq_cnv(name):
    path = MODELS / f"{name}.onnx"
    graph = read(path)
    assert graph.shape == (32, 32, 3)
    assert graph.classes == tuple(json.loads(onnx.load(path).doc_string)["classes"])
    step = ["Conv", "MultiThreshold"]
    # The third block ends at one pixel, so there is nothing to flatten.
    assert kinds(graph) == [
        "Multiply",
        "Subtract",
        "Quant",
        *step * 2,
        "MaxPool",
        *step * 2,
        "MaxPool",
        *step * 4,
        "Conv",
    ]
    raw = stored(path)
    for i, conv in enumerate(convs(graph)):
        w = raw[f"w{i}_f"]
        w = w.transpose(0, 2, 3, 1) if w.ndim == 4 else w.T[:, None, None]
        np.testing.assert_array_equal(conv.weights, w)
        assert not any(conv.window.pads)
    assert all(
        op.window.kernel == op.window.stride == (2, 2)
        for op in graph.ops
        if isinstance(op, ops.MaxPoolOp)
    )


@pytest.mark.parametrize(
    "name,scale",
    [("TFC_1W1A", 1 / 255), ("TFC_1W2A", 1 / 255), ("mnist_lfcW1A1", 1.0), ("mnist_lfcW1A2", 1.0)],
)
def test_scores_equal_qonnx(name, scale):
    path = MODELS / f"{name}.onnx"
    graph = read(path, input_scale=scale)
    frames = random_frames(np.random.default_rng(3), graph, 3)
    np.testing.assert_array_equal(run(graph, frames), execute(path, frames, scale))
