"""Functions of one value, which elementwise nodes compute from it and from constants.

A `FunctionOp` may read its own input several times, each time through a chain of elementwise
operations: ``sign(x) + (x == 0)`` is one operation on x, although several nodes compute it. Values
in between have the file's element types (bool, integers, float32), so each step rounds as it does
in the file.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.errors import UnsupportedModel
from xnorflow.graph.ops import Elementwise
from xnorflow.graph.quantisers import ROUNDINGS

Array = NDArray[Any]
Chain = tuple[Elementwise, ...]
"""Elementwise operations on the input, in order; an empty chain is the input itself."""
Operand = Chain | Array
"""Argument of a function: a chain, or a constant of shape [] or [channels]."""


def _divide(a: Array, b: Array) -> Array:
    """Compute ``a / b`` as ONNX does: quotients of integers are rounded towards zero."""
    if np.result_type(a, b).kind not in "iu":
        return np.asarray(a / b)
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient), np.result_type(a, b))


def _in_double(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function that computes in float64 and rounds once to its first argument's type."""

    def rounded(x: Array, *rest: Array) -> Array:
        doubles = (np.asarray(a, np.float64) for a in (x, *rest))
        return np.asarray(function(*doubles), np.asarray(x).dtype)

    return rounded


def _erf(x: Array) -> Array:
    values, inverse = np.unique(x, return_inverse=True)
    return np.array([math.erf(v) for v in values], np.float64)[inverse].reshape(np.shape(x))


def _choose(which: Array, *values: Array) -> Array:
    """Return ``values[k]`` wherever `which` is k."""
    out = values[0]
    for k, value in enumerate(values[1:], 1):
        out = np.where(which == k, value, out)
    return out


def _hard_sigmoid(x: Array, alpha: Array, beta: Array) -> Array:
    one = x.dtype.type(1)
    return np.asarray(np.maximum(np.minimum(alpha * x + beta, one), one - one))


EXACT: dict[str, Callable[..., Array]] = {
    "Identity": lambda x: x,
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _divide,
    "Sum": lambda *values: functools.reduce(np.add, values),
    "Min": lambda *values: functools.reduce(np.minimum, values),
    "Max": lambda *values: functools.reduce(np.maximum, values),
    "Clip": lambda x, lo, hi: np.minimum(np.maximum(x, lo), hi),
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Equal": np.equal,
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Where": np.where,
    "Abs": np.abs,
    "Neg": np.negative,
    "Sign": np.sign,
    "Round": np.rint,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Sqrt": np.sqrt,
    "Reciprocal": lambda x: x.dtype.type(1) / x,
    "Softsign": lambda x: x / (x.dtype.type(1) + np.abs(x)),
    "LeakyRelu": lambda x, slope: np.where(x < 0, slope * x, x),
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, x.dtype.type(0)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, alpha, beta: x * _hard_sigmoid(x, alpha, beta),
    "Choose": _choose,
}
"""Functions by name whose results are the same in all executors, bit by bit."""

APPROXIMATE: dict[str, Callable[..., Array]] = {
    "Sigmoid": _in_double(lambda x: 1 / (1 + np.exp(-x))),
    "Tanh": _in_double(np.tanh),
    "Erf": _in_double(_erf),
    "Exp": _in_double(np.exp),
    "Log": _in_double(np.log),
    "Pow": _in_double(np.power),
    "Softplus": _in_double(lambda x: np.logaddexp(0, x)),
    "Elu": _in_double(lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)),
    "Celu": _in_double(
        lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)
    ),
    "Selu": _in_double(
        lambda x, alpha, gamma: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    ),
    "Gelu": _in_double(lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2)))),
    "GeluTanh": _in_double(
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "Mish": _in_double(lambda x: x * np.tanh(np.logaddexp(0, x))),
}
"""Functions by name that each executor approximates in its own way; here they round correctly."""

RISING = frozenset(
    {
        *("Identity", "Add", "Sub", "Mul", "Div", "Sum", "Neg", "Sign", "Min", "Max", "Clip"),
        *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Where"),
        *("Round", "Floor", "Ceil", "LeakyRelu", "HardSigmoid"),
        *("Sigmoid", "Tanh", "Erf", "Exp", "Softplus"),
    }
)
"""Functions that are monotone in one argument if all others are constant.

Rounding keeps the order of values. Functions that are computed in float64 have errors far below the
difference that neighbouring float32 arguments make, or below the precision of float32.
"""

NARROW = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}
"""Integer types that NumPy itself lacks, with their limits; int8 holds their values."""

RELATIVE, ABSOLUTE = 2.0**-21, 2.0**-23
"""Bound of an executor's difference from us: ``abs(result) * RELATIVE + ABSOLUTE``."""


