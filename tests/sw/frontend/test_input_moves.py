"""What a file does to the order of its input is computed, whatever it is: ONNX Runtime says so."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xnorflow as xf
from xnorflow.frontend import read
from xnorflow.lower import lower

from .onnx_models import Model, f32, signs

RNG = np.random.default_rng(14)


def executed(path, x):
    """Scores of ONNX Runtime, one frame after the other; `x` in the file's own shape."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.array([session.run(None, {"x": f[None].astype(np.float32)})[0].ravel() for f in x])


def same_order(scores, floats):
    """Whether all pairs of scores of a frame are ordered as the floats are."""
    a, b = (np.sign(s[:, :, None] - s[:, None]) for s in (scores, floats))
    return np.array_equal(a, b)


def samples(shape, count=6):
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8)


def classifier(m, y, features):
    """Ends a network whose last features are as many as that."""
    m("MatMul", m("Flatten", y), signs(RNG, features, 5))


def convolved(m, y, channels, size):
    """A convolution over features [1, channels, *size], its signs classified."""
    rows, columns = size
    y = m("Conv", y, signs(RNG, 4, channels, 2, 3), pads=[1, 0, 0, 1], strides=[1, 2])
    y = m("BatchNormalization", y, *[f32(RNG.uniform(0.5, 2, 4)) for _ in range(4)])
    classifier(m, m("Sign", y), 4 * rows * ((columns + 1 - 3) // 2 + 1))


def quantised(m, x="x"):
    return m("Sign", m("Sub", x, f32(127.5)))


MOVES = {
    "rows and columns swapped": ((3, 4, 5), ([0, 1, 3, 2],), (3, (5, 4))),
    "channels last in the file": ((4, 5, 3), ([0, 3, 1, 2],), (3, (4, 5))),
    "rows as channels": ((3, 4, 5), ([0, 2, 1, 3],), (4, (3, 5))),
    "all turned": ((3, 4, 5), ([0, 2, 3, 1],), (4, (5, 3))),
    "channels shuffled": (
        (4, 4, 5),
        ((1, 2, 2, 4, 5), [0, 2, 1, 3, 4], (1, 4, 4, 5)),
        (4, (4, 5)),
    ),
    "read as another shape": ((3, 4, 5), ((1, 5, 3, 4),), (5, (3, 4))),
    "flat": ((60,), ((1, 3, 4, 5),), (3, (4, 5))),
    "flat, channels last": ((60,), ((1, 4, 5, 3), [0, 3, 1, 2]), (3, (4, 5))),
    "space to depth by hand": (
        (3, 4, 6),
        ((1, 3, 2, 2, 3, 2), [0, 1, 3, 5, 2, 4], (1, 12, 2, 3)),
        (12, (2, 3)),
    ),
}


@pytest.mark.parametrize("after_quantiser", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_moves_ahead_of_a_convolution(tmp_path, name, after_quantiser):
    shape, moves, (channels, size) = MOVES[name]
    m = Model(1, *shape)
    y = quantised(m) if after_quantiser else "x"
    for to in moves:
        y = m("Reshape", y, np.array(to)) if isinstance(to, tuple) else m("Transpose", y, perm=to)
    convolved(m, y if after_quantiser else quantised(m, y), channels, size)
    path = m.save(tmp_path)
    x = samples(shape)
    net = xf.load(path)
    want = executed(path, x)
    assert same_order(net(x), want) and np.unique(want).size > 1
    assert same_order(net(x.reshape(len(x), -1)), want)


def picks(m, y, kind):
    """Pick features of [1, 3, 4, 6] in one of the ways that files do; returns channels, size."""
    match kind:
        case "flip":
            return m("Gather", y, np.array([2, 1, 0]), axis=1), 3, (4, 6)
        case "one channel":
            return m("Gather", y, np.array([1]), axis=1), 1, (4, 6)
        case "crop":
            ends = (np.array([1, 1]), np.array([4, 6]), np.array([2, 3]))
            return m("Slice", y, *ends), 3, (3, 5)
        case "every second, backwards":
            picked = (np.array([-1]), np.array([-99]), np.array([3]), np.array([-2]))
            return m("Slice", y, *picked), 3, (4, 3)
        case "mirror twice":
            columns = (np.array([-1]), np.array([-99]), np.array([3]), np.array([-1]))
            return m("Concat", y, m("Slice", y, *columns), axis=3), 3, (4, 12)
        case "split and join":
            m("Split", y, np.array([1, 1, 1]), outputs=3, axis=1)
            a, b, c = m.nodes[-1].output
            return m("Concat", c, b, a, axis=1), 3, (4, 6)
        case "focus":
            parts = []
            for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
                starts, ends = np.array([row, column]), np.array([99, 99])
                parts.append(m("Slice", y, starts, ends, np.array([2, 3]), np.array([2, 2])))
            return m("Concat", *parts, axis=1), 12, (2, 3)
        case "space to depth":
            return m("SpaceToDepth", y, blocksize=2), 12, (2, 3)
        case "tile":
            return m("Tile", y, np.array([1, 2, 1, 1])), 6, (4, 6)


KINDS = (
    "flip",
    "one channel",
    "crop",
    "every second, backwards",
    "mirror twice",
    "split and join",
    "focus",
    "space to depth",
    "tile",
)


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_picked_or_read_twice(tmp_path, kind):
    m = Model(1, 3, 4, 6)
    y, channels, size = picks(m, quantised(m), kind)
    convolved(m, y, channels, size)
    path = m.save(tmp_path)
    x = samples((3, 4, 6))
    want = executed(path, x)
    assert same_order(xf.load(path)(x), want) and np.unique(want).size > 1


@pytest.mark.parametrize("kind", ["flip", "one channel", "split and join", "tile"])
def test_channels_picked_behind_the_first_layer(tmp_path, kind):
    m = Model(1, 2, 4, 6)
    y = m("Sign", m("Add", m("Conv", quantised(m), signs(RNG, 3, 2, 1, 1)), f32(0.5)))
    y, channels, size = picks(m, y, kind)
    convolved(m, y, channels, size)
    path = m.save(tmp_path)
    x = samples((2, 4, 6))
    want = executed(path, x)
    assert same_order(xf.load(path)(x), want) and np.unique(want).size > 1


def test_rows_and_columns_swapped_between_layers(tmp_path):
    m = Model(1, 2, 5, 6)
    y = m("Sign", m("Add", m("Conv", quantised(m), signs(RNG, 3, 2, 2, 1)), f32(0.5)))
    y = m("Transpose", y, perm=[0, 1, 3, 2])
    y = m("MaxPool", y, kernel_shape=[1, 2], strides=[1, 1])
    convolved(m, y, 3, (6, 3))
    path = m.save(tmp_path)
    x = samples((2, 5, 6))
    want = executed(path, x)
    assert same_order(xf.load(path)(x), want) and np.unique(want).size > 1


def test_a_dense_layer_of_some_features_of_a_map(tmp_path):
    m = Model(1, 2, 3, 4)
    y = m("Sign", m("Add", m("Conv", quantised(m), signs(RNG, 3, 2, 1, 1)), f32(0.5)))
    y = m("Slice", m("Flatten", y), np.array([5]), np.array([30]), np.array([1]))
    m("MatMul", y, signs(RNG, 25, 4))
    path = m.save(tmp_path)
    x = samples((2, 3, 4))
    want = executed(path, x)
    assert same_order(xf.load(path)(x), want) and np.unique(want).size > 1


def test_constants_per_channel_go_with_the_channels(tmp_path):
    m = Model(1, 4, 5, 3)
    y = m("Sign", m("Sub", "x", f32(100, 120, 140)))
    convolved(m, m("Transpose", y, perm=[0, 3, 1, 2]), 3, (4, 5))
    path = m.save(tmp_path)
    graph = read(path)
    assert graph.shape == (4, 5, 3)
    np.testing.assert_array_equal(graph.ops[0].value, [100, 120, 140])
    x = samples((4, 5, 3))
    assert same_order(lower(graph)(x), executed(path, x))


def test_constants_that_would_differ_from_pixel_to_pixel_are_blamed(tmp_path):
    m = Model(1, 3, 4, 5)
    y = m("Sign", m("Sub", m("Mul", "x", f32(RNG.uniform(1, 2, (3, 1, 1)))), f32(200)))
    convolved(m, m("Transpose", y, perm=[0, 2, 1, 3]), 4, (3, 5))
    with pytest.raises(xf.UnsupportedModel, match="differs from pixel to pixel") as e:
        read(m.save(tmp_path))
    assert e.value.op == "Mul"


def test_a_constant_for_each_sample_of_a_dense_network(tmp_path):
    m = Model(1, 3, 4, 5)
    classifier(m, m("Sign", m("Sub", "x", f32(RNG.uniform(0, 255, (3, 4, 5))))), 60)
    path = m.save(tmp_path)
    x = samples((3, 4, 5))
    net = xf.load(path)
    assert same_order(net(x), executed(path, x))
    assert same_order(net(x.transpose(0, 2, 3, 1)), executed(path, x))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_chain_of_moves(tmp_path_factory, data):
    shape = data.draw(st.permutations([2, 3, 4]))
    m = Model(1, *shape)
    y, now = quantised(m), [1, *shape]
    for _ in range(data.draw(st.integers(0, 4))):
        if data.draw(st.booleans()):
            perm = [0, *(1 + a for a in data.draw(st.permutations(range(len(now) - 1))))]
            y, now = m("Transpose", y, perm=perm), [now[a] for a in perm]
        else:
            now = [1, *data.draw(st.permutations([2, 3, 4]))]
            y = m("Reshape", y, np.array(now))
    _, channels, rows, columns = now
    y = m("Conv", y, signs(RNG, 3, channels, 2, 1), pads=[1, 1, 0, 0])
    y = m("Sign", m("Add", y, f32(0.5)))
    classifier(m, y, 3 * rows * (columns + 1))
    path = m.save(tmp_path_factory.mktemp("moves"))
    x = samples(shape)
    assert same_order(xf.load(path)(x), executed(path, x))


def test_data_may_be_channels_last_or_flat(tmp_path):
    m = Model(1, 3, 4, 5)
    convolved(m, quantised(m), 3, (4, 5))
    path = m.save(tmp_path)
    x = samples((3, 4, 5))
    net, want = xf.load(path), executed(path, x)
    last = x.transpose(0, 2, 3, 1)
    for given_x in (x, last, x.reshape(6, -1)):
        assert same_order(net(given_x), want)
    said = xf.load(path, layout="nhwc")
    assert same_order(said(last), want) and same_order(said(last.reshape(6, -1)), want)
    with pytest.raises(xf.BadInput, match=r"x.transpose\(0, 2, 3, 1\), which is channels last"):
        said(x)
    own = xf.load(path, layout="file")
    assert same_order(own(x), want)
    with pytest.raises(xf.BadInput, match=r"x.transpose\(0, 3, 1, 2\), which is the file's own"):
        own(last)
    assert same_order(xf.load(path, layout="nchw")(x), want)
    with pytest.raises(xf.BadInput, match="layout 'hwc' is unknown; file, nhwc, nchw are known"):
        xf.load(path, layout="hwc")


def test_a_file_with_channels_last_takes_them_first_if_asked(tmp_path):
    m = Model(1, 4, 5, 3)
    convolved(m, m("Transpose", quantised(m), perm=[0, 3, 1, 2]), 3, (4, 5))
    path = m.save(tmp_path)
    x = samples((4, 5, 3))
    want = executed(path, x)
    assert same_order(xf.load(path)(x), want)
    with pytest.raises(xf.BadInput, match="do not fit"):
        xf.load(path)(x.transpose(0, 3, 1, 2))
    assert same_order(xf.load(path, layout="nchw")(x.transpose(0, 3, 1, 2)), want)


def test_a_file_with_one_channel_last(tmp_path):
    m = Model(1, 4, 5, 1)
    convolved(m, m("Transpose", quantised(m), perm=[0, 3, 1, 2]), 1, (4, 5))
    path = m.save(tmp_path)
    x = samples((4, 5, 1))
    want = executed(path, x)
    for layout in (None, "file", "nhwc"):
        net = xf.load(path, layout=layout)
        for given_x in (x, x.reshape(6, -1), x[..., 0]):
            assert same_order(net(given_x), want)
    net = xf.load(path, layout="nchw")
    for given_x in (x.transpose(0, 3, 1, 2), x.reshape(6, -1)):
        assert same_order(net(given_x), want)


def test_two_readings_of_one_shape_are_noted(tmp_path):
    m = Model(1, 4, 4, 4)
    convolved(m, quantised(m), 4, (4, 4))
    path = m.save(tmp_path)
    x = samples((4, 4, 4))
    want = executed(path, x)
    net = xf.load(path)
    assert same_order(net(x), want) and "--layout nhwc" in net.notes[0]
    said = xf.load(path, layout="nhwc")
    assert same_order(said(x.transpose(0, 2, 3, 1)), want) and not said.notes


def test_a_layout_that_nothing_tells_is_asked_for(tmp_path):
    m = Model(1, 5, 4, 2)
    classifier(m, quantised(m), 40)
    path = m.save(tmp_path)
    x = samples((5, 4, 2))
    assert same_order(xf.load(path)(x), executed(path, x))
    with pytest.raises(xf.BadInput, match="are these channels last"):
        xf.load(path)(x.transpose(0, 2, 3, 1))
    said = xf.load(path, layout="nhwc")
    assert same_order(said(x.transpose(0, 2, 3, 1)), executed(path, x))


def test_pictures_for_a_file_that_makes_them_of_a_row(tmp_path):
    m = Model(1, 60)
    convolved(m, m("Reshape", quantised(m), np.array([1, 3, 4, 5])), 3, (4, 5))
    path = m.save(tmp_path)
    x = samples((3, 4, 5))
    want = executed(path, x.reshape(6, 60))
    assert same_order(xf.load(path)(x.reshape(6, 60)), want)
    last = x.transpose(0, 2, 3, 1)
    with pytest.raises(xf.BadInput, match="are these pictures with the channels last"):
        xf.load(path)(last)
    assert same_order(xf.load(path, layout="nhwc")(last), want)
    assert same_order(xf.load(path, layout="nchw")(x), want)


@pytest.mark.parametrize("layout", [None, "file", "nhwc", "nchw"])
def test_a_row_that_is_cut_has_one_order(tmp_path, layout):
    m = Model(1, 20)
    m(
        "MatMul",
        m("Slice", quantised(m), np.array([9]), np.array([1]), np.array([1]), np.array([-1])),
        signs(RNG, 8, 3),
    )
    path = m.save(tmp_path)
    x = samples((20,))
    net = xf.load(path, layout=layout)
    assert net.shape == (1, 1, 8)
    assert same_order(net(x), executed(path, x))


def test_the_order_is_kept_in_the_network_file(tmp_path):
    from xnorflow.ir import file as ir_file

    m = Model(1, 3, 4, 5)
    convolved(m, m("Transpose", quantised(m), perm=[0, 2, 1, 3]), 4, (3, 5))
    net = xf.load(m.save(tmp_path))
    ir_file.save(net, tmp_path / "network.npz")
    again = xf.load(tmp_path / "network.npz")
    x = samples((3, 4, 5))
    np.testing.assert_array_equal(again(x), net(x))
    assert again.digest == net.digest


def test_several_functions_of_the_input_are_brought_into_another_order_together(tmp_path):
    m = Model(1, 4, 5, 2)
    doubled, turned = m("Mul", "x", f32(2)), m("Sub", f32(200), "x")
    # Only the constants tell that the last axis is the channels.
    larger = m("Greater", doubled, f32(150, 300))
    y = m("Sign", m("Sub", m("Where", larger, doubled, turned), f32(127.5)))
    convolved(m, m("Transpose", y, perm=[0, 3, 1, 2]), 2, (4, 5))
    path = m.save(tmp_path)
    net, x = xf.load(path), samples((4, 5, 2))
    assert net.shape == (4, 5, 2)
    assert same_order(net(x), executed(path, x))


def test_functions_of_one_input_in_different_orders_are_a_branch(tmp_path):
    m = Model(1, 4, 4, 4)
    y = m("Add", m("Transpose", "x", perm=[0, 2, 1, 3]), m("Abs", "x"))
    convolved(m, m("Sign", m("Sub", y, f32(200))), 4, (4, 4))
    with pytest.raises(xf.UnsupportedModel, match=r"Add.*branch"):
        read(m.save(tmp_path))


def test_parts_of_the_input_may_be_joined_again(tmp_path):
    m = Model(1, 4, 4, 5)
    y = quantised(m)
    halves = [m("Slice", y, ints(a), ints(b), ints(1)) for a, b in ((2, 4), (0, 2))]
    convolved(m, m("Concat", *halves, axis=1), 4, (4, 5))
    path = m.save(tmp_path)
    x = samples((4, 4, 5))
    assert same_order(xf.load(path)(x), executed(path, x))


def ints(*values):
    return np.array(values)


@pytest.mark.parametrize("layout", [None, "nhwc", "nchw", "file"])
def test_data_can_be_brought_into_the_file_s_own_order(tmp_path, layout):
    m = Model(1, 3, 4, 5)
    convolved(m, quantised(m), 3, (4, 5))
    net = xf.load(m.save(tmp_path), layout=layout)
    x = samples((3, 4, 5))
    last = x.transpose(0, 2, 3, 1)
    given_x = last if layout == "nhwc" else x
    forms = [given_x, given_x.reshape(6, -1)] + ([last] if layout is None else [])
    for form in forms:
        np.testing.assert_array_equal(net.input_order.samples(form, net.shape), x)
    m = Model(1, 60)
    convolved(m, m("Reshape", quantised(m), ints(1, 3, 4, 5)), 3, (4, 5))
    net = xf.load(m.save(tmp_path), layout=layout)
    form = {"nhwc": last, "nchw": x}.get(layout or "", x.reshape(6, -1))
    np.testing.assert_array_equal(net.input_order.samples(form, net.shape), x.reshape(6, 60))


@pytest.mark.parametrize("repeated", [False, True])
def test_gemm_that_transposes_its_features(tmp_path, repeated):
    if repeated:
        m = Model(1, 6)
        y = m("Concat", "x", m("Slice", "x", np.array([0]), np.array([2]), np.array([1])), axis=1)
        y = m("Gemm", m("Transpose", y), signs(RNG, 8, 5), transA=1)
    else:
        m = Model(1, 4, 4)
        y = m("Transpose", m("Squeeze", "x", np.array([0])))
        y = m("Gemm", y, signs(RNG, 4, 5), transA=1)
        y = m("Reshape", m("Sign", m("Sub", y, f32(0.5))), np.array([1, -1]))
        y = m("MatMul", y, signs(RNG, 20, 5))
    path, x = m.save(tmp_path), samples((6,) if repeated else (4, 4), 40)
    assert same_order(xf.load(path)(x), executed(path, x))


@pytest.mark.parametrize("copies_first", [False, True])
def test_copies_with_constants_of_their_own_meet_copies_of_one(tmp_path, copies_first):
    m = Model(1, 2, 3)
    over = m("Greater", m("Concat", "x", "x", axis=1), f32([[40], [80], [120], [160]]))
    under = m("Less", "x", f32([[200], [220]]))
    under = m("Concat", under, under, axis=1)
    y = m("And", *((over, under) if copies_first else (under, over)))
    m("MatMul", m("Flatten", m("Cast", y, to=1)), signs(RNG, 12, 5))
    path, x = m.save(tmp_path), samples((2, 3), 40)
    assert same_order(xf.load(path)(x), executed(path, x))


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 2, 3), (1, 6, 1)])
@pytest.mark.parametrize("scalar_first", [False, True])
def test_frames_of_one_order_and_other_channels_meet(tmp_path, shape, scalar_first):
    m = Model(1, *shape)
    size = int(np.prod(shape[1:]))
    limits = f32(np.linspace(20, 150, shape[-1]))
    over, under = m("Greater", "x", limits), m("Less", "x", f32(200))
    y = m("And", *((under, over) if scalar_first else (over, under)))
    m("MatMul", m("Flatten", m("Cast", y, to=1)), signs(RNG, size * shape[0], 5))
    path, x = m.save(tmp_path), samples(shape, 40)
    assert same_order(xf.load(path)(x), executed(path, x))


@pytest.mark.parametrize("turned", [False, True])
def test_pictures_of_one_channel_that_is_the_files_last(tmp_path, turned):
    m = Model(1, 4, 6, 1)
    y = m("Transpose", quantised(m), perm=[0, 3, 2, 1] if turned else [0, 3, 1, 2])
    convolved(m, y, 1, (6, 4) if turned else (4, 6))
    path = m.save(tmp_path)
    x = samples((4, 6, 1))
    want = executed(path, x)
    flat = x.reshape(len(x), -1)
    for layout, ways in {
        None: (x, flat, x[..., 0], x.transpose(0, 3, 1, 2)),
        "file": (x, flat),
        "nhwc": (x, flat),
        "nchw": (x.transpose(0, 3, 1, 2), flat),
    }.items():
        net = xf.load(path, layout=layout)
        for data in ways:
            assert same_order(net(data), want), (layout, data.shape)
