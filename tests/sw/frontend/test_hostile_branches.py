"""Files with many branches: no exponential time, no deep recursion, nothing too large."""

import tracemalloc

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from xnorflow.errors import UnsupportedModel, XnorflowError
from xnorflow.frontend import importer, read
from xnorflow.graph import ops

from .branching import conv, executed, head, imported, saved, trunk
from .onnx_models import Model, f32, signs

MEGABYTES = 1 << 20
_errors = onnxruntime.capi.onnxruntime_pybind11_state
REFUSED = (_errors.Fail, _errors.InvalidArgument, _errors.InvalidGraph, _errors.RuntimeException)
"""Errors of ONNX Runtime for networks that are none."""


def small(count=4):
    m = Model(1, count)
    return m, m("Sign", m("Sub", "x", f32(127.5)))


@pytest.mark.parametrize("layered", [False, True])
def test_diamonds_in_a_row_take_linear_time(tmp_path, layered):
    """The number of ways through them doubles with each."""
    m, y = small()
    rng = np.random.default_rng(1)
    for _ in range(200):
        other = m("MatMul", y, signs(rng, 4, 4)) if layered else m("Neg", y)
        y = m("Mul", m("Add", m("Relu", y), other), f32(0.25))
    m("MatMul", y, signs(rng, 4, 3))
    graph = read(saved(m, tmp_path))
    assert len(graph.ops) <= 200 * 6 and graph.chain != layered
    assert sum(len(op.inputs) for op in graph.ops) < 2000


def test_thousands_of_residual_nodes(tmp_path):
    m, y = small()
    weights = m.store(signs(np.random.default_rng(1), 4, 4))
    for _ in range(1000):
        y = m("Add", m("MatMul", y, weights), y)
    graph = read(saved(m, tmp_path))
    assert len(graph.ops) == 2002 and len(graph.reads) == 2002


def test_a_tensor_with_thousands_of_readers(tmp_path):
    m, s = small()
    rng = np.random.default_rng(1)
    votes = [m("MatMul", s, signs(rng, 4, 4)) for _ in range(1000)]
    while len(votes) > 1:
        votes = [m("Sum", *votes[k : k + 50]) for k in range(0, len(votes), 50)]
    assert len(read(saved(m, tmp_path)).ops) < 1100


def test_more_branches_than_a_join_takes_are_refused(tmp_path):
    m, s = small()
    weights = [signs(np.random.default_rng(k), 4, 1) for k in range(257)]
    m("Concat", *(m("MatMul", s, w) for w in weights), axis=1)
    with pytest.raises(UnsupportedModel, match="Concat.*joins 257 tensors.*at most 256"):
        read(saved(m, tmp_path))


def refused_cheaply(m, tmp_path, text, megabytes=48):
    path = saved(m, tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedModel, match=text):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTES
    finally:
        tracemalloc.stop()


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize("how", ["joined", "with a constant", "concatenated", "resized", "voted"])
def test_huge_results_are_refused_before_they_are_made(tmp_path, how):
    m, s = small(1 << 13)
    column = m("Reshape", m("MatMul", s, f32(np.ones((1 << 13, 1)))), ints(1, 1))
    text = "too large"
    match how:
        case "joined":
            m("Add", m("Reshape", m("Relu", s), ints(1, 1 << 13, 1)), m("Unsqueeze", s, ints(1)))
        case "with a constant":
            m("Add", m("Unsqueeze", s, ints(2)), f32(np.ones((1, 1, 1 << 12))))
        case "concatenated":
            wide = m("Expand", column, ints(1, 1 << 23))
            m("Concat", wide, wide, s, axis=1)
            refused_cheaply(m, tmp_path, text, 512)
            return
        case "resized":
            m("Resize", m("Unsqueeze", s, ints(1, 2)), "", f32(1, 1, 1 << 14, 1))
            text = "too large|small map"
        case "voted":
            m, s = small((1 << 13) + 1)
            label = m("ArgMax", s, axis=1, keepdims=0)
            m("OneHot", label, ints((1 << 13) + 1), f32(0, 1))
            text = "OneHot.*its vote of 8193x8193 is too large"
    refused_cheaply(m, tmp_path, text)


