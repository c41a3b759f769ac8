"""The network as it was imported: a chain of float32 operations in the file's own order.

The frontend makes it, lowering reads it. Every tensor is already in row, column, channel order,
whatever layout the file used, and every constant is a float32 scalar or one value per channel.
The elementwise operations carry the exact float32 arithmetic of the executors that run such files,
so that lowering can find integer decisions by evaluating them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.quantisers import Floats, quant_codes
from xnorflow.ir import InputKind, InputOrder, Ints, Window


@dataclass(frozen=True, eq=False)
class Op:
    """One imported operation.

    Parameters
    ----------
    node, op : str
        Name and operator of the imported node, for messages.
    """

    node: str = field(default="", kw_only=True)
    op: str = field(default="", kw_only=True)


class Elementwise(Op):
    """An operation on each value alone.

    Constants have shape [] or [channels]; `apply` broadcasts along the last axis. Those of this
    file are monotone per channel, in float32; `xnorflow.graph.function_ops` has others.
    """

    @property
    def monotone(self) -> bool:
        """Whether it rises or falls throughout in every channel, as its kind tells."""
        return True

    def mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        """Change each constant that has one entry per channel, along its first axis."""
        changed: dict[str, Any] = {
            name: change(c) for name, c in self.constants() if c.ndim and len(c) > 1
        }
        return replace(self, **changed)

    def constants(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the arrays among its parameters, with their names."""
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                yield f.name, value

    def apply(self, x: Floats) -> Floats:
        """Evaluate in float32 as the executors do; `x` is float32 [..., channels]."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AddOp(Elementwise):
    """x + value."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return x + self.value


@dataclass(frozen=True, eq=False)
class SubtractOp(Elementwise):
    """x - value, or value - x where reverse."""

    value: Floats
    reverse: bool = False

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return self.value - x if self.reverse else x - self.value


@dataclass(frozen=True, eq=False)
class MultiplyOp(Elementwise):
    """x * value."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return x * self.value


@dataclass(frozen=True, eq=False)
class DivideOp(Elementwise):
    """x / value; value has no zeros."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return x / self.value


@dataclass(frozen=True, eq=False)
class BatchNormOp(Elementwise):
    """Batch normalisation with running statistics, folded as ONNX Runtime and PyTorch fold it.

    ``a = gamma * (1 / sqrt(var + epsilon))``, ``b = beta - mean * a``, ``y = x * a + b``, each
    operation rounded to float32.
    """

    gamma: Floats
    beta: Floats
    mean: Floats
    var: Floats
    epsilon: float

    def folded(self) -> tuple[Floats, Floats]:
        """Return the constants a and b."""
        a = self.gamma * (np.float32(1) / np.sqrt(self.var + np.float32(self.epsilon)))
        return a, self.beta - self.mean * a

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        a, b = self.folded()
        return x * a + b


@dataclass(frozen=True, eq=False)
class ClipOp(Elementwise):
    """Values limited to [lo, hi]; Relu is ClipOp(0, inf)."""

    lo: float = -np.inf
    hi: float = np.inf

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return np.clip(x, np.float32(self.lo), np.float32(self.hi))


@dataclass(frozen=True, eq=False)
class SignOp(Elementwise):
    """ONNX Sign: -1, 0 or +1."""

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return np.sign(x)


