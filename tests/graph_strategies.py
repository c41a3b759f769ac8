"""Draw integer networks that branch: forks, every join and stretch, and several outputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.ir.stretches import FILLS
from xnorflow.ir.verify import reached, verify

from .strategies import MAX_CODE_BITS, Builder, chance, one_of, windows

BY_VALUE: tuple[type[ir.Join], ...] = (ir.Add, ir.Maximum, ir.Multiply)
"""Joins of one value from each map."""


@dataclass(frozen=True, eq=False)
class GraphCase:
    """A network that branches, and frames for it."""

    net: ir.IntegerNetwork
    x: NDArray[np.uint8]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the case; Hypothesis calls this for one that fails."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        lines = [f"frame {self.net.shape}"]
        for layer, out in zip(self.net.layers, self.net.features[1:], strict=True):
            reads = f" reads {', '.join(map(repr, layer.inputs))}" if layer.inputs else ""
            fields = [
                f"{name}={getattr(layer, name)}"
                for name in ("window", "multiply", "minimum", "axis", "factors", "fill", "crop")
                if hasattr(layer, name)
            ]
            lines.append(f"{layer.name}: {out.shape} {out.alphabet} {' '.join(fields)}{reads}")
        lines += [f"output {o.name} {o.shape} {o.gather.tolist()}" for o in self.net.outputs]
        return "\n  ".join(lines)


class GraphBuilder(Builder):
    """Builder of a network that branches: `at` is the map that the next layer reads."""

    def __init__(self, draw: Any) -> None:
        super().__init__(draw)
        self.at = ir.FRAME
        self.maps = {ir.FRAME: self.map}

    def add(self, kind: type[ir.Layer], *args: Any, **options: Any) -> None:
        """Add a layer that reads the current map, or those that `inputs` names."""
        inputs = options.pop("inputs", (self.at,))
        before = self.layers[-1].name if self.layers else ir.FRAME
        if inputs != (before,) or chance(self.draw, 10):
            options["inputs"] = inputs
        layer = kind(f"{kind.kind}{len(self.layers)}", *args, **options)
        layer.check(*(self.maps[name] for name in inputs))
        self.layers.append(layer)
        self.maps[layer.name] = layer.output(*(self.maps[name] for name in inputs))
        self.go(layer.name)

    def go(self, name: str) -> None:
        """Let the next layer read this map."""
        self.at, self.map = name, self.maps[name]

    def narrow(self) -> None:
        """Add thresholds where values are too wide to be read by other layers."""
        while self.map.alphabet.bits > MAX_CODE_BITS:
            self.threshold()

    def same(self) -> ir.Window:
        """Draw a window that keeps the map's size."""
        rows, cols = self.draw(st.sampled_from((1, 1, 3))), self.draw(st.sampled_from((1, 1, 3)))
        rows, cols = min(rows, 2 * self.map.height - 1), min(cols, 2 * self.map.width - 1)
        pads = (rows // 2, cols // 2)
        return ir.Window((rows, cols), pads=(*pads, *pads))

    def pick(self, out: int) -> None:
        """Make a map of another number of channels, with the current size."""
        self.conv_of(out, ir.Window())
        self.narrow()

    def conv_of(self, out: int, window: ir.Window) -> None:
        """Add a convolution without groups."""
        alphabet = one_of(self.draw, (ir.BIPOLAR, ir.TERNARY, ir.Alphabet(-4, 1, 8)))
        shape = (out, *window.kernel, self.map.channels)
        weights = alphabet.values(self.rng.integers(0, alphabet.levels, shape))
        self.add(ir.Conv, weights, alphabet, window, one_of(self.draw, (0, 0, 1)))

    def add_map(self) -> None:
        """Add a constant map, the same along some axes."""
        shape = [one_of(self.draw, (1, size)) for size in self.map.shape]
        self.add(ir.AddMap, self.rng.integers(-9, 10, shape))

    def stretch(self, size: tuple[int, int] | None = None) -> None:
        """Make the map larger, or crop it; with `size`, to this size if that is possible."""
        height, width = self.map.shape[:2]
        if size is None:
            factors = (self.draw(st.integers(1, 3)), self.draw(st.integers(1, 3)))
            crop = tuple(
                self.draw(st.integers(0, (n - 1) // 2)) if chance(self.draw, 40) else 0
                for n in (height * factors[0], width * factors[1]) * 2
            )
        else:
            factors = (-(-size[0] // height), -(-size[1] // width))
            rest = (height * factors[0] - size[0], width * factors[1] - size[1])
            first = tuple(self.draw(st.integers(0, n)) for n in rest)
            crop = (*first, *(n - f for n, f in zip(rest, first, strict=True)))
        fill = one_of(self.draw, FILLS)
        if fill == "blocks" and self.map.channels % prod(factors):
            self.pick(prod(factors) * self.draw(st.integers(1, 2)))
        self.add(ir.Stretch, factors, fill, crop)

    def branch(self, kind: type[ir.Join], target: tuple[int, int, int], main: bool) -> None:
        """Make a map that a join can read, from the current one, which has the target's size."""
        height, width, channels = target
        inner = one_of(self.draw, ("none", "conv", "down", "add_map", "one pixel"))
        if inner == "conv":
            self.conv(self.draw(st.integers(1, 4)), self.same())
            self.tails()
        elif inner == "down" and min(height, width) > 1:
            self.add(ir.MaxPool, ir.Window((2, 2), (2, 2)), self.rng.random(self.map.channels) < 1)
            self.stretch((height, width))
        elif inner == "add_map":
            self.add_map()
        elif inner == "one pixel" and kind in BY_VALUE and not main:
            self.add(ir.SumPool, ir.Window((height, width)))
        self.narrow()
        if kind is ir.Concat and self.map.channels <= 6 and chance(self.draw, 60):
            return
        if kind in BY_VALUE and not main and chance(self.draw, 15):
            channels = 1
        if self.map.channels != channels or (self.map.alphabet.levels > 64 and kind is not ir.Add):
            self.pick(channels)

    def fork(self) -> None:
        """Add branches from the current map, or from one before it, and join them."""
        kind: type[ir.Join] = one_of(
            self.draw, (ir.Add, ir.Add, ir.Concat, ir.Maximum, ir.Multiply)
        )
        number = 2 if kind is ir.Multiply else one_of(self.draw, (2, 2, 3, 1, 4))
        starts = [self.at] * number
        size = self.map.shape[:2]
        alike = [name for name, f in self.maps.items() if f.shape[:2] == size and f.channels <= 8]
        if chance(self.draw, 30):
            starts[-1] = one_of(self.draw, alike or [self.at])
        target = (*size, one_of(self.draw, (self.map.channels, self.draw(st.integers(1, 4)))))
        ends = []
        for k, start in enumerate(starts):
            self.go(start)
            self.narrow()
            self.branch(kind, target, main=k == 0)
            ends.append(self.at)
        order = self.draw(st.permutations(range(number)))
        self.join(kind, tuple(ends[k] for k in order))
        self.narrow()
        if chance(self.draw, 60):
            self.threshold()

    def join(self, kind: type[ir.Join], inputs: tuple[str, ...]) -> None:
        """Add a join of maps."""
        channels = max(self.maps[name].channels for name in inputs)
        shape = (len(inputs), one_of(self.draw, (1, channels)))
        if kind is ir.Add:
            self.add(ir.Add, self.rng.integers(-3, 4, shape), inputs=inputs)
        elif kind is ir.Maximum:
            factors = self.rng.choice((-2, -1, 1, 1, 3), shape)
            self.add(ir.Maximum, factors, chance(self.draw, 50), inputs=inputs)
        elif kind is ir.Multiply:
            self.add(ir.Multiply, inputs=inputs)
        else:
            every = {self.maps[name].channels for name in inputs}
            axes = (2, 0, 1) if len(every) == 1 else (2,)
            self.add(ir.Concat, one_of(self.draw, axes), inputs=inputs)

    def head(self, *, forms: bool) -> None:
        """Add scores of one pixel or of a map, of any form or of sums plus offsets alone."""
        if self.map.size > 100 or chance(self.draw, 50):
            kernel = (self.map.height, self.map.width)
            self.conv_of(self.draw(st.integers(1, 4)), ir.Window(kernel))
        elif chance(self.draw, 50):
            self.pick(self.draw(st.integers(1, 3)))
        if chance(self.draw, 20):
            self.threshold()
        if forms:
            self.scores()
        else:
            self.add(ir.Scores, self.rng.integers(-500, 500, self.map.channels))

    def outputs(self, heads: list[str]) -> tuple[ir.Output, ...]:
        """Return the file's outputs: each head's scores with channels first, last or flat."""
        found, first = [], 0
        for name in heads:
            f = self.maps[name]
            places = first + np.arange(f.size).reshape(f.shape)
            order = one_of(self.draw, ((2, 0, 1), (0, 1, 2)))
            places = places.transpose(order)
            shape = places.shape if max(f.shape[:2]) > 1 or chance(self.draw, 20) else (f.size,)
            found.append(ir.Output(f"of {name}", shape, places.ravel()))
            first += f.size
        return tuple(self.draw(st.permutations(found)))


@st.composite
def graph_cases(
    draw: Any, *, frames: int = 3, forks: int = 2, forms: bool = True, outputs: bool = True
) -> GraphCase:
    """Draw a network that branches, and frames.

    Parameters
    ----------
    draw : callable
        Given by Hypothesis.
    frames : int
        Number of frames.
    forks : int
        Most forks in its body.
    forms : bool
        Whether scores may have other forms than sums plus offsets.
    outputs : bool
        Whether it may have several outputs, or a map as output.
    """
    b = GraphBuilder(draw)
    b.samples()
    for _ in range(draw(st.integers(1, forks))):
        if chance(draw, 30):
            window = windows(draw, b.map, every_window=False)
            b.conv(draw(st.integers(1, 5)), window)
            b.tails()
        elif b.map.size <= 200 and chance(draw, 30):
            b.stretch()
        b.fork()
        assume(b.map.size <= 400)
    body, heads = b.at, []
    for _ in range(one_of(draw, (1, 2, 3)) if outputs else 1):
        b.go(body)
        b.head(forms=forms)
        if not outputs and b.map.shape[:2] != (1, 1):
            assume(False)
        heads.append(b.at)
    if len(heads) > 1:
        b.add(ir.AllScores, inputs=tuple(heads))
    several = len(heads) > 1 or b.map.shape[:2] != (1, 1)
    found = b.outputs(heads) if several or (outputs and chance(draw, 10)) else ()
    net = ir.IntegerNetwork("net", b.shape, tuple(b.layers), outputs=found)
    assume(all(net.readers[k] for k in range(1, len(net.layers))))
    verify(net)
    assume(reached(net).all())
    x = b.rng.integers(0, 256, (frames, *b.shape)).astype(np.uint8)
    return GraphCase(net, x)