@pytest.mark.parametrize("limit", ["MAX_STEPS", "MAX_BUILT"])
def test_what_is_built_is_counted(tmp_path, monkeypatch, limit):
    """Picks take weights that are in no file; operations that are needed twice count once."""
    m, s = small(64)
    turned = m.store(np.arange(63, -1, -1))
    y = s
    for _ in range(4):
        y = m("Add", y, m("Gather", m("Relu", y), turned, axis=1))
    path = saved(m, tmp_path)
    picks = [op for op in read(path).ops if isinstance(op, ops.ConvOp)]
    assert sum(p.weights.size for p in picks) == 4 * 64 * 64
    steps = len(read(path).ops)
    enough = {"MAX_STEPS": steps, "MAX_BUILT": 4 * 64 * 64}[limit]
    monkeypatch.setattr(importer, limit, enough)
    assert read(path).ops
    monkeypatch.setattr(importer, limit, enough - 1)
    with pytest.raises(UnsupportedModel, match="Add.*too large up to here"):
        read(path)


def test_shapes_that_do_not_fit_are_refused(tmp_path):
    m, s = small()
    m("Add", s, m("MatMul", s, signs(np.random.default_rng(1), 4, 3)))
    refused_cheaply(m, tmp_path, "Add.*shapes that do not fit: 1x4, 1x3")


def test_values_have_names_of_their_own(tmp_path):
    m, s = small()
    rng = np.random.default_rng(1)
    a, b = (m("MatMul", s, signs(rng, 4, 4)) for _ in range(2))
    y = m("Add", a, b)
    y = m("Add", y, m("Relu", m("Add", y, a)))
    head(m, y, 4)
    for k, node in enumerate(m.nodes):
        node.name = ["same", "same#2", "s" * 1000][k % 3]
    graph = read(saved(m, tmp_path))
    names = [op.name for op in graph.ops if op.name]
    assert len(set(names)) == len(names) and max(map(len, names)) < 80


def test_a_cycle_of_joins(tmp_path):
    m, s = small()
    m("Add", s, "t3_0")
    m("Relu", "t2_0")
    refused_cheaply(m, tmp_path, "cycle")


@given(st.data())
def test_any_wiring_gives_a_network_or_an_error(tmp_path_factory, data):
    """Nodes of all kinds read any tensors: what is imported is what ONNX Runtime computes."""
    m = Model(1, 2, 4, 4)
    s = trunk(m)
    names = ["x", s, conv(m, s, 4, 4), m("GlobalAveragePool", s), m("Flatten", s)]
    for _ in range(data.draw(st.integers(1, 6))):
        op = data.draw(
            st.sampled_from(
                ["Add", "Mul", "Max", "Sub", "Sum", "Mean", "Concat", "Relu", "Greater", "Where"]
                + ["Transpose", "Resize", "DepthToSpace", "MaxPool", "ReduceMax", "Cast", "Pad"]
            )
        )
        a, b = (data.draw(st.sampled_from(names)) for _ in range(2))
        match op:
            case "Concat":
                names.append(m(op, a, b, axis=data.draw(st.integers(0, 3))))
            case "Relu" | "Transpose":
                names.append(m(op, a))
            case "Where":
                names.append(m(op, m("Greater", a, f32(0)), a, b))
            case "Resize":
                names.append(m(op, a, "", f32(1, 1, 2, data.draw(st.sampled_from([1, 1.5, 2])))))
            case "DepthToSpace":
                names.append(m(op, a, blocksize=2))
            case "MaxPool":
                names.append(m(op, a, kernel_shape=[2, 2]))
            case "ReduceMax":
                names.append(m(op, a, axes=[data.draw(st.integers(0, 3))]))
            case "Cast":
                names.append(m(op, m(op, a, to=data.draw(st.sampled_from([7, 9]))), to=1))
            case "Pad":
                pads = data.draw(st.lists(st.integers(0, 1), min_size=8, max_size=8))
                names.append(m(op, a, ints(*pads)))
            case "Greater":
                names.append(m("Cast", m(op, a, b), to=1))
            case _:
                names.append(m(op, a, b))
    path = saved(m, tmp_path_factory.mktemp("wired"), names[-1])
    try:
        graph = read(path)
    except XnorflowError as e:
        assert str(e)
        return
    assert len(graph.reads) == len(graph.ops)
    x = f32(np.random.default_rng(1).integers(0, 256, (2, 2, 4, 4)))
    try:
        want = executed(path, x)
    except REFUSED:
        return  # It checks nodes that no output needs as well.
    got = imported(graph, x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * max(1, np.abs(want).max()))


def test_nodes_that_make_one_name(tmp_path):
    m, s = small()
    m("Add", s, m("Relu", s))
    m.nodes.append(helper.make_node("Neg", [s], [m.nodes[-1].output[0]], "again"))
    refused_cheaply(m, tmp_path, "made twice")
