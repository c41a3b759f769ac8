"""Drawn graphs that branch, with scales that are powers of two, against float64."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops as g
from xnorflow.graph.function_ops import FunctionOp
from xnorflow.graph.join_ops import AddMapOp, ConcatOp, MaximumOp, ProductOp, StretchOp, SumOp
from xnorflow.ir import Window
from xnorflow.lower import lower
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

from .branching import Builder, f32, float_scores, samples, scores

SIZE = (4, 5)


class Drawer:
    """Draws a graph; every value is a map of `SIZE`, one channel of it, or one pixel."""

    def __init__(self, draw):
        self.draw = draw
        self.b = Builder((*SIZE, 2), np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
        self.values = {"": 2}

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def powers(self, channels):
        """Constants of powers of two of any sign, or one of them for all channels."""
        signs = self.b.rng.choice([-1, 1], channels)
        made = f32(signs * 2.0 ** self.b.rng.integers(-3, 2, channels))
        return made if self.pick(True, False) else made[:1]

    def any(self):
        """Return a value, mostly one of the last."""
        known = list(self.values)
        return self.pick(*known[-3:], *known[-2:], *known[-1:], *known)

    def unary(self):
        x, b = self.any(), self.b
        c = self.values[x]
        match self.pick(
            *("conv", "sign", "norm", "relu", "bend", "quant", "max", "crop", "map", "choose")
        ):
            case "conv":
                c, before = self.pick(2, 3, 4), c
                kernel = self.pick(1, 3)
                s = b.sign(x) if self.pick(True, True, False) else x
                bias = b.rng.integers(-9, 9, c) / 2 if self.pick(True, False) else None
                x = b.conv(s, before, c, kernel, bias=bias, scale=abs(self.powers(c)))
            case "sign":
                x = b.sign(x)
            case "norm":
                x = b.norm(x, self.powers(c), b.rng.integers(-20, 20, c) / 4)
            case "relu":
                x = b.add(g.ClipOp(self.pick(0.0, -2.0), self.pick(np.inf, 6.0), op="Clip"), x)
            case "bend":
                slope = f32(b.rng.choice([-0.5, 0.25, 2.0], c))
                leaky = FunctionOp("LeakyRelu", ((), slope), op="PRelu")
                x = b.add(self.pick(leaky, FunctionOp("Abs", ((),), op="Abs")), x)
            case "quant":
                bits, signed = self.pick(2.0, 3.0), self.pick(True, False)
                x = b.add(g.QuantOp(f32(0.5), f32(0.0), bits, signed, False, op="Quant"), x)
            case "max":
                x = b.add(g.MaxPoolOp(Window((3, 3), pads=(1, 1, 1, 1)), op="MaxPool"), x)
            case "crop":
                up = b.add(StretchOp((2, 2), self.pick("repeat", "zeros"), op="Resize"), x)
                top, left = b.rng.integers(0, 2, 2)
                crop = (int(top), int(left), 4 - int(top), 5 - int(left))
                x = b.add(StretchOp((1, 1), "repeat", crop, op="Slice"), up)
            case "map":
                x = b.add(AddMapOp(f32(b.rng.integers(-9, 9, (*SIZE, c)) / 8), op="Add"), x)
            case "choose":
                count = self.pick(1, 2, 3)
                w = np.zeros((count, 1, 1, c), np.int64)
                w[range(count), 0, 0, b.rng.integers(0, c, count)] = 1
                x, c = b.add(g.ConvOp(w, f32(1.0), op="Gather"), x), count
        self.values[x] = c

    def join(self):
        x, b = self.any(), self.b
        c = self.values[x]
        alike = [v for v, n in self.values.items() if n == c]
        others = [v for v, n in self.values.items() if n in (c, 1)]
        match self.pick("sum", "sum", "greatest", "concat", "product", "vector"):
            case "sum":
                more = [self.pick(*others) for _ in range(self.pick(1, 1, 2))]
                signs = tuple(self.pick(1, 1, -1) for _ in more)
                x = b.add(SumOp((1, *signs), op="Sum"), x, *more)
            case "greatest":
                x = b.add(MaximumOp(self.pick(True, False), op="Max"), x, self.pick(*alike))
            case "concat":
                more = [self.any() for _ in range(self.pick(1, 2))]
                c = c + sum(self.values[m] for m in more)
                x = b.add(ConcatOp(2, op="Concat"), x, *more)
            case "product":
                gate = self.pick(*others)
                gate = b.sign(gate) if self.pick(True, True, False) else gate
                x = b.add(ProductOp(op="Mul"), x, gate)
            case "vector":
                pool = b.add(g.SumPoolOp(Window(SIZE), op="ReduceSum"), b.sign(x))
                join = self.pick(SumOp((1, 1), op="Add"), ProductOp(op="Mul"))
                x = b.add(join, x, pool)
        self.values[x] = c

    def graph(self):
        b = self.b
        for _ in range(self.pick(2, 4, 6, 9, 12)):
            self.pick(self.unary, self.join)()
        ends = []
        for name in ("first", "second")[: self.pick(1, 1, 2)]:
            x = self.any()
            if self.pick(True, True, False):
                c = self.values[x]
                x = b.head(x, SIZE[0] * SIZE[1] * c, 4)
                ends.append(g.GraphOutput(name, x, (4,), np.arange(4)))
            else:
                x = b.conv(b.sign(x), self.values[x], 2, 1, bias=b.rng.integers(-9, 9, 2) / 2)
                count = 2 * SIZE[0] * SIZE[1]
                order = b.rng.permutation(count)
                ends.append(g.GraphOutput(name, x, (count,), order))
        return b.graph(outputs=tuple(ends))


@st.composite
def graphs(draw):
    return Drawer(draw).graph()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(graphs())
def test_drawn_graphs_keep_the_order_of_all_scores(graph):
    try:
        net = lower(graph)
    except UnsupportedModel:
        assume(False)
    assume(not any(ORDER_OF_SUMMATION in note for note in net.notes))
    x = samples(graph, 6)
    want, got = float_scores(graph, x), scores(net, x)
    at = 0
    for o in graph.outputs:
        a, b = got[:, at : at + o.gather.size], want[:, at : at + o.gather.size]
        at += o.gather.size
        assert (np.sign(a[:, :, None] - a[:, None]) == np.sign(b[:, :, None] - b[:, None])).all()
