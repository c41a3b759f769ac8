"""The integer network: what the compiler lowers to and everything else starts from.

A network is a chain of layers over feature maps ``[height, width, channels]``. A feature is stored
as an unsigned *code*; its alphabet says which integer the code stands for. Nothing here is a
float, so every tool that reads a network computes the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MAX_BITS = 24
"""Widest feature code and accumulator; float32 holds every integer of this width exactly."""


@dataclass(frozen=True)
class Alphabet:
    """The integers that one activation or weight can be: ``lo + step * code``.

    Parameters
    ----------
    lo : int
        Value of code 0.
    step : int
        Distance of neighbouring values, at least 1.
    levels : int
        Number of values, at least 1.
    """

    lo: int
    step: int
    levels: int

    def __post_init__(self) -> None:
        if self.step < 1 or self.levels < 1:
            raise ValueError(f"an alphabet needs step and levels of at least 1, not {self}")

    @property
    def hi(self) -> int:
        """Largest value."""
        return self.lo + self.step * (self.levels - 1)

    @property
    def bits(self) -> int:
        """Width of a code in bits, at least 1."""
        return max(1, (self.levels - 1).bit_length())

    def code_of(self, value: int) -> int | None:
        """Give the code of `value`, or None where the alphabet has no such value."""
        code, rest = divmod(value - self.lo, self.step)
        return code if rest == 0 and 0 <= code < self.levels else None

    def values(self, codes: NDArray[Any]) -> Ints:
        """Turn an array of codes into int64 values."""
        return self.lo + self.step * np.asarray(codes, np.int64)

    def __str__(self) -> str:
        for name, known in NAMED_ALPHABETS.items():
            if self == known:
                return name
        if self.step == 1 and self.lo == 0 and self.levels == 1 << self.bits:
            return f"uint{self.bits}"
        if self.step == 1 and self.levels == 1 << self.bits and self.lo == -(self.levels // 2):
            return f"int{self.bits}"
        return f"{{{self.lo}..{self.hi}" + (f" step {self.step}" if self.step > 1 else "") + "}"


BIPOLAR = Alphabet(-1, 2, 2)
UNIPOLAR = Alphabet(0, 1, 2)
TERNARY = Alphabet(-1, 1, 3)
UINT8 = Alphabet(0, 1, 256)
NAMED_ALPHABETS = {
    "bipolar": BIPOLAR, "unipolar": UNIPOLAR, "ternary": TERNARY,
}


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

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Give the output's height and width; at most 0 where the window doesn't fit."""
        top, left, bottom, right = self.pads
        rows, cols = self.extent
        return (
            (height + top + bottom - rows) // self.stride[0] + 1,
            (width + left + right - cols) // self.stride[1] + 1,
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """What all layers have: a name, unique in its network, and the imported nodes it came from."""

    name: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)

    kind: ClassVar[str] = ""

    def output(self, inp: Features) -> Features:
        """Give the feature map that this layer makes of `inp`; ValueError where it cannot."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class InputTable(Layer):
    """Quantises raw samples by table: ``code = table[channel or 0, sample]``.

    Parameters
    ----------
    table : int64 array [1 or channels, 256]
        Output code for each uint8 sample.
    alphabet : Alphabet
        Alphabet of the output codes.
    """

    table: Ints
    alphabet: Alphabet
    kind: ClassVar[str] = "input"

    def output(self, inp: Features) -> Features:
        """Keep the shape, change the alphabet."""
        if inp.alphabet != UINT8 or self.table.shape not in ((1, 256), (inp.channels, 256)):
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


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A trained network in integers only; calling it runs the golden model.

    Parameters
    ----------
    name : str
        A valid identifier; names the generated Verilog.
    shape : tuple of int
        Height, width, channels of a uint8 input frame.
    layers : tuple of Layer
        In order; the last is a `Scores`.
    classes : tuple of str
        Names of the classes, empty if unknown.
    notes : tuple of str
        What a user should know of the import, one sentence each.
    """

    name: str
    shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def features(self) -> tuple[Features, ...]:
        """Feature maps: before the first layer, then after each."""
        maps = [Features(*self.shape, UINT8)]
        for layer in self.layers:
            maps.append(layer.output(maps[-1]))
        return tuple(maps)

    def __iter__(self) -> Iterator[tuple[Layer, Features, Features]]:
        """Yield each layer with its input and output feature maps."""
        yield from zip(self.layers, self.features, self.features[1:], strict=False)

    @property
    def scores(self) -> Scores:
        """The last layer."""
        last = self.layers[-1]
        assert isinstance(last, Scores)
        return last

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides a score, in hexadecimal."""
        from xnorflow.ir.file import to_arrays

        h = hashlib.sha256()
        text, arrays = to_arrays(self)
        h.update(text.encode())
        for name in sorted(arrays):
            a = np.ascontiguousarray(arrays[name])
            h.update(f"{name} {a.dtype.str} {a.shape}".encode())
            h.update(a.tobytes())
        return h.hexdigest()

    def __call__(self, x: NDArray[Any]) -> Ints:
        """Give the golden model's scores, int64 [frames, classes], for uint8 frames.

        Parameters
        ----------
        x : uint8 array [frames, height, width, channels], [frames, height, width] or [frames, n]
            Raw samples; the latter two where the shapes allow it.

        Raises
        ------
        xnorflow.errors.BadInput
            If `x` is not uint8 or has another shape.
        """
        from xnorflow_sim import golden

        return golden.run(self, x)
