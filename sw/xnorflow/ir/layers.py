"""The layers of an integer network, and the feature maps between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import Alphabet, Ints


@dataclass(frozen=True)
class Features:
    """Shape and alphabet of the feature map between two layers."""

    height: int
    width: int
    channels: int
    alphabet: Alphabet

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, self.channels

    @property
    def size(self) -> int:
        """Number of features in a frame."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class Window:
    """Geometry of a sliding window; every pair is (vertical, horizontal), in pixels.

    Parameters
    ----------
    kernel, stride, dilation : tuple of int
        Each at least 1.
    pads : tuple of int
        Padding (top, left, bottom, right), each at least 0.
    """

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def extent(self) -> tuple[int, int]:
        """Pixels from a window's first tap to its last, both included."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    def holds_padding_only(self, height: int, width: int) -> bool:
        """Tell whether the window at some place has no tap on a map of such height and width."""
        for axis, size in enumerate((height, width)):
            dilation, windows = self.dilation[axis], self.output(height, width)[axis]
            first_tap = np.arange(windows) * self.stride[axis] - self.pads[axis]
            # The first tap that does not lie before the map has to be one, and to lie on the map.
            skipped = np.maximum(0, -(first_tap // dilation))
            inside = (skipped < self.kernel[axis]) & (first_tap + skipped * dilation < size)
            if not inside.all():
                return True
        return False

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Give the output's height and width; at most 0 where the window doesn't fit."""
        top, left, bottom, right = self.pads
        rows, cols = self.extent
        return (
            (height + top + bottom - rows) // self.stride[0] + 1,
            (width + left + right - cols) // self.stride[1] + 1,
        )


KINDS: dict[str, type[Layer]] = {}
"""Every class of layers by its `kind`, the name that files have for it."""


@dataclass(frozen=True, eq=False)
class Layer:
    """What all layers have: a name, unique in its network, and the imported nodes it came from."""

    name: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)

    kind: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Enter a kind of layer under its name in files."""
        if cls.kind in KINDS:
            raise TypeError(f"two layers are of kind {cls.kind!r}")
        KINDS[cls.kind] = cls

    def output(self, inp: Features) -> Features:
        """Give the feature map that this layer makes of `inp`; ValueError where it cannot."""
        raise NotImplementedError


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

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        if self.table.ndim != 2 or len(self.table) not in (1, inp.channels):
            raise ValueError(f"table {self.table.shape} does not fit {inp}")
        return Features(*inp.shape, self.alphabet)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Reads the frame, in its row, column, channel order, as the channels of a single pixel."""

    kind: ClassVar[str] = "flatten"

    def output(self, inp: Features) -> Features:
        """Give one pixel of all features."""
        return Features(1, 1, inp.size, inp.alphabet)


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
        """Give the least and greatest accumulator per output channel, int64 [out_channels].

        Padding is taken into account as one more value that any feature might have.
        """
        lo, hi = inp.lo, inp.hi
        if any(self.window.pads):
            lo, hi = min(lo, self.pad_value), max(hi, self.pad_value)
        flat = self.weights.reshape(len(self.weights), -1)
        positive, negative = np.maximum(flat, 0).sum(1), np.minimum(flat, 0).sum(1)
        return positive * lo + negative * hi, positive * hi + negative * lo

    def output(self, inp: Features) -> Features:
        """Give the accumulators, in steps of 1 between the worst-case bounds of all channels."""
        out, rows, cols, channels = self.weights.shape
        if channels != inp.channels or (rows, cols) != self.window.kernel:
            raise ValueError(f"weights {self.weights.shape} do not fit {inp.shape}")
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1:
            raise ValueError(f"a window of {self.window.extent} does not fit {inp.shape}")
        lo, hi = self.bounds(inp.alphabet)
        low, high = int(lo.min()), int(hi.max())
        return Features(height, width, out, Alphabet(low, 1, high - low + 1))


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

    def output(self, inp: Features) -> Features:
        """Change the height and width."""
        height, width = self.window.output(inp.height, inp.width)
        if min(height, width) < 1 or self.minimum.shape != (inp.channels,):
            raise ValueError(f"pool {self.window} does not fit {inp.shape}")
        return Features(height, width, inp.channels, inp.alphabet)


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

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        if self.thresholds.shape != (inp.channels, self.alphabet.levels - 1):
            raise ValueError(f"thresholds {self.thresholds.shape} do not fit {inp}")
        return Features(*inp.shape, self.alphabet)


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
        """Give the bounds of the scores."""
        if inp.shape != (1, 1, len(self.offsets)):
            raise ValueError(f"scores for {len(self.offsets)} classes do not fit {inp.shape}")
        if self.ranks is not None:
            return Features(*inp.shape, Alphabet(0, 1, int(self.ranks.max()) + 1))
        low = inp.alphabet.lo + int(self.offsets.min())
        high = inp.alphabet.hi + int(self.offsets.max())
        return Features(*inp.shape, Alphabet(low, 1, high - low + 1))

    def to_float(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Give the imported network's float32 scores; ValueError where no table was kept."""
        if self.floats is None:
            raise ValueError("no table of float scores was kept for this network")
        return self.floats[np.asarray(scores) - self.floats_lo]
