"""Tiny ONNX files written node by node, and their execution by qonnx: the truth of an import."""

import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from xnorflow.frontend import read

from ..lower.reference import run

QONNX = "qonnx.custom_op.general"
BREVITAS = "onnx.brevitas"


def f32(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def signs(rng, *shape):
    """Random weights of -1 and +1."""
    return f32(rng.integers(0, 2, shape) * 2 - 1)


class Model:
    """Writes one model: call it with an operator and its inputs, arrays becoming initializers."""

    def __init__(self, *shape, opset=13):
        self.shape, self.opset = shape, opset
        self.nodes, self.initializers, self.domains = [], [], {"": opset}

    def __call__(self, op, *inputs, domain="", outputs=1, **attributes):
        names = [x if isinstance(x, str) else self.store(x) for x in inputs]
        made = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(
                op, names, made, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes
            )
        )
        self.domains.setdefault(domain, 1)
        return made[0]

    def store(self, array):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def bipolar(self, x, scale=1.0, domain=QONNX):
        return self("BipolarQuant", x, f32(scale), domain=domain)

    def quant(
        self, x, bits, *, scale=1.0, zero=0.0, signed=1, narrow=0, rounding="ROUND", domain=QONNX
    ):
        return self(
            "Quant",
            x,
            f32(scale),
            f32(zero),
            f32(bits),
            domain=domain,
            signed=signed,
            narrow=narrow,
            rounding_mode=rounding,
        )

    def proto(self, outputs=1, **fields):
        last = [self.nodes[-1].output[i] for i in range(outputs)]
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in last],
            self.initializers,
        )
        opsets = [helper.make_opsetid(d, v) for d, v in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, **fields)

    def save(self, tmp_path, outputs=1, **fields):
        path = tmp_path / "model.onnx"
        onnx.save(self.proto(outputs, **fields), path)
        return path


def to_file_layout(frames, shape):
    """Return one frame [rows, columns, channels] as the file's input of that shape, NCHW first."""
    h, w, c = frames.shape
    if len(shape) == 4 and tuple(shape[1:]) == (c, h, w):
        return frames.transpose(2, 0, 1).reshape(1, c, h, w)
    return frames.reshape(1, *shape[1:])


def execute(path, frames, input_scale=1.0):
    """Run a file in qonnx on uint8 frames [n, rows, columns, channels], one after the other."""
    model = ModelWrapper(str(path)).transform(InferShapes())
    name = model.graph.input[0].name
    shape = model.get_tensor_shape(name)
    scores = []
    for frame in frames:
        x = to_file_layout(frame, shape).astype(np.float32) / np.float32(1 / input_scale)
        with warnings.catch_warnings():
            # It warns where shape inference could not follow a shape computed in the file.
            warnings.filterwarnings("ignore", "Output shapes disagree", UserWarning)
            (out,) = execute_onnx(model, {name: x}).values()
        scores.append(np.asarray(out).ravel())
    return np.array(scores)


def random_frames(rng, graph, count):
    return rng.integers(0, 256, (count, *graph.shape), dtype=np.uint8)


def imported_exactly(path, *, count=4, input_scale=1.0, **options):
    """Import a file and compare its float32 scores with qonnx's, bit by bit."""
    graph = read(path, input_scale=input_scale, **options)
    frames = random_frames(np.random.default_rng(1), graph, count)
    want = execute(path, frames, input_scale)
    assert np.isfinite(want).all() and np.unique(want).size > 1, "a test that shows nothing"
    np.testing.assert_array_equal(run(graph, frames), want)
    return graph
