"""The golden model against loops that nobody could get wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow_sim import golden

from ..strategies import Case, cases


def values(a: ir.Alphabet, code: int) -> int:
    return a.lo + a.step * code


def taps(w: ir.Window, oy: int, ox: int) -> list[tuple[int, int, int, int]]:
    """Kernel row and column with the row and column of the feature below it."""
    return [
        (
            ky,
            kx,
            oy * w.stride[0] + ky * w.dilation[0] - w.pads[0],
            ox * w.stride[1] + kx * w.dilation[1] - w.pads[1],
        )
        for ky, kx in product(range(w.kernel[0]), range(w.kernel[1]))
    ]


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
                value = sum(
                    int(at.weights[c, ky, kx, i]) * x.get((iy, ix, i), at.pad_value)
                    for ky, kx, iy, ix in taps(at.window, y, xx)
                    for i in range(inp.channels)
                )
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
            case ir.Scores(ranks=None):
                value = x[y, xx, c] + int(at.offsets[c])
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


def test_progress_counts_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "BATCH_BYTES", 1)
    net = ir.IntegerNetwork(
        "net",
        (1, 1, 2),
        (
            ir.Conv("conv", np.ones((1, 1, 1, 2), int), ir.BIPOLAR),
            ir.Scores("s", np.zeros(1, int)),
        ),
    )
    seen: list[tuple[int, int]] = []
    golden.run(net, np.zeros((3, 2), np.uint8), lambda *at: seen.append(at))
    assert seen[-1] == (3, 3) and len(seen) >= 1


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
