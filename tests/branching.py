"""Draw whole integer networks that branch, with a folding and frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.ir.joins import broadcast_shape
from xnorflow.ir.reach import reached
from xnorflow.ir.verify import verify
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.reductions import Fold

from .strategies import MAX_CODE_BITS, MAX_CYCLES, Case, _Builder, _fold, chance, one_of

MAX_SIZE = 150
"""Most values of a map that another join or stretch may make larger."""


class Branches(_Builder):
    """Builder of a network in which any map can be read by several layers."""

    def __init__(self, draw: Any) -> None:
        """Draw the frame."""
        super().__init__(draw)
        self.shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
        self.map = ir.Features(*self.shape, ir.UINT8)
        self.at = ir.layer.FRAME
        self.maps = {self.at: self.map}

    def add(self, kind: type[ir.Layer], *args: Any, **options: Any) -> None:
        """Add a layer that reads the present map, or those that `inputs` names."""
        options.setdefault("inputs", (self.at,))
        layer = kind(f"{kind.kind}{len(self.layers)}", *args, **options)
        self.layers.append(layer)
        self.map = layer.output(*(self.maps[name] for name in layer.inputs))
        self.at = layer.name
        self.maps[self.at] = self.map

    def goto(self, name: str) -> None:
        """Let the next layer read another map."""
        self.at, self.map = name, self.maps[name]

    def narrow(self) -> None:
        """Add thresholds until the values are as narrow as others may read them."""
        while self.map.alphabet.bits > MAX_CODE_BITS:
            self.threshold()

    def partners(self, fits: Any) -> list[str]:
        """Draw one or two maps among those that fit the present one."""
        found = [name for name, f in self.maps.items() if fits(f) and f.alphabet.bits <= 8]
        if not found:
            return []
        return [one_of(self.draw, found) for _ in range(one_of(self.draw, (1, 1, 2)))]

    def join(self) -> None:
        """Add a join value by value."""

        def fits(f: ir.Features) -> bool:
            try:
                return max(broadcast_shape([f, self.map])) <= MAX_SIZE
            except ValueError:
                return False

        others = self.partners(fits)
        kind = one_of(self.draw, (ir.Add, ir.Add, ir.Maximum, ir.Multiply))
        if kind is ir.Multiply:
            others = others[:1]
            if not others:
                return
        inputs = (self.at, *others)
        try:
            shape = broadcast_shape([self.maps[name] for name in inputs])
        except ValueError:
            return
        if kind is ir.Multiply:
            self.add(kind, inputs=inputs)
        else:
            channels = shape[2] if chance(self.draw, 50) else 1
            multiply = self.rng.integers(-3, 4, (len(inputs), channels))
            if chance(self.draw, 50):
                multiply = np.ones_like(multiply)
            options = {} if kind is ir.Add else {"minimum": chance(self.draw, 50)}
            self.add(kind, multiply, inputs=inputs, **options)

    def concat(self) -> None:
        """Add maps side by side."""
        axis = self.draw(st.integers(0, 2))

        def fits(f: ir.Features) -> bool:
            alike = [a == b for a, b in zip(f.shape, self.map.shape, strict=True)]
            alike[axis] = True
            return all(alike) and f.size + self.map.size <= MAX_SIZE

        self.add(ir.Concat, axis, inputs=(self.at, *self.partners(fits)))

    def stretch(self) -> None:
        """Add a map of another size."""
        f = self.map
        fill = one_of(self.draw, ir.stretches.FILLS)
        factors = self.draw(st.integers(1, 3)), self.draw(st.integers(1, 3))
        crop = tuple(one_of(self.draw, (0, 0, 0, 1)) for _ in range(4))
        cell = factors[0] * factors[1]
        if fill == "blocks":
            crop = (0, 0, 0, 0)
            if f.channels % cell:
                return
        height = f.height * factors[0] - crop[0] - crop[2]
        width = f.width * factors[1] - crop[1] - crop[3]
        # Of a cropped cell, nothing but zeros may be left.
        constant = fill == "zeros" and (height < factors[0] or width < factors[1])
        if min(height, width) >= 1 and height * width * f.channels <= MAX_SIZE and not constant:
            self.add(ir.Stretch, factors, fill, crop)

    def constant(self) -> None:
        """Add the sum with a constant map."""
        shape = tuple(one_of(self.draw, (1, n)) for n in self.map.shape)
        self.add(ir.AddMap, self.rng.integers(-5, 6, shape) * one_of(self.draw, (1, 1, 3)))

    def whole(self) -> None:
        """Add the sum over all pixels, which another map can be scaled by."""
        self.add(ir.SumPool, ir.Window((self.map.height, self.map.width)), 0)
        self.narrow()

    def step(self) -> None:
        """Add a layer or a few behind any map."""
        self.goto(one_of(self.draw, list(self.maps)[-4:]))
        kinds = ("block", "block", "threshold", "join", "join", "join", "concat", "stretch")
        kind = one_of(self.draw, (*kinds, "constant", "whole", "samples"))
        if kind == "samples":
            self.goto(ir.layer.FRAME)
        if kind == "threshold" and self.at == ir.layer.FRAME:
            kind = "block"
        getattr(self, kind)()
        self.narrow()

    def finish(self) -> None:
        """Make scores of all that nothing reads."""
        read = {name for layer in self.layers for name in layer.inputs}
        ends = [layer.name for layer in self.layers if layer.name not in read]
        if not ends:
            ends = [ir.layer.FRAME]
        scores = []
        for name in ends:
            self.goto(name)
            if self.map.size > 40 or chance(self.draw, 50):
                self.end()
            elif self.at == ir.layer.FRAME or chance(self.draw, 30):
                self.add(ir.SumPool, ir.Window())
                self.scores()
            else:
                self.scores()
            scores.append(self.at)
        if len(scores) > 1:
            self.add(ir.AllScores, inputs=tuple(scores))

    several = False

    def chain(self, classes: int, largest: int) -> tuple[ir.ScoreStep, ...]:
        """Draw steps of scores, which several outputs cannot have."""
        return () if self.several else super().chain(classes, largest)


@st.composite
def branching_cases(draw: Any, *, frames: int = 3) -> Case:
    """Draw a network that branches, with a folding and frames."""
    b = Branches(draw)
    if chance(draw, 60):
        b.samples()
    for _ in range(draw(st.integers(1, 5))):
        b.step()
    read = {name for layer in b.layers for name in layer.inputs}
    b.several = sum(layer.name not in read for layer in b.layers) > 1
    b.finish()
    net = ir.IntegerNetwork("net", b.shape, tuple(b.layers))
    verify(net)
    assume(reached(net).all())
    parts = reductions(net)
    folds = tuple(joint_fold(draw, p) if isinstance(p, Joint) else _fold(draw, p) for p in parts)
    x = b.rng.integers(0, 256, (frames, *b.shape)).astype(np.uint8)
    in_lanes = draw(st.integers(1, min(8, net.features[0].size)))
    return Case(net, folds, in_lanes, draw(st.integers(1, min(9, net.score_count))), x)


def joint_fold(draw: Any, part: Joint) -> Fold:
    """Draw the lanes of a joint."""
    within = part.aligned or 1
    lanes = [n for n in range(1, part.out_channels + 1) if not part.aligned or within % n == 0]
    enough = [n for n in lanes if part.cycles(Fold(n, n)) <= MAX_CYCLES] or lanes[-1:]
    return Fold(*[one_of(draw, enough)] * 2)