@dataclass(frozen=True, eq=False)
class FunctionOp(Elementwise):
    """A function of `EXACT` or `APPROXIMATE`, applied to chains of the input and constants.

    Parameters
    ----------
    function : str
        Name in `EXACT` or `APPROXIMATE`.
    operands : tuple of Operand
        Arguments in order.
    nudge : float
        Shift of an approximate result, in multiples of the bound of its error.
    """

    function: str
    operands: tuple[Operand, ...]
    nudge: float = 0.0

    def apply(self, x: Array) -> Array:
        """Compute the result; see `Elementwise.apply`."""
        arguments = [o if isinstance(o, np.ndarray) else run(o, x) for o in self.operands]
        y = compute(self.function, arguments)
        if not self.nudge or self.function in EXACT:
            return y
        # At 0 these functions are 0, 1/2 or 1, on which executors agree.
        room = np.where(arguments[0] == 0, 0, np.abs(y) * RELATIVE + ABSOLUTE)
        return np.asarray(y + self.nudge * room, y.dtype)

    @property
    def monotone(self) -> bool:
        """Whether it is known to be monotone in every channel, from its function and operands."""
        chains = [o for o in self.operands if not isinstance(o, np.ndarray)]
        if self.function not in RISING or len(chains) != 1:
            return False
        if self.function == "LeakyRelu" and not (np.asarray(self.operands[1]) >= 0).all():
            return False
        if (
            self.function in ("Where", "Div", "HardSigmoid", "LeakyRelu")
            and chains[0] is not self.operands[0]
        ):
            return False
        return all(op.monotone for op in chains[0])

    @cached_property
    def size(self) -> int:
        """Number of operations that one evaluation computes."""
        chains = [o for o in self.operands if not isinstance(o, np.ndarray)]
        inner = (op.size if isinstance(op, FunctionOp) else 1 for chain in chains for op in chain)
        return 1 + sum(inner)

    def mapped(self, change: Callable[[Array], Array]) -> FunctionOp:
        """Return the operation with its operands' constants changed as well."""
        operands = tuple(
            _changed(o, change)
            if isinstance(o, np.ndarray)
            else tuple(op.mapped(change) for op in o)
            for o in self.operands
        )
        return replace(self, operands=operands)

    def constants(self) -> Iterator[tuple[str, Array]]:
        """Yield the constants of the operands, with a name for messages."""
        for o in self.operands:
            if isinstance(o, np.ndarray):
                yield "constant", o
            else:
                for op in o:
                    yield from op.constants()

    def nudged(self, by: float) -> FunctionOp:
        """Return the operation with approximate results shifted by `by` times their error bound."""
        operands = tuple(o if isinstance(o, np.ndarray) else nudged(o, by) for o in self.operands)
        return replace(self, operands=operands, nudge=by)

    @property
    def approximate(self) -> bool:
        """Whether executors may round its result, or an operand, differently."""
        return self.function in APPROXIMATE or any(
            approximate(o) for o in self.operands if not isinstance(o, np.ndarray)
        )


@dataclass(frozen=True, eq=False)
class CastOp(Elementwise):
    """Conversion to another element type: to integers towards zero, to bool by ``x != 0``.

    A float that the integer type cannot hold is an error, as its result depends on the processor.

    Parameters
    ----------
    to : str
        Name of the NumPy type.
    """

    to: str

    def apply(self, x: Array) -> Array:
        """Convert `x`; UnsupportedModel if an integer type cannot hold one of its floats."""
        x, to = np.asarray(x), np.dtype(self.to)
        if x.dtype.kind == "f" and to.kind in "iu":
            limits, whole = np.iinfo(to), np.trunc(x.astype(np.float64))
            if not ((whole >= limits.min) & (whole <= limits.max)).all():
                raise UnsupportedModel(
                    f"it converts values from {whole.min():g} to {whole.max():g}, which"
                    f" {self.to} cannot hold.",
                    node=self.node,
                    op=self.op,
                    hint="a Clip before it, or a wider type.",
                )
        return x.astype(to)


