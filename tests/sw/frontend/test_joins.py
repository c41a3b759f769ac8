"""Nodes that bring branches together, against ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read
from xnorflow.graph import join_ops, ops

from .branching import agrees, conv, head, kinds, saved, trunk
from .onnx_models import Model, f32, signs

FLOAT, INT64, BOOL = 1, 7, 9


def ints(*values):
    return np.array(values, np.int64)


def map_model(channels=2, size=6, opset=13):
    m = Model(1, channels, size, size, opset=opset)
    return m, trunk(m)


def nhwc(m, x):
    return m("Transpose", x, perm=[0, 2, 3, 1])


def nchw(m, x):
    return m("Transpose", x, perm=[0, 3, 1, 2])


def one(graph, kind):
    (found,) = (op for op in graph.ops if isinstance(op, kind))
    return found


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"])
def test_two_branches(tmp_path, op):
    m, s = map_model()
    y = m(op, conv(m, s, 4, 4), conv(m, s, 4, 4, 1, seed=2))
    graph = agrees(head_of(m, y), tmp_path)
    join = one(graph, join_ops.JoinOp)
    assert join.inputs == ("Conv_3", "Conv_4") and not graph.outputs
    assert not any(op.inputs or op.name for op in graph.ops[:2])


def head_of(m, y, features=144):
    head(m, m("Sign", m("Add", y, f32(0.503))), features)
    return m


@pytest.mark.parametrize("op", ["Sum", "Mean", "Max", "Min"])
def test_many_branches_and_constants(tmp_path, op):
    m, s = map_model()
    branches = [s, *(conv(m, s, 4, 4, seed=k) for k in range(3))]
    each = f32(0.5, -1, 2, 0).reshape(4, 1, 1)
    y = m(op, branches[0], branches[1], each, branches[2], f32(3), branches[3])
    agrees(head_of(m, y), tmp_path)


def test_sums_are_added_from_left_to_right(tmp_path):
    m, s = map_model()
    a, b, c = (conv(m, s, 4, 4, seed=k) for k in range(3))
    y = m("Sum", f32(0.1), a, b, f32(0.2), c)
    graph = read(saved(head_of(m, y), tmp_path))
    found = [k for k in kinds(graph) if k in ("AddOp", "SumOp")]
    assert found == ["AddOp", "SumOp", "AddOp", "SumOp", "AddOp"]


@pytest.mark.parametrize("op", ["Add", "Mul", "Max"])
@pytest.mark.parametrize("first", [False, True])
def test_a_map_and_one_pixel(tmp_path, op, first):
    m, s = map_model()
    gate = conv(m, m("GlobalAveragePool", s), 4, 4, 1)
    y = conv(m, s, 4, 4)
    y = m(op, gate, y) if first else m(op, y, gate)
    graph = agrees(head_of(m, y), tmp_path)
    assert "StretchOp" not in kinds(graph)


def test_a_map_and_a_vector(tmp_path):
    m, s = map_model()
    row = m("Flatten", m("GlobalAveragePool", s))
    row = m("MatMul", row, signs(np.random.default_rng(2), 4, 4))
    row = m("Reshape", row, ints(1, 4, 1, 1))
    agrees(head_of(m, m("Add", conv(m, s, 4, 4), row)), tmp_path)


@pytest.mark.parametrize("last", [False, True])
def test_a_map_and_one_channel(tmp_path, last):
    m, s = map_model()
    k = m("ReduceMean", nhwc(m, s) if last else s, axes=[3 if last else 1])
    y = conv(m, s, 4, 4)
    y = nchw(m, m("Mul", nhwc(m, y), k)) if last else m("Mul", y, k)
    graph = agrees(head_of(m, y), tmp_path)
    assert kinds(graph).count("ConvOp") == 4


def test_a_row_and_a_column(tmp_path):
    m, s = map_model()
    y = m("Add", m("ReduceMax", s, axes=[2]), m("ReduceMax", conv(m, s, 4, 4), axes=[3]))
    graph = agrees(head_of(m, y), tmp_path)
    assert "StretchOp" in kinds(graph)


def test_channels_by_pixels(tmp_path):
    m, s = map_model()
    y = m("Mul", m("GlobalAveragePool", s), m("ReduceMean", conv(m, s, 4, 4), axes=[1]))
    graph = agrees(head_of(m, y), tmp_path)
    assert "StretchOp" not in kinds(graph)


@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_layouts_that_meet(tmp_path, op):
    m, s = map_model()
    back = nchw(m, m("Relu", nhwc(m, conv(m, s, 4, 4))))
    graph = agrees(head_of(m, m(op, back, s)), tmp_path)
    assert kinds(graph).count("ConvOp") == 3


def test_flat_maps_of_different_orders_meet(tmp_path):
    m, s = map_model()
    flat = m("Flatten", nhwc(m, conv(m, s, 4, 4)))
    m("MatMul", m("Add", m("Flatten", s), flat), signs(np.random.default_rng(3), 144, 5))
    graph = agrees(m, tmp_path)
    picks = [op for op in graph.ops if isinstance(op, ops.ConvOp) and op.op == "Add"]
    assert [p.weights.shape for p in picks] == [(144, 1, 1, 144)]


def test_rows_and_columns_that_are_swapped_are_refused(tmp_path):
    m, s = map_model()
    m("Add", s, m("Transpose", conv(m, s, 4, 4), perm=[0, 1, 3, 2]))
    with pytest.raises(UnsupportedModel, match="Add.*orders that no layer brings together"):
        read(saved(m, tmp_path))


def test_the_same_tensor_twice(tmp_path):
    m, s = map_model()
    y = conv(m, s, 4, 4)
    agrees(head_of(m, m("Add", m("Add", y, y), s)), tmp_path)


def test_the_input_itself_is_joined(tmp_path):
    m = Model(1, 2, 6, 6)
    y = m("Add", m("Conv", "x", signs(np.random.default_rng(1), 2, 2, 3, 3), pads=[1] * 4), "x")
    graph = agrees(head_of(m, y, 72), tmp_path)
    assert one(graph, join_ops.SumOp).inputs == ("Conv_0", "")


@pytest.mark.parametrize("op", ["Add", "Sub"])
@pytest.mark.parametrize("first", [False, True])
def test_a_constant_map(tmp_path, op, first):
    m, s = map_model()
    constant = f32(np.random.default_rng(2).integers(-5, 6, (1, 4, 6, 6)))
    y = conv(m, s, 4, 4)
    y = m(op, constant, y) if first else m(op, y, constant)
    graph = agrees(head_of(m, y), tmp_path)
    assert one(graph, join_ops.AddMapOp).value.shape == (6, 6, 4)


def test_a_constant_map_in_a_sum_of_branches(tmp_path):
    m, s = map_model()
    constant = f32(np.random.default_rng(2).integers(-5, 6, (6, 6)))
    agrees(head_of(m, m("Sum", s, constant, conv(m, s, 4, 4))), tmp_path)


@pytest.mark.parametrize("shape", [(1, 4, 6, 6), (6, 6), (1, 4, 1, 1)])
@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_a_constant_that_is_larger_than_the_features(tmp_path, shape, op):
    m, s = map_model()
    small = m("GlobalAveragePool", s) if shape != (1, 4, 1, 1) else m("ReduceMean", s, axes=[1])
    constant = f32(np.random.default_rng(2).integers(1, 6, shape))
    y = m(op, small, constant)
    features = 4 * 36
    if op == "Mul" and shape != (1, 4, 1, 1):
        with pytest.raises(UnsupportedModel, match="Mul.*pixel to pixel"):
            read(saved(head_of(m, y, features), tmp_path))
    else:
        agrees(head_of(m, y, features), tmp_path)


def test_mean_pictures_are_subtracted_ahead_of_a_convolution(tmp_path):
    m = Model(1, 2, 6, 6)
    y = m("Sub", "x", f32(np.random.default_rng(2).integers(90, 150, (2, 6, 6))))
    head_of(m, conv(m, m("Sign", y), 2, 4))
    graph = agrees(m, tmp_path)
    assert graph.shape == (6, 6, 2) and graph.chain
    assert isinstance(graph.ops[0], join_ops.AddMapOp)


@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])
def test_comparisons_of_branches(tmp_path, op):
    m, s = map_model()
    truth = m(op, conv(m, s, 4, 4), conv(m, s, 4, 4, 1, seed=2))
    head(m, m("Cast", truth, to=FLOAT), 144)
    agrees(m, tmp_path)


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_truths_of_branches(tmp_path, op):
    m, s = map_model()
    truths = [m("Greater", conv(m, s, 4, 4, seed=k), f32(k)) for k in (1, 2)]
    head(m, m("Cast", m(op, *truths), to=FLOAT), 144)
    agrees(m, tmp_path)


@pytest.mark.parametrize(
    "sides", ["maps", "map and zero", "map and number", "one of the condition's tensor", "integers"]
)
def test_selections(tmp_path, sides):
    m, s = map_model()
    a, b = conv(m, s, 4, 4), conv(m, s, 4, 4, seed=2)
    t = conv(m, s, 4, 4, 1, seed=3)
    truth = m("Greater", t, f32(0))
    match sides:
        case "maps":
            y = m("Where", truth, a, b)
        case "map and zero":
            y = m("Where", truth, a, f32(0))
        case "map and number":
            y = m("Where", truth, f32(3, 2, 1, 0).reshape(4, 1, 1), b)
        case "one of the condition's tensor":
            y = m("Where", truth, t, b)
        case _:
            y = m("Where", truth, m("Cast", a, to=INT64), m("Cast", b, to=INT64))
            y = m("Cast", y, to=FLOAT)
    agrees(head_of(m, y), tmp_path)


def test_selections_by_a_constant(tmp_path):
    m, s = map_model()
    mask = np.array([True, False, True, False]).reshape(4, 1, 1)
    y = m("Where", mask, conv(m, s, 4, 4), conv(m, s, 4, 4, seed=2))
    agrees(head_of(m, y), tmp_path)


def test_integers_of_branches(tmp_path):
    m, s = map_model()
    a, b = (m("Cast", conv(m, s, 4, 4, seed=k), to=INT64) for k in (1, 2))
    y = m("Cast", m("Mul", m("Add", a, b), m("Sub", a, b)), to=FLOAT)
    agrees(head_of(m, y), tmp_path)


def test_a_gate_of_all_pixels(tmp_path):
    m, s = map_model()
    y = conv(m, s, 4, 4)
    gate = m("Sign", m("Add", conv(m, m("ReduceMean", y, axes=[2, 3]), 4, 4, 1), f32(0.3)))
    agrees(head_of(m, m("Mul", y, gate)), tmp_path)


def test_halves_multiply_each_other(tmp_path):
    m, s = map_model()
    y = conv(m, s, 4, 8)
    m.nodes.append(_split(y))
    graph = agrees(head_of(m, m("Mul", "left", "right")), tmp_path)
    picks = [op for op in graph.ops if isinstance(op, ops.ConvOp) and op.op == "Mul"]
    assert [p.weights.shape for p in picks] == [(4, 1, 1, 8)] * 2


def _split(y):
    return helper.make_node("Split", [y], ["left", "right"], name="Split", axis=1)


@pytest.mark.parametrize("classes", [1, 4])
def test_votes_of_labels(tmp_path, classes):
    rng = np.random.default_rng(6)
    m = Model(1, 12)
    s = m("Sign", m("Sub", "x", f32(127.5)))
    votes = []
    for _ in range(5):
        # Of the sums of two signs, many are equal.
        scores = m("MatMul", s, signs(rng, 12, classes) * (rng.random((12, classes)) < 0.2))
        label = m("ArgMax", scores, axis=1, keepdims=0)
        hot = m("OneHot", label, ints(classes), f32(0, 1), axis=-1)
        votes.append(m("Cast", hot, to=FLOAT))
    if classes == 1:
        m("MatMul", m("Add", m("Sum", *votes), s), signs(rng, 12, 3))
        m.shape = (1, 12)
    else:
        m("Sum", *votes)
    graph = agrees(m, tmp_path, count=40)
    assert not any("dropped" in note for note in graph.notes)


def test_votes_need_one_label(tmp_path):
    m, s = map_model()
    label = m("ArgMax", s, axis=1)
    m("OneHot", label, ints(4), f32(0, 1))
    with pytest.raises(UnsupportedModel, match="OneHot.*not the label of one arg-max"):
        read(saved(m, tmp_path))
    m, s = map_model()
    m("OneHot", s, ints(4), f32(0, 1))
    with pytest.raises(UnsupportedModel, match="OneHot.*not the label of one arg-max"):
        read(saved(m, tmp_path))


@pytest.mark.parametrize("op", ["Div", "Pow", "PRelu", "MatMul"])
def test_what_cannot_be_computed_of_branches(tmp_path, op):
    m, s = map_model()
    m(op, conv(m, s, 4, 4), conv(m, s, 4, 4, seed=2))
    with pytest.raises(UnsupportedModel, match=f"{op} node") as caught:
        read(saved(m, tmp_path))
    assert caught.value.hint


def test_branches_read_the_input_in_different_orders(tmp_path):
    m = Model(1, 2, 6, 6)
    a = m("Conv", "x", signs(np.random.default_rng(1), 3, 2, 3, 3))
    cut = m("Slice", "x", ints(1, 1), ints(6, 6), ints(2, 3))
    b = m("Conv", cut, signs(np.random.default_rng(2), 3, 2, 2, 2))
    m("MatMul", m("Flatten", m("Add", a, b)), signs(np.random.default_rng(3), 48, 4))
    graph = agrees(m, tmp_path)
    assert graph.shape == (6, 6, 2)


def test_functions_of_parts_of_the_input_meet(tmp_path):
    m = Model(1, 4, 6, 6)
    a, b = (m("Slice", "x", ints(k), ints(k + 2), ints(1)) for k in (0, 2))
    y = m("Mul", m("Sub", a, f32(100)), m("Sub", b, f32(120)))
    head(m, y, 72)
    agrees(m, tmp_path)


def test_the_input_in_another_order_meets_a_layer_of_it(tmp_path):
    m = Model(1, 4, 4, 2)
    last = m("Sub", "x", f32(100, 120))
    y = m("Conv", nchw(m, "x"), signs(np.random.default_rng(1), 8, 2, 3, 3), pads=[1] * 4)
    cut = m("Slice", last, ints(0, 1), ints(3, 4), ints(1, 2))
    both = m("Add", nhwc(m, m("MaxPool", y, kernel_shape=[2, 2])), m("Tile", cut, ints(1, 1, 1, 4)))
    head(m, both, 72)
    agrees(m, tmp_path)
