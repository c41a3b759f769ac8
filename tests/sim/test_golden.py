"""The golden model against plain loops over every feature."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.ir.verify import verify
from xnorflow_sim import golden

from ..strategies import Case, cases


def values(a: ir.Alphabet, code: int) -> int:
    return a.lo + a.step * code


def taps(w: ir.Window, oy: int, ox: int) -> list[tuple[int, int, int, int]]:
    """Return each kernel row and column with the row and column of the feature below it."""
    return [
        (
            ky,
            kx,
            oy * w.stride[0] + ky * w.dilation[0] - w.pads[0],
            ox * w.stride[1] + kx * w.dilation[1] - w.pads[1],
        )
        for ky, kx in product(range(w.kernel[0]), range(w.kernel[1]))
    ]


def float32_of(value: int) -> int:
    """Return the float32 number nearest to an integer, ties to even, by trying both neighbours."""
    last = 1
    while abs(value) >= last << 24:
        last *= 2
    low = value // last * last
    below, above = value - low, low + last - value
    return low if below < above or (below == above and low // last % 2 == 0) else low + last


def layer(
    at: ir.Layer, x: dict[tuple[int, ...], int], inp: ir.Features, out: ir.Features
) -> dict[tuple[int, ...], int]:
    """Compute one layer of one frame, feature by feature, in Python's integers."""
    result = {}
    for index, (y, xx, c) in enumerate(product(*map(range, out.shape))):
        match at:
            case ir.InputTable():
                row = at.table[c if len(at.table) > 1 else 0]
                value = values(at.alphabet, int(row[x[y, xx, c]]))
            case ir.Flatten():
                value = list(x.values())[index]
            case ir.Conv():
                inputs = inp.channels // at.groups
                first = c // (out.channels // at.groups) * inputs
                value = sum(
                    int(at.weights[c, ky, kx, i]) * x.get((iy, ix, first + i), at.pad_value)
                    for ky, kx, iy, ix in taps(at.window, y, xx)
                    for i in range(inputs)
                )
            case ir.Gather():
                value = sum(
                    x.get((iy, ix, m * at.words + int(at.indices[c, ky, kx, m])), at.pad_value)
                    for ky, kx, iy, ix in taps(at.window, y, xx)
                    for m in range(at.tables)
                )
                value = -value if at.negative[c] else value
            case ir.MaxPool():
                found = [
                    x[iy, ix, c] for _, _, iy, ix in taps(at.window, y, xx) if (iy, ix, c) in x
                ]
                value = min(found) if at.minimum[c] else max(found)
            case ir.SumPool():
                pad = values(inp.alphabet, at.pad_code)
                value = sum(x.get((iy, ix, c), pad) for _, _, iy, ix in taps(at.window, y, xx))
            case ir.Threshold():
                code = sum(x[y, xx, c] >= int(t) for t in at.thresholds[c])
                value = values(at.alphabet, code)
            case ir.CodeTable():
                numbers = [values(inp.alphabet, code) for code in range(inp.alphabet.levels)]
                value = values(at.alphabet, int(at.table[c, numbers.index(x[y, xx, c])]))
            case ir.Rescale():
                total = x[y, xx, c] * int(at.multiply[c]) + int(at.offset[c])
                code = total // 2**at.shift
                value = values(at.alphabet, min(max(code, int(at.least[c])), int(at.most[c])))
            case ir.Scores(ranks=None):
                value = at.factor * x[y, xx, c] + int(at.offsets[c])
                for step in at.steps:
                    value = value * int(step.multiply[c]) + int(step.add[c])
                    value = float32_of(value) >> step.shift
            case ir.Scores():
                assert at.ranks is not None and at.rank_lo is not None
                value = int(at.ranks[c, x[y, xx, c] - int(at.rank_lo[c])])
        result[y, xx, c] = value
    return result


def frame(net: ir.IntegerNetwork, x: np.ndarray) -> list[int]:
    features = {at: int(x[at]) for at in product(*map(range, net.shape))}
    for at, inp, out in net:
        features = layer(at, features, inp, out)
    return list(features.values())


