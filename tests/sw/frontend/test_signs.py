"""Every way in which people write the sign of a value: all are read, and give the same scores."""

import importlib.util
import warnings

import numpy as np
import pytest

from xnorflow import ir

from .executor import lowered_exactly
from .onnx_models import Model, f32, signs

FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9
RNG = np.random.default_rng(3)


def where_ge(m, x):
    return m("Where", m("GreaterOrEqual", x, f32(0)), f32(1), f32(-1))


def where_lt(m, x):
    return m("Where", m("Less", x, f32(0)), f32(-1), f32(1))


def where_not_lt(m, x):
    return m("Where", m("Not", m("Less", x, f32(0))), f32(1), f32(-1))


def cast_twice_less_one(m, x):
    truth = m("Cast", m("GreaterOrEqual", x, f32(0)), to=FLOAT)
    return m("Sub", m("Mul", truth, f32(2)), f32(1))


def cast_integers(m, x):
    truth = m("Cast", m("Greater", x, f32(0)), to=INT64)
    twice = m("Sub", m("Mul", truth, np.array(2)), np.array(1))
    return m("Cast", twice, to=FLOAT)


def difference_of_truths(m, x):
    up, down = (m("Cast", m(op, x, f32(0)), to=FLOAT) for op in ("GreaterOrEqual", "Less"))
    return m("Sub", up, down)


def sign_of_sign(m, x):
    return m("Sign", m("Add", m("Sign", x), f32(0.1)))


def sign_with_zero_mended(m, x):
    return m("Add", m("Sign", x), m("Cast", m("Equal", x, f32(0)), to=FLOAT))


def sign_where_zero(m, x):
    s = m("Sign", x)
    return m("Where", m("Equal", s, f32(0)), f32(1), s)


def clamp_of_sign(m, x):
    return m("Clip", m("Add", m("Mul", m("Sign", x), f32(2)), f32(1)), f32(-1), f32(1))


def straight_through(m, x):
    t = m("Clip", x, f32(-1), f32(1))
    return m("Add", m("Sub", where_ge(m, x), t), t)


def straight_through_copied(m, x):
    # Exporters write the clamp twice.
    t, again = (m("Clip", x, f32(-1), f32(1)) for _ in range(2))
    return m("Add", again, m("Sub", where_ge(m, x), t))


def straight_through_identity(m, x):
    return m("Add", x, m("Sub", where_ge(m, x), x))


def straight_through_other_way(m, x):
    t = m("Tanh", x)
    return m("Sub", m("Add", t, where_ge(m, x)), t)


def both_truths(m, x):
    inside = m("And", m("GreaterOrEqual", x, f32(0)), m("LessOrEqual", x, f32(1e9)))
    return m("Where", inside, f32(1), f32(-1))


def either_truth(m, x):
    outside = m("Or", m("Less", x, f32(0)), m("Greater", x, f32(1e9)))
    return m("Where", outside, f32(-1), f32(1))


def round_of_clip(m, x):
    unit = m("Clip", m("Add", m("Mul", x, f32(0.5)), f32(0.5)), f32(0), f32(1))
    return m("Sub", m("Mul", m("Round", unit), f32(2)), f32(1))


def floor_form(m, x):
    return m("Clip", m("Add", m("Mul", m("Floor", x), f32(2)), f32(1)), f32(-1), f32(1))


def min_max(m, x):
    return m("Max", m("Min", m("Add", m("Ceil", x), m("Ceil", x)), f32(1)), f32(-1))


WAYS = [
    where_ge,
    where_lt,
    where_not_lt,
    cast_twice_less_one,
    cast_integers,
    difference_of_truths,
    sign_of_sign,
    sign_with_zero_mended,
    sign_where_zero,
    clamp_of_sign,
    straight_through,
    straight_through_copied,
    straight_through_identity,
    straight_through_other_way,
    both_truths,
    either_truth,
    round_of_clip,
    floor_form,
    min_max,
]


