"""What each layer makes of a feature map, against counting."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir

SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)
PADS = st.tuples(*[st.integers(0, 2)] * 4)
WINDOWS = st.builds(ir.Window, PAIR, PAIR, PAIR, PADS)
ALPHABETS = st.builds(ir.Alphabet, st.integers(-5, 5), st.integers(1, 3), st.integers(1, 4))


def starts(size: int, before: int, after: int, extent: int, stride: int) -> list[int]:
    """First taps of the windows that fit a padded axis, by trying every place."""
    places = range(-before, size + after)
    return [p for p in places if p + extent <= size + after and (p + before) % stride == 0]


@given(WINDOWS, st.integers(1, 6), st.integers(1, 6))
def test_windows_are_counted_along_each_axis(w: ir.Window, height: int, width: int) -> None:
    taps = [[k * w.dilation[a] for k in range(w.kernel[a])] for a in (0, 1)]
    assert w.extent == (taps[0][-1] + 1, taps[1][-1] + 1)
    top, left, bottom, right = w.pads
    rows = starts(height, top, bottom, w.extent[0], w.stride[0])
    columns = starts(width, left, right, w.extent[1], w.stride[1])
    out = w.output(height, width)
    assert (max(0, out[0]), max(0, out[1])) == (len(rows), len(columns))
    if rows and columns:
        only = any(
            not any(0 <= y + dy < height and 0 <= x + dx < width for dy, dx in product(*taps))
            for y, x in product(rows, columns)
        )
        assert w.holds_padding_only(height, width) == only


@given(st.data(), ALPHABETS, st.booleans(), st.integers(-6, 6))
def test_accumulators_are_bounded_by_the_worst_features(
    data: st.DataObject, alphabet: ir.Alphabet, padded: bool, pad: int
) -> None:
    weights = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=4, max_size=4)))
    window = ir.Window((1, 2), pads=(0, 1, 0, 0) if padded else (0, 0, 0, 0))
    conv = ir.Conv("c", weights.reshape(2, 1, 2, 1), ir.Alphabet(-3, 1, 7), window, pad)
    values = [*alphabet.values(np.arange(alphabet.levels)).tolist(), *([pad] if padded else [])]
    sums = [[a * x + b * y for x, y in product(values, values)] for a, b in weights.reshape(2, 2)]
    low, high = conv.bounds(alphabet)
    assert low.tolist() == [min(s) for s in sums] and high.tolist() == [max(s) for s in sums]
    out = conv.output(ir.Features(1, 4, 1, alphabet))
    least, most = min(map(min, sums)), max(map(max, sums))
    assert out == ir.Features(1, 4 if padded else 3, 2, ir.Alphabet(least, 1, most - least + 1))
    assert conv.operations == 4


@given(ALPHABETS, PAIR)
def test_sums_of_a_pool_step_as_its_features_do(a: ir.Alphabet, kernel: tuple[int, int]) -> None:
    pool = ir.SumPool("s", ir.Window(kernel, (2, 1)))
    out = pool.output(ir.Features(4, 5, 3, a))
    taps = kernel[0] * kernel[1]
    sums = {0}
    for _ in range(taps):
        sums = {s + v for s in sums for v in a.values(np.arange(a.levels)).tolist()}
    assert sorted(sums) == out.alphabet.values(np.arange(out.alphabet.levels)).tolist()
    assert out.shape == (*pool.window.output(4, 5), 3)
    if a.levels > 1:
        assert out.alphabet.step == a.step


def test_shapes_and_alphabets_after_the_other_layers() -> None:
    inp = ir.Features(4, 5, 3, ir.UINT8)
    table = ir.InputTable("t", np.zeros((3, 256), np.int64), ir.TERNARY)
    assert table.output(inp) == ir.Features(4, 5, 3, ir.TERNARY)
    with pytest.raises(ValueError, match="does not fit"):
        table.output(ir.Features(4, 5, 3, ir.Alphabet(0, 1, 255)))
    assert ir.Flatten("f").output(inp) == ir.Features(1, 1, 60, ir.UINT8)
    pool = ir.MaxPool("m", ir.Window((2, 3), (2, 2)), np.zeros(3, bool))
    assert pool.output(inp) == ir.Features(2, 2, 3, ir.UINT8)
    threshold = ir.Threshold("q", np.zeros((3, 2), np.int64), ir.TERNARY)
    assert threshold.output(inp) == ir.Features(4, 5, 3, ir.TERNARY)
    assert inp.size == 60 and inp.shape == (4, 5, 3)


def test_scores_are_bounded_by_their_offsets_or_ranks() -> None:
    inp = ir.Features(1, 1, 2, ir.Alphabet(-3, 2, 4))
    scores = ir.Scores("s", np.array([5, -7]))
    assert scores.output(inp) == ir.Features(1, 1, 2, ir.Alphabet(-10, 1, 19))
    ranks = ir.Scores("s", np.zeros(2, np.int64), np.array([[0, 4], [1, -1]]), np.zeros(2, int))
    assert ranks.output(inp) == ir.Features(1, 1, 2, ir.Alphabet(0, 1, 5))


def test_float_scores_are_looked_up_from_the_least_score() -> None:
    floats = np.array([0.5, 1.5, 2.5], np.float32)
    scores = ir.Scores("s", np.zeros(2, np.int64), floats=floats, floats_lo=-1)
    np.testing.assert_array_equal(
        scores.to_float(np.array([[-1, 1], [0, 0]])), [[0.5, 2.5], [1.5] * 2]
    )
    with pytest.raises(ValueError, match="no table of float scores"):
        ir.Scores("s", np.zeros(2, np.int64)).to_float(np.array([0]))


def test_what_is_left_out_changes_nothing() -> None:
    window = ir.Window()
    assert (window.kernel, window.stride, window.dilation) == ((1, 1), (1, 1), (1, 1))
    assert window.pads == (0, 0, 0, 0) and window.output(3, 4) == (3, 4)
    conv = ir.Conv("c", np.ones((1, 1, 1, 1), np.int64), ir.BIPOLAR)
    assert conv.window == window and conv.pad_value == 0 and conv.sources == ()
    assert ir.SumPool("s", window).pad_code == 0
    scores = ir.Scores("s", np.zeros(1, np.int64))
    assert scores.ranks is scores.rank_lo is scores.floats is None and scores.floats_lo == 0


def test_a_kind_of_layer_has_a_name_of_its_own() -> None:
    kinds = {"input", "conv", "threshold", "maxpool", "sumpool", "flatten", "scores"}
    assert kinds <= set(ir.KINDS)
    assert ir.KINDS["conv"] is ir.Conv and ir.KINDS["sumpool"] is ir.SumPool
