"""Negating channels: every kind of layer, against the golden model."""

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.lower.negate import OffCentre, negate
from xnorflow_sim import golden

SHAPE = (4, 4, 2)
BYTES = ir.Features(*SHAPE, ir.Alphabet(0, 1, 256))
UINT2 = ir.Alphabet(0, 1, 4)


def layers(r, alphabet):
    """A convolution, thresholds, a max-pool and a sum; each prefix is a case."""
    window = ir.Window((2, 2), (1, 1), (1, 1), (1, 0, 0, 0))
    lo = np.sort(r.integers(-9, 9, (3, alphabet.levels - 1)), axis=1)
    return [
        ir.InputTable("input", r.integers(0, 4, (1, 256)), UINT2),
        ir.Conv("conv0", r.integers(-8, 8, (3, 2, 2, 2)), ir.Alphabet(-8, 1, 16), window, -1),
        ir.Threshold("threshold", lo, alphabet),
        ir.MaxPool("pool0", ir.Window((2, 2), (1, 1), (1, 1), (0, 1, 0, 1)), r.random(3) < 0.5),
        ir.SumPool("pool1", ir.Window((2, 2))),
    ]


def values(part, x):
    net = ir.IntegerNetwork("n", SHAPE, tuple(part))
    return list(golden.trace(net, x))[-1][1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_marked_channels_are_mirrored(seed, length):
    r = np.random.default_rng(seed)
    part = layers(r, UINT2)[:length]
    x = r.integers(0, 256, (5, *SHAPE), np.uint8)
    before = values(part, x)
    mask = np.array([True, False, True])[: before.shape[-1]]
    mirror = negate(part, BYTES, mask)
    np.testing.assert_array_equal(values(part, x), np.where(mask, mirror - before, before))


def test_a_flattened_channel_is_mirrored_as_a_whole():
    r = np.random.default_rng(0)
    part = [*layers(r, ir.BIPOLAR)[:3], ir.Flatten("flatten0")]
    x = r.integers(0, 256, (5, *SHAPE), np.uint8)
    before = values(part, x)
    pixels = before.shape[-1] // 3
    mask = np.tile([True, False, False], pixels)
    mirror = negate(part, BYTES, mask)
    np.testing.assert_array_equal(values(part, x), np.where(mask, mirror - before, before))
    with pytest.raises(UnsupportedModel, match="flatten0"):
        negate(part, BYTES, np.arange(3 * pixels) == 0)


def test_samples_that_are_not_bytes_are_mirrored_as_well():
    r = np.random.default_rng(0)
    kind = ir.InputKind(ir.BIPOLAR)
    table = ir.InputTable("input", np.array([[0, 1], [1, 0]]), ir.BIPOLAR)
    part = [table, ir.Flatten("flatten0")]
    x = r.choice(np.array([-1, 1], np.int8), (5, *SHAPE))

    def run():
        net = ir.IntegerNetwork("n", SHAPE, tuple(part), samples=kind)
        return list(golden.trace(net, x))[-1][1]

    before, mask = run(), np.tile([True, False], 16)
    mirror = negate(part, ir.Features(*SHAPE, ir.BIPOLAR), mask)
    np.testing.assert_array_equal(run(), np.where(mask, mirror - before, before))


def test_a_padded_sum_stays_exact_or_is_refused():
    r = np.random.default_rng(0)
    padded = ir.SumPool("pool0", ir.Window((3, 3), pads=(1, 1, 1, 1)))
    x = r.integers(0, 256, (5, *SHAPE), np.uint8)
    mask = np.array([True, False, True])
    part = [*layers(r, ir.TERNARY)[:3], replace(padded, pad_code=1)]
    before = values(part, x)
    assert not negate(part, BYTES, mask)[mask].any()
    np.testing.assert_array_equal(values(part, x), np.where(mask, -before, before))
    with pytest.raises(OffCentre):
        negate([*layers(r, UINT2)[:3], padded], BYTES, mask)


def test_the_weight_alphabet_widens_where_it_must():
    weights = np.array([-2, 1]).reshape(1, 1, 1, 2)
    conv = ir.Conv("conv0", weights, ir.Alphabet(-2, 1, 4))
    part: list[ir.Layer] = [conv]
    negate(part, ir.Features(1, 1, 2, ir.UINT8), np.array([True]))
    np.testing.assert_array_equal(part[0].weights.ravel(), [2, -1])
    assert part[0].alphabet == ir.Alphabet(-4, 1, 8)
