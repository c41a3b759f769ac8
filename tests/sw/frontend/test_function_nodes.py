"""Functions before a quantiser: the golden model decides as ONNX Runtime does."""

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.lower import lower

from .executor import lowered_exactly
from .onnx_models import Model, f32, signs

RNG = np.random.default_rng(8)
SLOPES = f32(0.25, -0.5, 1.5, 0).reshape(4, 1, 1)

UNARY = {
    "Abs": {},
    "Neg": {},
    "Floor": {},
    "Ceil": {},
    "Round": {},
    "Softsign": {},
    "Reciprocal": {},
    "Sigmoid": {},
    "Tanh": {},
    "Erf": {},
    "Exp": {},
    "Softplus": {},
    "Elu": {"alpha": 0.5},
    "Celu": {"alpha": 2.0},
    "Selu": {},
    "LeakyRelu": {"alpha": 0.1},
    "ThresholdedRelu": {"alpha": 0.75},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "Mish": {},
    "Gelu": {},
}
LATER = {"HardSwish": 14, "Mish": 18, "Gelu": 20}
"""Operator set in which they came."""


def network(function, *, opset=13, quantiser=None, offset=0.3, size=6, pool=""):
    """Signs, a convolution to 4 channels, the function, a quantiser and a dense layer."""
    rng = np.random.default_rng(9)
    m = Model(1, 2, size, size, opset=opset)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    x = m("Conv", x, signs(rng, 4, 2, 3, 3))
    x = m("Mul", m("Add", x, f32(offset)), f32(rng.choice([-0.25, 0.25, 0.5], (4, 1, 1))))
    if pool == "before":
        x = m("MaxPool", x, kernel_shape=[2, 2])
    x = function(m, x)
    if pool == "after":
        x = m("MaxPool", x, kernel_shape=[2, 2])
    x = quantiser(m, x) if quantiser else m("Sign", m("Sub", x, f32(0.37)))
    shape = (size - 2 - bool(pool)) ** 2 * 4
    m("MatMul", m("Flatten", x), signs(rng, shape, 5))
    return m


@pytest.mark.parametrize("op", UNARY)
def test_functions_before_a_sign(tmp_path, op):
    m = network(lambda m, x: m(op, x, **UNARY[op]), opset=LATER.get(op, 13))
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("op", ["Abs", "Sigmoid", "Tanh", "Elu", "HardSwish", "LeakyRelu"])
def test_functions_before_a_quantiser_of_several_bits(tmp_path, op):
    def steps(m, x):
        return m("Div", m("Round", m("Mul", m("Clip", x, f32(-1), f32(1)), f32(7))), f32(8))

    m = network(lambda m, x: m(op, x, **UNARY[op]), opset=14, quantiser=steps)
    lowered_exactly(m.save(tmp_path))


@pytest.mark.parametrize("pool", ["before", "after"])
@pytest.mark.parametrize("op", ["Abs", "PRelu", "Sigmoid", "Neg", "Round"])
def test_pools_stay_where_they_are(tmp_path, pool, op):
    def function(m, x):
        if op == "PRelu":
            return m("PRelu", x, f32(-1, 0.5, -2, 1).reshape(4, 1, 1))
        return m(op, x)

    lowered_exactly(network(function, pool=pool).save(tmp_path))


JOINS = {
    "swish": lambda m, x: m("Mul", x, m("Sigmoid", x)),
    "relu6 form": lambda m, x: m("Mul", x, m("Clip", m("Add", x, f32(3)), f32(0), f32(6))),
    "square": lambda m, x: m("Mul", x, x),
    "pact": lambda m, x: m(
        "Mul", m("Add", m("Sub", m("Abs", x), m("Abs", m("Sub", x, f32(1)))), f32(1)), f32(0.5)
    ),
    "ternary of larq": lambda m, x: m(
        "Sign", m("Add", m("Sign", m("Add", x, f32(0.7))), m("Sign", m("Sub", x, f32(0.7))))
    ),
    "power": lambda m, x: m("Pow", x, f32(2)),
    "prelu of parts": lambda m, x: m("Sub", m("Relu", x), m("Mul", m("Relu", m("Neg", x)), SLOPES)),
    "slopes": lambda m, x: m("PRelu", x, SLOPES),
    "where": lambda m, x: m("Where", m("Less", x, f32(0.5)), m("Abs", x), m("Mul", x, SLOPES)),
    "by its magnitude": lambda m, x: m("Div", x, m("Abs", x)),
    "distance": lambda m, x: m("Max", m("Sub", f32(1), x), m("Sub", x, f32(1))),
    "sum of three": lambda m, x: m("Sum", x, m("Abs", x), m("Sign", x)),
    "nested": lambda m, x: m("Add", m("Mul", x, x), m("Where", m("Equal", x, m("Abs", x)), x, x)),
    "xor": lambda m, x: m("Cast", m("Xor", m("Greater", x, f32(0)), m("Less", x, f32(0.5))), to=1),
    "integers": lambda m, x: m(
        "Cast", m("Div", m("Sub", m("Cast", x, to=6), np.int32(1)), np.int32(2)), to=1
    ),
    "unsigned": lambda m, x: m("Cast", m("Max", m("Cast", m("Abs", x), to=2), np.uint8(1)), to=1),
}


