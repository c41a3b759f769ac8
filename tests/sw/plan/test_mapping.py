"""Weights as bit planes, and thresholds on popcounts, checked for every possible value."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.plan.hardware_passes import accelerator
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold
from xnorflow.plan.tail_constants import Affine
from xnorflow.plan.weight_words import weight_planes
from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.spec import DotSpec, OffsetSpec, TableSpec, ThresholdSpec


def values_of(bits: np.ndarray, coefficients: tuple[int, ...], denominator: int) -> np.ndarray:
    if len(coefficients) < len(bits):
        sign, mask = bits.astype(int)
        return (2 * sign - 1) * mask // denominator
    total = np.tensordot(np.array(coefficients), 2 * bits.astype(int) - 1, 1)
    assert not (total % denominator).any()
    return total // denominator


@pytest.mark.parametrize(
    ("low", "high", "planes"),
    [
        (-1, 1, 2),
        (-2, 1, 3),
        (-2, 2, 3),
        (-3, 3, 4),
        (-4, 3, 4),
        (-8, 7, 5),
        (-128, 127, 9),
        (0, 0, 2),
        (0, 1, 2),
        (0, 255, 10),
        (5, 5, 5),
    ],
)
def test_planes_give_every_weight_of_a_range(low: int, high: int, planes: int) -> None:
    weights = np.arange(low, high + 1)
    bits, coefficients, denominator = weight_planes(weights)
    assert bits.shape == (planes, len(weights)) and set(np.unique(bits)) <= {0, 1}
    np.testing.assert_array_equal(values_of(bits, coefficients, denominator), weights)


def test_bipolar_weights_take_one_plane() -> None:
    bits, coefficients, denominator = weight_planes(np.array([[-1, 1], [1, -1]]))
    assert bits.tolist() == [[[0, 1], [1, 0]]] and coefficients == (1,) and denominator == 1


def test_ternary_weights_have_a_sign_and_a_mask() -> None:
    bits, coefficients, denominator = weight_planes(np.array([-1, 0, 1]))
    assert bits.tolist() == [[0, 1, 1], [1, 0, 1]] and coefficients == (1,) and denominator == 1
    assert weight_planes(np.array([-2, 0, 1]))[1] == (1, 1, 2)


@given(st.lists(st.integers(-(2**12), 2**12), min_size=1, max_size=20))
def test_planes_give_any_weights(values: list[int]) -> None:
    weights = np.array(values)
    np.testing.assert_array_equal(values_of(*weight_planes(weights)), weights)


@given(
    st.integers(1, 7),
    st.integers(1, 4),
    st.lists(st.integers(-60, 60), min_size=1, max_size=4),
    st.lists(st.integers(-200, 200), min_size=1, max_size=5),
)
def test_thresholds_on_values_become_thresholds_on_popcounts(
    numerator: int, denominator: int, offsets: list[int], thresholds: list[int]
) -> None:
    meaning = Affine(numerator, denominator, np.array(offsets)[None])
    table = np.array(sorted(thresholds))[None].repeat(len(offsets), 0)
    p = np.arange(-100, 400)
    on_p = meaning.threshold(table)[0]
    for channel, offset in enumerate(offsets):
        for want, got in zip(table[channel], on_p[channel], strict=True):
            # Compared as fractions: value >= want.
            reached = p * numerator + offset >= want * denominator
            np.testing.assert_array_equal(reached, p >= got)


def small(
    alphabet: ir.Alphabet, weights: ir.Ints, pad: int | None, *tail: ir.Layer
) -> ir.IntegerNetwork:
    """Build a network with a 1 x 2 kernel on two pixels, so that every pair of codes is a frame."""
    kernel = weights.shape[1:3]
    window = ir.Window(kernel, pads=(0, 1, 0, 0)) if pad is not None else ir.Window(kernel)
    table = np.minimum(np.arange(256), alphabet.levels - 1)[None]
    conv = ir.Conv("conv", weights, ir.Alphabet(-8, 1, 17), window, pad or 0)
    return ir.IntegerNetwork(
        "net", (1, 2, 1), (ir.InputTable("input", table, alphabet), conv, *tail)
    )


@pytest.mark.parametrize(
    "alphabet",
    [
        ir.BIPOLAR,
        ir.UNIPOLAR,
        ir.TERNARY,
        ir.Alphabet(-3, 2, 4),
        ir.Alphabet(2, 3, 5),
        ir.Alphabet(-4, 1, 8),
    ],
    ids=str,
)
@pytest.mark.parametrize("span", [(-1, 1), (-2, 1), (-8, 7)], ids=str)
@pytest.mark.parametrize("pad", [None, 0, 1, -1])
def test_offsets_turn_popcounts_into_sums(
    alphabet: ir.Alphabet, span: tuple[int, int], pad: int | None
) -> None:
    """The model of the array with the constants of the plan computes the network's sums."""
    rng = np.random.default_rng(7)
    channels = 3
    weights = rng.integers(span[0], span[1] + 1, (channels, 1, 2, 1))
    conv = small(alphabet, weights, pad)
    out = conv.features[-1]
    flat = ir.Flatten("flat")
    net = ir.IntegerNetwork(
        "net",
        conv.shape,
        (
            *conv.layers,
            flat,
            ir.SumPool("pool", ir.Window()),
            ir.Scores("scores", np.zeros(out.size, np.int64)),
        ),
    )
    x = np.array(list(product(range(alphabet.levels), repeat=2)), np.uint8).reshape(-1, 1, 2, 1)
    spec = accelerator(net, [Fold(channels, 1), Fold(1, 1)], in_lanes=1)
    stage = spec.stages[0]
    array, (tail,) = stage.array, stage.tails
    assert isinstance(array, DotSpec) and isinstance(tail, OffsetSpec)
    codes = x[:, 0, :, 0].astype(int)
    pads = 0 if pad is None else 1
    fill = stage.buffer.pad_word
    padded = np.concatenate([np.full((len(x), pads), fill), codes], 1)
    sums = net.features[2]
    dot = DotArray(
        pe=array.pe,
        simd=array.simd,
        bits=array.bits,
        coefficients=array.coefficients,
        weights=array.weights,
        acc_bits=array.acc_bits,
        masked=array.masked,
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2, axis=1)
    p = dot.model(windows.reshape(-1, 2, 1)).reshape(len(x), -1, channels)
    row = np.arange(out.width) % len(tail.offset)  # The first window is its own border class.
    got = (p * tail.multiply + tail.offset[row]) >> tail.shift
    np.testing.assert_array_equal(got + sums.alphabet.lo, net(x).reshape(got.shape))