@settings(max_examples=40)
@given(cases(frames=3))
def test_scores_are_those_of_plain_loops(case: Case) -> None:
    np.testing.assert_array_equal(case.net(case.x), [frame(case.net, x) for x in case.x])


@settings(max_examples=60)
@given(cases(frames=7))
def test_a_frame_does_not_depend_on_its_batch(case: Case) -> None:
    together = case.net(case.x)
    for n in (1, 2, 5):
        parts = [case.net(case.x[i : i + n]) for i in range(0, len(case.x), n)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    assert together.dtype == np.int64


def test_sums_beyond_float32_are_exact() -> None:
    weights = np.full((1, 1, 1, 4), (1 << 16) + 1)
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 4),
        (
            ir.Conv("conv", weights, ir.Alphabet(0, 1, 1 << 17)),
            ir.Scores("scores", np.zeros(1, int)),
        ),
    )
    x = np.array([[255, 255, 255, 254], [1, 0, 0, 0]], np.uint8)
    assert net(x).ravel().tolist() == [1019 * 65537, 65537]


def of_a_table(alphabet: ir.Alphabet, code: int, *layers: ir.Layer) -> int:
    """The score of a frame whose only sample has this code."""
    table = ir.InputTable("table", np.full((1, 256), code), alphabet)
    scores = ir.Scores("scores", np.zeros(1, np.int64))
    net = ir.IntegerNetwork("net", (1, 1, 1), (table, *layers, scores))
    verify(net)
    return int(net(np.zeros((1, 1), np.uint8))[0, 0])


@pytest.mark.parametrize("value", [1 << 24, (1 << 24) + 1, (1 << 25) - 1, 1 << 25])
@pytest.mark.parametrize("sign", [1, -1])
def test_values_beyond_float32_are_exact_too(value: int, sign: int) -> None:
    """Every whole number up to 2**24 is a float32, and of those up to 2**25 the even ones."""
    alphabet = ir.Alphabet(sign * value, 1, 1)
    assert of_a_table(alphabet, 0) == sign * value
    assert of_a_table(alphabet, 0, pool(ir.MaxPool)) == sign * value
    assert of_a_table(alphabet, 0, pool(ir.SumPool), ir.Flatten("flat")) == sign * value
    threshold = ir.Threshold("t", np.zeros((1, 0), np.int64), alphabet)
    assert of_a_table(ir.UNIPOLAR, 1, threshold, pool(ir.MaxPool)) == sign * value


def pool(kind: type[ir.Layer]) -> ir.Layer:
    if kind is ir.MaxPool:
        return ir.MaxPool("max", ir.Window(), np.ones(1, bool))
    return ir.SumPool("sum", ir.Window())


