"""Networks that branch and have no exact integer form, in fixed point, against float64."""

from __future__ import annotations

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.calibration import calibration_data, widths
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.join_ops import AddMapOp, ConcatOp, MaximumOp, ProductOp, StretchOp, SumOp
from xnorflow.ir import Window
from xnorflow.lower import lower

from .branching import Builder, f32, float_scores, samples, scores

C = 8


class Real(Builder):
    """Builds graphs with real constants."""

    def constants(self, mean: float, deviation: float, count: int = C):
        return self.rng.normal(mean, deviation, count).astype(np.float32)

    def batch_norm(self, x: str, deviation: float, count: int = C) -> str:
        var = np.float32(deviation**2) * self.rng.uniform(0.5, 2, count).astype(np.float32)
        gamma, beta = self.constants(1, 0.7, count), self.constants(0, 0.3, count)
        mean = self.constants(0, deviation / 4, count)
        return self.add(g.BatchNormOp(gamma, beta, mean, var, 1e-5, op="BatchNormalization"), x)

    def real_conv(self, x: str, channels: int, out: int, kernel: int = 1) -> str:
        w = self.rng.normal(0, 1 / np.sqrt(channels * kernel**2), (out, kernel, kernel, channels))
        window = Window((kernel, kernel), pads=(kernel // 2,) * 4)
        bias = self.constants(0, 0.1, out)
        return self.add(g.ConvOp(w.astype(np.float32), f32(1.0), window, 0.0, bias, op="Conv"), x)

    def classes(self, x: str, channels: int = C) -> str:
        pool = self.add(g.AveragePoolOp(Window((3, 3), (3, 3)), op="AveragePool"), x)
        return self.real_conv(self.add(g.FlattenOp(op="Flatten"), pool), 4 * channels, 5)


def start() -> tuple[Real, str]:
    b = Real((6, 6, 3), np.random.default_rng(2))
    return b, b.batch_norm(b.conv(b.norm("", 1 / 128, -1.0), 3, C, scale=0.2), 0.5)


def bireal() -> g.Graph:
    b, x = start()
    for _ in range(2):
        y = b.batch_norm(b.conv(b.sign(x), C, C, scale=0.31), 2.5)
        x = b.add(SumOp((1, 1), op="Add"), y, x)
    b.classes(x)
    return b.graph()


def reactnet() -> g.Graph:
    b, x = start()
    for _ in range(2):
        moved = b.add(g.AddOp(b.constants(0, 0.3), op="Add"), x)
        y = b.batch_norm(b.conv(b.sign(moved), C, C, scale=0.31), 2.5)
        x = b.add(SumOp((1, 1), op="Add"), y, x)
        x = b.add(g.AddOp(b.constants(0, 0.3), op="Add"), x)
        x = b.add(FunctionOp("LeakyRelu", ((), b.constants(0.25, 0.6)), op="PRelu"), x)
        x = b.add(g.AddOp(b.constants(0, 0.3), op="Add"), x)
    b.classes(b.add(ConcatOp(2, op="Concat"), x, b.batch_norm(x, 1.0)), 2 * C)
    return b.graph()


def unequal_channels() -> g.Graph:
    """Maps of one unit and of different numbers of channels, side by side."""
    b, x = start()
    x = b.add(SumOp((1, 1), op="Add"), x, b.batch_norm(b.conv(b.sign(x), C, C), 2.5))
    twice = b.add(ConcatOp(2, op="Concat"), x, x)
    b.classes(b.add(ConcatOp(2, op="Concat"), twice, x), 3 * C)
    return b.graph()


def scaled_by_means() -> g.Graph:
    """XNOR-Net: sums of signs times the mean magnitude around each pixel."""
    b, x = start()
    n = b.batch_norm(x, 1.0)
    one, box = np.ones((1, 1, 1, C), np.int64), np.ones((1, 3, 3, 1), np.int64)
    k = b.add(FunctionOp("Abs", ((),), op="Abs"), n)
    k = b.add(g.ConvOp(one, f32(1 / C), op="ReduceMean"), k)
    k = b.add(g.ConvOp(box, f32(1 / 9), Window((3, 3), pads=(1,) * 4), op="Conv"), k)
    b.classes(b.add(ProductOp(op="Mul"), b.conv(b.sign(n), C, C, scale=0.05), k))
    return b.graph()


def upsampled() -> g.Graph:
    b, x = start()
    low = b.real_conv(b.add(g.MaxPoolOp(Window((2, 2), (2, 2)), op="MaxPool"), x), C, C)
    up = b.add(StretchOp((2, 2), "repeat", op="Resize"), low)
    x = b.add(MaximumOp(op="Max"), x, up)
    x = b.add(AddMapOp(b.rng.normal(0, 1, (6, 6, C)).astype(np.float32), op="Add"), x)
    x = b.add(g.ClipOp(0.0, 3.0, op="Clip"), x)
    x = b.add(SumOp((1, -1), op="Sub"), x, b.real_conv(x, C, C, 3))
    b.classes(x)
    return b.graph()


def two_heads() -> g.Graph:
    b, x = start()
    y = b.batch_norm(b.conv(b.sign(x), C, C, scale=0.31), 2.5)
    x = b.add(SumOp((1, 1), op="Add"), y, x)
    map_, scores = b.real_conv(x, C, 2), b.classes(x)
    order = np.arange(72).reshape(36, 2).T.ravel()
    return b.graph(
        outputs=(
            g.GraphOutput("scores", scores, (5,), np.arange(5)),
            g.GraphOutput("map", map_, (2, 6, 6), order),
        )
    )


GRAPHS = (bireal, reactnet, unequal_channels, scaled_by_means, upsampled, two_heads)


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__)
def test_scores_are_those_of_float64_but_for_rounding(make):
    graph = make()
    with pytest.raises(UnsupportedModel, match="--fixed-point auto"):
        lower(graph)
    x = samples(graph, 40)
    found = widths.choose(graph, 14, calibration_data.given(graph, x))
    net = found.net
    want, got = float_scores(graph, x), scores(net, x).astype(np.float64)
    ends = [len(o.gather) for o in graph.outputs] or [want.shape[1]]
    for a, b in zip(*(np.split(v, np.cumsum(ends)[:-1], axis=1) for v in (got, want)), strict=True):
        alike = [np.corrcoef(p, q)[0, 1] for p, q in zip(a, b, strict=True)]
        assert np.median(alike) > 0.999 and min(alike) > 0.9
    assert found.differ <= 1


def test_few_decisions_differ_and_the_notes_say_how_many():
    graph = bireal()
    found = widths.choose(graph, 14, calibration_data.given(graph, samples(graph, 40)))
    decisions = [d for d in found.distances if d.binary]
    assert len(decisions) == 2
    assert all(d.differ * 1000 <= d.count for d in decisions)
    assert any("decisions differ" in note for note in found.net.notes)
    # Everything that is added has one unit, and no sum is rounded again.
    units = {m.unit for m in _marks(graph, 14) if isinstance(m.layer, ir.Rescale)}
    assert len(units) == 2, "that of the stream, and that of what the last layer reads"


def _marks(graph, bits):
    x = calibration_data.given(graph, samples(graph, 40))
    seen = widths._Seen.of(graph, bits, x, x.values(graph))
    return widths._Tried.of(seen, bits).marks


def test_auto_takes_the_fewest_bits_that_keep_the_labels_of_all_outputs():
    graph = two_heads()
    found = widths.choose(graph, "auto", calibration_data.given(graph, samples(graph, 24)))
    assert found.differ == 0 and found.fixed.bits < 16
    fewer = widths.choose(
        graph, found.fixed.bits - 1, calibration_data.given(graph, samples(graph, 24))
    )
    assert fewer.differ > 0


def test_the_sides_of_a_bend_are_joined_by_a_maximum():
    graph = reactnet()
    net = widths.choose(graph, 10, calibration_data.given(graph, samples(graph, 8))).net
    joined = [x for x in net.layers if isinstance(x, ir.Maximum)]
    assert joined and all(len(set(x.inputs)) == 2 for x in joined)
    assert not any(isinstance(x, ir.CodeTable) for x in net.layers[1:4])


def test_a_bend_behind_constants_that_cancel_is_as_exact_as_any():
    # In float32 these leave far more rounding than the small rest of them has itself.
    b, x = start()
    gamma, beta, var = b.constants(1, 0.1), b.constants(0, 0.3), f32(*[6.0] * C)
    mean = ((beta - 1e-4) / gamma * np.sqrt(6)).astype(np.float32)
    norm = g.BatchNormOp(gamma, beta, mean, var, 1e-5, op="BatchNormalization")
    y = b.add(norm, b.conv(b.sign(x), C, C, scale=0.31))
    bent = b.add(FunctionOp("LeakyRelu", ((), b.constants(0.25, 0.6)), op="PRelu"), y)
    b.classes(b.add(SumOp((1, 1), op="Add"), bent, x))
    graph = b.graph()
    found = widths.choose(graph, 20, calibration_data.given(graph, samples(graph, 20)))
    assert any(isinstance(layer, ir.Maximum) for layer in found.net.layers)
    assert not any(isinstance(layer, ir.CodeTable) for layer in found.net.layers)
    assert found.distances[-1].error < 2**-12


def test_float_samples_are_rounded_once_for_all_that_read_them():
    b = Real((6, 6, 3), np.random.default_rng(2))
    parts = [b.real_conv("", 3, C, k) for k in (1, 3)]
    b.classes(b.sign(b.add(SumOp((1, 1), op="Add"), *parts)))
    graph = b.graph(takes_floats=True)
    x = np.random.default_rng(0).standard_normal((30, 6, 6, 3)).astype(np.float32)
    found = widths.choose(graph, 12, calibration_data.given(graph, x))
    assert found.differ <= 1
    assert found.net.samples.quantiser is not None