def test_thresholds_are_cut_to_what_the_array_can_reach() -> None:
    far = np.array([[-(1 << 60), 1, 1 << 60]])
    net = small(
        ir.BIPOLAR,
        np.ones((1, 1, 2, 1), np.int64),
        None,
        ir.Threshold("steps", far, ir.Alphabet(0, 1, 4)),
        ir.Scores("scores", np.zeros(1, np.int64)),
    )
    tail = accelerator(net, [Fold(1, 1)], in_lanes=1).stages[0].tails[0]
    assert isinstance(tail, ThresholdSpec)
    least, middle, most = tail.thresholds[0, 0].tolist()
    assert least <= 0 and middle == 2 and most > 2  # Sums -2, 0, 2 are P = 0, 1, 2.


def test_padded_pes_keep_within_the_sums() -> None:
    """Sums of sparse ternary channels stay small; those of unused PEs must not become larger."""
    weights = np.zeros((3, 1, 2, 20), np.int64)
    weights[:, :, :, 0] = 1
    layers = (
        ir.InputTable("input", np.arange(256)[None] & 1, ir.UNIPOLAR),
        ir.Conv("conv", weights, ir.TERNARY, ir.Window((1, 2))),
        ir.Threshold("steps", np.full((3, 1), 2), ir.BIPOLAR),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    net = ir.IntegerNetwork("net", (1, 2, 20), layers)
    (stage,) = accelerator(net, [Fold(2, 4)], in_lanes=1).stages
    array = stage.array
    assert isinstance(array, DotSpec)
    signs, masks = array.weights.reshape(2, -1, *array.weights.shape[1:]).swapaxes(0, 2).astype(int)
    # An input is 0 or 1, and adds 1 at most where it can match a sign and the mask is 1.
    assert array.masked and signs.min() == 1
    assert masks.sum((0, 3)).max() < 1 << array.acc_bits


def ranked(bits: int) -> ir.IntegerNetwork:
    alphabet = ir.Alphabet(0, 1, 1 << bits)
    layers = small(alphabet, np.array([[[[3], [5]]], [[[1], [-2]]]]), None)
    a = layers.features[-1].alphabet
    ranks = np.random.default_rng(1).permutation(2 * a.levels).reshape(2, -1)
    lo = np.array([a.lo, a.lo])
    return ir.IntegerNetwork(
        "net", layers.shape, (*layers.layers, ir.Scores("scores", np.zeros(2, int), ranks, lo))
    )


def test_ranks_become_a_table() -> None:
    net = ranked(2)
    tail = accelerator(net, [Fold(2, 1)], in_lanes=1).stages[0].tails[0]
    assert isinstance(tail, TableSpec)
    assert tail.table.min() >= 0 and tail.table.shape[:2] == (1, 2)


def test_a_table_that_is_too_large_is_refused_by_name() -> None:
    net = ranked(18)
    with pytest.raises(UnsupportedModel, match="Scores node 'scores'.*table of them would take"):
        accelerator(net, [Fold(1, 1)], in_lanes=1)


@pytest.mark.parametrize("fold", [(0, 1), (1, 0), (2, 1), (1, 2)])
def test_a_folding_beyond_the_layer_is_refused(fold: tuple[int, int]) -> None:
    net = small(
        ir.BIPOLAR,
        np.ones((1, 1, 2, 1), np.int64),
        None,
        ir.Scores("scores", np.zeros(1, np.int64)),
    )
    with pytest.raises(BadInput, match="layer 'conv' cannot have PE"):
        accelerator(net, [Fold(*fold)], in_lanes=1)
    with pytest.raises(BadInput, match="the folding has 2 entries, but .* has 1 layers"):
        accelerator(net, [Fold(1, 1)] * 2, in_lanes=1)


def test_a_threshold_before_any_reduction_is_refused() -> None:
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 2),
        (
            ir.Threshold("early", np.zeros((2, 1), np.int64), ir.BIPOLAR),
            ir.Scores("scores", np.zeros(2, np.int64)),
        ),
    )
    with pytest.raises(UnsupportedModel, match="Threshold node 'early'"):
        reductions(net)
