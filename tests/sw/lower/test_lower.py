"""Lowering of whole graphs: every float score comes back, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import Window
from xnorflow.lower import lower
from xnorflow.plan.layer_rules import reductions
from xnorflow_sim import golden

from . import reference
from .draw_graph import graphs


def frames(shape, seed, count=12):
    r = np.random.default_rng(seed)
    x = r.integers(0, 256, (count, *shape), np.uint8)
    x[0], x[1] = 0, 255
    x[2] = r.choice([0, 255], shape)
    x[3:6] = r.choice([0, 1, 127, 128, 254, 255], (3, *shape))
    return x


def check(graph, x):
    """Compare every score, and the order of the classes, with the float reference."""
    net = lower(graph)
    truth = reference.run(graph, x)
    scores = golden.run(net, x)
    if net.scores.floats is not None:
        np.testing.assert_array_equal(net.scores.to_float(scores), truth)
    # The same order and ties between any two classes.
    np.testing.assert_array_equal(
        np.sign(scores[:, :, None] - scores[:, None]),
        np.sign(truth[:, :, None] - truth[:, None]),
    )
    assert not [note for note in net.notes if "float sums" in note]
    return net


@settings(max_examples=150)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_random_graphs_give_every_score(graph, seed):
    try:
        check(graph, frames(graph.shape, seed))
    except UnsupportedModel as e:
        # Sums of wide pixels may need more ranks than are kept; nothing else is refused.
        assert "table of" in e.reason
        reject()


def f32(a):
    return np.asarray(a, np.float32)


def bits(seed, *shape):
    return np.random.default_rng(seed).choice([-1, 1], shape)


def norm(c, seed=0, gamma=None):
    r = np.random.default_rng(seed)
    gamma = r.standard_normal(c) if gamma is None else gamma
    return g.BatchNormOp(
        f32(gamma),
        f32(r.standard_normal(c)),
        f32(np.round(r.normal(0, 4, c))),
        f32(r.uniform(1, 20, c)),
        1e-5,
        node="norm",
        op="BatchNormalization",
    )


def conv(seed, out, inp, kernel=(3, 3), pads=(0, 0, 0, 0), **kwargs):
    window = Window(kernel, pads=pads)
    return g.ConvOp(
        bits(seed, out, *kernel, inp),
        f32(kwargs.pop("scale", 1)),
        window,
        node=f"conv{seed}",
        op="Conv",
        **kwargs,
    )


SIGN = g.BipolarQuantOp(f32(1), node="sign", op="BipolarQuant")
CENTRE = g.SubtractOp(f32(127.5), node="centre", op="Sub")


def network(*ops, shape=(6, 6, 1), **kwargs):
    return g.Graph("net", shape, ops, **kwargs)


def kinds(net):
    return [layer.kind for layer in net.layers]


def test_layers_have_names_and_sources():
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 4, 1),
        norm(4),
        SIGN,
        g.MaxPoolOp(Window((2, 2), (2, 2)), node="pool"),
        g.FlattenOp(node="flat"),
        conv(1, 5, 16, (1, 1)),
        norm(5),
        SIGN,
        conv(2, 3, 5, (1, 1)),
        g.MultiplyOp(f32(0.3), node="tail"),
    )
    net = check(graph, frames(graph.shape, 0))
    assert [(layer.name, layer.sources) for layer in net.layers] == [
        ("input", ("centre", "sign")),
        ("conv0", ("conv0",)),
        ("conv0_threshold", ("norm", "sign")),
        ("pool0", ("pool",)),
        ("flatten0", ("flat",)),
        ("dense0", ("conv1",)),
        ("dense0_threshold", ("norm", "sign")),
        ("dense1", ("conv2",)),
        ("scores", ("tail",)),
    ]
    assert [str(f.alphabet) for f in net.features[1:4]] == ["bipolar", "{-9..9}", "bipolar"]


def test_a_pool_of_sums_becomes_a_pool_of_bits_and_a_minimum_where_gamma_is_negative():
    gamma = [1, -1, 0, 2]
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 4, 1),
        g.MaxPoolOp(Window((2, 2))),
        norm(4, gamma=gamma),
        SIGN,
        g.FlattenOp(),
        conv(1, 3, 36, (1, 1)),
    )
    net = check(graph, frames(graph.shape, 0))
    assert kinds(net) == ["input", "conv", "threshold", "maxpool", "flatten", "conv", "scores"]
    np.testing.assert_array_equal(net.layers[3].minimum, [False, True, False, False])
    # The second channel's weights are negated, so that it rises.
    np.testing.assert_array_equal(net.layers[1].weights[[0, 2, 3]], graph.ops[2].weights[[0, 2, 3]])
    np.testing.assert_array_equal(net.layers[1].weights[1], -graph.ops[2].weights[1])


@pytest.mark.parametrize("groups, out", [(1, 6), (2, 6), (4, 4), (4, 8)])
def test_scales_of_channels_go_into_the_weights_of_their_group(groups, out):
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 4, 1),
        g.MultiplyOp(f32([1, 2, 4, 3])),
        conv(1, out, 4 // groups, groups=groups),
        norm(out, gamma=[1, -1] * (out // 2)),
        SIGN,
        g.FlattenOp(),
        conv(2, 3, 4 * out, (1, 1)),
    )
    net = check(graph, frames(graph.shape, 0))
    found = next(layer for layer in net.layers if layer.name == "conv1")
    assert found.groups == groups
    factors = np.repeat(np.reshape([1, 2, 4, 3], (groups, -1)), out // groups, axis=0)
    np.testing.assert_array_equal(np.abs(found.weights), factors[:, None, None] + 0 * found.weights)


def test_gammas_of_every_kind():
    gamma = [0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 1, -1, 3e38, -3e38]
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 10, 1),
        norm(10, gamma=gamma),
        SIGN,
        g.FlattenOp(),
        conv(1, 3, 160, (1, 1)),
    )
    net = check(graph, frames(graph.shape, 0))
    lo = -9
    always, never = lo, 10
    beta = graph.ops[3].beta
    for c in range(6):
        assert net.layers[2].thresholds[c] == (always if beta[c] >= 0 else never)


def test_ties_are_positive_for_bipolar_and_zero_for_sign():
    for quantiser, alphabet, at in ((SIGN, ir.BIPOLAR, [1]), (g.SignOp(), ir.TERNARY, [1, 2])):
        graph = network(
            CENTRE,
            SIGN,
            conv(0, 2, 1),
            g.AddOp(f32(-1)),
            quantiser,
            g.FlattenOp(),
            conv(1, 3, 32, (1, 1)),
        )
        net = check(graph, frames(graph.shape, 0))
        assert net.layers[2].alphabet == alphabet
        # Sums are odd: 1 is a tie, and 3 is the next.
        np.testing.assert_array_equal(net.layers[2].thresholds[0] > 1, np.array(at) > 1)


def test_sign_add_sign_is_bipolar():
    larq = (g.SignOp(), g.AddOp(f32(0.1)), g.SignOp())
    graph = network(
        CENTRE, *larq, conv(0, 4, 1, (2, 2)), *larq, g.FlattenOp(), conv(1, 3, 100, (1, 1))
    )
    net = check(graph, frames(graph.shape, 0))
    assert [net.layers[i].alphabet for i in (0, 2)] == [ir.BIPOLAR] * 2


def test_a_falling_tail_on_codes_mirrors_them():
    quant = g.QuantOp(f32(1), f32(0), 3.0, False, False)
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 3, 1),
        quant,
        g.AveragePoolOp(Window((4, 4))),
        g.SubtractOp(f32([1, 2, 3]), reverse=True),
    )
    net = check(graph, frames(graph.shape, 0))
    assert net.scores.ranks is None and net.scores.offsets.any()


@pytest.mark.parametrize(("value", "integer"), [(0.0, 0), (0.5, 1), (-0.5, -1)])
def test_paddings(value, integer):
    half = g.BipolarQuantOp(f32(0.5))
    graph = network(
        CENTRE,
        half,
        conv(0, 4, 1, pads=(1, 1, 1, 1), pad_value=value),
        norm(4),
        half,
        g.FlattenOp(),
        conv(1, 3, 144, (1, 1)),
    )
    net = check(graph, frames(graph.shape, 0))
    assert net.layers[1].pad_value == integer and net.layers[0].alphabet == ir.BIPOLAR


def test_sums_that_float32_does_not_hold_are_refused():
    large = f32(3e38)
    dense = g.ConvOp(np.ones((2, 1, 1, 4), int), large, node="dense", op="MatMul")
    with pytest.raises(UnsupportedModel, match="sums may reach 1.2e.39, which overflows") as e:
        lower(network(g.BipolarQuantOp(f32(1)), dense, shape=(1, 1, 4)))
    assert e.value.node == "dense"
    fits = g.ConvOp(np.ones((2, 1, 1, 4), int), f32(8e37), node="dense", op="MatMul")
    lower(network(g.BipolarQuantOp(f32(1)), fits, shape=(1, 1, 4)))


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 0, 1)])
@pytest.mark.parametrize(("mean", "deviation"), [(0.1307, 0.3081), (0.4914, 0.247), (0.2, 1.7)])
def test_normalised_pixels_into_a_binary_convolution(mean, deviation, pads):
    rng = np.random.default_rng(3)
    weights = rng.choice([-1, 1], (3, 2, 2, 2))
    ops = (
        g.SubtractOp(f32(mean)),
        g.DivideOp(f32(deviation)),
        g.ConvOp(weights, f32(1), Window((2, 2), pads=pads)),
        g.AddOp(f32(0.3)),
        g.BipolarQuantOp(f32(1)),
        g.FlattenOp(),
    )
    size = 3 * (2 + pads[0]) * (3 + pads[3])
    last = g.ConvOp(rng.choice([-1, 1], (4, 1, 1, size)), f32(1))
    graph = network(*ops, last, shape=(3, 4, 2), input_scale=InputScale.of(1 / 255))
    net = lower(graph)
    assert net.layers[0].alphabet.levels == 256
    x = rng.integers(0, 256, (64, 3, 4, 2), dtype=np.uint8)
    np.testing.assert_array_equal(golden.run(net, x), reference.run(graph, x).astype(int))


def test_raw_pixels_into_a_binary_convolution():
    raw = (conv(0, 4, 1), norm(4), SIGN, g.FlattenOp(), conv(1, 3, 64, (1, 1)))
    net = check(network(*raw), frames((6, 6, 1), 0))
    assert net.layers[0].alphabet == ir.UINT8 and net.notes == ()
    scaled = lower(network(*raw, input_scale=InputScale.of(1 / 255)))
    assert scaled.layers[0].alphabet == ir.UINT8
    assert any("conv0" in note and "summation" in note for note in scaled.notes)
    affine = lower(
        network(
            g.MultiplyOp(f32(2)), g.SubtractOp(f32(1)), *raw, input_scale=InputScale.of(1 / 255)
        )
    )
    assert affine.layers[0].alphabet == ir.Alphabet(-255, 2, 256)


def test_input_values_per_channel_make_a_table_per_channel():
    graph = network(
        g.SubtractOp(f32([100, 200])),
        g.MultiplyOp(f32([1, -1])),
        SIGN,
        conv(0, 4, 2),
        norm(4),
        SIGN,
        g.FlattenOp(),
        conv(1, 3, 64, (1, 1)),
        shape=(6, 6, 2),
    )
    net = check(graph, frames(graph.shape, 0))
    np.testing.assert_array_equal(net.layers[0].table.sum(1), [156, 201])


def test_averages_of_sums_and_of_codes():
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 4, 1, scale=[1, 2, 0.5, 4]),
        g.AveragePoolOp(Window((3, 3))),
        norm(4),
        SIGN,
        g.AveragePoolOp(Window((2, 2), pads=(1, 1, 0, 0)), node="avg"),
        conv(1, 3, 4, (1, 1)),
        g.AveragePoolOp(Window((2, 2))),
        g.AddOp(f32([1, 2, 3])),
    )
    net = check(graph, frames(graph.shape, 0))
    assert kinds(net) == [
        "input",
        "conv",
        "sumpool",
        "threshold",
        "sumpool",
        "conv",
        "sumpool",
        "scores",
    ]
    # Padding with 0 needs a code for it.
    assert net.layers[3].alphabet == ir.TERNARY and net.layers[4].pad_code == 1


@pytest.mark.parametrize("shift", [0, -2])  # the latter leaves nothing but zeros
def test_padded_averages_of_unsigned_codes_with_a_negative_gamma(shift):
    quant = g.QuantOp(f32(0.5), f32(0), 2.0, False, False)
    graph = network(
        g.AddOp(f32(shift)),
        quant,
        g.AveragePoolOp(Window((3, 3), pads=(1, 1, 1, 1))),
        norm(1, gamma=[-1]),
        SIGN,
        g.FlattenOp(),
        conv(1, 3, 36, (1, 1)),
        input_scale=InputScale.of(1 / 256),
    )
    check(graph, frames(graph.shape, 0))


def test_padded_averages_of_sums_that_are_never_zero():
    one_or_two = g.MultiThresholdOp(f32([[128]]), 1.0, 1.0)
    positive = g.ConvOp(np.array([1, -1]).reshape(2, 1, 1, 1), f32(1))
    graph = network(
        one_or_two,
        positive,
        g.AveragePoolOp(Window((3, 3), pads=(2, 2, 2, 2))),
        g.QuantOp(f32(0.25), f32(0), 4.0, True, False),
        g.FlattenOp(),
        conv(1, 3, 128, (1, 1)),
    )
    check(graph, frames(graph.shape, 0))


def test_activation_scales_per_channel():
    ends = (g.FlattenOp(), conv(1, 3, 32, (1, 1)))
    folded = network(CENTRE, SIGN, conv(0, 2, 1), g.BipolarQuantOp(f32([0.5, 1.5])), *ends)
    net = check(folded, frames(folded.shape, 0))
    assert net.layers[2].alphabet == ir.Alphabet(-3, 2, 4)
    odd = g.BipolarQuantOp(f32([0.5, np.sqrt(2)]), node="odd", op="BipolarQuant")
    with pytest.raises(UnsupportedModel, match="BipolarQuant node 'odd'.*one scale"):
        lower(network(CENTRE, SIGN, conv(0, 2, 1), odd, *ends))


def test_scales_that_are_no_powers_of_two_are_noted():
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 8, 1, scale=0.1),
        g.SubtractOp(f32(0.3)),
        SIGN,
        g.FlattenOp(),
        conv(1, 3, 128, (1, 1), scale=0.7),
    )
    notes = lower(graph).notes
    assert "in 8 of 8 channels" in notes[0] and "conv0" in notes[0] and "dense0" in notes[1]


def test_common_factors_of_weights_go_to_the_scale():
    w = 6 * bits(0, 3, 1, 1, 36)
    graph = network(CENTRE, SIGN, g.FlattenOp(), g.ConvOp(w, f32(0.25)))
    net = check(graph, frames(graph.shape, 0))
    assert net.layers[2].alphabet == ir.BIPOLAR


def test_batch_normalisation_behind_flatten_is_one_per_channel():
    n = norm(4)
    tiled = replace(n, **{k: np.tile(getattr(n, k), 16) for k in ("gamma", "beta", "mean", "var")})
    graph = network(CENTRE, SIGN, conv(0, 4, 1), g.FlattenOp(), tiled, SIGN, conv(1, 3, 64, (1, 1)))
    assert kinds(check(graph, frames(graph.shape, 0)))[2:4] == ["threshold", "flatten"]


DENSE = conv(1, 3, 36, (1, 1))


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ((CENTRE, SIGN), "no convolution"),
        ((CENTRE, SIGN, conv(0, 3, 1)), "ends in a map of 4 x 4"),
        ((CENTRE, SIGN, conv(0, 3, 1), norm(3), conv(1, 3, 3)), "'conv1'.*a quantiser before it"),
        (
            (
                CENTRE,
                SIGN,
                conv(0, 3, 1),
                norm(3),
                g.AveragePoolOp(Window((4, 4)), node="avg", op="Avg"),
            ),
            "Avg node 'avg'.*behind the pool",
        ),
        (
            (CENTRE, SIGN, conv(0, 3, 1, pads=(1, 1, 1, 1), pad_value=0.3)),
            "'conv0'.*padding of 0.3",
        ),
        (
            (
                g.FlattenOp(),
                g.ConvOp(
                    np.full((2, 1, 1, 36), 4001) + np.arange(36), f32(1), node="wide", op="Conv"
                ),
            ),
            "'wide'.*accumulators",
        ),
        ((g.Op(node="odd", op="Odd"), g.FlattenOp(), DENSE), "Odd node 'odd'"),
        (
            (g.MultiplyOp(f32(3e38)), g.SubtractOp(f32(3e38)), g.FlattenOp(), DENSE),
            "no integer multiples",
        ),
        (
            (
                g.FlattenOp(),
                DENSE,
                g.MultiplyOp(f32(3e38)),
                g.MultiplyOp(f32(3e38)),
                g.MultiplyOp(f32(0), node="z", op="Mul"),
            ),
            "Mul node 'z'.*NaN",
        ),
    ],
)
def test_what_has_no_integer_form_is_refused_by_name(ops, message):
    with pytest.raises(UnsupportedModel, match=message):
        lower(network(*ops))


def per_feature(seed, features):
    """Batch normalisation whose constants differ from pixel to pixel; it rises in all of them."""
    r = np.random.default_rng(seed)
    gamma, beta, mean = (f32(r.normal(size=features)) for _ in range(3))
    return g.BatchNormOp(np.abs(gamma), beta, 9 * mean, f32(r.uniform(0.5, 2, features)), 0.001)


@pytest.mark.parametrize("pooled", [False, True])
def test_what_differs_from_pixel_to_pixel_behind_a_flattening_has_hardware(pooled):
    """Hardware applies thresholds to results of a stage, so a pool of one tap carries them."""
    pool = (g.MaxPoolOp(Window((2, 2), (2, 2))),) if pooled else ()
    size = 4 if pooled else 16
    graph = network(
        CENTRE,
        SIGN,
        conv(0, 4, 1),
        *pool,
        g.FlattenOp(),
        per_feature(1, 4 * size),
        SIGN,
        conv(1, 3, 4 * size, (1, 1)),
    )
    net = check(graph, frames(graph.shape, 2))
    kinds = [type(layer) for layer in net.layers]
    at = kinds.index(ir.Flatten)
    assert kinds[at + 1 : at + 3] == [ir.MaxPool, ir.Threshold]
    assert net.layers[at + 1].window == Window()
    assert reductions(net)


def test_constants_of_a_channel_need_no_pool_behind_a_flattening():
    graph = network(CENTRE, SIGN, conv(0, 4, 1), g.FlattenOp(), SIGN, conv(1, 3, 64, (1, 1)))
    assert ir.MaxPool not in [type(layer) for layer in check(graph, frames(graph.shape, 2)).layers]


def test_scores_of_a_flattened_map_have_hardware():
    graph = network(CENTRE, SIGN, conv(0, 4, 1), g.FlattenOp(), per_feature(1, 64))
    assert reductions(check(graph, frames(graph.shape, 2)))
