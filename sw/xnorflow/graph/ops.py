"""The network as it was imported: a graph of float32 operations in the file's own order.

Most networks are chains, in which each operation reads the value of the one before it.

The frontend builds it, lowering reads it. Every tensor is in row, column, channel order, whatever
the layout in the file, and every constant is a float32 scalar or has one value per channel. The
elementwise operations have the exact float32 arithmetic of the executors that run such files, so
lowering can find integer thresholds by evaluating them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xnorflow.graph.input_scale import InputScale
from xnorflow.graph.quantisers import Floats, quant_codes
from xnorflow.ir import FRAME, InputKind, InputOrder, Ints, Window


@dataclass(frozen=True, eq=False)
class Op:
    """One imported operation.

    Parameters
    ----------
    node, op : str
        Name and operator of the imported node, for messages.
    name : str
        Name of the value that it makes, where another operation names it.
    inputs : tuple of str
        Names of the values that it reads, `FRAME` for the network's input; empty for an operation
        that reads the value before it.
    """

    node: str = field(default="", kw_only=True)
    op: str = field(default="", kw_only=True)
    name: str = field(default="", kw_only=True)
    inputs: tuple[str, ...] = field(default=(), kw_only=True)


class Elementwise(Op, ABC):
    """An operation on each value alone.

    Constants have shape [] or [channels]; `apply` broadcasts them along the last axis. The
    operations in this module are monotone in every channel, in float32;
    `xnorflow.graph.function_ops` has others.
    """

    @property
    def monotone(self) -> bool:
        """Whether the operation is known to be monotone (rising or falling) in every channel."""
        return True

    def mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        """Return the operation with `change` applied to each constant that is per channel.

        Parameters
        ----------
        change : callable
            Takes a constant with the channels on its first axis, and returns the new one.
        """
        changed: dict[str, Any] = {
            name: change(c) for name, c in self.constants() if c.ndim and len(c) > 1
        }
        return replace(self, **changed)

    def constants(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name and the value of each array among its parameters."""
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                yield f.name, value

    @abstractmethod
    def apply(self, x: Floats) -> Floats:
        """Compute the result for float32 values [..., channels], rounded as the executors do."""


@dataclass(frozen=True, eq=False)
class AddOp(Elementwise):
    """x + value."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return x + self.value


@dataclass(frozen=True, eq=False)
class SubtractOp(Elementwise):
    """x - value, or value - x with `reverse`."""

    value: Floats
    reverse: bool = False

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return self.value - x if self.reverse else x - self.value


@dataclass(frozen=True, eq=False)
class MultiplyOp(Elementwise):
    """x * value."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return x * self.value


@dataclass(frozen=True, eq=False)
class DivideOp(Elementwise):
    """x / value; `value` has no zeros."""

    value: Floats

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return x / self.value


@dataclass(frozen=True, eq=False)
class BatchNormOp(Elementwise):
    """Batch normalisation with running statistics, computed as ONNX Runtime and PyTorch do.

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
        """Compute the result; see `Elementwise.apply`."""
        a, b = self.folded()
        return x * a + b


@dataclass(frozen=True, eq=False)
class ClipOp(Elementwise):
    """Values limited to [lo, hi]; Relu is ClipOp(0, inf)."""

    lo: float = -np.inf
    hi: float = np.inf

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return np.clip(x, np.float32(self.lo), np.float32(self.hi))


@dataclass(frozen=True, eq=False)
class SignOp(Elementwise):
    """ONNX Sign: -1, 0 or +1."""

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return np.sign(x)


@dataclass(frozen=True, eq=False)
class BipolarQuantOp(Elementwise):
    """QONNX BipolarQuant: +scale where x >= 0, else -scale."""

    scale: Floats

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return np.where(x >= 0, self.scale, -self.scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class QuantOp(Elementwise):
    """QONNX Quant, operation by operation as its specification's reference computes it.

    Parameters
    ----------
    scale, zero_point : float32 scalar or [channels]
        The affine grid; `scale` is positive.
    bits : float
        Width of an integer in bits, a whole number from 1 to 24.
    signed, narrow : bool
        Range of the integers; see `xnorflow.graph.quantisers.integer_range`.
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
        """Compute the integers, as float32, before the zero point is subtracted."""
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
        """Compute the result; see `Elementwise.apply`."""
        return (self.codes(x) - self.zero_point) * self.scale


@dataclass(frozen=True, eq=False)
class MultiThresholdOp(Elementwise):
    """QONNX MultiThreshold: ``out_scale * (number of thresholds <= x) + out_bias``.

    Parameters
    ----------
    thresholds : float32 array [1 or channels, n]
        Thresholds, in any order.
    out_scale, out_bias : float
        Scale and bias of the count.
    """

    thresholds: Floats
    out_scale: float = 1.0
    out_bias: float = 0.0

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        count = sum((x >= column).astype(np.float32) for column in self.thresholds.T)
        return np.float32(self.out_scale) * count + np.float32(self.out_bias)


@dataclass(frozen=True, eq=False)
class LookupOp(Elementwise):
    """The value of each code: ``values[x]``, where `values` are ascending float32 numbers."""

    values: tuple[float, ...]

    def apply(self, x: Floats) -> Floats:
        """Compute the result; see `Elementwise.apply`."""
        return np.array(self.values, np.float32)[x.astype(np.int64)]


