"""ONNX Runtime without fusion as an independent executor, and how scores are compared with it."""

import numpy as np
import onnxruntime

from xnorflow.frontend import read
from xnorflow.lower import lower
from xnorflow_sim import golden

from .onnx_models import to_file_layout


def run(path, frames, scale=1.0):
    """Run a file on uint8 frames [n, rows, columns, channels], one after the other."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = [n if isinstance(n, int) else 1 for n in given.shape]
    scores = []
    for frame in frames:
        x = to_file_layout(frame, shape).astype(np.float32) * np.float32(scale)
        scores.append(np.asarray(session.run(None, {given.name: x})[0], np.float64).ravel())
    return np.array(scores)


def order(scores):
    """Give which of any two scores of a frame is greater."""
    return np.sign(scores[:, :, None] - scores[:, None])


def lowered_exactly(path, *, count=40, scale=1.0, seed=0):
    """Lower a file and compare the order of the golden model's scores with the executor's.

    All orders have to be equal, ties included; a single score is compared between frames.
    """
    graph = read(path, input_scale=scale)
    net = lower(graph)
    frames = np.random.default_rng(seed).integers(0, 256, (count, *graph.shape), dtype=np.uint8)
    want, got = run(path, frames, scale), golden.run(net, frames)
    assert np.unique(want).size > 2, "a test that shows nothing"
    if want.shape[1] == 1:
        want, got = want.T, got.T
    np.testing.assert_array_equal(order(got), order(want))
    return net