@pytest.mark.parametrize("name", JOINS)
def test_functions_that_read_a_tensor_several_times(tmp_path, name):
    lowered_exactly(network(JOINS[name]).save(tmp_path))


def test_a_function_after_flattening_may_differ_from_feature_to_feature(tmp_path):
    rng = np.random.default_rng(1)
    m = Model(1, 2, 4, 4)
    x = m("Conv", m("Sign", m("Sub", "x", f32(127.5))), signs(rng, 3, 2, 3, 3))
    x = m("Flatten", x)
    x = m("Where", m("Greater", x, f32(rng.normal(0, 5, 12))), x, m("Neg", x))
    m("MatMul", m("Sign", m("Sub", x, f32(2.5))), signs(rng, 12, 4))
    lowered_exactly(m.save(tmp_path))


def test_both_sides_of_a_sum_may_flatten(tmp_path):
    rng = np.random.default_rng(1)
    m = Model(1, 2, 4, 4)
    x = m("Conv", m("Sign", m("Sub", "x", f32(127.5))), signs(rng, 3, 2, 3, 3))
    x = m("Mul", x, f32(0.5, -1, 2).reshape(3, 1, 1))
    # A constant per channel stands in the way to one of the two.
    one = m("Flatten", m("Add", x, f32(1, -2, 3).reshape(3, 1, 1)))
    one, other = (m("Greater", y, f32(rng.normal(0, 5, 12))) for y in (one, m("Flatten", x)))
    y = m("Cast", m("Xor", one, other), to=1)
    m("MatMul", y, signs(rng, 12, 4))
    lowered_exactly(m.save(tmp_path))


def test_what_neither_rises_nor_falls_takes_a_table(tmp_path):
    net = lowered_exactly(network(lambda m, x: m("Abs", x)).save(tmp_path))
    kinds = [layer.kind for layer in net.layers]
    at = kinds.index("table")
    assert kinds[at - 1] == "threshold" and net.layers[at - 1].alphabet.levels == 3
    net = lowered_exactly(network(lambda m, x: m("LeakyRelu", x, alpha=0.1)).save(tmp_path))
    assert not any(isinstance(layer, ir.CodeTable) for layer in net.layers)


def test_approximations_are_noted_with_the_decisions_that_hang_on_them(tmp_path):
    def risky(m, x):
        return m("Sub", m("Sigmoid", x), f32(1 / (1 + np.exp(-0.575)) - 0.37))

    plain = lower(read(network(lambda m, x: m("Sigmoid", x)).save(tmp_path)))
    assert "no decision lies within the bound of their errors, so none" in " ".join(plain.notes)
    notes = " ".join(lower(read(network(risky).save(tmp_path))).notes)
    assert "Sigmoid" in notes and "in 0 of" not in notes


def refused(tmp_path, m, *texts):
    path = m.save(tmp_path)
    with pytest.raises(UnsupportedModel) as caught:
        lower(read(path))
    for text in (*texts, "What would work:"):
        assert text in str(caught.value)


def test_functions_that_read_themselves_again_and_again_are_joined(tmp_path):
    def doubling(m, x):
        y = m("Abs", x)
        for _ in range(40):
            y = m("Mul", m("Add", y, x), m("Sub", y, x))
        return y

    graph = read(network(doubling).save(tmp_path))
    assert not graph.chain and len(graph.ops) < 150


def test_tensors_that_broadcast_each_other_are_refused(tmp_path):
    m = Model(1, 1 << 13)
    wide = m("Reshape", m("Relu", "x"), np.array([-1, 1]))
    m("Add", wide, "x")
    refused(tmp_path, m, "Add_2", "its result of 8192x8192 is too large")


def test_what_cannot_be_read_says_why(tmp_path):
    refused(tmp_path, network(lambda m, x: m("Cast", x, to=10)), "Cast_", "FLOAT16")
    refused(tmp_path, network(lambda m, x: m("Add", x, np.float64(1))), "float64")
    refused(tmp_path, network(lambda m, x: m("Not", x)), "Not_", "bool")
    negative = network(lambda m, x: m("Cast", m("Cast", x, to=2), to=1))
    refused(tmp_path, negative, "Cast_", "uint8 cannot hold", "Clip")
    truth = network(lambda m, x: m("Greater", x, f32(0)), quantiser=lambda m, x: x)
    refused(tmp_path, truth, "MatMul_", "of type bool", "Cast")
    zero = network(lambda m, x: m("Div", x, m("Abs", x)), offset=0)
    refused(tmp_path, zero, "Div_", "NaN")
    shifted = network(lambda m, x: m("Add", x, m("Transpose", x, perm=[0, 1, 3, 2])))
    refused(tmp_path, shifted, "Add_", "branch")
