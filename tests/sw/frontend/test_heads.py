"""Networks with several outputs, or with maps as outputs, against ONNX Runtime."""

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import read

from .branching import agrees, conv, executed, head, imported, kinds, saved, trunk
from .onnx_models import Model, f32, signs


def ints(*values):
    return np.array(values, np.int64)


def map_model(channels=2, size=6):
    m = Model(1, channels, size, size)
    return m, trunk(m)


def test_two_heads_of_a_trunk(tmp_path):
    m, s = map_model()
    first = head(m, s, 144, 3)
    second = head(m, m("Sign", m("Add", conv(m, s, 4, 4), f32(0.5))), 144, 5)
    graph = agrees(m, tmp_path, first, second)
    assert [(o.name, o.shape) for o in graph.outputs] == [(first, (3,)), (second, (5,))]
    names = {op.name for op in graph.ops}
    assert {o.value for o in graph.outputs} <= names
    assert all(np.array_equal(o.gather, np.arange(len(o.gather))) for o in graph.outputs)


@pytest.mark.parametrize("last", [False, True])
def test_a_map(tmp_path, last):
    m, s = map_model()
    y = conv(m, s, 4, 3)
    graph = agrees(m, tmp_path, m("Transpose", y, perm=[0, 2, 3, 1]) if last else y)
    if last:
        # The scores of the frame as they are, as ever.
        assert graph.chain and kinds(graph)[-1] == "FlattenOp"
    else:
        (output,) = graph.outputs
        assert output.shape == (3, 6, 6) and kinds(graph)[-1] == "ConvOp"
        want = np.arange(108).reshape(6, 6, 3).transpose(2, 0, 1).ravel()
        np.testing.assert_array_equal(output.gather, want)


def test_maps_of_several_scales(tmp_path):
    m, s = map_model()
    small = m("MaxPool", s, kernel_shape=[2, 2], strides=[2, 2])
    boxes, far = conv(m, s, 4, 5, 1), conv(m, small, 4, 5, 1)
    flat = m("Reshape", m("Transpose", far, perm=[0, 2, 3, 1]), ints(1, 9, 5))
    graph = agrees(m, tmp_path, boxes, flat)
    assert [o.shape for o in graph.outputs] == [(5, 6, 6), (9, 5)]


def test_part_of_a_vector_and_the_whole(tmp_path):
    m, s = map_model()
    y = head(m, s, 144, 6)
    graph = agrees(m, tmp_path, m("Slice", y, ints(1), ints(6), ints(1), ints(2)), y)
    assert [o.gather.tolist() for o in graph.outputs] == [[1, 3, 5], [*range(6)]]
    assert len({o.value for o in graph.outputs}) == 1


def test_an_upsampled_map_is_repeated_by_the_host(tmp_path):
    m, s = map_model()
    y = m("Resize", conv(m, s, 4, 3), "", f32(1, 1, 2, 2))
    graph = agrees(m, tmp_path, y)
    assert "StretchOp" not in kinds(graph)
    assert graph.outputs[0].shape == (3, 12, 12)


@pytest.mark.parametrize("op", ["Softmax", "ArgMax", "TopK"])
def test_ends_of_each_head(tmp_path, op):
    m, s = map_model()
    first, second = head(m, s, 144, 3), head(m, s, 144, 5)
    ends = []
    for y in (first, second):
        match op:
            case "TopK":
                ends.append(m("TopK", y, ints(1), outputs=2))
            case _:
                ends.append(m(op, y, axis=1))
    graph = read(saved(m, tmp_path, *ends))
    assert [o.shape for o in graph.outputs] == [(3,), (5,)]
    assert sum("at the end was dropped" in note for note in graph.notes) == 2
    x = f32(np.random.default_rng(1).integers(0, 256, (4, 2, 6, 6)))
    want = executed(saved(m, tmp_path, first, second), x)
    np.testing.assert_allclose(imported(graph, x), want, atol=1e-3)


def test_scores_and_what_is_made_of_them_are_one_output(tmp_path):
    m, s = map_model()
    y = head(m, s, 144, 3)
    graph = read(saved(m, tmp_path, y, m("Softmax", y, axis=1)))
    assert graph.chain
    (note,) = (n for n in graph.notes if "left out" in n)
    assert repr(y) in note and not any("dropped:" in n for n in graph.notes)


@pytest.mark.parametrize("op", ["Softmax", "ArgMax"])
def test_ends_of_each_pixel(tmp_path, op):
    m, s = map_model()
    y = conv(m, s, 4, 3)
    graph = read(saved(m, tmp_path, m(op, y, axis=1)))
    assert graph.outputs[0].shape == (3, 6, 6)
    assert any("order of the scores of a pixel" in note for note in graph.notes)


def test_what_no_output_needs_is_left_out(tmp_path):
    m, s = map_model()
    m("Einsum", s, equation="nchw->nchw")
    y = m("Add", s, conv(m, s, 4, 4))
    head(m, y, 144)
    graph = agrees(m, tmp_path)
    assert any(note.startswith("1 node") for note in graph.notes)
    m = Model(1, 2, 6, 6)
    s = trunk(m)
    m("Einsum", s, equation="nchw->nchw")
    head(m, s, 144)
    assert not read(saved(m, tmp_path)).notes


def test_parts_that_nothing_reads(tmp_path):
    m, s = map_model()
    y = conv(m, s, 4, 6)
    m("Split", y, ints(2, 4), outputs=2, axis=1)
    head(m, m("Add", m.nodes[-1].output[1], s), 144)
    agrees(m, tmp_path)


def test_outputs_that_are_refused(tmp_path):
    m, s = map_model()
    padded = m("Pad", conv(m, s, 4, 3), ints(0, 0, 1, 1, 0, 0, 1, 1))
    with pytest.raises(UnsupportedModel, match="the output is padded"):
        read(saved(m, tmp_path, padded, s))
    m, s = map_model()
    constant = m("Add", f32(1, 2), f32(3, 4))
    with pytest.raises(UnsupportedModel, match="does not depend on the input"):
        read(saved(m, tmp_path, s, constant))
    m = Model(1, 2, 6, 6)
    turned = m("Transpose", "x", perm=[0, 2, 3, 1])
    y = m("Conv", "x", signs(np.random.default_rng(1), 3, 2, 3, 3))
    with pytest.raises(UnsupportedModel, match="is the input in another order"):
        read(saved(m, tmp_path, turned, y))
