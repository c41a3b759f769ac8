"""The independent executor: what it runs, and that it runs it as qonnx and ONNX Runtime do."""

import numpy as np
import onnx
import pytest

from xnorflow import demo
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.evidence.executor import Executor, arrange
from xnorflow.graph.input_scale import InputScale

from ..frontend.onnx_models import QONNX, Model, execute, f32, signs


def frames(*shape, count=5):
    return np.random.default_rng(7).integers(0, 256, (count, *shape)).astype(np.uint8)


def convolutional(tmp_path, quantised):
    """Two convolutions on pictures of 6 x 5 with 3 channels, and a dense layer; sums are exact."""
    rng = np.random.default_rng(3)
    m = Model(1, 3, 6, 5)
    x = m("Conv", m("Mul", "x", f32(1 / 64)), f32(rng.integers(-9, 9, (4, 3, 3, 3))))
    x = m.bipolar(x) if quantised else m("Sign", x)
    x = m("Conv", x, signs(rng, 4, 4, 2, 2))
    x = m("Flatten", x)
    m("MatMul", x, f32(rng.integers(-9, 9, (4 * 3 * 2, 5))))
    return m.save(tmp_path)


@pytest.mark.parametrize("quantised", [False, True])
def test_scores_are_those_of_qonnx_bit_by_bit(tmp_path, quantised):
    path, x = convolutional(tmp_path, quantised), frames(6, 5, 3)
    executor = Executor(path)
    assert executor.tool.startswith("qonnx" if quantised else "ONNX Runtime")
    out = executor.run(x)
    np.testing.assert_array_equal(out.scores, execute(path, x))
    assert out.labels is None and executor.ended == ""


def test_the_scale_multiplies_in_float32(tmp_path):
    path, x = convolutional(tmp_path, True), frames(6, 5, 3)
    np.testing.assert_array_equal(
        Executor(path, InputScale.of(1 / 3)).run(x).scores, execute(path, x, 1 / 3)
    )


def test_the_demo_network_and_its_whole_test_set_give_the_golden_scores():
    from xnorflow import load

    net, x = load(demo.model_path()), demo.data()["x_test"]
    scores = Executor(demo.model_path()).run(x).scores
    np.testing.assert_array_equal(scores, net.scores.to_float(net(x)))


def test_node_by_node_every_tensor_is_that_of_the_whole_file(tmp_path):
    path, x = convolutional(tmp_path, False), frames(6, 5, 3)
    executor = Executor(path)
    tensors = executor.tensors(x)
    assert set(tensors) == {"x", *(node.output[0] for node in executor.nodes)}
    np.testing.assert_array_equal(tensors[executor.output][:, 0], executor.run(x).scores)


def test_frames_are_told_one_by_one(tmp_path):
    told = []
    Executor(convolutional(tmp_path, False)).run(frames(6, 5, 3), lambda *n: told.append(n))
    assert told == [(i, 5) for i in range(1, 6)]


def test_frames_take_the_shape_and_order_of_the_file():
    own = frames(3, 6, 5)
    assert arrange(own, (3, 6, 5)) is own
    pictures = frames(6, 5, 3)
    np.testing.assert_array_equal(arrange(pictures, (3, 6, 5))[1, 2, 4, 3], pictures[1, 4, 3, 2])
    flat = frames(90)
    np.testing.assert_array_equal(arrange(flat, (3, 6, 5))[2], flat[2].reshape(3, 6, 5))
    grey = frames(6, 5)
    for shape in ((1, 6, 5), (6, 5, 1), (30,)):
        np.testing.assert_array_equal(arrange(grey, shape)[3].ravel(), grey[3].ravel())
    for wrong in (frames(5, 6, 4), frames(89), frames(91)):
        with pytest.raises(BadInput, match=r"do not fit the file's input \[1, 3, 6, 5\]"):
            arrange(wrong, (3, 6, 5))


def dense(tmp_path, *ends):
    m = Model(1, 8)
    x = m("MatMul", "x", f32(np.random.default_rng(2).normal(size=(8, 4))))
    for op, attributes in ends:
        others = [np.array([2])] if op == "TopK" else []
        x = m(op, x, *others, outputs=2 if op == "TopK" else 1, **attributes)
    return m