def test_codes_of_wide_alphabets_are_exact() -> None:
    # The distance of the least and the greatest value is beyond float32, and odd.
    alphabet = ir.Alphabet(-(1 << 24), (1 << 25) - 1, 2)
    wide = ir.Threshold("wide", np.array([[1]]), alphabet)
    for at, reached in ((alphabet.hi, 1), (alphabet.hi + 1, 0)):
        narrow = ir.Threshold("narrow", np.array([[at]]), ir.UNIPOLAR)
        assert of_a_table(ir.UNIPOLAR, 1, wide, narrow) == reached
    for at, reached in ((alphabet.lo, 1), (alphabet.lo + 1, 0)):
        narrow = ir.Threshold("narrow", np.array([[at]]), ir.UNIPOLAR)
        assert of_a_table(ir.UNIPOLAR, 0, wide, narrow) == reached


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 1 << 16))
def test_rescalings_are_those_of_pythons_integers(seed: int, shift: int, levels: int) -> None:
    """Large and small products of either sign, with every bound in reach."""
    rng = np.random.default_rng(seed)
    inp = ir.Features(2, 3, 5, ir.Alphabet(-511, 2, 512))
    reach = min(2 * levels << shift, 1 << 60)
    multiply = rng.integers(0, reach // 511 + 1, 5)
    offset = rng.integers(-reach, reach + 1, 5)
    least, most = np.sort(rng.integers(0, levels, (2, 5)), axis=0)
    alphabet = ir.Alphabet(int(rng.integers(-99, 99)), 3, levels)
    rescale = ir.Rescale("r", multiply, offset, least, most, shift, alphabet)
    rescale.check(inp)
    codes = rng.integers(0, 512, (4, *inp.shape))
    # Values come in any type that holds them.
    for kind in (np.float32, np.float64, np.int64):
        made = golden.apply(rescale, inp.alphabet.values(codes).astype(kind), inp)
        for x, got in zip(inp.alphabet.values(codes), made, strict=True):
            features = {at: int(x[at]) for at in product(*map(range, inp.shape))}
            want = layer(rescale, features, inp, rescale.output(inp))
            assert {at: int(got[at]) for at in want} == want


@pytest.mark.parametrize("code", [(1 << 24) - 1, 1 << 24, (1 << 24) + 1, (1 << 40) + 1])
def test_rescaled_codes_beyond_float32_are_exact(code: int) -> None:
    one = np.ones(1, np.int64)
    rescale = ir.Rescale(
        "r", 0 * one, code * one, 0 * one, code * one, 0, ir.Alphabet(0, 1, code + 1)
    )
    assert of_a_table(ir.UNIPOLAR, 1, rescale) == code


@pytest.mark.parametrize(
    ("value", "code"), [(-9, 0), (-8, 0), (-5, 0), (-4, 1), (0, 2), (3, 2), (4, 3), (8, 4), (99, 4)]
)
def test_rescaling_rounds_down(value: int, code: int) -> None:
    one = np.ones(1, np.int64)
    rescale = ir.Rescale("r", one, 8 * one, 0 * one, 4 * one, 2, ir.Alphabet(0, 1, 5))
    assert of_a_table(ir.Alphabet(value, 1, 1), 0, rescale) == code


@pytest.mark.parametrize("lo", [-3, -2, 1, 2])
def test_ranks_are_looked_up_within_their_table(lo: int) -> None:
    """A file may claim any least value; a rank is never taken from another place of the table."""
    ranks = np.array([[5, 6, 7, -1]])
    scores = ir.Scores("scores", np.zeros(1, np.int64), ranks, np.array([lo]))
    table = ir.InputTable("table", np.array([[0, 1] * 128]), ir.UNIPOLAR)
    net = ir.IntegerNetwork("net", (1, 1, 1), (table, scores))
    verify(net)
    for sample in (0, 1):
        at = sample - lo
        if 0 <= at < 3:
            assert net(np.full((1, 1), sample, np.uint8)).item() == ranks[0, at]
        else:
            with pytest.raises(BadInput, match="'scores'.*no rank"):
                net(np.full((1, 1), sample, np.uint8))


@pytest.mark.parametrize(
    ("batch_bytes", "told"),
    [
        # A frame's largest map has 2 features, which are counted as 8 bytes each.
        (1, [1, 2, 3]),
        (31, [1, 2, 3]),
        (32, [2, 3]),
        (47, [2, 3]),
        (48, [3]),
    ],
)
def test_progress_is_told_after_every_batch(
    monkeypatch: pytest.MonkeyPatch, batch_bytes: int, told: list[int]
) -> None:
    monkeypatch.setattr(golden, "BATCH_BYTES", batch_bytes)
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 2),
        (
            ir.Conv("conv", np.ones((1, 1, 1, 2), int), ir.BIPOLAR),
            ir.Scores("s", np.zeros(1, int)),
        ),
    )
    seen: list[tuple[int, int]] = []
    x = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    scores = golden.run(net, x, lambda *at: seen.append(at))
    assert seen == [(done, 3) for done in told]
    assert scores.ravel().tolist() == [3, 7, 11]


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 1), np.int64),
        np.zeros(16, np.uint8),
        np.zeros((2, 15), np.uint8),
    ],
)
def test_frames_that_do_not_fit_are_refused(x: np.ndarray) -> None:
    net = ir.IntegerNetwork("net", (4, 4, 1), (ir.Flatten("flat"),))
    assert golden.frames(net, np.zeros((2, 4, 4), np.uint8)).shape == (2, 4, 4, 1)
    assert golden.frames(net, np.zeros((2, 16), np.uint8)).shape == (2, 4, 4, 1)
    with pytest.raises(BadInput, match="do not fit net: it takes uint8"):
        golden.frames(net, x)
