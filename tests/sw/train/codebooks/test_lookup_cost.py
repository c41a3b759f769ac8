"""The cost model gives the figures that are published for AlexNet, from shapes alone."""

import pytest

from xnorflow.train.codebooks.lookup_cost import KeptLayer, QuantisedLayer, ratios

CONV, FC = {"dimension": 8, "words": 128}, {"read": 1, "made": 1, "kernel": 1}
ALEXNET = (
    QuantisedLayer(3, 96, 11 * 11, 227 * 227, 55 * 55, 1, **CONV),
    QuantisedLayer(48, 128, 5 * 5, 27 * 27, 27 * 27, 6, groups=2, shared=True, **CONV),
    QuantisedLayer(256, 384, 3 * 3, 13 * 13, 13 * 13, 32, **CONV),
    QuantisedLayer(192, 192, 3 * 3, 13 * 13, 13 * 13, 24, groups=2, shared=True, **CONV),
    QuantisedLayer(192, 128, 3 * 3, 13 * 13, 13 * 13, 24, groups=2, shared=True, **CONV),
    QuantisedLayer(9216, 4096, subspaces=2304, dimension=4, words=32, **FC),
    QuantisedLayer(4096, 4096, subspaces=1024, dimension=4, words=32, **FC),
    QuantisedLayer(4096, 1000, subspaces=4096, dimension=1, words=16, **FC),
)
"""Shapes of the network, and M, d and K of each layer as its authors chose them."""


def test_operations_and_size_of_alexnet() -> None:
    """The published theoretical speed-up is 4.15, and 18.5 times less storage."""
    found = ratios(ALEXNET)
    assert found.operations == pytest.approx(4.15, abs=0.01)
    assert found.size == pytest.approx(18.5, abs=0.05)
    assert sum(x.multiplications for x in ALEXNET) == pytest.approx(724.4e6, rel=1e-4)
    assert sum(x.bits_before for x in ALEXNET) / 8e6 == pytest.approx(243.86, abs=0.01)


def test_each_layer_of_alexnet() -> None:
    speeds = [x.multiplications / x.operations for x in ALEXNET]
    assert speeds == pytest.approx([1.92, 6.06, 6.17, 5.02, 4.24, 3.88, 3.88, 0.98], abs=0.005)


def test_a_layer_by_hand() -> None:
    """Two groups of 6 channels in parts of 2 or 3; 4 x 4 pixels become 2 x 2."""
    layer = QuantisedLayer(6, 5, 9, 16, 4, 2, 3, 7, groups=2)
    assert layer.multiplications == 4 * 2 * 5 * 6 * 9
    assert layer.table_operations == 16 * 2 * 6 * 7
    assert layer.lookups == 4 * 2 * 5 * 9 * 2
    assert layer.index_bits == 3
    assert layer.bits_before == 32 * (2 * 5 * 6 * 9 + 2 * 5)
    assert layer.bits(8) == 8 * (2 * 2 * 7 * 3) + 3 * (2 * 5 * 9 * 2) + 32 * 10
    assert layer.bits() - layer.bits(8) == 24 * 84


def test_layers_that_stay_as_they_are_count_in_both() -> None:
    layer = QuantisedLayer(8, 16, 1, 1, 1, 2, 4, 4)
    kept = KeptLayer(1000, 50, 10)
    found = ratios([layer, kept], 8)
    assert found.operations == (128 + 1000) / (32 + 32 + 1000)
    assert found.size == (32 * 144 + 32 * 60) / (8 * 32 + 2 * 32 + 32 * 16 + 8 * 50 + 32 * 10)
