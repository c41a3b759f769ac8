"""Functions of one value: as the reference computes them, and monotone where they say so."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from xnorflow.graph import function_ops as f
from xnorflow.graph import ops

VALUES = np.concatenate(
    [np.linspace(-20, 20, 801), np.linspace(-1e-3, 1e-3, 41), [-100, 100, 0.5, 1.5, 2.5]]
).astype(np.float32)
SORTED = np.sort(VALUES)[:, None]


def f32(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def reference(op, *inputs, **attributes):
    names = [f"i{k}" for k in range(len(inputs))]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in (*names, "o")]
    node = helper.make_node(op, names, ["o"], **attributes)
    graph = helper.make_graph([node], "one", infos[:-1], infos[-1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    return ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))[0]


EXACTLY = ["Abs", "Neg", "Sign", "Round", "Floor", "Ceil", "Reciprocal"]
NEARLY = {
    "Sigmoid": (),
    "Tanh": (),
    "Erf": (),
    "Softplus": (),
    "Softsign": (),
    "Mish": (),
    "Gelu": (),
    "Elu": (("alpha", 0.5),),
    "Celu": (("alpha", 2.0),),
    "Selu": (("alpha", 1.5), ("gamma", 1.25)),
    "LeakyRelu": (("alpha", 0.125),),
    "ThresholdedRelu": (("alpha", 0.75),),
    "HardSigmoid": (("alpha", 0.25), ("beta", 0.5)),
}


@pytest.mark.parametrize("name", EXACTLY)
def test_exact_functions(name):
    x = VALUES[VALUES != 0]
    np.testing.assert_array_equal(f.FunctionOp(name, ((),)).apply(x), reference(name, x))


@pytest.mark.parametrize("name", NEARLY)
def test_other_functions(name):
    parameters = NEARLY[name]
    op = f.FunctionOp(name, ((), *(f32(value) for _, value in parameters)))
    with np.errstate(all="ignore"):
        mine, other = op.apply(VALUES), reference(name, VALUES, **dict(parameters))
    assert mine.dtype == np.float32
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_integers_divide_towards_zero():
    a = np.array([7, -7, 7, -7, 0], np.int32)
    b = np.array([2, 2, -2, -2, 5], np.int32)
    made = f.FunctionOp("Div", ((), b)).apply(a)
    np.testing.assert_array_equal(made, [3, -3, -3, 3, 0])
    assert made.dtype == np.int32


ONE = (ops.AddOp(f32(1)),)
RISING = [
    f.FunctionOp("Sub", (f32(3), ())),
    f.FunctionOp("Mul", ((), f32(-2))),
    f.FunctionOp("Max", (f32(0.5), ONE, f32(-1))),
    f.FunctionOp("Greater", (f32(0.5), ONE)),
    f.FunctionOp("Where", ((f.FunctionOp("Less", ((), f32(1))),), f32(3), f32(-4))),
    f.FunctionOp("LeakyRelu", ((), f32(0.25))),
    f.FunctionOp("HardSigmoid", ((), f32(-0.2), f32(0.5))),
    *(f.FunctionOp(name, (ONE,)) for name in ("Sigmoid", "Tanh", "Erf", "Exp", "Softplus")),
    *(f.FunctionOp(name, ((),)) for name in ("Round", "Floor", "Ceil", "Neg", "Sign")),
]
OTHERS = [
    f.FunctionOp("Abs", ((),)),
    f.FunctionOp("Equal", ((), f32(1))),
    f.FunctionOp("Mul", ((), ())),
    f.FunctionOp("Div", (f32(1), ())),
    f.FunctionOp("LeakyRelu", ((), f32(0.5, -0.5))),
    f.FunctionOp("Gelu", ((),)),
    f.FunctionOp("Neg", ((f.FunctionOp("Abs", ((),)),),)),
    f.FunctionOp("Where", ((f.FunctionOp("Less", ((), f32(1))),), (), f32(-4))),
]


@pytest.mark.parametrize("op", RISING, ids=lambda op: op.function)
def test_what_says_that_it_is_monotone_is(op):
    assert op.monotone
    with np.errstate(all="ignore"):
        y = op.apply(SORTED).astype(np.float32)
    rises = np.diff(y, axis=0)
    assert (rises >= 0).all() or (rises <= 0).all()


@pytest.mark.parametrize("op", OTHERS, ids=lambda op: op.function)
def test_what_is_not_monotone_does_not_say_so(op):
    assert not op.monotone


def test_constants_of_operands_are_changed_and_listed():
    inner = f.FunctionOp("Add", ((), f32(1, 2, 3)))
    op = f.FunctionOp("Mul", ((ops.AddOp(f32(4, 5, 6)), inner), f32(7)))
    turned = op.mapped(lambda c: c[::-1])
    x = np.zeros((1, 3), np.float32)
    np.testing.assert_array_equal(turned.apply(x), op.apply(x)[:, ::-1])
    found = [c.tolist() for _, c in op.constants()]
    assert found == [[4, 5, 6], [1, 2, 3], 7]


def test_the_same_operations_are_the_same_whatever_nodes_they_came_from():
    a = (f.FunctionOp("Clip", ((), f32(-1), f32(1)), node="a"),)
    b = (f.FunctionOp("Clip", ((), f32(-1), f32(1)), node="b"),)
    c = (f.FunctionOp("Clip", ((), f32(-1), f32(2)), node="a"),)
    assert f.same(a, b) and not f.same(a, c) and not f.same(a, ()) and not f.same(a, f32(1))


def test_nudging_moves_approximate_results_only():
    x = f32([0, 0.5, -3])
    sigmoid = f.FunctionOp("Sigmoid", ((),))
    up, down = (f.FunctionOp("Neg", ((sigmoid,),)).nudged(by).apply(x) for by in (-1.0, 1.0))
    assert up[0] == down[0] == -0.5 and (up[1:] > down[1:]).all()
    exact = f.FunctionOp("Abs", ((),))
    np.testing.assert_array_equal(exact.nudged(1.0).apply(x), exact.apply(x))
    assert f.approximate((sigmoid,)) and not f.approximate((exact, f.CastOp("int8")))


def test_operations_are_counted_as_often_as_they_run():
    op = f.FunctionOp("Abs", ((),))
    for _ in range(50):
        op = f.FunctionOp("Add", ((op,), (op,)))
    assert op.size == 2**51 - 1
