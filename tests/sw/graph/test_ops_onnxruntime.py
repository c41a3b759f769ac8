"""The float32 arithmetic of the graph is ONNX Runtime's, bit for bit."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from xnorflow.graph import ops
from xnorflow.ir import Window

from ..lower import reference


def execute(op, x, constants=(), **attributes):
    """Run one node on x, float32 NCHW, without graph optimisation."""
    names = [f"c{i}" for i in range(len(constants))]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(c, n) for c, n in zip(constants, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def equal_bits(a, b):
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.0])
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e-42, 1e20])
@pytest.mark.parametrize("pixels", [(), (1, 1), (5, 7)])
def test_batch_normalisation(epsilon, size, pixels):
    r, channels = np.random.default_rng(0), 64
    gamma, beta, mean = (
        (r.standard_normal(channels) * 10.0 ** r.uniform(-4, 4, channels)).astype(np.float32)
        for _ in range(3)
    )
    gamma *= np.float32(size)
    gamma[:4], beta[:4] = 0, [0, 1, -1, 1e-45]
    var = (10.0 ** r.uniform(-6, 6, channels)).astype(np.float32)
    x = np.round(r.normal(0, 300, (20, channels, *pixels))).astype(np.float32)
    x[::2] *= r.standard_normal(x[::2].shape).astype(np.float32)
    truth = execute("BatchNormalization", x, (gamma, beta, mean, var), epsilon=epsilon)
    mine = ops.BatchNormOp(gamma, beta, mean, var, epsilon).apply(np.moveaxis(x, 1, -1))
    equal_bits(np.moveaxis(mine, -1, 1) + np.float32(0), truth + np.float32(0))


@pytest.mark.parametrize("pads", [0, 1])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (5, 3), (7, 7)])
@pytest.mark.parametrize("scale", [1.0, 0.125])
def test_average_pool_divides_the_sum(kernel, pads, scale):
    x = np.random.default_rng(0).integers(-300, 300, (4, 16, 7, 7)).astype(np.float32)
    x *= np.float32(scale)
    truth = execute("AveragePool", x, kernel_shape=kernel, pads=[pads] * 4, count_include_pad=1)
    op = ops.AveragePoolOp(Window(kernel, pads=(pads,) * 4))
    equal_bits(reference.step(op, np.moveaxis(x, 1, -1)), np.moveaxis(truth, 1, -1))


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("GlobalAveragePool", {}),
        ("ReduceMean", {"axes": [2, 3]}),
    ],
)
@pytest.mark.parametrize("size", [3, 5, 6, 7])
def test_global_averages_divide_the_sum(op, attributes, size):
    x = np.random.default_rng(0).integers(-300, 300, (4, 16, size, size)).astype(np.float32)
    mine = reference.step(ops.AveragePoolOp(Window((size, size))), np.moveaxis(x, 1, -1))
    equal_bits(mine, np.moveaxis(execute(op, x, **attributes), 1, -1))