@dataclass(frozen=True, eq=False)
class BipolarQuantOp(Elementwise):
    """QONNX BipolarQuant: +scale where x >= 0, else -scale."""

    scale: Floats

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return np.where(x >= 0, self.scale, -self.scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class QuantOp(Elementwise):
    """QONNX Quant, operation by operation as its specification's reference computes it.

    Parameters
    ----------
    scale, zero_point : float32 scalar or [channels]
        Of the affine grid.
    bits : float
        Width; 1 to 24, whole.
    signed, narrow : bool
        Range of the integers.
    rounding : str
        ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, HALF_UP or HALF_DOWN.
    """

    scale: Floats
    zero_point: Floats
    bits: float
    signed: bool
    narrow: bool
    rounding: str = "ROUND"

    def codes(self, x: Floats) -> Floats:
        """Compute the integers, as float32, before the zero point is taken away."""
        return quant_codes(
            x,
            scale=self.scale,
            zero_point=self.zero_point,
            bits=self.bits,
            signed=self.signed,
            narrow=self.narrow,
            rounding=self.rounding,
        )

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return (self.codes(x) - self.zero_point) * self.scale


@dataclass(frozen=True, eq=False)
class MultiThresholdOp(Elementwise):
    """QONNX MultiThreshold: out_scale * (number of thresholds that x reaches) + out_bias.

    `thresholds` is float32 [1 or channels, n].
    """

    thresholds: Floats
    out_scale: float = 1.0
    out_bias: float = 0.0

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        count = sum((x >= column).astype(np.float32) for column in self.thresholds.T)
        return np.float32(self.out_scale) * count + np.float32(self.out_bias)


@dataclass(frozen=True, eq=False)
class LookupOp(Elementwise):
    """The value of each code: ``values[x]``, ascending float32 numbers."""

    values: tuple[float, ...]

    def apply(self, x: Floats) -> Floats:
        """Evaluate."""
        return np.array(self.values, np.float32)[x.astype(np.int64)]


class WindowReduction(Op):
    """An operation that makes one value, or one per output channel, of each window of the map."""

    window: Window


@dataclass(frozen=True, eq=False)
class ConvOp(WindowReduction):
    """Cross-correlation with quantised weights; dense layers are 1 x 1 on one pixel.

    The imported weight is ``weights * scale``; padded features have the float value `pad_value`.

    Parameters
    ----------
    weights : int64 array [out, kernel_rows, kernel_cols, in]
        Integer weights; a grouped convolution is already widened with zeros.
    scale : float32 scalar or [out]
        Positive.
    window : Window
        Its kernel equals the weights' middle axes.
    pad_value : float
        Value of a padded feature.
    bias : float32 [out], optional
        Added after the sum; lowering treats it as an `AddOp`.
    """

    weights: Ints
    scale: Floats
    window: Window = Window()
    pad_value: float = 0.0
    bias: Floats | None = None


@dataclass(frozen=True, eq=False)
class MaxPoolOp(WindowReduction):
    """Maximum over a window; padded taps never win."""

    window: Window


@dataclass(frozen=True, eq=False)
class SumPoolOp(WindowReduction):
    """Sum over a window; padded taps count as 0."""

    window: Window


@dataclass(frozen=True, eq=False)
class AveragePoolOp(WindowReduction):
    """Mean over a window: the float32 sum divided by the number of taps.

    Padded taps are 0. They are counted, but for those of the outermost `uncounted` rows and
    columns (top, left, bottom, right) of the padding.
    """

    window: Window
    uncounted: tuple[int, int, int, int] = (0, 0, 0, 0)

    def counts(self, height: int, width: int) -> Ints:
        """Count the taps of each window of a map of such height and width."""
        axes = []
        w = self.window
        for axis, size in enumerate((height, width)):
            first = np.arange(w.output(height, width)[axis]) * w.stride[axis] - w.pads[axis]
            taps = first[:, None] + np.arange(w.kernel[axis]) * w.dilation[axis]
            start = self.uncounted[axis] - w.pads[axis]
            end = size + w.pads[axis + 2] - self.uncounted[axis + 2]
            axes.append(((taps >= start) & (taps < end)).sum(1))
        return np.asarray(np.outer(*axes), np.int64)


@dataclass(frozen=True, eq=False)
class FlattenOp(Op):
    """All features of the frame become channels of one pixel, in row, column, channel order."""


@dataclass(frozen=True, eq=False)
class Graph:
    """An imported network.

    Parameters
    ----------
    name : str
        A valid identifier.
    shape : tuple of int
        Height, width, channels of the input.
    ops : tuple of Op
        In order of execution.
    input_scale : InputScale
        What the file's input is of a sample.
    classes, notes : tuple of str
        As in `xnorflow.ir.IntegerNetwork`; notes record dropped softmax, arg-max and the like.
    order : InputOrder, optional
        How samples in the file's order become a frame.
    samples : InputKind
        What samples are.
    takes_floats : bool
        Samples are floats, which the host quantises as the first operations say.
    """

    name: str
    shape: tuple[int, int, int]
    ops: tuple[Op, ...]
    input_scale: InputScale = InputScale()
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    order: InputOrder | None = None
    samples: InputKind = InputKind()
    takes_floats: bool = False
