"""The kinds of layers of an integer network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet, Ints, weight_alphabet
from xnorflow.ir.features import Features, Window
from xnorflow.ir.field_checks import MAX_VALUE, check_alphabet, check_window, integers, need
from xnorflow.ir.layer import Layer, LayersBefore, Mask, NotMirrored

MAX_PRODUCT_BITS = 62
"""Widest sum of a product and an offset; int64 holds it."""


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
class Rescale(Layer):
    """Scales values and rounds them to codes.

    ``code = clip((value * multiply[channel] + offset[channel]) >> shift, least[channel],
    most[channel])``; the shift rounds down, so one half of it in `offset` rounds to the nearest.

    Parameters
    ----------
    multiply, offset : int64 array [channels]
        Factor of the value, of any sign, and what is added to the product.
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
        integers(self.multiply, 1, "factors")
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
        factor = max(abs(int(self.multiply.min())), abs(int(self.multiply.max())))
        offset = max(abs(int(self.offset.min())), abs(int(self.offset.max())))
        need(
            factor * largest + offset < 1 << MAX_PRODUCT_BITS,
            f"its products take more than {MAX_PRODUCT_BITS} bits",
        )

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Rescale, Ints]:
        """Turn the codes of marked channels upside down."""
        # Rounding down of the negated sum: -(v >> s) - 1 == (-v - 1) >> s.
        top = self.alphabet.levels << self.shift
        layer = replace(
            self,
            multiply=np.where(mask, -self.multiply, self.multiply),
            offset=np.where(mask, top - 1 - self.offset, self.offset),
            least=np.where(mask, self.alphabet.levels - 1 - self.most, self.least),
            most=np.where(mask, self.alphabet.levels - 1 - self.least, self.most),
        )
        return layer, np.full(len(mask), self.alphabet.lo + self.alphabet.hi)


@dataclass(frozen=True, eq=False)
class Scores(Layer):
    """Turns the last accumulators [1, 1, classes] into integer scores; always the last layer.

    Without `ranks`, ``score = value + offsets[class]``. With `ranks`, the float32 score of the
    imported network is not affine in the value with one factor for all classes; then
    ``score = ranks[class, value - rank_lo[class]]``, the rank of that float32 score among all that
    any class can reach, equal ranks for equal floats.

    Parameters
    ----------
    offsets : int64 array [classes]
        Zero where `ranks` is given.
    ranks : int64 array [classes, n], optional
        See above; rows are padded with -1 beyond a class's reachable values.
    rank_lo : int64 array [classes], optional
        Least reachable value per class.
    floats : float32 array, optional
        ``floats[score - floats_lo]`` (or ``floats[rank]``) is the imported network's score; it is
        absent where the table would be large.
    floats_lo : int
        Score of the table's first entry; 0 with `ranks`.
    """

    offsets: Ints
    ranks: Ints | None = None
    rank_lo: Ints | None = None
    floats: NDArray[np.float32] | None = None
    floats_lo: int = 0
    kind: ClassVar[str] = "scores"

    def output(self, inp: Features) -> Features:
        """Return the bounds of the scores."""
        if inp.shape != (1, 1, len(self.offsets)):
            raise ValueError(f"scores for {len(self.offsets)} classes do not fit {inp.shape}")
        if self.ranks is not None:
            return Features(*inp.shape, Alphabet(0, 1, int(self.ranks.max()) + 1))
        low = inp.alphabet.lo + int(self.offsets.min())
        high = inp.alphabet.hi + int(self.offsets.max())
        return Features(*inp.shape, Alphabet(low, 1, high - low + 1))

    def to_float(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Return the imported network's float32 scores; ValueError where no table was kept."""
        if self.floats is None:
            raise ValueError("no table of float scores was kept for this network")
        return self.floats[np.asarray(scores) - self.floats_lo]

    def check(self, inp: Features) -> None:
        """Check offsets and ranks."""
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
        if self.ranks is None:
            need(self.rank_lo is None, "it has rank_lo, but no ranks")
            return
        ranks, lo = integers(self.ranks, 2, "ranks"), integers(self.rank_lo, 1, "rank_lo")
        need(len(ranks) == len(lo) == classes, f"its ranks are not for {classes} classes")
        need(not self.offsets.any(), "it has ranks and offsets")
        need(ranks.min() >= -1 and 0 <= ranks.max() < 1 << MAX_BITS, "a rank is out of range")

    def depends(self, alive: Mask) -> Mask:
        """Return the same."""
        return alive

    def mirrored(self, mask: Mask, before: LayersBefore) -> tuple[Scores, Ints]:
        """Raise TypeError: nothing follows scores that could ask for it."""
        raise TypeError("scores are not mirrored: nothing follows them")
