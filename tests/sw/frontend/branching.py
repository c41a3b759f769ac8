"""Files that branch, and what ONNX Runtime computes of them: the truth of an import in float64."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from xnorflow.frontend import read
from xnorflow.graph import execute

from .onnx_models import f32, signs


def saved(m, tmp_path, *outputs):
    """Save a model with these outputs, or with that of its last node."""
    proto = m.proto()
    if outputs:
        del proto.graph.output[:]
        proto.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs
        )
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    return path


def executed(path, x):
    """Run a file on float32 samples [n, ...] in its own order, one frame after the other."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    frames = []
    for frame in x:
        made = session.run(None, {name: frame[None]})
        frames.append(np.concatenate([np.asarray(a, np.float64).ravel() for a in made]))
    return np.array(frames)


def imported(graph, x):
    """Compute the outputs of an imported graph on samples in the file's order."""
    frames = graph.order.frames(x, graph.shape)
    return execute.scores(graph, frames.astype(np.float64))


def agrees(m, tmp_path, *outputs, count=6, low=0, high=256):
    """Hold the import of a model to ONNX Runtime on drawn samples, and return it."""
    path = saved(m, tmp_path, *outputs)
    graph = read(path)
    x = f32(np.random.default_rng(5).integers(low, high, (count, *m.shape[1:])))
    want, got = executed(path, x), imported(graph, x)
    assert np.isfinite(want).all() and np.unique(want).size > 2, "a test that shows nothing"
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4 * np.abs(want).max())
    for output in graph.outputs:
        assert len(output.gather) == np.prod(output.shape)
    return graph


def trunk(m, channels=4, *, rng=None, source="x"):
    """Signs of a 3x3 convolution of the samples: the map that branches part from."""
    inputs = m.shape[1]
    rng = rng or np.random.default_rng(7)
    x = m("Sub", source, f32(127.5))
    return m("Sign", m("Conv", x, signs(rng, channels, inputs, 3, 3), pads=[1] * 4))


def conv(m, x, inputs, out, size=3, seed=11, **attributes):
    """A convolution with signs as weights that keeps the size of a map."""
    rng = np.random.default_rng(seed)
    given = {"pads": [size // 2] * 4, **attributes}
    return m("Conv", x, signs(rng, out, inputs, size, size), **given)


def head(m, x, features, classes=5):
    """A dense layer on all features of a map."""
    return m("MatMul", m("Flatten", x), signs(np.random.default_rng(13), features, classes))


def kinds(graph):
    return [type(op).__name__ for op in graph.ops]