class WindowReduction(Op):
    """An operation that reduces each window of the map to one pixel."""

    window: Window


@dataclass(frozen=True, eq=False)
class ConvOp(WindowReduction):
    """Cross-correlation; dense layers are 1 x 1 on one pixel.

    The weights of the imported file are ``weights * scale``.

    Parameters
    ----------
    weights : int64 or float32 array [out, kernel_rows, kernel_cols, in / groups]
        Integers, or real weights that have no integer form.
    scale : float32 scalar or [out]
        Positive; 1 for real weights.
    window : Window
        Geometry; the kernel equals the middle axes of the weights.
    pad_value : float
        Float value of a padded feature.
    bias : float32 [out], optional
        Bias, which is added after the sum; lowering treats it as an `AddOp`.
    groups : int
        Equal parts of the channels; each part of the outputs sums over its part of the inputs only.
    rounded : bool
        The weights were real and have been rounded to fixed point.
    edges : int64 array [edges, *weights.shape], optional
        Edges whose sum are the weights; see `xnorflow.ir.Conv`.
    """

    weights: NDArray[Any]
    scale: Floats
    window: Window = Window()
    pad_value: float = 0.0
    bias: Floats | None = None
    groups: int = 1
    rounded: bool = False
    edges: NDArray[Any] | None = None

    @property
    def real(self) -> bool:
        """Whether the weights are real numbers that have no integer form."""
        return self.weights.dtype.kind == "f"


def widened(weights: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return the weights [out, ..., in] of all inputs: 0 for those of other groups."""
    out, *kernel, channels = weights.shape
    wide = np.zeros((groups, out // groups, *kernel, groups, channels), weights.dtype)
    for g in range(groups):
        wide[g, ..., g, :] = weights.reshape(groups, out // groups, *kernel, channels)[g]
    return wide.reshape(out, *kernel, groups * channels)


@dataclass(frozen=True, eq=False)
class MaxPoolOp(WindowReduction):
    """Maximum over a window; padding is left out."""

    window: Window


@dataclass(frozen=True, eq=False)
class SumPoolOp(WindowReduction):
    """Sum over a window; padded taps count as 0."""

    window: Window


@dataclass(frozen=True, eq=False)
class AveragePoolOp(WindowReduction):
    """Mean over a window: the float32 sum, divided by the number of taps that are counted.

    Parameters
    ----------
    window : Window
        Geometry; padded taps are 0.
    uncounted : tuple of int
        Number of outermost rows and columns of the padding (top, left, bottom, right) that are not
        counted; the rest of the padding is.
    """

    window: Window
    uncounted: tuple[int, int, int, int] = (0, 0, 0, 0)

    def counts(self, height: int, width: int) -> Ints:
        """Return the divisor of each window, int64 [output height, output width].

        Parameters
        ----------
        height, width : int
            Size of the input map in pixels, without padding.
        """
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
    """The features of a frame, in row, column, channel order, as the channels of one pixel."""


@dataclass(frozen=True, eq=False)
class GraphOutput:
    """An output of the file.

    Parameters
    ----------
    name : str
        Its name in the file.
    value : str
        Name of the operation whose value it is.
    shape : tuple of int
        Its shape in the file, without the axis of frames.
    gather : int64 array [elements]
        Position in the value, in row, column, channel order, of each element of the output.
    """

    name: str
    value: str
    shape: tuple[int, ...]
    gather: Ints


@dataclass(frozen=True, eq=False)
class Graph:
    """An imported network.

    Parameters
    ----------
    name : str
        An identifier.
    shape : tuple of int
        Height, width and channels of the input.
    ops : tuple of Op
        Operations in order of execution.
    outputs : tuple of GraphOutput
        Outputs of the file, if they are more than one vector of scores, which the last operation
        makes.
    input_scale : InputScale
        Scaling of samples to the file's input.
    classes : tuple of str
        Names of the classes, one per score; empty if unknown.
    notes : tuple of str
        Facts that a user should know, such as a softmax that was dropped, one sentence each.
    order : InputOrder, optional
        Order in which users hold samples.
    samples : InputKind
        Kind of the samples.
    takes_floats : bool
        Whether samples are floats, which the host quantises as the first operations do.
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
    outputs: tuple[GraphOutput, ...] = ()

    @cached_property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """The operations whose values each one reads, as indices into `ops`; -1 for the input.

        Raises
        ------
        ValueError
            If an operation reads a value that is not made before it.
        """
        index, found = {FRAME: -1}, []
        for k, op in enumerate(self.ops):
            unknown = [name for name in op.inputs if name not in index]
            if unknown:
                raise ValueError(
                    f"{op.op} {op.node!r} reads {unknown[0]!r}, which nothing before it makes"
                )
            found.append(tuple(index[name] for name in op.inputs) or (k - 1,))
            if op.name:
                index[op.name] = k
        return tuple(found)

    @property
    def chain(self) -> bool:
        """Whether every operation reads the value before it, and the last makes the output."""
        return not self.outputs and all(r == (k - 1,) for k, r in enumerate(self.reads))
