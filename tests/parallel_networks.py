"""Draw integer networks with parallel equal chains of layers, as ensembles and cores have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.ir.reach import reached
from xnorflow.ir.verify import verify

from .graph_strategies import GraphBuilder, GraphCase
from .strategies import chance, one_of

STEPS = ("threshold", "conv", "pool", "rescale", "table", "add_map", "signs", "stretch", "average")
"""Steps behind the first convolution of a chain."""


class ParallelBuilder(GraphBuilder):
    """Builder of chains that differ in nothing but their constants."""

    def convolution(self, out: int, kernel: tuple[int, int], pad: int, groups: int = 1) -> None:
        """Add a convolution whose weights are from an alphabet of their own."""
        alphabet = one_of(self.draw, (ir.BIPOLAR, ir.TERNARY, ir.Alphabet(-4, 1, 8)))
        shape = (out, *kernel, self.map.channels // groups)
        weights = alphabet.values(self.rng.integers(0, alphabet.levels, shape))
        pads = (kernel[0] // 2, kernel[1] // 2)
        window = ir.Window(kernel, pads=(*pads, *pads))
        self.add(ir.Conv, weights, alphabet, window, pad, groups)

    def codes(self, alphabet: ir.Alphabet) -> None:
        """Add thresholds among the values that occur."""
        a, channels = self.map.alphabet, self.map.channels
        limits = self.rng.integers(a.lo, a.hi + 2, (channels, alphabet.levels - 1))
        self.add(ir.Threshold, np.sort(limits, 1), alphabet)

    def step(self, name: str, alphabet: ir.Alphabet, out: int) -> None:
        """Add a step of a chain."""
        channels = self.map.channels
        match name:
            case "threshold":
                self.codes(alphabet)
            case "conv":
                self.convolution(out, (1, 1), 0)
            case "pool":
                minimum = self.rng.random(channels) < 0.3
                self.add(ir.MaxPool, ir.Window((1, 2), (1, 1), pads=(0, 0, 0, 1)), minimum)
            case "average":
                self.add(ir.SumPool, ir.Window((2, 1), pads=(1, 0, 0, 0)))
            case "rescale":
                low, high = np.zeros(channels, np.int64), np.full(channels, alphabet.levels - 1)
                numbers = self.rng.integers(0, 9, (2, channels))
                self.add(ir.Rescale, numbers[0], numbers[1] - 4, low, high, 2, alphabet)
            case "table":
                self.codes(alphabet)
                shape = (channels, alphabet.levels)
                self.add(ir.CodeTable, self.rng.integers(0, alphabet.levels, shape), alphabet)
            case "add_map":
                shape = [one_of(self.draw, (1, size)) for size in self.map.shape]
                self.add(ir.AddMap, self.rng.integers(-3, 4, shape))
            case "signs":
                shape = (1, one_of(self.draw, (1, channels)))
                self.add(ir.Add, self.rng.choice((-1, 1, 2), shape))
            case "stretch":
                self.add(ir.Stretch, (1, 2), one_of(self.draw, ("repeat",)), (0, 1, 0, 0))
            case _:
                raise ValueError(f"there is no step {name!r}")


@st.composite
def parallel_cases(draw: Any, *, frames: int = 3) -> GraphCase:
    """Draw a network with two to four equal chains between a map and a join, and frames.

    Parameters
    ----------
    draw : callable
        Given by Hypothesis.
    frames : int
        Number of frames.
    """
    b = ParallelBuilder(draw)
    b.samples()
    b.narrow()
    if chance(draw, 50):
        b.convolution(draw(st.integers(1, 4)), (1, 1), 0)
        b.codes(one_of(draw, (ir.BIPOLAR, ir.UNIPOLAR)))
    start, shared = b.at, b.map
    assume(shared.size <= 150)
    members = draw(st.integers(2, 4))
    kernel = one_of(draw, ((1, 1), (3, 3), (1, 3)))
    pad = one_of(draw, (0, 1))
    out = draw(st.integers(1, 3))
    alphabet = one_of(draw, (ir.BIPOLAR, ir.TERNARY, ir.Alphabet(0, 1, 4)))
    steps = draw(st.lists(st.sampled_from(STEPS), max_size=4))
    flat = chance(draw, 30)
    ends = []
    for _ in range(members):
        b.go(start)
        b.convolution(out, kernel, pad)
        for step in steps:
            if step in ("conv", "pool", "average") and b.map.alphabet.bits > 8:
                b.codes(alphabet)
            b.step(step, alphabet, out)
        if flat:
            if b.map.alphabet.bits > 4:
                b.codes(alphabet)
            b.add(ir.Flatten)
            b.convolution(2, (1, 1), 0)
            if chance(draw, 40):
                b.codes(alphabet)
        ends.append(b.at)
    kind = one_of(draw, (ir.Add, ir.Concat))
    if chance(draw, 30) and not flat:
        b.go(start)
        b.convolution(b.maps[ends[0]].channels, (1, 1), 0)
        if b.map.shape[:2] == b.maps[ends[0]].shape[:2]:
            ends.insert(draw(st.integers(0, len(ends))), b.at)
    inputs = tuple(draw(st.permutations(ends)))
    if kind is ir.Add:
        channels = b.maps[ends[0]].channels
        shape = (len(inputs), one_of(draw, (1, channels)))
        b.add(ir.Add, b.rng.integers(-3, 4, shape), inputs=inputs)
    else:
        b.add(ir.Concat, 2, inputs=inputs)
    assume(b.map.alphabet.bits <= 24 and b.map.size <= 400)
    b.codes(ir.BIPOLAR)
    if b.map.shape[:2] != (1, 1):
        b.add(ir.Flatten)
    b.convolution(draw(st.integers(2, 3)), (1, 1), 0)
    b.add(ir.Scores, b.rng.integers(-5, 5, b.map.channels))
    used = {name for layer in b.layers for name in layer.inputs}
    layers = tuple(b.layers)
    net = ir.IntegerNetwork("net", b.shape, layers)
    assume(used and all(net.readers[k] for k in range(1, len(net.layers))))
    verify(net)
    assume(reached(net).all())
    x = b.rng.integers(0, 256, (frames, *b.shape)).astype(np.uint8)
    return GraphCase(net, x)
