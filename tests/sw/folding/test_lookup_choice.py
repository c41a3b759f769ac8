"""Lookups and the convolution that they equal, and the choice between both by cost."""

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga
from xnorflow.errors import BadInput
from xnorflow.folding.lookup_choice import with_cheaper_layers
from xnorflow.ir.looked_up import multiplied, tables
from xnorflow.ir.verify import verify

CODES = {1: ir.UNIPOLAR, 4: ir.Alphabet(0, 1, 16)}


def network(*, bits=4, groups=2, words=4, pad=0, seed=1, out=5):
    """Return a network with lookups behind their table, between an input table and scores."""
    rng = np.random.default_rng(seed)
    codes, pads = CODES[bits], (1,) * 4 if pad is not None else (0,) * 4
    window = ir.Window((3, 3), pads=pads)
    entries = rng.integers(-7, 8, (groups * words, 1, 1, 4 // groups))
    indices = rng.integers(0, words, (out, 3, 3, groups))
    height = 5 if pad is not None else 3
    last = ir.Window((height, height))
    layers = (
        ir.InputTable("samples", rng.integers(0, codes.levels, (4, 256)), codes),
        ir.Conv("table", entries, ir.Alphabet(-7, 1, 15), groups=groups),
        ir.Gather("lookups", indices, words, rng.random(out) < 0.5, window, pad or 0),
        ir.Threshold("codes", np.sort(rng.integers(-60, 60, (out, 3)), axis=1), CODES[4]),
        ir.Conv("last", rng.choice((-1, 1), (3, height, height, out)), ir.BIPOLAR, last),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    layers = (*layers[:3], replace(layers[3], alphabet=ir.Alphabet(0, 1, 4)), *layers[4:])
    net = ir.IntegerNetwork("net", (5, 5, 4), layers)
    verify(net)
    return net


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("pad", [None, 0])
def test_a_convolution_in_place_of_lookups_has_the_same_scores(groups, pad):
    net = network(groups=groups, pad=pad)
    assert tables(net) == (2,)
    other = multiplied(net, 2)
    verify(other)
    assert [layer.name for layer in other.layers] == [
        "samples",
        "lookups",
        "codes",
        "last",
        "scores",
    ]
    x = np.random.default_rng(2).integers(0, 256, (20, 5, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(net(x), other(x))


def test_padding_that_no_input_makes_stays_a_lookup():
    assert tables(network(pad=1)) == ()


@pytest.mark.parametrize("smaller", ["lookups", "products"])
def test_the_smaller_one_is_kept(smaller):
    """Sizes are those of real designs; the other one is made out of reach."""
    net = network()
    family = fpga("ulx3s-85f").family
    design = compile_network(net, cycles=5000).shape

    def built(candidate):
        if bool(tables(candidate)) != (smaller == "lookups"):
            raise BadInput("too slow")
        return design

    found = with_cheaper_layers(net, family, built)
    assert (found is net) == (smaller == "lookups")
    assert bool(tables(found)) == (smaller == "lookups")


def test_a_board_decides_and_other_targets_keep_lookups():
    """With codes of one bit, products are AND gates: no table is worth its multiplexers."""
    net = network(bits=1, words=4, out=3)
    without = compile_network(net, cycles=4000)
    assert [p.kind for p in without.parts] == ["conv", "gather", "conv"]
    design = compile_network(net, "ulx3s-85f", cycles=4000)
    assert [p.kind for p in design.parts] == ["conv", "conv"]
    x = np.random.default_rng(3).integers(0, 256, (20, 5, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(net(x), design.net(x))
