"""Draw whole integer networks with a folding: shapes come from Hypothesis, numbers from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.ir.score_steps import rounded
from xnorflow.ir.verify import reached, verify
from xnorflow.plan.layer_rules import StageRule, reductions, rule_of
from xnorflow.plan.reductions import Fold
from xnorflow_hw.spec.geometry import border_classes

SAMPLES = (
    ir.BIPOLAR,
    ir.UNIPOLAR,
    ir.TERNARY,
    ir.Alphabet(0, 1, 4),
    ir.Alphabet(-3, 2, 4),
    ir.Alphabet(-4, 1, 8),
    ir.Alphabet(0, 1, 13),
    ir.Alphabet(-8, 1, 16),
    ir.Alphabet(0, 1, 32),
    ir.Alphabet(-31, 1, 63),
    ir.Alphabet(-64, 1, 128),
    ir.UINT8,
    ir.Alphabet(-255, 2, 256),
)
CODES = (
    ir.BIPOLAR,
    ir.UNIPOLAR,
    ir.TERNARY,
    ir.Alphabet(0, 1, 4),
    ir.Alphabet(-3, 2, 4),
    ir.Alphabet(-4, 1, 8),
    ir.Alphabet(-1, 3, 6),
    ir.Alphabet(0, 1, 16),
    ir.Alphabet(5, 1, 1),
)
UNIFORM = (
    ir.Alphabet(0, 1, 5),
    ir.Alphabet(-4, 1, 8),
    ir.Alphabet(0, 1, 16),
    ir.Alphabet(-11, 1, 23),
    ir.Alphabet(0, 1, 64),
    ir.UINT8,
    ir.UINT8,
)
WEIGHTS = (
    ir.BIPOLAR,
    ir.TERNARY,
    ir.UNIPOLAR,
    ir.Alphabet(-2, 1, 4),
    ir.Alphabet(-3, 2, 4),
    ir.Alphabet(-4, 1, 8),
    ir.Alphabet(-7, 1, 15),
    ir.Alphabet(-8, 1, 16),
)
MAX_CODE_BITS = 10
"""Most bits of accumulators that another layer reads without a threshold between them."""
MAX_CYCLES = 300
"""Most cycles per frame of a stage; a drawn folding that takes more is widened."""


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its folding and frames for it."""

    net: ir.IntegerNetwork
    folds: tuple[Fold, ...]
    in_lanes: int
    out_lanes: int
    x: NDArray[np.uint8]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the case; Hypothesis calls this for one that fails."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        lines = [f"frame {self.net.shape}, lanes {self.in_lanes} in, {self.out_lanes} out"]
        folds = iter(self.folds)
        for layer, _, out in self.net:
            text = f"{layer.name}: {out.shape} {out.alphabet} {getattr(layer, 'window', '')}"
            if isinstance(layer, ir.Conv):
                text += f" {layer.alphabet} pad {layer.pad_value} groups {layer.groups}"
            if isinstance(layer, ir.Gather):
                text += f" words {layer.words} pad {layer.pad_value} negative {layer.negative}"
            if isinstance(rule_of(layer), StageRule) and self.net.chain:
                text += f" {next(folds)}"
            lines.append(text)
        return "\n  ".join(lines)


def one_of(draw: Any, values: Sequence[Any]) -> Any:
    return draw(st.sampled_from(values))


def chance(draw: Any, percent: int) -> bool:
    """Draw True in `percent` of all cases; Hypothesis shrinks it to False."""
    return bool(draw(st.integers(0, 99)) >= 100 - percent)


def _axis(draw: Any, size: int, every_window: bool) -> tuple[int, int, int, int, int]:
    """Draw kernel, stride, dilation and both pads along an axis.

    If the drawn ones leave no output, or windows of padding alone, the kernel is 1 without pads.
    """
    kernel = draw(st.integers(1, 5))
    stride = one_of(draw, (1, 1, 1, 2, 3))
    dilation = one_of(draw, (1, 1, 1, 2, 3))
    before, after = (one_of(draw, (0, 0, 1, 2)) for _ in range(2))
    out = (size + before + after - (kernel - 1) * dilation - 1) // stride + 1
    if out < 1:
        return 1, 1, 1, 0, 0
    _, patterns = border_classes(size, kernel, stride, dilation, before, out)
    alive = [not all(pattern) for pattern in patterns]
    if not (all(alive) if every_window else any(alive)):
        return 1, 1, 1, 0, 0
    return kernel, stride, dilation, before, after


