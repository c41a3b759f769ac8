"""Files that lie: always an error of ours that says what is wrong, and nothing allocated first."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from xnorflow.errors import UnsupportedModel, XnorflowError
from xnorflow.frontend import read
from xnorflow.frontend.limits import MAX_NODES
from xnorflow.graph import ops
from xnorflow.lower import lower

from .onnx_models import QONNX, Model, f32, signs

RNG = np.random.default_rng(2)
MEGABYTES = 1 << 20


@pytest.fixture(autouse=True)
def same_numbers():
    """Start every test with the same random numbers, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(2).bit_generator.state


def refused(path, *texts, megabytes=16):
    """Read a file that must be refused with these texts, and without using much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedModel) as caught:
            lower(read(path))
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTES
    finally:
        tracemalloc.stop()
    for text in texts:
        assert text in str(caught.value)
    return caught.value


def small():
    m, rng = Model(1, 2, 4, 4), np.random.default_rng(3)
    y = m.bipolar(m("Conv", "x", m.bipolar(signs(rng, 3, 2, 3, 3)), pads=[1, 1, 1, 1]))
    y = m("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    m("MatMul", m("Reshape", y, np.array([1, -1])), m.quant(f32(rng.normal(size=(12, 3))), 4))
    return m


def stored(tmp_path, proto):
    path = tmp_path / "hostile.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def initializer(**fields):
    """A model whose dense layer has this tensor as weights."""
    proto = Model(1, 4)
    proto("MatMul", "x", f32(np.ones((4, 2))))
    proto = proto.proto()
    tensor = proto.graph.initializer[0]
    tensor.Clear()
    tensor.name, tensor.data_type = "c0", TensorProto.FLOAT
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return proto


def test_truncated(tmp_path):
    data = small().proto().SerializeToString()
    path = tmp_path / "cut.onnx"
    for length in (0, 1, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        refused(path, "cut.onnx")


def test_no_model_at_all(tmp_path):
    path = tmp_path / "noise.onnx"
    for data in (RNG.bytes(5000), b"\x89PNG\r\n\x1a\n" + bytes(100), b"\n" * 1000, b"{}"):
        path.write_bytes(data)
        refused(path, "noise.onnx")


@given(st.data())
def test_damaged_bytes(tmp_path_factory, data):
    """Any change of a file gives a network or an error of ours."""
    content = bytearray(small().proto().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.integers(0, 255))
        else:
            del content[place : place + data.draw(st.integers(1, 8))]
    path = tmp_path_factory.mktemp("damaged") / "m.onnx"
    path.write_bytes(bytes(content))
    try:
        assert isinstance(read(path), ops.Graph)
    except XnorflowError as e:
        assert str(e)


@given(st.data())
def test_damaged_attributes(tmp_path_factory, data):
    """Nodes with foreign operators, attributes, inputs and shapes give a network or an error."""
    proto = small().proto()
    node = data.draw(st.sampled_from(list(proto.graph.node)))
    names = [n for other in proto.graph.node for n in (*other.input, *other.output)]
    numbers = st.sampled_from([-(2**63), -9, -1, 0, 1, 2, 3, 64, 2**31, 2**62])
    match data.draw(st.integers(0, 4)):
        case 0:
            node.op_type = data.draw(
                st.sampled_from(
                    [
                        "Add",
                        "Pad",
                        "Gemm",
                        "Conv",
                        "ReduceMean",
                        "Squeeze",
                        "Unsqueeze",
                        "Flatten",
                        "Transpose",
                        "Clip",
                        "TopK",
                        "ArgMax",
                        "Softmax",
                        "BatchNormalization",
                        "Dropout",
                        "GlobalAveragePool",
                        "AveragePool",
                        "Shape",
                        "Concat",
                        "Gather",
                        "Expand",
                        "Range",
                        "Constant",
                        "Cast",
                        "Slice",
                        "ConstantOfShape",
                        "If",
                        "Size",
                    ]
                )
            )
            node.domain = ""
        case 1:
            name = data.draw(
                st.sampled_from(["pads", "strides", "kernel_shape", "dilations", "axes", "perm"])
            )
            old = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend(
                [
                    *old,
                    helper.make_attribute(
                        name, data.draw(st.lists(numbers, min_size=1, max_size=5))
                    ),
                ]
            )
        case 2:
            node.attribute.append(
                helper.make_attribute(
                    data.draw(
                        st.sampled_from(["group", "axis", "ceil_mode", "keepdims", "signed"])
                    ),
                    data.draw(numbers),
                )
            )
        case 3:
            place = data.draw(st.integers(0, len(node.input) - 1))
            node.input[place] = data.draw(st.sampled_from(names))
        case 4:
            tensor = data.draw(st.sampled_from(list(proto.graph.initializer)))
            del tensor.dims[:]
            tensor.dims.extend(data.draw(st.lists(numbers, max_size=4)))
    path = stored(tmp_path_factory.mktemp("damaged"), proto)
    try:
        assert isinstance(read(path), ops.Graph)
    except XnorflowError as e:
        assert str(e)


def test_cycle(tmp_path):
    m = Model(1, 4)
    m("MatMul", m("Relu", m("Sign", "x")), f32(np.ones((4, 2))))
    m.nodes[0].input[0] = "t1_0"
    error = refused(m.save(tmp_path), "cycle")
    assert error.node == "Sign_0"


def test_names_used_twice(tmp_path):
    m = Model(1, 4)
    m("Sign", m("Relu", "x"))
    m.nodes[0].output[0] = m.nodes[1].output[0]
    m.nodes[1].input[0] = "x"
    assert refused(m.save(tmp_path), "made twice").op == "Sign"
    m = Model(1, 4)
    m("Add", m("Sign", "x"), f32(1))
    m.nodes[0].output[0] = "c0"
    assert refused(m.save(tmp_path), "made twice").node == "Sign_0"
    m = Model(1, 4)
    m("Add", m("Sign", "x"), f32(1))
    m.initializers.append(m.initializers[0])
    refused(m.save(tmp_path), "two initializers share one name")


def test_missing_pieces(tmp_path):
    m = Model(1, 4)
    m("Add", "x", "nowhere")
    assert refused(m.save(tmp_path), "'nowhere'").node == "Add_0"
    m = Model(1, 4)
    m("Sign", "x")
    proto = m.proto()
    proto.graph.output[0].name = "y"
    refused(stored(tmp_path, proto), "nothing computes the output 'y'")
    del proto.graph.output[:]
    refused(stored(tmp_path, proto), "no output")
    del proto.graph.input[:]
    refused(stored(tmp_path, proto), "this file has 0")
    m = Model(1, 4)
    m("Sign", m("Add", f32(1), f32(2)))
    refused(m.save(tmp_path), "does not depend on the input")


def test_several_inputs(tmp_path):
    m = Model(1, 4)
    m("Relu", m("Sign", "x"))
    proto = m.proto()
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    refused(stored(tmp_path, proto), "'x', 'z'")


@pytest.mark.parametrize("dims", [[2**31, 2**31], [2**62, 4], [10**9], [-1, 4], [1] * 40])
@pytest.mark.parametrize("raw", [False, True])
def test_gigantic_weights(tmp_path, dims, raw):
    fields = {"raw_data": bytes(32)} if raw else {"float_data": [0.0] * 8}
    error = refused(stored(tmp_path, initializer(dims=dims, **fields)), "'c0'")
    assert error.op == "MatMul"


@pytest.mark.parametrize(
    "fields,text",
    [
        ({"dims": [4, 2], "raw_data": bytes(31)}, "should hold 32 bytes, but 31"),
        ({"dims": [4, 2], "float_data": [0.0] * 7}, "should hold 8 values, but 7"),
        ({"dims": [4, 2], "data_type": TensorProto.STRING}, "STRING"),
        ({"dims": [4, 2], "data_type": TensorProto.COMPLEX64}, "COMPLEX64"),
        ({"dims": [4, 2], "data_type": 777}, "777"),
        ({"dims": [4, 2], "data_type": TensorProto.INT64, "int64_data": [1] * 8}, "int64"),
        ({"dims": [2, 4], "float_data": [1.0] * 8}, "2 rows for 4"),
        ({"dims": [8], "float_data": [1.0] * 8}, "matrix"),
        ({"dims": [4, 0]}, "matrix"),
        ({"dims": [4, 2], "float_data": [1.0, float("nan")] * 4}, "NaN"),
        ({"dims": [4, 2], "float_data": [1.0, float("inf")] * 4}, "not finite"),
        ({"dims": [4, 2], "float_data": [1.0, 1.0, 1e-45, 1.0] * 2}, "not integers"),
    ],
)
def test_wrong_weights(tmp_path, fields, text):
    error = refused(stored(tmp_path, initializer(**fields)), text)
    assert (error.node, error.op) == ("MatMul_0", "MatMul")


@pytest.mark.parametrize("shape", [(1, 2**31, 2**31, 3), (1, 2**40), (1, -5), (1, 1, 4097, 4097)])
def test_gigantic_input(tmp_path, shape):
    m = Model(*shape)
    m("Sign", "x")
    refused(m.save(tmp_path), "'x'")


@pytest.mark.parametrize(
    "op,inputs,attributes",
    [
        ("ConstantOfShape", [np.array([2**40])], {}),
        ("ConstantOfShape", [np.array([2**31, 2**31])], {}),
        ("Expand", [f32(1), np.array([2**20, 2**20])], {}),
        ("Range", [np.array(0), np.array(2**50), np.array(1)], {}),
        ("Add", [np.zeros((5000, 1)), np.zeros((1, 50000))], {}),
        ("Gather", [np.zeros((1, 30000)), np.zeros(30000, np.int64)], {"axis": 0}),
        ("Tile", [np.zeros(2), np.array([2**40])], {}),
        ("Resize", [np.zeros(2)], {}),
    ],
)
def test_gigantic_folding(tmp_path, op, inputs, attributes):
    m = Model(1, 4)
    m("Add", "x", m(op, *inputs, **attributes))
    assert refused(m.save(tmp_path)).op == op


def test_doubling_constants(tmp_path):
    m = Model(1, 4)
    y = f32(np.ones(1024))
    for _ in range(60):
        y = m("Concat", y, y, axis=0)
    m("Add", "x", y)
    refused(m.save(tmp_path), "too large", megabytes=600)


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [65000] * 4},
        {"pads": [2**40] * 4},
        {"strides": [0, 0]},
        {"strides": [1]},
        {"dilations": [2**40, 1]},
        {"group": 0},
        {"group": 2},
        {"kernel_shape": [5, 5]},
        {"pads": [0, 0, 0]},
        {"pads": [-1, 0, 0, 0]},
        {"auto_pad": "SOMEHOW"},
        {"dilations": [9, 9]},
        {"pads": 1},
        {"group": [1]},
    ],
    ids=str,
)
def test_impossible_convolutions(tmp_path, attributes):
    m = Model(1, 2, 4, 4)
    m("Conv", "x", signs(RNG, 3, 2, 3, 3), **attributes)
    assert refused(m.save(tmp_path)).node == "Conv_0"


def test_gigantic_groups(tmp_path):
    """Where channels are shuffled, weights of single channels become a square of zeros."""
    m = Model(1, 1 << 14, 1, 1)
    ones, channels = np.ones((1 << 14, 1, 1, 1), np.float32), np.arange(1 << 14)
    shuffled = m("Gather", m("Conv", "x", ones, group=1 << 14), channels[::-1].copy(), axis=1)
    m("Conv", shuffled, ones, group=1 << 14)
    refused(m.save(tmp_path), "too large")


@pytest.mark.parametrize("target", [[3, 3], [-1, -1], [-2, 8], [0, 0, 0], [2**40, 2**40], []])
def test_impossible_reshapes(tmp_path, target):
    m = Model(1, 16)
    m("Reshape", "x", np.array(target, np.int64))
    assert refused(m.save(tmp_path)).op == "Reshape"


def test_subgraphs_and_functions(tmp_path):
    m = Model(1, 4)
    m("Sign", "x")
    proto = m.proto()
    body = helper.make_graph(
        [helper.make_node("Sign", ["x"], ["y"])],
        "body",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    proto.graph.node.append(
        helper.make_node("If", ["x"], ["z"], "branchy", then_branch=body, else_branch=body)
    )
    error = refused(stored(tmp_path, proto), "subgraph")
    assert (error.node, error.op) == ("branchy", "If")
    proto = m.proto()
    proto.functions.append(
        helper.make_function(
            "d",
            "f",
            ["a"],
            ["b"],
            [helper.make_node("Sign", ["a"], ["b"])],
            [helper.make_opsetid("", 13)],
        )
    )
    refused(stored(tmp_path, proto), "functions")


def test_versions(tmp_path):
    m = Model(1, 4)
    m("Sign", "x")
    for field, value, text in (("ir_version", 2, "IR version 2"), ("ir_version", 99, "99")):
        proto = m.proto()
        setattr(proto, field, value)
        refused(stored(tmp_path, proto), text)
    for versions in ([], [6], [999], [9, 13]):
        proto = m.proto()
        del proto.opset_import[:]
        proto.opset_import.extend(helper.make_opsetid("", v) for v in versions)
        refused(stored(tmp_path, proto), "operator set")


def test_too_many_nodes(tmp_path):
    proto = Model(1, 4)
    proto("Sign", "x")
    proto = proto.proto()
    proto.graph.node.extend([helper.make_node("Sign", ["x"], [f"y{i}"]) for i in range(MAX_NODES)])
    refused(stored(tmp_path, proto), "nodes", megabytes=64)


def test_a_long_chain_is_no_recursion(tmp_path):
    m = Model(1, 4)
    y = "x"
    for _ in range(5000):
        y = m("Relu", y)
    assert len(read(m.save(tmp_path)).ops) == 5000


@pytest.fixture
def external(tmp_path):
    """A model with its weights in another file; give it a location and a size."""
    folder = tmp_path / "model"
    folder.mkdir()
    weights = signs(RNG, 4, 2)
    (folder / "w.bin").write_bytes(bytes(8) + weights.tobytes())
    (tmp_path / "outside.bin").write_bytes(weights.tobytes())
    (tmp_path / "model-2").mkdir()
    (tmp_path / "model-2" / "w.bin").write_bytes(weights.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "up").symlink_to(tmp_path)

    def make(location, **entries):
        proto = initializer(dims=entries.pop("dims", [4, 2]))
        tensor = proto.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **entries}.items():
            tensor.external_data.add(key=key, value=str(value))
        return stored(folder, proto)

    return make, weights, tmp_path


def test_external_data_beside_the_model(external):
    make, weights, _ = external
    for entries in ({"offset": 8}, {"offset": 8, "length": 32}):
        (conv,) = read(make("w.bin", **entries)).ops
        np.testing.assert_array_equal(conv.weights[:, 0, 0].T, weights)


def test_external_data_elsewhere(external):
    make, _, folder = external
    for location in (
        "../outside.bin",
        str(folder / "outside.bin"),
        "link.bin",
        "up/outside.bin",
        "../model-2/w.bin",
        "../model/../outside.bin",
        "",
        "/etc/passwd",
        "..\\outside.bin",
    ):
        refused(make(location), "inside the model's own folder")
    refused(make("absent.bin"), "cannot be opened")
    refused(make("."), "no regular file")


def test_external_data_that_lies(external):
    make, _, _ = external
    for entries in (
        {"offset": 9},
        {"offset": -1},
        {"offset": 2**62},
        {"length": 31},
        {"length": -1},
        {"dims": [2**13, 2**13]},
    ):
        refused(make("w.bin", **entries), "w.bin")
    refused(make("w.bin", offset="eight"), "no number")
    refused(make("w.bin", dims=[2**31, 2**31]), "too large")


def test_hostile_quantisers(tmp_path):
    m = Model(1, 4)
    m("MatMul", "x", m.quant(f32(np.ones((4, 2))), 2**40))
    assert refused(m.save(tmp_path), "whole number").op == "Quant"
    m = Model(1, 4)
    m("MatMul", "x", m("BipolarQuant", f32(np.ones((4, 2))), f32(np.ones((9, 9))), domain=QONNX))
    assert refused(m.save(tmp_path), "do not fit").op == "BipolarQuant"
    m = Model(1, 4)
    m("MultiThreshold", "x", f32(np.full((4, 2), np.inf)), domain=QONNX, out_dtype="INT2")
    refused(m.save(tmp_path), "not finite")


@pytest.mark.parametrize("width", [np.inf, -np.inf, 1e30, 2.5, 0, 25])
def test_bit_widths_that_are_none(tmp_path, width):
    m = Model(1, 4)
    m("MatMul", m.quant("x", width), signs(np.random.default_rng(0), 4, 2))
    with pytest.raises(UnsupportedModel, match="bit width is not one whole number"):
        read(m.save(tmp_path))


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        ("Reshape", [f32(1, np.inf)]),
        ("Unsqueeze", [f32(np.inf)]),
        ("ReduceSum", [f32(np.inf)]),
        ("Tile", [f32(1, np.inf)]),
        ("Expand", [f32(1, np.inf)]),
        ("Pad", [f32(0, np.inf, 0, 0)]),
        ("Gather", [f32(np.inf)]),
        ("Slice", [f32(np.inf), f32(np.inf)]),
    ],
)
def test_shapes_and_axes_that_are_no_integers(tmp_path, op, operands):
    m = Model(1, 4)
    m("MatMul", m(op, "x", *operands), signs(np.random.default_rng(0), 4, 2))
    with pytest.raises(UnsupportedModel, match=f"{op}_0"):
        read(m.save(tmp_path))


def test_repeats_beyond_all_bounds(tmp_path):
    for op, operand in (("Tile", [1, 1 << 40]), ("Expand", [1 << 40, 4])):
        m = Model(1, 4)
        m("MatMul", m(op, "x", np.array(operand)), signs(np.random.default_rng(0), 4, 2))
        with pytest.raises(UnsupportedModel, match="its result of .* is too large"):
            read(m.save(tmp_path))


def test_constants_that_become_nan(tmp_path):
    m = Model(1, 4)
    m("Add", "x", m("Sqrt", f32(-1)))
    assert refused(m.save(tmp_path), "NaN").op == "Sqrt"


def test_constant_nodes(tmp_path):
    m = Model(1, 4)
    m("Add", "x", m("Constant", value_strings=["1.0"]))
    assert refused(m.save(tmp_path), "plain tensor").op == "Constant"
    m = Model(1, 4)
    y = m("Add", "x", m("Constant", value_float=2.0))
    y = m("Reshape", y, m("Constant", value_ints=[1, 4]))
    y = m("Mul", y, m("Constant", value=helper.make_tensor("v", TensorProto.FLOAT, [], [3.0])))
    m("Sub", y, m("Constant", value_floats=[4.0]))
    assert [op.value for op in read(m.save(tmp_path)).ops] == [2, 3, 4]


def test_constant_nodes_hold_lists_of_any_length(tmp_path):
    for name, kind in (("value_floats", np.float32), ("value_ints", np.int64)):
        m = Model(1, 70)
        listed = [kind(i % 3 - 1).item() for i in range(70)]
        m("Add", "x", m("Cast", m("Constant", **{name: listed}), to=TensorProto.FLOAT))
        (op,) = read(m.save(tmp_path)).ops
        np.testing.assert_array_equal(op.value.ravel(), listed)