def test_scores_are_taken_ahead_of_what_orders_them(tmp_path):
    x = frames(8, count=9)
    plain = Executor(dense(tmp_path).save(tmp_path)).run(x).scores
    labels = plain.argmax(1)
    for ends, ended in (
        ([("Softmax", {"axis": 1})], "Softmax"),
        ([("ArgMax", {"axis": 1})], "ArgMax"),
        ([("ArgMax", {"axis": 1, "keepdims": 0})], "ArgMax"),
        ([("LogSoftmax", {"axis": 1}), ("Identity", {}), ("ArgMax", {"axis": 1})], "ArgMax"),
    ):
        executor = Executor(dense(tmp_path, *ends).save(tmp_path))
        assert executor.ended == ended
        out = executor.run(x)
        np.testing.assert_array_equal(out.scores, plain)
        if ended == "ArgMax":
            np.testing.assert_array_equal(out.labels, labels)


def test_of_a_choice_of_the_best_the_indices_are_labels_and_the_values_are_none(tmp_path):
    x = frames(8, count=9)
    plain = Executor(dense(tmp_path).save(tmp_path)).run(x).scores
    m = dense(tmp_path, ("TopK", {"axis": 1}))
    proto = m.proto(outputs=2)
    for keep, labels in ((0, None), (1, plain.argmax(1))):
        one = onnx.ModelProto()
        one.CopyFrom(proto)
        del one.graph.output[1 - keep]
        onnx.save(one, tmp_path / "top.onnx")
        out = Executor(tmp_path / "top.onnx").run(x)
        np.testing.assert_array_equal(out.scores, plain)
        if labels is None:
            assert out.labels is None
        else:
            np.testing.assert_array_equal(out.labels, labels)


def test_a_softmax_that_saturates_says_another_label_than_its_scores(tmp_path):
    m = Model(1, 2)
    m("Softmax", m("MatMul", "x", f32([[1, 1.5], [0, 0]])), axis=1)
    executor = Executor(m.save(tmp_path))
    out = executor.run(np.array([[255, 0], [0, 0]], np.uint8))
    assert out.scores.argmax(1).tolist() == [1, 0] and out.labels.tolist() == [1, 0]
    m = Model(1, 2)
    # exp(-1e-9) is 1 in float32
    m("Softmax", m("MatMul", "x", f32([[1e-9, 2e-9], [0, 0]])), axis=1)
    out = Executor(m.save(tmp_path)).run(np.array([[1, 0]], np.uint8))
    assert out.scores.argmax(1).tolist() == [1] and out.labels.tolist() == [0]


def test_what_no_output_needs_is_not_run_and_nodes_may_stand_in_any_order(tmp_path):
    path = convolutional(tmp_path, True)
    want = Executor(path).run(frames(6, 5, 3)).scores
    model = onnx.load(path)
    nodes = [*reversed(model.graph.node)]
    nodes.append(onnx.helper.make_node("Explode", ["x"], ["dead"], domain="no.such.domain"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    np.testing.assert_array_equal(Executor(path).run(frames(6, 5, 3)).scores, want)


def test_the_operators_of_an_unknown_domain_are_not_imported(tmp_path):
    m = Model(1, 4)
    m("System", "x", domain="os")
    with pytest.raises(BadInput, match="no executor is known for System of 'os'"):
        Executor(m.save(tmp_path))


@pytest.mark.parametrize("quantised", [False, True])
def test_operators_of_onnx_runtime_s_own_quantiser_run_in_it(tmp_path, quantised):
    m = Model(1, 4)
    x = m.bipolar("x") if quantised else m("Sign", "x")
    x = m("QuantizeLinear", x, f32(1), np.uint8(3), domain="com.microsoft")
    m("Cast", x, to=onnx.TensorProto.FLOAT)
    out = Executor(m.save(tmp_path)).run(np.array([[0, 1, 2, 255]], np.uint8))
    assert out.scores.tolist() == [[4 if quantised else 3, 4, 4, 4]]


def test_a_loop_has_no_first_node(tmp_path):
    m = Model(1, 4)
    m("Add", "t0_0", "x")
    with pytest.raises(BadInput, match="nothing makes an input of node 'Add_0'"):
        Executor(m.save(tmp_path))


@pytest.mark.parametrize("domain", ["", QONNX])
def test_what_an_executor_cannot_run_is_one_message(tmp_path, domain):
    m = Model(1, 4)
    m("NoSuchOperator", "x", domain=domain)
    with pytest.raises(CheckFailed, match="NoSuchOperator") as e:
        Executor(m.save(tmp_path)).run(frames(4))
    assert "\n" not in str(e.value)


def test_a_file_that_is_none_is_bad_input(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"\xff\xfe no model")
    for name in ("bad.onnx", "none.onnx"):
        with pytest.raises(BadInput, match="is not a readable ONNX file"):
            Executor(tmp_path / name)
