"""Lookups against the convolution with weights of 0 and 1 that they equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow_sim import golden

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
WINDOWS = st.builds(ir.Window, PAIR, PAIR, PAIR, st.tuples(*[st.integers(0, 2)] * 4))


def lookups(window: ir.Window, tables: int, words: int, pad: int, seed: int) -> ir.Gather:
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, words, (4, *window.kernel, tables))
    return ir.Gather("lookups", indices, words, rng.random(4) < 0.5, window, pad)


def one_hot(layer: ir.Gather) -> ir.Conv:
    """Return the convolution that has a weight of +-1 where an index points, else 0."""
    weights = np.zeros((*layer.indices.shape[:3], layer.tables * layer.words), np.int64)
    for at in np.ndindex(layer.indices.shape):
        channel = at[3] * layer.words + layer.indices[at]
        weights[(*at[:3], channel)] = -1 if layer.negative[at[0]] else 1
    return ir.Conv("conv", weights, ir.TERNARY, layer.window, layer.pad_value)


@settings(deadline=None)
@given(
    WINDOWS,
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(-2, 2),
    st.builds(ir.Alphabet, st.integers(-5, 5), st.integers(1, 3), st.integers(1, 6)),
    st.integers(0, 99),
)
def test_a_lookup_is_a_convolution_with_a_one_per_table(
    window: ir.Window, tables: int, words: int, pad: int, alphabet: ir.Alphabet, seed: int
) -> None:
    inp = ir.Features(7, 8, tables * words, alphabet)
    layer = lookups(window, tables, words, pad, seed)
    conv = one_hot(layer)
    assert layer.output(inp) == conv.output(inp)
    for bound, expected in zip(layer.bounds(alphabet), conv.bounds(alphabet), strict=True):
        assert bound.tolist() == expected.tolist()
    assert layer.code_of_padding(alphabet) == conv.code_of_padding(alphabet)
    rng = np.random.default_rng(seed)
    x = alphabet.values(rng.integers(0, alphabet.levels, (3, *inp.shape)))
    np.testing.assert_array_equal(golden.apply(layer, x, inp), golden.apply(conv, x, inp))
    alive = rng.random(inp.shape) < 0.8
    assert not (layer.depends(alive) & ~conv.depends(alive)).any()
    every = np.ones(inp.shape, bool)
    np.testing.assert_array_equal(layer.depends(every), conv.depends(every))
    mask = rng.random(4) < 0.5
    mirrored, mirror = layer.mirrored(mask, None)  # type: ignore[arg-type]
    turned = np.where(mask, mirror - golden.apply(layer, x, inp), golden.apply(layer, x, inp))
    np.testing.assert_array_equal(golden.apply(mirrored, x, inp), turned)


def test_an_output_depends_on_the_entries_that_it_takes() -> None:
    layer = ir.Gather("g", np.array([0, 1]).reshape(2, 1, 1, 1), 2, np.zeros(2, bool))
    alive = np.array([True, False]).reshape(1, 1, 2)
    assert layer.depends(alive).ravel().tolist() == [True, False]


GOOD = lookups(ir.Window((2, 2)), 2, 3, 0, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"indices": GOOD.indices + 3}, "an index is out of range"),
        ({"indices": GOOD.indices - 3}, "an index is out of range"),
        ({"indices": GOOD.indices.astype(np.int32)}, "indices are not int64"),
        ({"words": 0}, "tables of 0 entries"),
        ({"negative": np.zeros(3, bool)}, "negative is not bool"),
        ({"negative": np.zeros(4, int)}, "negative is not bool"),
        ({"pad_value": 0.5}, "no value for padding"),
        ({"window": ir.Window((2, 2), pads=(-1, 0, 0, 0))}, "not possible"),
    ],
)
def test_impossible_fields_are_refused(wrong: dict[str, Any], message: str) -> None:
    GOOD.check(ir.Features(5, 5, 6, ir.TERNARY))
    with pytest.raises(ValueError, match=message):
        replace(GOOD, **wrong).check(ir.Features(5, 5, 6, ir.TERNARY))


@pytest.mark.parametrize("channels", [5, 7, 12])
def test_tables_have_to_be_the_channels(channels: int) -> None:
    with pytest.raises(ValueError, match=f"do not fit {channels} input channels"):
        GOOD.output(ir.Features(5, 5, channels, ir.TERNARY))


def test_a_window_larger_than_the_map_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        GOOD.output(ir.Features(1, 5, 6, ir.TERNARY))