@dataclass(frozen=True, eq=False)
class QuantizeLinearOp(Elementwise):
    """ONNX QuantizeLinear: ``saturate(round_half_even(x / scale) + zero_point)``.

    Parameters
    ----------
    scale, zero_point : float32 scalar or [channels]
        The affine grid.
    to : str
        Name of the integer type, of NumPy or of `NARROW`, to whose range the result saturates.
    """

    scale: Array
    zero_point: Array
    to: str

    def apply(self, x: Array) -> Array:
        """Compute the result; see `Elementwise.apply`."""
        low, high = self.limits
        y = np.rint(x / self.scale) + self.zero_point
        return np.clip(y, np.float32(low), np.float32(high)).astype(self.held_as)

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest integer of the type."""
        if self.to in NARROW:
            return NARROW[self.to]
        info = np.iinfo(self.to)
        return int(info.min), int(info.max)

    @property
    def held_as(self) -> np.dtype[Any]:
        """Type of NumPy in which the integers are computed with."""
        return np.dtype(np.int8 if self.to in NARROW else self.to)


@dataclass(frozen=True, eq=False)
class DequantizeLinearOp(Elementwise):
    """ONNX DequantizeLinear: ``(x - zero_point) * scale`` in float32."""

    scale: Array
    zero_point: Array

    def apply(self, x: Array) -> Array:
        """Compute the result; see `Elementwise.apply`."""
        return (x.astype(np.float32) - self.zero_point) * self.scale


class OtherDivisors(UnsupportedModel):
    """Error for an average whose windows have different divisors, where that shows."""


@dataclass(frozen=True, eq=False)
class DividedOp(Elementwise):
    """Division by one of several numbers, which the place decides, and operations behind it.

    It is a function of the value alone where all numbers give the same, as ahead of a sign;
    anything else is an error.

    Parameters
    ----------
    divisors : tuple of float
        The numbers, all positive.
    behind : tuple of Elementwise
        Operations on the quotient, in order; none that executors approximate.
    """

    divisors: tuple[float, ...]
    behind: Chain

    def apply(self, x: Array) -> Array:
        """Evaluate; OtherDivisors where the numbers give different values."""
        first, *others = (run(self.behind, x / np.float32(d)) for d in self.divisors)
        if any((y != first).any() for y in others):
            raise OtherDivisors(
                "its windows at the border have other divisors.",
                node=self.node,
                op=self.op,
                hint="no padding, count_include_pad=1, a sign right behind the pool, or a dense"
                " layer or convolution of the whole map; other averages would have to be rounded"
                " to fixed point, which is not done yet.",
            )
        return first

    @property
    def monotone(self) -> bool:
        """Whether what is behind rises or falls throughout.

        Then values that all numbers give on both sides of every step are given between steps, too.
        """
        return all(op.monotone for op in self.behind)

    def mapped(self, change: Callable[[Array], Array]) -> DividedOp:
        """Change the constants of the operations behind the division."""
        return replace(self, behind=tuple(op.mapped(change) for op in self.behind))

    def constants(self) -> Iterator[tuple[str, Array]]:
        """Return the constants of the operations behind the division."""
        for op in self.behind:
            yield from op.constants()


@dataclass(frozen=True, eq=False)
class TruncOp(Elementwise):
    """QONNX Trunc, operation by operation as its reference computes it.

    Parameters
    ----------
    scale, zero_point : float32 scalar or [channels]
        The finer grid, of the input.
    factor : float32 array
        Power of two by which the coarser grid's scale is larger.
    out_scale, out_zero_point : float32 scalar or [channels]
        The coarser grid, of the result.
    limits : tuple of float, optional
        Least and greatest integer of the result; unlimited by default.
    rounding : str
        Name in `xnorflow.graph.quantisers.ROUNDINGS`.
    """

    scale: Array
    zero_point: Array
    factor: Array
    out_scale: Array
    out_zero_point: Array
    limits: tuple[float, float] | None = None
    rounding: str = "FLOOR"

    def apply(self, x: Array) -> Array:
        """Compute the result; see `Elementwise.apply`."""
        steps = np.rint(np.asarray(x / self.scale + self.zero_point, np.float32))
        y = np.asarray(steps / self.factor, np.float32)
        if self.limits is not None:
            y = np.clip(y, np.float32(self.limits[0]), np.float32(self.limits[1]))
        return (ROUNDINGS[self.rounding](y) - self.out_zero_point) * self.out_scale


def compute(function: str, arguments: Sequence[Array]) -> Array:
    """Compute a function of `EXACT` or `APPROXIMATE`, by its name."""
    evaluate = EXACT.get(function) or APPROXIMATE[function]
    return np.asarray(evaluate(*arguments))


def run(chain: Chain, x: Array) -> Array:
    """Compute the result of a chain of operations."""
    for op in chain:
        x = op.apply(x)
    return x


def nudged(chain: Chain, by: float) -> Chain:
    """Return a chain with approximate results shifted by `by` times their error bounds."""
    return tuple(op.nudged(by) if isinstance(op, FunctionOp) else op for op in chain)


def approximate(chain: Chain) -> bool:
    """Return whether executors may round a result of the chain differently."""
    return any(isinstance(op, FunctionOp) and op.approximate for op in chain)


def _changed(constant: Array, change: Callable[[Array], Array]) -> Array:
    return change(constant) if constant.ndim and len(constant) > 1 else constant


def same(a: Operand | Elementwise | object, b: object) -> bool:
    """Return whether two operands, operations or constants are equal, except in nodes' names."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool((a == b).all())
        )
    if isinstance(a, tuple):
        return (
            isinstance(b, tuple)
            and len(a) == len(b)
            and all(same(p, q) for p, q in zip(a, b, strict=True))
        )
    if isinstance(a, Elementwise):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name))
            for f in fields(a)
            if f.name not in ("node", "op")
        )
    return bool(a == b)