def network(way, *, norm):
    """A convolution, maybe batch normalisation with signs of both kinds, the sign, dense layers."""
    rng = np.random.default_rng(4)
    m = Model(1, 2, 7, 7)
    x = m("Sign", m("Sub", "x", f32(127.5)))
    x = m("Conv", x, signs(rng, 6, 2, 3, 3), pads=[1, 1, 1, 1])
    if norm:
        parameters = [rng.normal(size=6), rng.normal(size=6), rng.normal(0, 2, 6)]
        x = m("BatchNormalization", x, *map(f32, parameters), f32(rng.uniform(1, 9, 6)))
    x = m("MaxPool", way(m, x), kernel_shape=[2, 2], strides=[2, 2])
    m("MatMul", m("Flatten", x), signs(rng, 54, 5))
    return m


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_signs(tmp_path, way, norm):
    net = lowered_exactly(network(way, norm=norm).save(tmp_path))
    # Residues are notes; min_max has four values, the others are one bit.
    assert all("y - t + t" in note for note in net.notes) or "Tanh" in str(net.notes)
    threshold = next(layer for layer in net.layers if isinstance(layer, ir.Threshold))
    if way is not min_max:
        assert threshold.alphabet == ir.BIPOLAR
    assert ("straight" in way.__name__) == bool(net.notes)


def torch_ways():
    """The ways in PyTorch's own words."""
    import torch

    def detached(x):
        soft = x.clamp(-1, 1)
        return (torch.where(x >= 0, 1.0, -1.0) - soft).detach() + soft

    return {
        "where": lambda x: torch.where(x >= 0, torch.ones_like(x), -torch.ones_like(x)),
        "where of scalars": lambda x: torch.where(x > 0, 1.0, -1.0),
        "ge float": lambda x: 2 * (x >= 0).float() - 1,
        "gt method": lambda x: x.gt(0).float() * 2 - 1,
        "to type": lambda x: (x >= 0).to(x.dtype).mul(2).sub(1),
        "sign": torch.sign,
        "sign mended": lambda x: torch.sign(x) + (x == 0).float(),
        "sign of sign": lambda x: torch.sign(torch.sign(x) + 0.5),
        "int": lambda x: ((x >= 0).int() * 2 - 1).float(),
        "masked": lambda x: x.sign().masked_fill(x == 0, 1.0),
        "differences": lambda x: (x >= 0).float() - (x < 0).float(),
        "detached": detached,
        "round": lambda x: torch.round((x.clamp(-1, 1) + 1) / 2) * 2 - 1,
    }


NAMES = (
    *("where", "where of scalars", "ge float", "gt method", "to type", "sign", "sign mended"),
    *("sign of sign", "int", "masked", "differences", "detached", "round"),
)


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnxscript") is None,
    reason="needs torch and onnxscript: pip install 'xnorflow[train]'",
)
@pytest.mark.parametrize(
    ("name", "dynamo"),
    [*((name, False) for name in NAMES), ("ge float", True), ("detached", True)],
)
def test_signs_as_pytorch_exports_them(tmp_path, name, dynamo):
    import torch
    from torch import nn

    sign = torch_ways()[name]

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(30, 16), nn.Linear(16, 6, bias=False)
            self.norm = nn.BatchNorm1d(16)

        def forward(self, x):
            # Weights are binarised in the graph, as in training.
            x = nn.functional.linear(x - 127.5, torch.where(self.first.weight >= 0, 1.0, -1.0))
            return nn.functional.linear(sign(self.norm(x)), sign(self.second.weight))

    torch.manual_seed(1)
    net = Network().eval()
    with torch.no_grad():
        net.norm.running_mean.uniform_(-50, 50)
        net.norm.weight.normal_()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(1, 30),), str(path), dynamo=dynamo)
    net = lowered_exactly(path)
    assert any("y - t + t" in note for note in net.notes) == (name == "detached")
