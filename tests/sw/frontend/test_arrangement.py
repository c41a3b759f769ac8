"""Operations that move features: whatever is put together of moves, they make exactly that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from xnorflow.frontend.arrangement import arranged
from xnorflow.frontend.node import Node
from xnorflow.frontend.tensors import TensorReader
from xnorflow.graph import execute, join_ops, ops

NODE = Node(helper.make_node("Add", ["a", "b"], ["c"], "sum"), 0, TensorReader("."), 13)
SIZES = st.integers(1, 5)


def positions(*frame):
    return np.arange(np.prod(frame), dtype=np.int64).reshape(frame)


def made(moves, frame):
    """Return the positions that operations bring to each place; -1000 for padding."""
    graph = ops.Graph("moves", frame, moves)
    x = positions(*frame)[None].astype(np.float64)
    *_, (_, values) = execute.run(graph, x)
    return values[0]


def check(frame, wanted, pad=-1000.0):
    moves = arranged(NODE, frame, wanted, pad)
    if moves is not None:
        np.testing.assert_array_equal(made(moves, frame), np.where(wanted < 0, pad, wanted))
    return moves


@st.composite
def moved(draw, least=1):
    frame = draw(SIZES), draw(SIZES), draw(SIZES) * least
    return frame, positions(*frame)


def cut(draw, wanted):
    for axis in (0, 1):
        n = wanted.shape[axis]
        first = draw(st.integers(0, n - 1))
        wanted = wanted.take(np.arange(first, draw(st.integers(first + 1, n))), axis)
    return wanted


@given(st.data())
def test_stretches_and_crops(data):
    frame, wanted = data.draw(moved())
    wanted = wanted[..., data.draw(st.permutations(range(frame[2])))]
    fy, fx = data.draw(SIZES), data.draw(SIZES)
    wanted = cut(data.draw, wanted.repeat(fy, 0).repeat(fx, 1))
    assert check(frame, wanted) is not None


@given(st.data())
def test_blocks(data):
    fy, fx = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    (h, w, c), wanted = data.draw(moved(fy * fx))
    wanted = wanted[..., data.draw(st.permutations(range(c)))]
    wanted = wanted.reshape(h, w, fy, fx, -1).swapaxes(1, 2).reshape(h * fy, w * fx, -1)
    assert check((h, w, c), wanted) is not None
    moves = check((h, w, c), cut(data.draw, wanted))
    assert moves is not None or min(h, w) < 3


@given(st.data())
def test_every_nth_pixel(data):
    frame, wanted = data.draw(moved())
    steps = data.draw(SIZES), data.draw(SIZES)
    channels = data.draw(st.lists(st.integers(0, frame[2] - 1), min_size=1, max_size=6))
    wanted = cut(data.draw, wanted)[:: steps[0], :: steps[1], channels]
    assert check(frame, wanted) is not None


@given(st.data())
def test_padding(data):
    frame, wanted = data.draw(moved())
    wanted = cut(data.draw, wanted)[..., data.draw(st.permutations(range(frame[2])))]
    if data.draw(st.booleans()):
        wanted = wanted[::2, ::2]
    pads = [(data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))) for _ in range(3)]
    wanted = np.pad(wanted, pads, constant_values=-1)
    assert check(frame, wanted, data.draw(st.sampled_from([0.0, 1.0, -1.0]))) is not None


@given(st.data())
def test_one_pixel_of_any_features(data):
    frame, wanted = data.draw(moved())
    picked = data.draw(st.lists(st.integers(0, wanted.size - 1), min_size=1, max_size=9))
    assert check(frame, np.array(picked).reshape(1, 1, -1)) is not None


@given(st.data())
def test_anything_else_is_made_or_left(data):
    frame, wanted = data.draw(moved())
    shape = data.draw(SIZES), data.draw(SIZES), data.draw(SIZES)
    size = int(np.prod(shape))
    values = data.draw(st.lists(st.integers(-1, wanted.size - 1), min_size=size, max_size=size))
    check(frame, np.array(values).reshape(shape))


def test_what_is_in_place_takes_nothing():
    assert arranged(NODE, (3, 4, 5), positions(3, 4, 5)) == ()


def test_turned_maps_are_not_made():
    assert arranged(NODE, (3, 3, 2), positions(3, 3, 2).swapaxes(0, 1)) is None


@pytest.mark.parametrize("part", ["crop", "pick", "flat", "shuffle"])
def test_the_least_is_taken(part):
    frame, wanted = (4, 6, 8), positions(4, 6, 8)
    match part:
        case "crop":
            (op,) = arranged(NODE, frame, wanted[1:3, :4])
            assert isinstance(op, join_ops.StretchOp) and op.crop == (1, 0, 1, 2)
        case "pick":
            (op,) = arranged(NODE, frame, wanted[..., 2:4])
            assert op.weights.shape == (2, 1, 1, 8)
        case "flat":
            (op,) = arranged(NODE, frame, wanted.reshape(1, 1, -1))
            assert isinstance(op, ops.FlattenOp)
        case "shuffle":
            shuffled = wanted.reshape(4, 6, 2, 4).swapaxes(2, 3).reshape(frame)
            (op,) = arranged(NODE, frame, shuffled)
            assert op.weights.shape == (8, 1, 1, 8)


def test_a_pick_that_is_too_large_is_not_made():
    wanted = positions(1, 1, 1 << 14)[..., ::-1]
    assert arranged(NODE, (1, 1, 1 << 14), wanted) is None
