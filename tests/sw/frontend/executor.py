"""ONNX Runtime without fusion as an independent executor, and how scores are compared with it."""

import numpy as np
import onnxruntime

from xnorflow.frontend import read
from xnorflow.lower import lower
from xnorflow_sim import golden


def run(path, samples, scale=1.0):
    """Run a file on uint8 samples [n, ...], in its own order, one frame after the other."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = [n if isinstance(n, int) else 1 for n in given.shape]
    scores = []
    for sample in samples:
        x = sample.reshape(shape).astype(np.float32) * np.float32(scale)
        scores.append(np.asarray(session.run(None, {given.name: x})[0], np.float64).ravel())
    return np.array(scores)


def order(scores):
    """Return which of any two scores of a frame is greater."""
    return np.sign(scores[:, :, None] - scores[:, None])


def lowered_exactly(path, *, count=40, scale=1.0, seed=0):
    """Lower a file and compare the order of the golden model's scores with the executor's.

    All orders have to be equal, ties included; a single score is compared between frames.
    """
    net = lower(read(path, input_scale=np.float32(scale)))
    shape = (count, *net.input_order.shape)
    samples = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    want, got = run(path, samples, scale), golden.run(net, samples)
    assert np.unique(want).size > 2, "a test that shows nothing"
    if want.shape[1] == 1:
        want, got = want.T, got.T
    np.testing.assert_array_equal(order(got), order(want))
    return net
