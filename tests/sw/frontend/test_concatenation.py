"""Branches side by side, parts of tensors and their ways back together, against ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import join_ops, ops

from .branching import agrees, conv, head, kinds, saved, trunk
from .onnx_models import Model, f32, signs


def ints(*values):
    return np.array(values, np.int64)


def map_model(channels=2, size=6, opset=13):
    m = Model(1, channels, size, size, opset=opset)
    return m, trunk(m)


def split(m, x, *sizes, axis=1):
    names = [f"part{len(m.nodes)}_{k}" for k in range(len(sizes))]
    lengths = m.store(ints(*sizes))
    m.nodes.append(helper.make_node("Split", [x, lengths], names, name=names[0], axis=axis))
    return names


def concat_axes(graph):
    return [op.axis for op in graph.ops if isinstance(op, join_ops.ConcatOp)]


@pytest.mark.parametrize(
    ("axis", "along"),
    [(1, 2), (2, 0), (3, 1), (-1, 1)],
    ids=["channels", "rows", "columns", "last"],
)
@pytest.mark.parametrize("last", [False, True])
def test_axes(tmp_path, axis, along, last):
    m, s = map_model()
    parts = [s, conv(m, s, 4, 4), conv(m, s, 4, 4, 1)]
    if last:
        parts = [m("Transpose", p, perm=[0, 2, 3, 1]) for p in parts]
        axis = {1: 3, 2: 1, 3: 2, -1: -2}[axis]
    y = m("Concat", *parts, axis=axis)
    if last:
        y = m("Transpose", y, perm=[0, 3, 1, 2])
    channels = 12 if along == 2 else 4
    shape = {0: (18, 6), 1: (6, 18), 2: (6, 6)}[along]
    y = conv(m, m("Sign", m("Add", y, f32(0.5))), channels, 3)
    head(m, y, 3 * shape[0] * shape[1])
    graph = agrees(m, tmp_path)
    assert concat_axes(graph) == [along]
    assert kinds(graph).count("ConvOp") == 5


def test_other_sizes(tmp_path):
    m, s = map_model()
    y = m("Concat", s, conv(m, s, 4, 6, 1), conv(m, s, 4, 1), axis=1)
    head(m, y, 11 * 36)
    assert concat_axes(agrees(m, tmp_path)) == [2]


def test_flattened_maps(tmp_path):
    m, s = map_model()
    small = m("MaxPool", conv(m, s, 4, 3), kernel_shape=[2, 2], strides=[2, 2])
    y = m("Concat", m("Flatten", s), m("Flatten", small), axis=1)
    m("MatMul", y, signs(np.random.default_rng(3), 144 + 27, 5))
    graph = agrees(m, tmp_path)
    assert concat_axes(graph) == [2] and kinds(graph).count("ConvOp") == 3


def test_lines(tmp_path):
    m = Model(1, 2, 9)
    y = m("Sign", m("Sub", "x", f32(127.5)))
    weights = [signs(np.random.default_rng(k), 3, 2, 3) for k in (1, 2)]
    a, b = (m("Conv", y, w, pads=[1, 1]) for w in weights)
    y = m("Concat", m("Concat", a, b, axis=1), m("Concat", b, a, axis=1), axis=2)
    m("MatMul", m("Flatten", y), signs(np.random.default_rng(3), 108, 4))
    assert concat_axes(agrees(m, tmp_path)) == [2, 2, 1]


def test_the_same_tensor_twice_takes_no_join(tmp_path):
    m, s = map_model()
    y = m("Concat", s, s, axis=1)
    head(m, m("Add", y, conv(m, s, 4, 8)), 288)
    graph = agrees(m, tmp_path)
    assert not concat_axes(graph) and kinds(graph).count("SumOp") == 1


def test_zeros_beside_features(tmp_path):
    m, s = map_model()
    y = m("Concat", f32(np.zeros((1, 2, 6, 6))), s, f32(np.zeros((1, 1, 6, 6))), axis=1)
    y = m("Add", conv(m, s, 4, 7), y)
    head(m, conv(m, m("Concat", y, f32(np.ones((1, 2, 6, 6))), axis=1), 9, 3), 108)
    agrees(m, tmp_path)


def test_numbers_beside_branches(tmp_path):
    m, s = map_model()
    y = m("Concat", s, f32(np.full((1, 1, 6, 6), 2)), conv(m, s, 4, 4), axis=1)
    head(m, conv(m, y, 9, 3), 108)
    agrees(m, tmp_path)
    m, s = map_model()
    m("Concat", s, f32(np.random.default_rng(1).normal(size=(1, 1, 6, 6))), axis=1)
    with pytest.raises(UnsupportedModel, match="Concat.*constants of several values"):
        read(saved(m, tmp_path))


@pytest.mark.parametrize("kind", ["truths", "integers"])
def test_other_types(tmp_path, kind):
    m, s = map_model()
    a, b = conv(m, s, 4, 4), conv(m, s, 4, 4, 1)
    if kind == "truths":
        y = m("Concat", m("Greater", a, f32(0)), m("Less", b, f32(1)), axis=1)
    else:
        y = m("Concat", m("Cast", a, to=7), m("Cast", b, to=7), axis=1)
    head(m, m("Cast", y, to=1), 288)
    agrees(m, tmp_path)


def test_parts_go_different_ways(tmp_path):
    m, s = map_model()
    y = conv(m, s, 4, 8)
    a, b, c = split(m, y, 4, 2, 2)
    b = conv(m, m("Sign", m("Add", b, f32(0.5))), 2, 3)
    y = m("Concat", a, b, m("Relu", c), axis=1)
    head(m, y, 9 * 36)
    graph = agrees(m, tmp_path)
    assert concat_axes(graph) == [2]


def shuffled(m, x, groups, channels, size):
    y = m("Reshape", x, ints(1, groups, channels // groups, size, size))
    y = m("Transpose", y, perm=[0, 2, 1, 3, 4])
    return m("Reshape", y, ints(1, channels, size, size))


@pytest.mark.parametrize("units", [1, 3])
def test_shuffle_units(tmp_path, units):
    m, s = map_model()
    y = conv(m, s, 4, 8)
    for k in range(units):
        a, b = split(m, y, 4, 4)
        b = conv(m, m("Sign", m("Add", b, f32(0.5))), 4, 4, seed=k)
        y = shuffled(m, m("Concat", a, b, axis=1), 2, 8, 6)
    head(m, y, 288)
    graph = agrees(m, tmp_path)
    assert concat_axes(graph) == [2] * units


def test_a_shuffle_ahead_of_a_sum(tmp_path):
    m, s = map_model()
    y = m("Add", shuffled(m, conv(m, s, 4, 8), 4, 8, 6), conv(m, s, 4, 8, 1))
    head(m, y, 288)
    graph = agrees(m, tmp_path)
    picks = [op for op in graph.ops if isinstance(op, ops.ConvOp) and op.op == "Add"]
    assert [p.weights.shape for p in picks] == [(8, 1, 1, 8)]


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("size", [6, 7])
def test_every_second_pixel_with_zero_channels(tmp_path, start, size):
    """The shortcut of a ResNet without weights."""
    m, s = map_model(size=size)
    every = m("Slice", s, ints(start, start), ints(99, 99), ints(2, 3), ints(2, 2))
    wide = m("Pad", every, ints(0, 2, 0, 0, 0, 2, 0, 0))
    out = len(range(start, size, 2))
    y = m(
        "Conv",
        s,
        signs(np.random.default_rng(1), 8, 4, size - 2 * out + 2, size - 2 * out + 2),
        strides=[2, 2],
    )
    head(m, m("Add", y, wide), 8 * out * out)
    graph = agrees(m, tmp_path)
    (pick,) = (op for op in graph.ops if isinstance(op, ops.ConvOp) and op.op == "Add")
    assert pick.window.stride == (2, 2)


def test_crops_and_pads_meet(tmp_path):
    m, s = map_model()
    valid = m("Conv", s, signs(np.random.default_rng(1), 4, 4, 3, 3))
    cut = m("Slice", s, ints(1, 1), ints(5, 5), ints(2, 3))
    y = m("Add", valid, cut)
    y = m("Add", m("Pad", y, ints(0, 0, 1, 1, 0, 0, 1, 1), f32(1)), s)
    head(m, y, 144)
    graph = agrees(m, tmp_path)
    assert [op.crop for op in graph.ops if isinstance(op, join_ops.StretchOp)] == [(1, 1, 1, 1)]


def test_some_channels_in_another_order(tmp_path):
    m, s = map_model()
    picked = m("Gather", conv(m, s, 4, 8), ints(6, 1, 1, 3), axis=1)
    head(m, m("Mul", picked, s), 144)
    agrees(m, tmp_path)


def test_shapes_that_do_not_fit(tmp_path):
    m, s = map_model()
    m("Concat", s, m("MaxPool", s, kernel_shape=[2, 2]), axis=1)
    with pytest.raises(UnsupportedModel, match="Concat.*do not fit along axis 1"):
        read(saved(m, tmp_path))
    m, s = map_model()
    m("Add", s, m("MaxPool", s, kernel_shape=[2, 2]))
    with pytest.raises(UnsupportedModel, match="Add.*shapes that do not fit"):
        read(saved(m, tmp_path))
