"""The kinds of layers of an integer network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet, Ints, weight_alphabet
from xnorflow.ir.features import Features, Window, window_sums
from xnorflow.ir.field_checks import (
    MAX_VALUE,
    check_alphabet,
    check_padding,
    check_window,
    integers,
    need,
)
from xnorflow.ir.layer import OMITTED, Layer, LayersBefore, Mask, NotMirrored
from xnorflow.ir.score_steps import ScoreStep, check_steps, reached

MAX_FACTOR = 1 << 16
"""Largest factor of scores: there are no more classes than that."""
MAX_EXPONENT = 256
"""Largest magnitude of the exponent of scores; those of float32 values are smaller."""

MAX_PRODUCT_BITS = 62
"""Widest sum of a product and an offset; int64 holds it."""


def any_tap(x: Mask, w: Window) -> Mask:
    """Return whether any tap is true, for each position of the window on `x`.

    `x` is [height, width, channels], the result is [output height, output width, channels].
    """
    top, left, bottom, right = w.pads
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, w.extent, axis=(0, 1))
    view = view[:: w.stride[0], :: w.stride[1], :, :: w.dilation[0], :: w.dilation[1]]
    return np.asarray(view.any(axis=(3, 4)))


def _check_table(table: Ints, alphabet: Alphabet) -> None:
    """Check the codes of a table and their alphabet."""
    codes = integers(table, 2, "table's codes")
    check_alphabet(alphabet)
    need(
        codes.min() >= 0 and codes.max() < alphabet.levels,
        "a code of its table is out of range",
    )


@dataclass(frozen=True, eq=False)
class InputTable(Layer):
    """A table that quantises samples: ``code = table[channel, sample's code]``.

    Parameters
    ----------
    table : int64 array [1 or channels, levels of the samples]
        Output code for each code of a sample; a uint8 sample is its own code. A single row serves
        all channels.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    table: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "input"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Return features of the input's shape and the table's alphabet."""
        levels = inp.alphabet.levels
        if self.table.shape not in ((1, levels), (inp.channels, levels)):
            raise ValueError(
                f"a table of {self.table.shape} does not fit {inp.channels} channels with {levels}"
                f" levels: it has to be [1 or {inp.channels}, {levels}]"
            )
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the table's codes."""
        _check_table(self.table, self.alphabet)

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`: each output depends on one input."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[InputTable, Ints]:
        """Reverse the codes of marked channels: ``levels - 1 - code``."""
        table = np.broadcast_to(self.table, (len(mask), self.table.shape[1]))
        turned = self.alphabet.levels - 1 - table
        layer = replace(self, table=np.where(mask[:, None], turned, table))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """A frame's features, in row, column, channel order, as the channels of a single pixel."""

    kind: ClassVar[str] = "flatten"

    def output(self, inp: Features) -> Features:
        """Return a map of one pixel that has all features as channels."""
        return Features(1, 1, inp.size, inp.alphabet)

    def check(self, inp: Features) -> None:
        """Do nothing: there are no fields."""

    def depends(self, alive: Mask) -> Mask:
        """Return the values of `alive` as one pixel."""
        return alive.reshape(1, 1, -1)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Flatten, Ints]:
        """Mirror channels of the map before; NotMirrored if `mask` splits a channel's pixels."""
        pixels = mask.reshape(-1, before.features().channels)
        if (pixels != pixels[0]).any():
            raise NotMirrored(
                "it falls for some pixels of a channel and rises for others.",
                op="Flatten",
                hint="batch normalisation per channel, ahead of the flattening.",
            )
        return self, np.tile(before.mirror(pixels[0]), len(pixels))


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """Cross-correlation with integer accumulators; a dense layer is the 1 x 1 case on one pixel.

    With several groups, channels are divided into as many equal parts, in order, and each part of
    the outputs sums over its own part of the inputs only.

    Parameters
    ----------
    weights : int64 array [out_channels, kernel_rows, kernel_cols, in_channels / groups]
        Values of the weights.
    alphabet : Alphabet
        Alphabet that contains all weights.
    window : Window
        Geometry; the kernel equals the middle axes of the weights.
    pad_value : int
        Value of a padded feature; it need not be in the input's alphabet.
    groups : int
        Number of groups; it divides the channels of input and output.
    edges : int64 array [edges, *weights.shape], optional
        Arrays of two edges or more whose sum are the weights. Only the first k of them may be
        enabled while the network runs; what follows the layer serves every k.
    """

    weights: Ints
    alphabet: Alphabet
    window: Window = Window()
    pad_value: int = 0
    groups: int = field(default=1, metadata=OMITTED)
    edges: Ints | None = field(default=None, metadata=OMITTED)
    kind: ClassVar[str] = "conv"

    @property
    def edge_count(self) -> int:
        """Number of edges; 1 if the weights are not a sum of several."""
        return 1 if self.edges is None else len(self.edges)

    @property
    def enabled(self) -> Ints:
        """The weights with the first 1, 2 ... edges enabled: int64 [edges, *weights.shape]."""
        return self.weights[None] if self.edges is None else np.cumsum(self.edges, 0)

    def with_edges(self, count: int) -> Conv:
        """Return the layer that computes with the first `count` edges, or all if it has fewer."""
        if count >= self.edge_count:
            return self
        return replace(self, weights=self.enabled[count - 1], edges=None)

    @property
    def operations(self) -> int:
        """Multiply-accumulates per output pixel."""
        return int(np.prod(self.weights.shape))

    def bounds(self, inp: Alphabet) -> tuple[Ints, Ints]:
        """Return bounds of each output channel's accumulator, two int64 arrays [out_channels].

        Any feature is assumed to have any value of the alphabet or, with padding, `pad_value`, and
        any number of edges to be enabled. The arrays hold Python integers (dtype object) if a bound
        might exceed int64.
        """
        lo, hi = inp.lo, inp.hi
        if any(self.window.pads):
            lo, hi = min(lo, self.pad_value), max(hi, self.pad_value)
        flat = self.enabled.reshape(self.edge_count, len(self.weights), -1)
        positive, negative = np.maximum(flat, 0).sum(2), np.minimum(flat, 0).sum(2)
        if max(abs(lo), abs(hi)) * int((positive - negative).max()) >= 1 << 62:
            # Python's integers do not overflow; a sum that wrapped would pass as a small one.
            positive, negative = positive.astype(object), negative.astype(object)
        least, most = positive * lo + negative * hi, positive * hi + negative * lo
        return least.min(0), most.max(0)

    def output(self, inp: Features) -> Features:
        """Return the output's shape and, as alphabet, all integers between its bounds."""
        out, rows, cols, channels = self.weights.shape
        if channels * self.groups != inp.channels or (rows, cols) != self.window.kernel:
            raise ValueError(
                f"weights {self.weights.shape} [out, rows, columns, in] in groups: {self.groups} do"
                f" not fit {inp.channels} input channels and a kernel of {self.window.kernel}"
            )
        lo, hi = self.bounds(inp.alphabet)
        return window_sums(self.window, inp, out, int(lo.min()), int(hi.max()))

    def check(self, inp: Features) -> None:
        """Check weights, padding and window."""
        weights, a = integers(self.weights, 4, "weights"), self.alphabet
        check_alphabet(a)
        need(
            type(self.groups) is int and self.groups >= 1 and len(weights) % self.groups == 0,
            f"{self.groups!r} groups do not divide its {len(weights)} output channels",
        )
        codes, rest = np.divmod(weights - a.lo, a.step)
        need(
            not rest.any() and codes.min() >= 0 and codes.max() < a.levels,
            f"a weight is not in {a}, the alphabet of its weights, which lie between"
            f" {weights.min()} and {weights.max()}",
        )
        if self.edges is not None:
            edges = integers(self.edges, 5, "edges")
            need(
                len(edges) > 1
                and edges.shape[1:] == weights.shape
                and np.array_equal(edges.sum(0), weights),
                f"its edges {edges.shape} are not two or more whose sum are its weights"
                f" {weights.shape}",
            )
        check_padding(self.pad_value)
        check_window(self.window, inp, every=False)

    def depends(self, alive: Mask) -> Mask:
        """Return for every window whether any of its taps is alive in any channel of a group."""
        by_group = alive.reshape(*alive.shape[:2], self.groups, -1)
        there = any_tap(np.asarray(by_group.any(axis=3)), self.window)
        return np.repeat(there, len(self.weights) // self.groups, axis=2)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Conv, Ints]:
        """Negate the weights of marked channels."""
        signs = np.where(mask, -1, 1)[:, None, None, None]
        weights = self.weights * signs
        edges = None if self.edges is None else self.edges * signs
        layer = replace(self, weights=weights, alphabet=weight_alphabet(weights), edges=edges)
        return layer, np.zeros(len(mask), np.int64)

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return the code of `pad_value`, None if `inp` lacks that value, and 0 without padding."""
        return inp.code_of(self.pad_value) if any(self.window.pads) else 0


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Maximum over a window, or minimum in marked channels; padding is left out of both.

    Parameters
    ----------
    window : Window
        Geometry; at every position, the window has at least one tap that isn't padded.
    minimum : bool array [channels]
        Whether a channel takes the minimum.
    """

    window: Window
    minimum: NDArray[np.bool_]
    kind: ClassVar[str] = "maxpool"
    picks: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Return features with the window's output height and width."""
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1 or self.minimum.shape != (inp.channels,):
            raise ValueError(f"pool {self.window} does not fit {inp.shape}")
        return Features(height, width, inp.channels, inp.alphabet)

    def check(self, inp: Features) -> None:
        """Check `minimum` and the window."""
        need(
            isinstance(self.minimum, np.ndarray) and self.minimum.dtype == np.bool_,
            "its field minimum is not bool",
        )
        check_window(self.window, inp, every=True)

    def depends(self, alive: Mask) -> Mask:
        """Return, for each position of the window, whether any tap is `alive`."""
        return any_tap(alive, self.window)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[MaxPool, Ints]:
        """Swap minimum and maximum in marked channels, and mirror these channels before."""
        return replace(self, minimum=self.minimum ^ mask), before.mirror(mask)


@dataclass(frozen=True, eq=False)
class SumPool(Layer):
    """Sum over a window, channel by channel.

    An average-pool is such a sum; the division is absorbed by the thresholds after it.

    Parameters
    ----------
    window : Window
        Geometry.
    pad_code : int
        Code of the input's alphabet that padded taps have.
    """

    window: Window
    pad_code: int = 0
    kind: ClassVar[str] = "sumpool"

    def output(self, inp: Features) -> Features:
        """Return the sums: the alphabet of a sum of n features is n times as wide."""
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1:
            raise ValueError(f"pool {self.window} does not fit {inp.shape}")
        taps, a = self.window.kernel[0] * self.window.kernel[1], inp.alphabet
        total = Alphabet(a.lo * taps, a.step, (a.levels - 1) * taps + 1)
        return Features(height, width, inp.channels, total)

    def check(self, inp: Features) -> None:
        """Check the pad code and the window."""
        need(
            type(self.pad_code) is int and 0 <= self.pad_code < inp.alphabet.levels,
            f"its pad code is out of range: {self.pad_code!r} is none of the"
            f" {inp.alphabet.levels} codes of its input",
        )
        check_window(self.window, inp, every=False)

    def depends(self, alive: Mask) -> Mask:
        """Return, for each position of the window, whether any tap is `alive`."""
        return any_tap(alive, self.window)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[SumPool, Ints]:
        """Mirror channels before; NotMirrored if padding is not in the middle of the alphabet."""
        mirror = before.mirror(mask) * int(np.prod(self.window.kernel))
        if any(self.window.pads) and mirror[mask].any():
            raise NotMirrored(
                "its channels fall, and its padding of 0 is not in the middle of their values.",
                op="AveragePool",
                hint="an average pool without padding.",
                off_centre=True,
            )
        return self, mirror

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return `pad_code`."""
        return self.pad_code


@dataclass(frozen=True, eq=False)
class Threshold(Layer):
    """Thresholds that quantise values: a code is the number of thresholds that are <= the value.

    Parameters
    ----------
    thresholds : int64 array [channels, levels - 1]
        In ascending order along the last axis.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    thresholds: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "threshold"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Return features of the input's shape and the codes' alphabet."""
        if self.thresholds.shape != (inp.channels, self.alphabet.levels - 1):
            raise ValueError(
                f"thresholds of {self.thresholds.shape} do not fit: {inp.channels} channels and"
                f" {self.alphabet.levels} levels need {(inp.channels, self.alphabet.levels - 1)}"
            )
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the type and the order of the thresholds."""
        check_alphabet(self.alphabet)
        t = self.thresholds
        need(
            isinstance(t, np.ndarray) and t.dtype == np.int64 and t.ndim == 2,
            "its thresholds are not int64 with 2 axes",
        )
        need((t[:, 1:] >= t[:, :-1]).all(), "thresholds descend")

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`: each output depends on one input."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Threshold, Ints]:
        """Mirror marked channels before, and their thresholds with them."""
        source = before.mirror(mask)
        # v < t exactly where mirror - v >= mirror - t + 1.
        turned = (source[:, None] + 1 - self.thresholds)[:, ::-1]
        layer = replace(self, thresholds=np.where(mask[:, None], turned, self.thresholds))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class CodeTable(Layer):
    """A table that replaces codes: ``new code = table[channel, code]``.

    After thresholds that number intervals of a value, it computes any function of that value that
    is constant on each interval, whether or not it is monotone.

    Parameters
    ----------
    table : int64 array [channels, input levels]
        Output code for each input code.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    table: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "table"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Return features of the input's shape and the table's alphabet."""
        if self.table.shape != (inp.channels, inp.alphabet.levels):
            raise ValueError(
                f"a table of {self.table.shape} does not fit: its input needs"
                f" [channels, levels] of {(inp.channels, inp.alphabet.levels)}"
            )
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the table's codes."""
        _check_table(self.table, self.alphabet)

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`: each output depends on one input."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[CodeTable, Ints]:
        """Reverse the codes of marked channels: ``levels - 1 - code``."""
        turned = self.alphabet.levels - 1 - self.table
        layer = replace(self, table=np.where(mask[:, None], turned, self.table))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Rescale(Layer):
    """Scales values and rounds them to codes.

    ``code = clip((value * multiply[channel] + offset[channel]) >> shift, least[channel],
    most[channel])``; the shift rounds down, so one half of it in `offset` rounds to the nearest.

    Parameters
    ----------
    multiply, offset : int64 array [channels]
        Factor of the value, at least 0, and what is added to the product.
    least, most : int64 array [channels]
        Bounds of the codes.
    shift : int
        Number of low bits that are dropped, 0 or more.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    multiply: Ints
    offset: Ints
    least: Ints
    most: Ints
    shift: int
    alphabet: Alphabet
    kind: ClassVar[str] = "rescale"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        arrays = (self.multiply, self.offset, self.least, self.most)
        if any(a.shape != (inp.channels,) for a in arrays):
            raise ValueError(f"factors {self.multiply.shape} do not fit {inp}")
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check that no product or sum is wider than `MAX_PRODUCT_BITS`."""
        check_alphabet(self.alphabet)
        need(integers(self.multiply, 1, "factors").min() >= 0, "a factor is negative")
        integers(self.offset, 1, "offsets")
        least, most = integers(self.least, 1, "least codes"), integers(self.most, 1, "most codes")
        need(
            least.min() >= 0 and most.max() < self.alphabet.levels,
            "a bound of its codes is out of range",
        )
        need((least <= most).all(), "a least code is above the greatest")
        need(
            type(self.shift) is int and 0 <= self.shift < MAX_PRODUCT_BITS,
            f"its shift of {self.shift!r} bits is not possible",
        )
        largest = max(abs(inp.alphabet.lo), abs(inp.alphabet.hi))
        # Python's integers: a product that wraps would look like a small one.
        factor = int(self.multiply.max())
        offset = max(abs(int(self.offset.min())), abs(int(self.offset.max())))
        need(
            factor * largest + offset < 1 << MAX_PRODUCT_BITS,
            f"its products take more than {MAX_PRODUCT_BITS} bits",
        )

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Rescale, Ints]:
        """Turn the codes of marked channels upside down, with what is mirrored before."""
        source = before.mirror(mask)
        # For v = source - u, levels - 1 - ((v * m + b) >> s) is (u * m + turned) >> s, because
        # -(t >> s) - 1 == (-t - 1) >> s.
        top = (self.alphabet.levels << self.shift) - 1
        turned = top - self.offset - source * self.multiply
        layer = replace(
            self,
            offset=np.where(mask, turned, self.offset),
            least=np.where(mask, self.alphabet.levels - 1 - self.most, self.least),
            most=np.where(mask, self.alphabet.levels - 1 - self.least, self.most),
        )
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Scores(Layer):
    """Integer scores from the last accumulators; nothing but an `AllScores` follows.

    On a map of several pixels, each pixel has a score per class, and the scores of a frame are in
    row, column, channel order.

    Without `ranks` and `steps`, ``score = factor * value + offsets[class]``. Where no such score
    has the order of the imported network's float32 scores, there is one of two other forms. With
    `steps`, the score is the float32 score itself, as an integer multiple of ``2 ** exponent``.
    With `ranks`, ``score = ranks[class, value - rank_lo[class]]``, the rank of that float32 score
    among all that any class can reach, equal ranks for equal floats.

    Parameters
    ----------
    offsets : int64 array [classes]
        Offset of each class; all 0 with `ranks` or `steps`.
    ranks : int64 array [classes, n], optional
        Ranks by class and value; rows end in -1 beyond the values that a class can reach.
    rank_lo : int64 array [classes], optional
        Least value that each class can reach; given if `ranks` is.
    floats : float32 array [m], optional
        The imported network's score for each integer score, ``floats[score - floats_lo]``; absent
        if the table would be large.
    floats_lo : int
        Integer score of the first entry of `floats`; 0 with `ranks`.
    factor : int
        See above, at least 1; 1 with `ranks` or `steps`.
    steps : tuple of ScoreStep
        The chain that computes float32 scores in integers.
    exponent : int
        With `steps`, the float32 score is ``score * 2 ** exponent``.
    """

    offsets: Ints
    ranks: Ints | None = None
    rank_lo: Ints | None = None
    floats: NDArray[np.float32] | None = None
    floats_lo: int = 0
    factor: int = field(default=1, metadata=OMITTED)
    steps: tuple[ScoreStep, ...] = field(default=(), metadata=OMITTED)
    exponent: int = field(default=0, metadata=OMITTED)
    kind: ClassVar[str] = "scores"

    @property
    def form(self) -> str:
        """Name of the way in which scores are computed."""
        if self.steps:
            number = len(self.steps)
            return f"float32 operations as {number} integer step{'s' * (number > 1)}"
        if self.ranks is not None:
            return "table of ranks"
        if self.factor != 1:
            return f"sums times {self.factor}, plus offsets"
        return "sums plus offsets"

    def output(self, inp: Features) -> Features:
        """Return the input's shape and the integers between the scores' bounds."""
        if inp.channels != len(self.offsets):
            raise ValueError(
                f"scores for {len(self.offsets)} classes do not fit a map of {inp.shape}: it has to"
                f" have {len(self.offsets)} channels"
            )
        if self.ranks is not None:
            return Features(*inp.shape, Alphabet(0, 1, int(self.ranks.max()) + 1))
        low, high = inp.alphabet.lo, inp.alphabet.hi
        if self.steps:
            low, high = reached(self.steps, len(self.offsets), low, high)
        low = self.factor * low + int(self.offsets.min())
        high = self.factor * high + int(self.offsets.max())
        return Features(*inp.shape, Alphabet(low, 1, high - low + 1))

    def to_float(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Return the imported network's float32 scores, in the shape of `scores`.

        Parameters
        ----------
        scores : int64 array
            Integer scores, of any shape.

        Raises
        ------
        ValueError
            If the network has no table of float scores.
        """
        if self.steps:
            return np.ldexp(np.asarray(scores, np.float64), self.exponent).astype(np.float32)
        if self.floats is None:
            raise ValueError("no table of float scores was kept for this network")
        floats: NDArray[np.float32] = self.floats[np.asarray(scores) - self.floats_lo]
        return floats

    def check(self, inp: Features) -> None:
        """Check the types, shapes and ranges of all fields."""
        classes = len(integers(self.offsets, 1, "offsets"))
        low, high = int(self.offsets.min()), int(self.offsets.max())
        need(
            low >= -MAX_VALUE and high <= MAX_VALUE,
            f"an offset is too large: {low} to {high} exceed {MAX_VALUE} in magnitude",
        )
        if self.floats is not None:
            need(
                isinstance(self.floats, np.ndarray)
                and self.floats.dtype == np.float32
                and self.floats.ndim == 1,
                "its table of float scores is not float32 with 1 axis",
            )
        need(type(self.floats_lo) is int, "its field floats_lo is not an integer")
        need(
            type(self.factor) is int and 1 <= self.factor <= MAX_FACTOR,
            "its factor is out of range",
        )
        need(
            type(self.exponent) is int and abs(self.exponent) <= MAX_EXPONENT,
            "its exponent is out of range",
        )
        check_steps(self.steps, classes, inp.alphabet.lo, inp.alphabet.hi)
        other = self.ranks is not None or self.steps
        need(
            not (other and self.offsets.any()),
            f"it has {'steps' if self.steps else 'ranks'} and offsets",
        )
        need(not other or self.factor == 1, "it has two forms of scores")
        if self.ranks is None:
            need(self.rank_lo is None, "it has rank_lo, but no ranks")
            return
        ranks, lo = integers(self.ranks, 2, "ranks"), integers(self.rank_lo, 1, "rank_lo")
        need(len(ranks) == len(lo) == classes, f"its ranks are not for {classes} classes")
        need(not self.steps, "it has ranks and steps")
        need(
            ranks.min() >= -1 and 0 <= ranks.max() < 1 << MAX_BITS,
            f"a rank is out of range: ranks lie between -1 and {(1 << MAX_BITS) - 1}",
        )

    def depends(self, alive: Mask) -> Mask:
        """Return `alive`: each output depends on one input."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Scores, Ints]:
        """Raise TypeError: no layer follows the scores, so none can ask to mirror them."""
        raise TypeError("scores are not mirrored: nothing follows them")