def windows(draw: Any, inp: ir.Features, *, every_window: bool) -> ir.Window:
    """Draw a window; with `every_window`, no position of it lies in the padding alone."""
    rows = _axis(draw, inp.height, every_window)
    cols = _axis(draw, inp.width, every_window)
    (ky, sy, dy, t, b), (kx, sx, dx, left, right) = rows, cols
    return ir.Window((ky, kx), (sy, sx), (dy, dx), (t, left, b, right))


class Builder:
    """Builder of a network, layer by layer."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.shape = (draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(1, 5)))
        self.layers: list[ir.Layer] = []
        self.map = ir.Features(*self.shape, ir.UINT8)
        self.seen: ir.Ints | None = None

    def add(self, kind: type[ir.Layer], *args: Any, **options: Any) -> None:
        layer = kind(f"{kind.kind}{len(self.layers)}", *args, **options)
        self.layers.append(layer)
        self.map = layer.output(self.map)

    def samples(self) -> None:
        alphabet = one_of(self.draw, SAMPLES)
        rows = self.shape[2] if chance(self.draw, 50) else 1
        table = self.rng.integers(0, alphabet.levels, (rows, 256))
        if chance(self.draw, 60):  # Monotone tables, as imported networks have them.
            table.sort(axis=1)
        self.add(ir.InputTable, table, alphabet)

    def conv(self, out: int, window: ir.Window) -> None:
        alphabet, channels = one_of(self.draw, WEIGHTS), self.map.channels
        groups = 1
        if channels > 1 and chance(self.draw, 35):
            groups = one_of(self.draw, [n for n in range(2, channels + 1) if channels % n == 0])
            out = groups * self.draw(st.integers(1, 3))
        shape = (out, *window.kernel, channels // groups)
        weights = alphabet.values(self.rng.integers(0, alphabet.levels, shape))
        self.add(ir.Conv, weights, alphabet, window, one_of(self.draw, (0, 1, -1)), groups)

    def gather(self) -> None:
        """Add lookups in tables that the channels form, one or more of them."""
        window = windows(self.draw, self.map, every_window=False)
        channels, out = self.map.channels, self.draw(st.integers(1, 7))
        words = one_of(self.draw, [n for n in range(1, channels + 1) if channels % n == 0])
        indices = self.rng.integers(0, words, (out, *window.kernel, channels // words))
        negative = self.rng.random(out) < one_of(self.draw, (0, 0.4, 1))
        self.add(ir.Gather, indices, words, negative, window, one_of(self.draw, (0, 1, -1)))

    def pool(self) -> None:
        if chance(self.draw, 50):
            window = windows(self.draw, self.map, every_window=False)
            code = self.draw(st.integers(0, self.map.alphabet.levels - 1))
            self.add(ir.SumPool, window, code)
        else:
            window = windows(self.draw, self.map, every_window=True)
            self.add(ir.MaxPool, window, self.rng.random(self.map.channels) < 0.4)

    def uniform(self) -> None:
        """Add the thresholds of a uniform quantiser, whose roundings may be off by one."""
        alphabet, a = one_of(self.draw, UNIFORM), self.map.alphabet
        channels, steps = self.map.channels, np.arange(alphabet.levels - 1)
        width = max(1.0, a.hi - a.lo) * self.rng.uniform(0.3, 3, (channels, 1)) / alphabet.levels
        kind = one_of(self.draw, ("any", "dyadic", "off"))
        if kind == "dyadic":  # Half of the codes begin behind their ties.
            width = 2.0 ** np.rint(np.log2(width))
        middle = np.rint(self.rng.normal((a.lo + a.hi) / 2, 1 + (a.hi - a.lo) / 9, (channels, 1)))
        at = middle + (steps + 0.5 - alphabet.levels // 2) * width
        values = np.ceil(at).astype(np.int64)
        if kind == "dyadic":
            values += (at == values) & ((steps + alphabet.lo) % 2 == 0)
        elif kind == "off":
            values += self.rng.random(values.shape) < 0.2
        # Thresholds beyond all values are where lowering puts them.
        values = np.clip(np.maximum.accumulate(values, axis=1), a.lo, a.hi + 1)
        self.add(ir.Threshold, values, alphabet)

    def rescale(self) -> None:
        """Add codes that are computed, mostly within their range, and bounds per channel."""
        alphabet, a, channels = one_of(self.draw, CODES), self.map.alphabet, self.map.channels
        shift, top = self.draw(st.integers(0, 9)), alphabet.levels - 1
        width = max(1.0, a.hi - a.lo) * self.rng.uniform(0.2, 3, channels) / alphabet.levels
        multiply = np.rint((1 << shift) / width).astype(np.int64)
        multiply[self.rng.random(channels) < 0.1] = 0
        middle = self.rng.normal((a.lo + a.hi) / 2, 1 + (a.hi - a.lo) / 9, channels)
        offset = np.rint((top + 1) / 2 * (1 << shift) - middle * multiply).astype(np.int64)
        least, most = np.zeros(channels, np.int64), np.full(channels, top)
        if chance(self.draw, 40):
            ends = np.sort(self.rng.integers(0, top + 1, (2, channels)), axis=0)
            least, most = ends[0], ends[1]
        self.add(ir.Rescale, multiply, offset, least, most, shift, alphabet)

    def threshold(self) -> None:
        if chance(self.draw, 25):
            self.uniform()
            return
        if chance(self.draw, 20):
            self.rescale()
            return
        alphabet, a = one_of(self.draw, CODES), self.map.alphabet
        shape = (self.map.channels, alphabet.levels - 1)
        # Most of a sum's values lie near the middle of its range.
        centre, spread = (a.lo + a.hi) / 2, max(1.0, (a.hi - a.lo) / self.draw(st.integers(2, 9)))
        values = np.rint(self.rng.normal(centre, spread, shape)).astype(np.int64)
        extreme = self.rng.random(shape)
        values[extreme < 0.06] = a.lo - self.rng.integers(0, 2)
        values[extreme > 0.94] = a.hi + self.rng.integers(0, 2)
        values[extreme < 0.02] = -(1 << 40)
        values[extreme > 0.98] = 1 << 40
        self.add(ir.Threshold, np.sort(values, axis=1), alphabet)
        if alphabet.levels <= 8 and chance(self.draw, 20):
            codes = one_of(self.draw, CODES)
            table = self.rng.integers(0, codes.levels, (self.map.channels, alphabet.levels))
            self.add(ir.CodeTable, table, codes)

    def tails(self) -> None:
        """Add thresholds: usually one, and as many as needed if the values are too wide."""
        for _ in range(one_of(self.draw, (1, 1, 1, 0, 2))):
            self.threshold()
        while self.map.alphabet.bits > MAX_CODE_BITS:
            self.threshold()

    def block(self) -> None:
        kind = one_of(self.draw, ("conv", "conv", "pool", "flatten", "gather"))
        if kind == "conv":
            window = windows(self.draw, self.map, every_window=False)
            self.conv(self.draw(st.integers(1, 7)), window)
            if chance(self.draw, 25) and self.map.alphabet.bits <= MAX_CODE_BITS:
                self.pool()
            self.tails()
        elif kind == "gather":
            self.gather()
            self.tails()
        elif kind == "pool":
            self.pool()
            if self.map.alphabet.bits > MAX_CODE_BITS or chance(self.draw, 40):
                self.tails()
        elif self.map.size <= 60:
            self.add(ir.Flatten)

    def end(self) -> None:
        whole = ir.Window((self.map.height, self.map.width))
        how = one_of(self.draw, ("dense", "dense", "whole", "sum"))
        if how == "sum":
            self.add(ir.SumPool, whole, 0)
        elif how == "whole" or self.map.size > 100:
            self.conv(self.draw(st.integers(1, 7)), whole)
        else:
            if self.map.shape[:2] != (1, 1) or chance(self.draw, 20):
                self.add(ir.Flatten)
            self.conv(self.draw(st.integers(1, 7)), ir.Window())
        if chance(self.draw, 15):
            self.threshold()
        self.scores()

    def scores(self) -> None:
        classes, a = self.map.channels, self.map.alphabet
        zeros = np.zeros(classes, np.int64)
        if a.bits <= 8 and chance(self.draw, 30):
            ranks = np.sort(self.rng.integers(0, 400, (classes, a.hi - a.lo + 1)), axis=1)
            self.add(ir.Scores, zeros, ranks, np.full(classes, a.lo))
        elif a.bits <= 24 and chance(self.draw, 35):
            self.add(ir.Scores, zeros, steps=self.chain(classes, max(abs(a.lo), abs(a.hi))))
        elif chance(self.draw, 20):
            factor = self.draw(st.integers(2, 9))
            self.add(ir.Scores, self.rng.integers(-500, 500, classes), factor=factor)
        else:
            self.add(ir.Scores, self.rng.integers(-500, 500, classes) * chance(self.draw, 70))

    def chain(self, classes: int, largest: int) -> tuple[ir.ScoreStep, ...]:
        """Draw steps whose sums stay below 55 bits, some of them with more than 24."""
        steps, bits = [], max(1, largest.bit_length())
        for _ in range(self.draw(st.integers(1, 4))):
            room = min(28, 48 - bits)
            if room < 2:
                break
            if chance(self.draw, 60):
                width = self.draw(st.integers(1, room))
                multiply = self.rng.integers(-(1 << width), 1 << width, classes)
                add = np.zeros(classes, np.int64)
                bits += width
            else:
                width = self.draw(st.integers(0, min(room, 4)))
                multiply = np.full(classes, 1 << width)
                bits = max(bits + width, room) + 1
                add = self.rng.integers(-(1 << room), 1 << room, classes)
            # What a shift drops is always 0, and constants are floats, as in imported networks.
            shift = self.draw(st.integers(0, 3))
            multiply, add = (rounded(c) << shift for c in (multiply, add))
            steps.append(ir.ScoreStep(multiply, add, shift))
        return tuple(steps)


def reduction_fold(draw: Any, part: Any) -> Fold:
    """Draw a folding, among them such as the compiler would never choose."""
    grain = part.grain
    simd = grain * draw(st.integers(1, part.inp.channels // grain))
    if not part.weighted:
        while part.cycles(Fold(simd, simd)) > MAX_CYCLES and simd < part.inp.channels:
            simd += 1
        return Fold(simd, simd)
    pixels = one_of(draw, [m for m in range(1, 7) if not part.refusal(m)])
    if part.groups > 1:
        return _fold_groups(draw, part, pixels)
    pe = draw(st.integers(1, part.out_channels))
    while part.cycles(Fold(pe, simd, pixels)) > MAX_CYCLES:
        if simd < part.inp.channels:
            simd += grain
        elif pe < part.out_channels:
            pe += 1
        else:
            break
    return Fold(pe, simd, pixels)


def _fold_groups(draw: Any, part: Any, pixels: int) -> Fold:
    """Draw parts of a group or several whole ones, whether they divide the groups or not."""
    inputs, outputs = part.group_inputs, part.group_outputs
    parts = [
        Fold(pe, simd, pixels)
        for pe in range(1, outputs + 1)
        for simd in range(1, inputs + 1)
        if not (outputs % pe or inputs % simd)
    ]
    whole = [Fold(k * outputs, k * inputs, pixels) for k in range(2, part.groups + 1)]
    found = parts + whole
    return one_of(draw, [f for f in found if part.cycles(f) <= MAX_CYCLES] or found[-1:])


@st.composite
def cases(draw: Any, *, frames: int = 4) -> Case:
    """Draw a whole network with a folding and frames."""
    b = Builder(draw)
    if chance(draw, 80):
        b.samples()
    for _ in range(draw(st.integers(0, 3))):
        b.block()
    b.end()
    net = ir.IntegerNetwork("net", b.shape, tuple(b.layers))
    verify(net)
    assume(reached(net).all())
    folds = tuple(reduction_fold(draw, part) for part in reductions(net))
    x = b.rng.integers(0, 256, (frames, *b.shape)).astype(np.uint8)
    in_lanes = draw(st.integers(1, min(8, net.features[0].size)))
    return Case(net, folds, in_lanes, draw(st.integers(1, net.features[-1].channels)), x)
