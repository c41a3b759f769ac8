"""The kinds of layers of an integer network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet, Ints, weight_alphabet
from xnorflow.ir.features import Features, Window
from xnorflow.ir.field_checks import MAX_VALUE, check_alphabet, check_window, integers, need
from xnorflow.ir.layer import OMITTED, Layer, LayersBefore, Mask, NotMirrored
from xnorflow.ir.score_steps import ScoreStep, check_steps, reached

MAX_FACTOR = 1 << 16
"""Largest factor of scores: there are no more classes than that."""
MAX_EXPONENT = 256
"""Largest magnitude of the exponent of scores; those of float32 values are smaller."""


def _any_tap(x: Mask, w: Window) -> Mask:
    """Return for every window of `x`, [height, width, channels], whether a tap of it is true."""
    top, left, bottom, right = w.pads
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, w.extent, axis=(0, 1))
    view = view[:: w.stride[0], :: w.stride[1], :, :: w.dilation[0], :: w.dilation[1]]
    return np.asarray(view.any(axis=(3, 4)))


def _check_table(table: Ints, alphabet: Alphabet) -> None:
    """Check the codes of a table and the alphabet they belong to."""
    codes = integers(table, 2, "table's codes")
    check_alphabet(alphabet)
    need(
        codes.min() >= 0 and codes.max() < alphabet.levels,
        "a code of its table is out of range",
    )


@dataclass(frozen=True, eq=False)
class InputTable(Layer):
    """Quantises raw samples by table: ``code = table[channel or 0, sample's code]``.

    Parameters
    ----------
    table : int64 array [1 or channels, levels of the samples]
        Output code for the code of each sample; a uint8 sample is its own code.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    table: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "input"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        levels = inp.alphabet.levels
        if self.table.shape not in ((1, levels), (inp.channels, levels)):
            raise ValueError(f"table {self.table.shape} does not fit {inp}")
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the table's codes."""
        _check_table(self.table, self.alphabet)

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[InputTable, Ints]:
        """Turn the codes of marked channels upside down."""
        table = np.broadcast_to(self.table, (len(mask), self.table.shape[1]))
        turned = self.alphabet.levels - 1 - table
        layer = replace(self, table=np.where(mask[:, None], turned, table))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Reads the frame, in its row, column, channel order, as the channels of a single pixel."""

    kind: ClassVar[str] = "flatten"

    def output(self, inp: Features) -> Features:
        """Return one pixel of all features."""
        return Features(1, 1, inp.size, inp.alphabet)

    def check(self, inp: Features) -> None:
        """Accept anything: there are no fields."""

    def depends(self, alive: Mask) -> Mask:
        """Return the same values as one pixel."""
        return alive.reshape(1, 1, -1)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Flatten, Ints]:
        """Mirror whole channels of the map before."""
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
    """Cross-correlation to integer accumulators; a dense layer is the 1 x 1 case on one pixel.

    Parameters
    ----------
    weights : int64 array [out_channels, kernel_rows, kernel_cols, in_channels]
        Weight values.
    alphabet : Alphabet
        Alphabet the weights are taken from.
    window : Window
        Its kernel equals the weights' middle axes.
    pad_value : int
        Value that a padded feature has; it need not be in the input's alphabet.
    """

    weights: Ints
    alphabet: Alphabet
    window: Window = Window()
    pad_value: int = 0
    kind: ClassVar[str] = "conv"

    @property
    def operations(self) -> int:
        """Multiply-accumulates per output pixel."""
        return int(np.prod(self.weights.shape))

    def bounds(self, inp: Alphabet) -> tuple[Ints, Ints]:
        """Return the least and greatest accumulator per output channel, int64 [out_channels].

        Padding is taken into account as one more value that any feature might have.
        """
        lo, hi = inp.lo, inp.hi
        if any(self.window.pads):
            lo, hi = min(lo, self.pad_value), max(hi, self.pad_value)
        flat = self.weights.reshape(len(self.weights), -1)
        positive, negative = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
        if max(abs(lo), abs(hi)) * int((positive - negative).max()) >= 1 << 62:
            # Beyond int64, in Python's integers: a sum that wraps would look like a small one.
            positive, negative = positive.astype(object), negative.astype(object)
        return positive * lo + negative * hi, positive * hi + negative * lo

    def output(self, inp: Features) -> Features:
        """Return the accumulators, in steps of 1 between the worst-case bounds of all channels."""
        out, rows, cols, channels = self.weights.shape
        if channels != inp.channels or (rows, cols) != self.window.kernel:
            raise ValueError(f"weights {self.weights.shape} do not fit {inp.shape}")
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1:
            raise ValueError(f"a window of {self.window.extent} does not fit {inp.shape}")
        lo, hi = self.bounds(inp.alphabet)
        low, high = int(lo.min()), int(hi.max())
        return Features(height, width, out, Alphabet(low, 1, high - low + 1))

    def check(self, inp: Features) -> None:
        """Check weights, padding and window."""
        weights, a = integers(self.weights, 4, "weights"), self.alphabet
        check_alphabet(a)
        codes, rest = np.divmod(weights - a.lo, a.step)
        need(
            not rest.any() and codes.min() >= 0 and codes.max() < a.levels,
            f"a weight is not in {a}",
        )
        need(
            type(self.pad_value) is int and abs(self.pad_value) <= MAX_VALUE,
            f"{self.pad_value!r} is no value for padding",
        )
        check_window(self.window, inp, every=False)

    def depends(self, alive: Mask) -> Mask:
        """Return for every window whether any of its taps is alive in any channel."""
        there = _any_tap(np.asarray(alive.any(axis=2, keepdims=True)), self.window)
        return np.broadcast_to(there, (*there.shape[:2], len(self.weights)))

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Conv, Ints]:
        """Negate the weights of marked channels."""
        weights = self.weights * np.where(mask, -1, 1)[:, None, None, None]
        layer = replace(self, weights=weights, alphabet=weight_alphabet(weights))
        return layer, np.zeros(len(mask), np.int64)

    def code_of_padding(self, inp: Alphabet) -> int | None:
        """Return the code of `pad_value`, if the alphabet has it."""
        return inp.code_of(self.pad_value) if any(self.window.pads) else 0


@dataclass(frozen=True, eq=False)
class MaxPool(Layer):
    """Maximum over a window, minimum in the marked channels; a padded tap never wins.

    Parameters
    ----------
    window : Window
        Geometry; every window holds at least one tap that isn't padded.
    minimum : bool array [channels]
        Channels whose minimum is taken.
    """

    window: Window
    minimum: NDArray[np.bool_]
    kind: ClassVar[str] = "maxpool"
    picks: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Change the height and width."""
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1 or self.minimum.shape != (inp.channels,):
            raise ValueError(f"pool {self.window} does not fit {inp.shape}")
        return Features(height, width, inp.channels, inp.alphabet)

    def check(self, inp: Features) -> None:
        """Check the marks and the window."""
        need(
            isinstance(self.minimum, np.ndarray) and self.minimum.dtype == np.bool_,
            "its marks of a minimum are not bool",
        )
        check_window(self.window, inp, every=True)

    def depends(self, alive: Mask) -> Mask:
        """Return for every window whether any of its taps is alive."""
        return _any_tap(alive, self.window)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[MaxPool, Ints]:
        """Take the minimum in place of the maximum of what is mirrored before."""
        return replace(self, minimum=self.minimum ^ mask), before.mirror(mask)


@dataclass(frozen=True, eq=False)
class SumPool(Layer):
    """Sum over a window, channel by channel; the divisor of an average is left to thresholds.

    Padded taps count as code `pad_code`.
    """

    window: Window
    pad_code: int = 0
    kind: ClassVar[str] = "sumpool"

    def output(self, inp: Features) -> Features:
        """Change height, width and alphabet: a sum of n features is n times as wide."""
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
            "its pad code is out of range",
        )
        check_window(self.window, inp, every=False)

    def depends(self, alive: Mask) -> Mask:
        """Return for every window whether any of its taps is alive."""
        return _any_tap(alive, self.window)

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[SumPool, Ints]:
        """Sum what is mirrored before; padding has to be in the middle of the values."""
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
    """Quantises values: ``code = number of thresholds[channel] that value reaches (>=)``.

    Parameters
    ----------
    thresholds : int64 array [channels, levels - 1]
        Ascending along the last axis.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    thresholds: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "threshold"
    quantises: ClassVar[bool] = True

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        if self.thresholds.shape != (inp.channels, self.alphabet.levels - 1):
            raise ValueError(f"thresholds {self.thresholds.shape} do not fit {inp}")
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the thresholds and their order."""
        check_alphabet(self.alphabet)
        t = self.thresholds
        need(
            isinstance(t, np.ndarray) and t.dtype == np.int64 and t.ndim == 2,
            "its thresholds are not int64 with 2 axes",
        )
        need((t[:, 1:] >= t[:, :-1]).all(), "thresholds descend")

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Threshold, Ints]:
        """Mirror the thresholds with what is mirrored before."""
        source = before.mirror(mask)
        # v < t exactly where mirror - v >= mirror - t + 1.
        turned = (source[:, None] + 1 - self.thresholds)[:, ::-1]
        layer = replace(self, thresholds=np.where(mask[:, None], turned, self.thresholds))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class CodeTable(Layer):
    """Replaces codes: ``code = table[channel, code]``.

    Behind thresholds that number the intervals of a value it gives any function of that value,
    rising or not.

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
        """Keep the shape, change the alphabet."""
        if self.table.shape != (inp.channels, inp.alphabet.levels):
            raise ValueError(f"table {self.table.shape} does not fit {inp}")
        return Features(*inp.shape, self.alphabet)

    def check(self, inp: Features) -> None:
        """Check the table's codes."""
        _check_table(self.table, self.alphabet)

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[CodeTable, Ints]:
        """Turn the codes of marked channels upside down."""
        turned = self.alphabet.levels - 1 - self.table
        layer = replace(self, table=np.where(mask[:, None], turned, self.table))
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Scores(Layer):
    """Turns the last accumulators [1, 1, classes] into integer scores; always the last layer.

    Without `ranks` and `steps`, ``score = factor * value + offsets[class]``. Where no such score
    has the order of the imported network's float32 scores, there is one of two other forms. With
    `steps`, the score is the float32 score itself, as an integer multiple of ``2 ** exponent``.
    With `ranks`, ``score = ranks[class, value - rank_lo[class]]``, the rank of that float32 score
    among all that any class can reach, equal ranks for equal floats.

    Parameters
    ----------
    offsets : int64 array [classes]
        Zero where `ranks` or `steps` are given.
    ranks : int64 array [classes, n], optional
        See above; rows are padded with -1 beyond a class's reachable values.
    rank_lo : int64 array [classes], optional
        Least reachable value per class.
    floats : float32 array, optional
        ``floats[score - floats_lo]`` (or ``floats[rank]``) is the imported network's score; it is
        absent where the table would be large.
    floats_lo : int
        Score of the table's first entry; 0 with `ranks`.
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
        """Return the bounds of the scores."""
        if inp.shape != (1, 1, len(self.offsets)):
            raise ValueError(f"scores for {len(self.offsets)} classes do not fit {inp.shape}")
        if self.ranks is not None:
            return Features(*inp.shape, Alphabet(0, 1, int(self.ranks.max()) + 1))
        low, high = inp.alphabet.lo, inp.alphabet.hi
        if self.steps:
            low, high = reached(self.steps, len(self.offsets), low, high)
        low = self.factor * low + int(self.offsets.min())
        high = self.factor * high + int(self.offsets.max())
        return Features(*inp.shape, Alphabet(low, 1, high - low + 1))

    def to_float(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Return the imported network's float32 scores; ValueError where no table was kept."""
        if self.steps:
            return np.ldexp(np.asarray(scores, np.float64), self.exponent).astype(np.float32)
        if self.floats is None:
            raise ValueError("no table of float scores was kept for this network")
        return self.floats[np.asarray(scores) - self.floats_lo]

    def check(self, inp: Features) -> None:
        """Check offsets, steps and ranks."""
        classes = len(integers(self.offsets, 1, "offsets"))
        low, high = int(self.offsets.min()), int(self.offsets.max())
        need(low >= -MAX_VALUE and high <= MAX_VALUE, "an offset is too large")
        if self.floats is not None:
            need(
                isinstance(self.floats, np.ndarray)
                and self.floats.dtype == np.float32
                and self.floats.ndim == 1,
                "its table of float scores is not float32 with 1 axis",
            )
        need(type(self.floats_lo) is int, "its table of float scores begins at no whole number")
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
        need(ranks.min() >= -1 and 0 <= ranks.max() < 1 << MAX_BITS, "a rank is out of range")

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Scores, Ints]:
        """Raise TypeError: nothing follows scores that could ask for it."""
        raise TypeError("scores are not mirrored: nothing follows them")
