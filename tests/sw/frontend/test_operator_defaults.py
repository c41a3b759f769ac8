"""Attributes and inputs that a file leaves out mean what their operator set says they mean.

Every operator that is read is here, with everything optional left out and given, in each of its
versions; the executor is ONNX Runtime or, for operator sets that it does not know, the reference
evaluator of the ``onnx`` package.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from xnorflow.frontend import read
from xnorflow.frontend.registry import HANDLERS

from ..lower.reference import run
from .onnx_models import QONNX, Model, execute, f32, signs

RNG = np.random.default_rng(24)
MAP, ROW = (1, 2, 6, 5), (1, 6)
NEWEST = 23
"""Operator sets up to here are ONNX Runtime's."""
W = f32(RNG.choice([-1, 1], (4, 2, 3, 3)))
WT = f32(RNG.choice([-1, 1], (2, 3, 3, 2)))
A = {name: f32(RNG.uniform(1, 3, 2)) for name in ("gamma", "beta", "mean", "var")}
M64 = f32(RNG.choice([-1, 1], (6, 4)))


def ints(*values):
    return np.array(values, np.int64)


# Operator: (shape, first and last operator set, inputs after the features, attributes).
CASES = {
    "Add": [(MAP, 7, 24, [f32(3)], {}), (MAP, 7, 24, [f32([[[1]], [[2]]])], {})],
    "Sub": [(MAP, 7, 24, [f32(3)], {})],
    "Mul": [(MAP, 7, 24, [f32(3)], {})],
    "Div": [(MAP, 7, 24, [f32(4)], {})],
    "Relu": [(MAP, 7, 24, [], {})],
    "Sign": [(MAP, 9, 24, [], {})],
    "Identity": [(MAP, 7, 24, [], {})],
    "Clip": [
        (MAP, 7, 10, [], {}),
        (MAP, 7, 10, [], {"min": 60.0}),
        (MAP, 7, 10, [], {"max": 90.0}),
        (MAP, 11, 24, [], {}),
        (MAP, 11, 24, [f32(60)], {}),
        (MAP, 11, 24, ["", f32(90)], {}),
        (MAP, 11, 24, [f32(60), f32(90)], {}),
    ],
    "BatchNormalization": [
        ((1, 2), 7, 8, list(A.values()), {}),
        ((1, 2), 9, 23, list(A.values()), {}),
        ((1, 2), 9, 23, list(A.values()), {"epsilon": 0.5, "momentum": 0.1}),
    ],
    "Cast": [(MAP, 7, 24, [], {"to": 1})],
    "Dropout": [
        (MAP, 7, 11, [], {}),
        (MAP, 7, 11, [], {"ratio": 0.9}),
        (MAP, 12, 24, [], {}),
        (MAP, 12, 24, [f32(0.9)], {}),
        (MAP, 12, 24, ["", np.array(False)], {}),
    ],
    "Flatten": [
        (MAP, 7, 24, [], {}),
        (MAP, 7, 24, [], {"axis": 1}),
        (MAP, 11, 24, [], {"axis": -3}),
    ],
    "Reshape": [
        (MAP, 7, 24, [ints(0, -1)], {}),
        (MAP, 7, 24, [ints(0, 0, 30)], {}),
        (MAP, 14, 24, [ints(1, 60)], {"allowzero": 1}),
    ],
    "Transpose": [(MAP, 7, 24, [], {"perm": [0, 2, 3, 1]})],
    "Squeeze": [
        ((1, 6, 1, 1), 7, 12, [], {"axes": [2, 3]}),
        ((1, 6, 1, 1), 11, 12, [], {"axes": [-1, -2]}),
        ((1, 6, 1, 1), 13, 24, [ints(-1, 2)], {}),
        ((1, 6, 1, 1), 7, 24, [], {}),
    ],
    "Unsqueeze": [
        (ROW, 7, 12, [], {"axes": [2, 3]}),
        (ROW, 11, 12, [], {"axes": [-1]}),
        (ROW, 13, 24, [ints(-1, 1)], {}),
    ],
    "Slice": [
        (MAP, 7, 9, [], {"starts": [0, 0, 1], "ends": [1, 9, 99]}),
        (MAP, 7, 9, [], {"starts": [-3], "ends": [-1], "axes": [3]}),
        (MAP, 10, 24, [ints(0, 0, 1), ints(1, 9, -1)], {}),
        (MAP, 10, 24, [ints(-1), ints(-99), ints(-1), ints(-2)], {}),
    ],
    "Gather": [
        (MAP, 7, 24, [ints(0)], {}),
        (MAP, 7, 24, [ints(4, 0, 2)], {"axis": 3}),
        (MAP, 11, 24, [ints(-1, 0)], {"axis": -3}),
    ],
    "Split": [
        ((1, 2, 6, 4), 7, 12, [], {"axis": 1}),
        ((1, 2, 6, 4), 7, 12, [], {"axis": 3, "split": [3, 1]}),
        ((1, 2, 6, 4), 13, 17, [], {"axis": -1}),
        ((1, 2, 6, 4), 13, 24, [ints(1, 3)], {"axis": 3}),
        ((1, 2, 6, 4), 18, 24, [], {"axis": 2, "num_outputs": 2}),
        ((1, 2, 6, 5), 18, 24, [], {"axis": 3, "num_outputs": 2}),
    ],
    "Concat": [(MAP, 7, 24, ["x"], {"axis": 1}), (MAP, 11, 24, ["x"], {"axis": -1})],
    "SpaceToDepth": [((1, 2, 6, 4), 7, 24, [], {"blocksize": 2})],
    "DepthToSpace": [
        ((1, 8, 3, 2), 7, 24, [], {"blocksize": 2}),
        ((1, 8, 3, 2), 11, 24, [], {"blocksize": 2, "mode": "DCR"}),
        ((1, 8, 3, 2), 11, 24, [], {"blocksize": 2, "mode": "CRD"}),
    ],
    "Tile": [(MAP, 7, 24, [ints(1, 2, 1, 2)], {})],
    "Expand": [((1, 1, 6, 5), 8, 24, [ints(1, 3, 6, 5)], {}), (MAP, 8, 24, [ints(1)], {})],
    "Pad": [
        (MAP, 7, 10, [], {"pads": [0, 0, 1, 2, 0, 0, 0, 1]}),
        (MAP, 7, 10, [], {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 7.0}),
        (MAP, 11, 24, [ints(0, 0, 1, 2, 0, 0, 0, 1)], {}),
        (MAP, 11, 24, [ints(0, 0, 1, 2, 0, 0, 0, 1), f32(7)], {"mode": "constant"}),
        (MAP, 18, 24, [ints(1, 2, 0, 1), "", ints(-2, 3)], {}),
    ],
    "Conv": [
        (MAP, 7, 24, [W], {}),
        (MAP, 7, 24, [W, f32(1, 2, 3, 4)], {"kernel_shape": [3, 3]}),
        (MAP, 7, 24, [W], {"pads": [1, 0, 0, 2], "strides": [2, 1], "dilations": [2, 1]}),
        (MAP, 7, 24, [W], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        (MAP, 7, 24, [W], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
        (MAP, 7, 24, [W], {"auto_pad": "VALID"}),
        (MAP, 7, 24, [W[:, :1]], {"group": 2}),
    ],
    "ConvTranspose": [
        (MAP, 7, 24, [WT], {}),
        (MAP, 7, 24, [WT, f32(1, 2, 3)], {"kernel_shape": [3, 2]}),
        (MAP, 7, 24, [WT], {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0]}),
        (MAP, 7, 24, [WT], {"strides": [1, 2], "dilations": [2, 1]}),
        (MAP, 7, 24, [WT], {"auto_pad": "VALID"}),
        # The reference evaluator fails with groups.
        (MAP, 7, 23, [WT], {"group": 2, "strides": [2, 2]}),
    ],
    "Resize": [
        (MAP, 10, 10, [f32(1, 1, 2, 3)], {}),
        (MAP, 10, 10, [f32(1, 1, 0.5, 1.2)], {"mode": "nearest"}),
        (MAP, 11, 24, [f32([]), f32(1, 1, 2, 3)], {}),
        (MAP, 11, 24, [f32([]), f32(1, 1, 0.5, 2)], {"mode": "nearest"}),
        (MAP, 13, 24, ["", "", ints(1, 2, 12, 5)], {}),
        (MAP, 13, 24, ["", f32(1, 1, 2, 2)], {"coordinate_transformation_mode": "asymmetric"}),
        (MAP, 13, 24, ["", f32(1, 1, 3, 3)], {"nearest_mode": "floor"}),
        (MAP, 18, 24, ["", f32(2, 2)], {"axes": [2, 3], "antialias": 0}),
        # The reference evaluator fails with negative axes.
        (MAP, 19, 23, ["", "", ints(12, 10)], {"axes": [-2, -1]}),
    ],
    "Upsample": [
        (MAP, 7, 8, [], {"scales": [1.0, 1.0, 2.0, 3.0]}),
        (MAP, 9, 9, [f32(1, 1, 2, 3)], {"mode": "nearest"}),
    ],
    "Mean": [(MAP, 8, 24, [], {}), (MAP, 8, 24, ["x"], {})],
    "MaxPool": [
        (MAP, 7, 24, [], {"kernel_shape": [2, 3]}),
        (MAP, 7, 24, [], {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 0, 0, 1]}),
        (MAP, 10, 24, [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        (MAP, 10, 24, [], {"kernel_shape": [2, 2], "dilations": [2, 3]}),
        (MAP, 8, 24, [], {"kernel_shape": [2, 2], "storage_order": 0}),
    ],
    "AveragePool": [
        (MAP, 7, 24, [], {"kernel_shape": [2, 4]}),
        (MAP, 7, 24, [], {"kernel_shape": [2, 2], "strides": [2, 1]}),
        (MAP, 7, 24, [], {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "count_include_pad": 1}),
    ],
    "GlobalAveragePool": [((1, 4, 4, 4), 7, 24, [], {})],
    "GlobalMaxPool": [(MAP, 7, 24, [], {})],
    "MatMul": [(ROW, 7, 24, [M64], {})],
    "Gemm": [
        (ROW, 7, 24, [M64, f32(1, 2, 3, 4)], {}),
        (ROW, 11, 24, [M64], {}),
        (ROW, 7, 24, [M64, f32([[5]])], {"alpha": 0.5, "beta": 2.0}),
        (ROW, 7, 24, [M64.T.copy(), f32(1, 2, 3, 4)], {"transB": 1}),
    ],
    "ReduceMean": [
        ((1, 4, 4, 4), 7, 17, [], {}),
        ((1, 4, 4, 4), 7, 17, [], {"keepdims": 0}),
        ((1, 4, 4, 4), 7, 17, [], {"axes": [2, 3]}),
        ((1, 4, 4, 4), 11, 17, [], {"axes": [-1, -2], "keepdims": 0}),
        ((1, 4, 4, 4), 7, 17, [], {"axes": [1]}),
        ((1, 4, 4, 4), 7, 17, [], {"axes": [3]}),
        ((1, 4, 4, 4), 18, 24, [], {}),
        ((1, 4, 4, 4), 18, 24, [], {"noop_with_empty_axes": 1}),
        ((1, 4, 4, 4), 18, 24, [ints()], {"noop_with_empty_axes": 1}),
        ((1, 4, 4, 4), 18, 24, [ints()], {"keepdims": 0}),
        ((1, 4, 4, 4), 18, 24, [ints(-2, -1)], {"keepdims": 0, "noop_with_empty_axes": 1}),
        ((1, 4, 4, 4), 18, 24, [ints(1)], {"keepdims": 1}),
        ((1, 8), 18, 24, [], {}),
    ],
    "ReduceSum": [
        (MAP, 7, 12, [], {}),
        (MAP, 7, 12, [], {"keepdims": 0}),
        (MAP, 7, 12, [], {"axes": [2, 3]}),
        (MAP, 11, 12, [], {"axes": [-3]}),
        (MAP, 13, 24, [], {}),
        (MAP, 13, 24, [], {"noop_with_empty_axes": 1}),
        (MAP, 13, 24, [ints()], {"noop_with_empty_axes": 1}),
        (MAP, 13, 24, [ints()], {"keepdims": 0}),
        (MAP, 13, 24, [ints(2, -1)], {"keepdims": 0}),
        (MAP, 13, 24, [ints(1, 3)], {}),
    ],
    "ReduceMax": [
        (MAP, 7, 17, [], {"axes": [2, 3]}),
        (MAP, 18, 24, [ints(-1)], {"keepdims": 0}),
        (MAP, 18, 24, [], {"noop_with_empty_axes": 1}),
    ],
    "Softmax": [
        (ROW, 7, 24, [], {}),
        (ROW, 11, 24, [], {"axis": -1}),
        ((1, 6, 1, 1), 7, 12, [], {}),
        ((1, 1, 6), 7, 12, [], {}),
    ],
    "LogSoftmax": [(ROW, 7, 24, [], {})],
}
ENDINGS = ("Softmax", "LogSoftmax")
"""Operators that are dropped: only the order of the scores is compared."""
# Functions of one value: as above, without a shape. "z" are fractions of both signs, "p" positive
# ones, "b" and "c" truth values, "i" integers.
FUNCTIONS = {
    **{op: [(7, 24, ["z"], {})] for op in ("Abs", "Neg", "Floor", "Ceil", "Exp", "Sigmoid")},
    **{op: [(7, 24, ["z"], {})] for op in ("Tanh", "Softplus", "Softsign")},
    **{op: [(7, 24, ["p"], {})] for op in ("Sqrt", "Log", "Reciprocal")},
    "Erf": [(9, 24, ["z"], {})],
    "Round": [(11, 24, ["z"], {})],
    "HardSwish": [(14, 24, ["z"], {})],
    "Mish": [(18, 24, ["z"], {})],
    "HardSigmoid": [
        (7, 24, ["z"], {}),
        (7, 24, ["z"], {"alpha": 0.3}),
        (7, 24, ["z"], {"beta": 0.4}),
    ],
    "LeakyRelu": [(7, 24, ["z"], {}), (7, 24, ["z"], {"alpha": 0.5})],
    "ThresholdedRelu": [(10, 24, ["z"], {}), (10, 24, ["z"], {"alpha": 2.0})],
    "Elu": [(7, 24, ["z"], {}), (7, 24, ["z"], {"alpha": 0.5})],
    "Celu": [(12, 24, ["z"], {}), (12, 24, ["z"], {"alpha": 2.0})],
    "Selu": [(7, 24, ["z"], {}), (7, 24, ["z"], {"alpha": 2.0}), (7, 24, ["z"], {"gamma": 2.0})],
    "Gelu": [
        (20, 24, ["z"], {}),
        (20, 24, ["z"], {"approximate": "none"}),
        (20, 24, ["z"], {"approximate": "tanh"}),
    ],
    "PRelu": [(7, 24, ["z", f32(0.25)], {}), (7, 24, ["z", f32([[[0.5]], [[-1]]])], {})],
    "Pow": [(7, 24, ["z", f32(2)], {}), (12, 24, ["z", ints(2)], {})],
    **{op: [(8, 24, ["z"], {}), (8, 24, ["z", f32(1), "p"], {})] for op in ("Min", "Max", "Sum")},
    **{op: [(9, 24, ["z", f32(0.5)], {})] for op in ("Greater", "Less")},
    **{op: [(12, 24, ["z", f32(0.5)], {})] for op in ("GreaterOrEqual", "LessOrEqual")},
    "Equal": [(11, 24, ["z", f32(0.5)], {})],
    **{op: [(7, 24, ["b", "c"], {})] for op in ("And", "Or", "Xor")},
    "Not": [(7, 24, ["b"], {})],
    "Where": [(9, 24, ["b", "z", f32(2)], {})],
    "CastLike": [(15, 24, ["i", f32(1)], {})],
    "QuantizeLinear": [
        (10, 24, ["z", f32(0.5)], {}),
        (10, 24, ["z", f32(0.5), np.int8(3)], {}),
        (13, 24, ["z", f32(0.5, 1), np.array([3, 4], np.uint8)], {}),
        (13, 24, ["z", f32(0.5, 1), np.array([3, 4], np.uint8)], {"axis": -3}),
        (21, 23, ["z", f32(0.5)], {"output_dtype": onnx.TensorProto.INT8}),
    ],
    "DequantizeLinear": [
        (10, 24, ["q", f32(0.5)], {}),
        (10, 24, ["q", f32(0.5), np.uint8(3)], {}),
        (13, 24, ["q", f32(0.5, 1), np.array([3, 4], np.uint8)], {}),
    ],
}
INTEGER_LAYERS = {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
"""They have tests of their own, with all optional inputs left out and given."""
ELSEWHERE = {
    "ArgMax",
    "TopK",
    "OneHot",
    *INTEGER_LAYERS,
    *(op for family, op in HANDLERS if family),
}
"""Endings whose outputs are no scores, what needs one, and the operators of other domains."""


def test_every_operator_is_here():
    assert {op for _, op in HANDLERS} == set(CASES) | set(FUNCTIONS) | ELSEWHERE


def _cases(table):
    """Return each row at the first and last operator set, and those at which operators changed."""
    for op, rows in table.items():
        for i, (*front, first, last, inputs, attributes) in enumerate(rows):
            for opset in sorted({first, last} | ({11, 13, 18, 21} & set(range(first, last + 1)))):
                yield pytest.param(op, *front, opset, inputs, attributes, id=f"{op}-{opset}-{i}")


def _model(op, shape, opset, inputs, attributes):
    m = Model(*shape, opset=opset)
    outputs = 2 if op == "Split" else 1
    return m, m(op, "x", *inputs, outputs=outputs, **attributes)


def _executed(proto, x):
    """Outputs [frames, n] of the executor that knows the file's operator set."""
    opset = proto.opset_import[0].version
    if opset <= NEWEST:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    else:
        session = ReferenceEvaluator(proto)
    with np.errstate(all="ignore"):
        return np.array([np.asarray(session.run(None, {"x": f[None]})[0]).ravel() for f in x])


@pytest.mark.parametrize(("op", "shape", "opset", "inputs", "attributes"), [*_cases(CASES)])
def test_defaults(tmp_path, op, shape, opset, inputs, attributes):
    m, y = _model(op, shape, opset, inputs, attributes)
    proto = m.proto()
    x = RNG.integers(0, 9 if op in ENDINGS else 256, (3, *shape[1:]), dtype=np.uint8)
    if op == "Pad":  # Padding belongs to a convolution.
        y = m("Conv", y, signs(RNG, 3, 2, 2, 1))
        proto = m.proto()
    count = _executed(proto, x.astype(np.float32)).shape[1]
    if op not in (*ENDINGS, "BatchNormalization"):  # Sums of fractions depend on their order.
        flat = m("Reshape", y, ints(1, -1))
        m("MatMul", flat, f32(RNG.choice([-1, 1], (count, 5))))
    path = m.save(tmp_path)
    want = _executed(onnx.load(path), x.astype(np.float32))
    graph = read(path)
    got = run(graph, graph.order.frames(x, graph.shape))
    if op in ENDINGS:
        np.testing.assert_array_equal(got.argmax(1), want.argmax(1))
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("op", "opset", "inputs", "attributes"), [*_cases(FUNCTIONS)])
def test_defaults_of_functions(tmp_path, op, opset, inputs, attributes):
    m = Model(*MAP, opset=opset)
    z = m("Div", m("Sub", "x", f32(100)), f32(32))
    made = {
        "z": lambda: z,
        "p": lambda: m("Add", m("Relu", z), f32(0.25)),
        "b": lambda: m("Greater", z, f32(1)),
        "c": lambda: m("Less", z, f32(2)),
        "i": lambda: m("Cast", z, to=onnx.TensorProto.INT32),
        "q": lambda: m("QuantizeLinear", z, f32(0.25), np.uint8(7)),
    }
    y = m(op, *(made[i]() if isinstance(i, str) else i for i in inputs), **attributes)
    y = m("Cast", y, to=onnx.TensorProto.FLOAT)
    # Executors approximate some of them, each in its own way.
    whole = m("Cast", m("Cast", m("Mul", y, f32(64)), to=onnx.TensorProto.INT32), to=1)
    m("MatMul", m("Reshape", whole, ints(1, -1)), signs(RNG, 60, 5))
    path = m.save(tmp_path)
    x = RNG.integers(0, 256, (3, *MAP[1:]), dtype=np.uint8)
    graph = read(path)
    got = run(graph, graph.order.frames(x, graph.shape))
    np.testing.assert_array_equal(got, _executed(onnx.load(path), x.astype(np.float32)))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("BipolarQuant", [f32(1)], {}),
        (
            "Quant",
            [f32(40), f32(0), f32(2)],
            {"narrow": 0, "signed": 1, "rounding_mode": "ROUND"},
        ),
        ("MultiThreshold", [f32([[10, 90, 150]])], {"out_dtype": "UINT2"}),
        ("MultiThreshold", [f32([[10, 90, 150], [3, 4, 5]])], {"out_dtype": "UINT2"}),
    ],
)
def test_defaults_of_qonnx(tmp_path, op, inputs, attributes):
    m = Model(*MAP)
    y = m(op, m("Sub", "x", f32(100)), *inputs, domain=QONNX, **attributes)
    m("MatMul", m("Flatten", y), signs(RNG, 60, 4))
    path = m.save(tmp_path)
    graph = read(path)
    frames = RNG.integers(0, 256, (3, *graph.shape), dtype=np.uint8)
    np.testing.assert_array_equal(run(graph, frames), execute(path, frames))
