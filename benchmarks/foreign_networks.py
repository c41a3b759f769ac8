"""Draw small low-bit networks as ONNX files, each step written in one of many ways.

The ways are those that the operators' specification allows in operator sets 7 to 24: attributes
given or by default, axes from either end, parameters stored or computed, layouts moved back and
forth. A network is evaluated while it is drawn, so that thresholds lie among the values that occur.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from foreign_executor import Array, evaluate
from onnx import TensorProto as T
from onnx import helper, numpy_helper

FRAMES = 12
INT64_MAX = 2**63 - 1
NUMBER = {np.dtype(np.float32): T.FLOAT, np.dtype(np.float64): T.DOUBLE}
NUMBER |= {np.dtype(np.float16): T.FLOAT16, np.dtype(np.int8): T.INT8, np.dtype(np.uint8): T.UINT8}
NUMBER |= {np.dtype(np.int32): T.INT32, np.dtype(np.int64): T.INT64, np.dtype(np.bool_): T.BOOL}
IR_OF_OPSET = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8}
IR_OF_OPSET |= {19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 11}


class TooLarge(Exception):
    """Raised where a drawn network has too many features to stay quick."""


@dataclass(frozen=True)
class Drawn:
    """A network with data for it.

    Parameters
    ----------
    model : onnx.ModelProto
        The file.
    samples : array [FRAMES, ...]
        Frames in the file's own shape, as the public API takes them.
    fed : array [FRAMES, ...]
        What the file's input tensor gets for them.
    fine : array [FRAMES, ...]
        The same in float64, before any rounding.
    batch : int
        Frames that the file takes at once.
    kind : str
        Argument `input` of ``xnorflow.load``.
    scale : Any
        Its argument `input_scale`.
    end : str
        What the file's output is: "scores"; "monotone", which may merge neighbouring scores;
        "label", the first or last greatest; or "order", the classes in falling order.
    pictures : bool
        Whether a frame may also be given with its channels last.
    last : bool
        Whether the file's input has its channels last.
    exact : bool
        Whether the sums behind the scores are exact in float32.
    steady : bool
        Whether all values on the way are.
    """

    model: onnx.ModelProto
    samples: Array
    fed: Array
    fine: Array
    batch: int
    kind: str
    scale: Any
    end: str
    pictures: bool
    last: bool
    exact: bool
    steady: bool


class Draft:
    """A graph that is being drawn, with the value of every tensor for a few frames."""

    def __init__(self, rng: np.random.Generator, opset: int) -> None:
        self.rng, self.opset = rng, opset
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.env: dict[str, Array] = {}
        self.float: Any = np.float32
        self.style = rng.integers(4)
        self.count = 0
        self.steady = True
        self.exact = True
        """Whether the present values are multiples of a power of two, so that sums are exact."""

    def chance(self, p: float) -> bool:
        """Return true with probability `p`."""
        return bool(self.rng.random() < p)

    def pick(self, options: Sequence[Any]) -> Any:
        """Choose one of several."""
        return options[int(self.rng.integers(len(options)))]

    def new(self, word: str) -> str:
        """Return a name that is not used yet."""
        self.count += 1
        forms = ("{w}_{n}", "{n}", "/model/{w}.{n}/out put", "größe:{n}")
        return forms[self.style].format(w=word, n=self.count)

    def __getitem__(self, name: str) -> Array:
        return self.env[name]

    def several(
        self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any
    ) -> list[str]:
        """Write a node and return the names of its outputs."""
        encoded = {k: v.encode() if isinstance(v, str) else v for k, v in attributes.items()}
        values = [self.env[i] if i else None for i in inputs]
        made = evaluate(operator, values, encoded, self.opset, outputs)
        names = [self.new(operator.lower()) for _ in range(outputs)]
        self.env.update(zip(names, made, strict=False))
        label = "" if self.chance(0.3) else self.new("node")
        self.nodes.append(helper.make_node(operator, list(inputs), names, label, **encoded))
        return names

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output and return its name."""
        return self.several(operator, *inputs, **attributes)[0]

    def store(self, array: Array) -> str:
        """Store a constant, as an initializer or as a node, and return its name."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        ways = ["raw", "raw", "typed", "node"]
        if (
            self.opset >= 12
            and array.ndim < 2
            and array.size
            and array.dtype in (np.float32, np.int64)
        ):
            ways.append("value")
        if self.opset >= 9 and array.size > 1 and np.all(array == array.flat[0]):
            ways.append("shape")
        way = self.pick(ways)
        if way == "value":
            name = "value_float" if array.dtype == np.float32 else "value_int"
            return self.op("Constant", **{name + ("s" if array.ndim else ""): array.tolist()})
        if way == "node":
            return self.op("Constant", value=numpy_helper.from_array(array, self.new("t")))
        if way == "shape":
            shape = self.store(np.array(array.shape, np.int64))
            return self.op(
                "ConstantOfShape", shape, value=numpy_helper.from_array(array.reshape(-1)[:1])
            )
        name = self.new("p")
        self.env[name] = array
        if way == "typed" and array.dtype in (np.float32, np.float64, np.int64):
            kind = NUMBER[array.dtype]
            self.stored.append(
                helper.make_tensor(name, kind, array.shape, array.reshape(-1).tolist())
            )
        else:
            self.stored.append(numpy_helper.from_array(array, name))
        return name

    def number(self, value: Any) -> str:
        """Store a float constant in the element type of the network, now and then computed."""
        array = np.asarray(value, self.float)
        if self.chance(0.85):
            return self.store(array)
        ways: list[Callable[[], str]] = [
            lambda: self.op("Identity", self.store(array)),
            lambda: self.op("Neg", self.store(-array)),
            lambda: self.op("Mul", self.store(array * 2), self.store(np.asarray(0.5, self.float))),
            lambda: self.op("Cast", self.store(array.astype(np.float64)), to=NUMBER[array.dtype]),
            lambda: self.op("Transpose", self.store(array.T)),
            lambda: self.reshape(self.store(array.reshape(-1)), list(array.shape)),
            lambda: self.squeeze(self.unsqueeze(self.store(array), [0]), [0]),
        ]
        return self.pick(ways)()

    # Moves, in the forms of the operator set

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Write a Reshape."""
        return self.op("Reshape", x, self.store(np.array(shape, np.int64)))

    def squeeze(self, x: str, axes: Sequence[int]) -> str:
        """Write a Squeeze; the axes from either end where the operator set has that."""
        return self._axes("Squeeze", x, axes, self[x].ndim)

    def unsqueeze(self, x: str, axes: Sequence[int]) -> str:
        """Write an Unsqueeze; the axes count in the output."""
        return self._axes("Unsqueeze", x, axes, self[x].ndim + len(axes))

    def _axes(self, operator: str, x: str, axes: Sequence[int], rank: int) -> str:
        some = [int(a) - rank if self.opset >= 11 and self.chance(0.3) else int(a) for a in axes]
        if self.opset >= 13:
            return self.op(operator, x, self.store(np.array(some, np.int64)))
        return self.op(operator, x, axes=some)

    def reduce(self, operator: str, x: str, axes: Sequence[int], keep: int, input_from: int) -> str:
        """Write a reduction."""
        rank = self[x].ndim
        some = [int(a) - rank if self.opset >= 11 and self.chance(0.4) else int(a) for a in axes]
        more = {} if keep and self.chance(0.5) else {"keepdims": keep}
        if self.opset >= input_from:
            return self.op(operator, x, self.store(np.array(some, np.int64)), **more)
        return self.op(operator, x, axes=some, **more)

    def part(self, x: str, axis: int, start: int, end: int) -> str:
        """Write a Slice of one axis."""
        size, rank = self[x].shape[axis], self[x].ndim
        if end == size and self.chance(0.5):
            end = self.pick([INT64_MAX, 2**31 - 1])
        elif end < size and self.chance(0.3):
            end -= size
        if self.opset < 10:
            more = {} if axis == 0 and self.chance(0.5) else {"axes": [axis]}
            return self.op("Slice", x, starts=[start], ends=[end], **more)
        at = axis - rank if self.chance(0.3) else axis
        given = [np.array([v], np.int64) for v in (start, end, at, 1)][: self.pick([3, 4])]
        return self.op("Slice", x, *map(self.store, given))

    def parts(self, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Write a Split."""
        same = len(set(sizes)) == 1
        more: dict[str, Any] = {} if axis == 0 and self.chance(0.5) else {"axis": axis}
        if self.opset >= 11 and more and self.chance(0.3):
            more["axis"] -= self[x].ndim
        if same and self.chance(0.5):
            if self.opset >= 18:
                more["num_outputs"] = len(sizes)
            return self.several("Split", x, outputs=len(sizes), **more)
        if self.opset >= 13:
            given = self.store(np.array(sizes, np.int64))
            return self.several("Split", x, given, outputs=len(sizes), **more)
        return self.several("Split", x, outputs=len(sizes), split=list(sizes), **more)

    def clip(self, x: str, low: float | None, high: float | None) -> str:
        """Write a Clip; bounds that are None are left out."""
        if self.opset < 11:
            more = {k: float(v) for k, v in (("min", low), ("max", high)) if v is not None}
            return self.op("Clip", x, **more)
        kind = self[x].dtype
        given = ["" if v is None else self.store(np.asarray(v, kind)) for v in (low, high)]
        while given and not given[-1]:
            given.pop()
        return self.op("Clip", x, *given)

    def cast(self, x: str, kind: Any) -> str:
        """Write a Cast."""
        return self.op("Cast", x, to=NUMBER[np.dtype(kind)])

    def at_channels(self, values: Array, rank: int, axis: int) -> Array:
        """Shape one value per channel so that it broadcasts along `axis`."""
        shape = [1] * rank
        shape[axis] = -1
        made = values.reshape(shape)
        while made.ndim > 1 and made.shape[0] == 1 and self.chance(0.5):
            made = made[0]
        return made

    def either(self, operator: str, x: str, y: str) -> str:
        """Write a commutative operator with its inputs in either order."""
        return self.op(operator, *((x, y) if self.chance(0.5) else (y, x)))

    def noise(self, x: str) -> str:
        """Write something that changes nothing."""
        v = self[x]
        ways: list[Callable[[], str]] = [
            lambda: self.op("Identity", x),
            lambda: self.dropout(x),
            lambda: self.reshape(x, [0] * (v.ndim - 1) + [-1]),
            lambda: self.reshape(x, [-1, *v.shape[1:]]),
            lambda: self.op("Neg", self.op("Neg", x)),
            lambda: self.either("Mul", x, self.number(1)),
            lambda: self.either("Add", x, self.number(np.zeros([1] * self.pick([0, 1])))),
            lambda: self.op("Sub", x, self.number(0)),
            lambda: self.op("Div", x, self.number(1)),
            lambda: self.squeeze(
                self.unsqueeze(x, [k := int(self.rng.integers(1, v.ndim + 1))]), [k]
            ),
            lambda: self.op("Concat", x, axis=1),
            lambda: self.op(self.pick(["Sum", "Max", "Min"]), x),
            lambda: (
                self.part(x, int(self.rng.integers(1, v.ndim)), 0, v.shape[-1])
                if v.ndim == 2
                else x
            ),
            lambda: (
                self.op("Concat", *self.parts(x, 1, [1, v.shape[1] - 1]), axis=1)
                if v.shape[1] > 1
                else x
            ),
            lambda: self.clip(x, None, None),
            lambda: self.cast(self.cast(x, np.float64), self.float),
        ]
        if self.opset >= 8:
            ways.append(lambda: self.op("Expand", x, self.store(np.ones(v.ndim, np.int64))))
        if v.ndim > 2:
            ways.append(
                lambda: self.turn(
                    self.turn(x, [0, *range(2, v.ndim), 1]), [0, v.ndim - 1, *range(1, v.ndim - 1)]
                )
            )
        else:
            ways.append(lambda: self.op("Flatten", x))
            ways.append(lambda: self.op("Transpose", self.op("Transpose", x), perm=[1, 0]))
        return self.pick(ways)()

    def turn(self, x: str, perm: Sequence[int]) -> str:
        """Write a Transpose."""
        return self.op("Transpose", x, perm=list(perm))

    def dropout(self, x: str) -> str:
        """Write a Dropout at rest, in the form of the operator set."""
        if self.opset < 12:
            more = {} if self.chance(0.5) else {"ratio": 0.25}
            return self.several("Dropout", x, outputs=self.pick([1, 1, 1]), **more)[0]
        given = [self.store(np.float32(0.25)), self.store(np.array(False))][: self.pick([0, 1, 2])]
        return self.op("Dropout", x, *given)

    # Thresholds

    def cut(self, x: str) -> float:
        """Choose a threshold between two values that occur, or on one where sums are exact."""
        values = np.unique(self[x].astype(np.float64))
        span = values[-1] - values[0]
        if span == 0:
            return float(values[0]) + self.pick([-0.5, 0.5])
        if not self.exact:
            keep = np.concatenate([[True], np.diff(values) > 1e-3 * span])
            values = values[keep]
        i = int(self.rng.integers(max(len(values) - 1, 1)))
        j = min(max(i, len(values) // 5), max(len(values) * 4 // 5, 0))
        j = min(j, len(values) - 1)
        if self.exact and self.chance(0.3) or j + 1 == len(values):
            return float(np.float32(values[j] - (0 if self.exact else span * 0.01)))
        return float(np.float32((values[j] + values[j + 1]) / 2))

    def cuts(self, x: str, axis: int) -> Array:
        """Choose one threshold, or one per channel, shaped to broadcast."""
        v = self[x]
        if self.chance(0.02):
            return np.array(self.pick([1e30, -1e30, 3e4]))
        if self.chance(0.4):
            return np.array(self.cut(x)).reshape([1] * self.pick([0, 1]))
        per = np.array([self.cut(x) for _ in range(v.shape[axis])])
        return self.at_channels(per, v.ndim, axis)


# Weights


def whole(d: Draft, shape: Sequence[int], out_axis: int) -> Array:
    """Draw weights of few bits, scaled by powers of two."""
    way = d.pick(["binary"] * 5 + ["ternary", "ternary", "int3", "int4", "bits"])
    if way == "binary":
        w = d.rng.choice([-1.0, 1.0], shape)
    elif way == "ternary":
        w = d.rng.choice([-1.0, 0.0, 1.0], shape)
    elif way == "bits":
        w = d.rng.choice([0.0, 1.0], shape)
    else:
        w = (
            d.rng.integers(-4, 4, shape).astype(float)
            if way == "int3"
            else d.rng.integers(-8, 8, shape) * 1.0
        )
    if not w.any():
        w.flat[0] = 1
    if d.chance(0.3):
        if d.chance(0.5):
            w = w * d.pick([0.5, 0.25, 2.0, -0.5])
        else:
            at = [1] * len(shape)
            at[out_axis] = -1
            w = w * d.rng.choice([0.25, 0.5, 1, 2], shape[out_axis]).reshape(at)
    return w.astype(d.float)


def weights(d: Draft, w: Array) -> str:
    """Write weights, stored or computed."""
    levels = np.unique(w)
    f = d.float
    ways: list[Callable[[], str]] = [lambda: d.store(w)] * 4
    ways += [
        lambda: d.cast(d.store(w.astype(np.float64)), f),
        lambda: d.cast(d.store(w.astype(np.float16)), f),
        lambda: d.turn(d.store(np.ascontiguousarray(w.T)), range(w.ndim)[::-1]),
        lambda: d.op("Transpose", d.store(np.ascontiguousarray(w.T))),
        lambda: d.reshape(d.store(w.reshape(-1)), w.shape),
        lambda: d.reshape(d.store(w.reshape(-1)), [w.shape[0], -1, *w.shape[2:]]),
        lambda: d.squeeze(d.store(w[None]), [0]),
        lambda: d.op("Div", d.store(w * 4), d.number(4)),
        lambda: d.op("Sub", d.store(w + 1), d.number(1)),
        lambda: d.either("Mul", d.store(w * 0.5), d.number(2)),
        lambda: d.op("Concat", d.store(w[:1]), d.store(w[1:]), axis=0),
        lambda: d.part(d.store(np.concatenate([w, w[:1] * 3])), 0, 0, w.shape[0]),
        lambda: d.op(
            "Gather", d.store(w[::-1].copy()), d.store(np.arange(w.shape[0])[::-1].copy())
        ),
        lambda: d.op("Sum", d.store(w), d.store(w), d.store(-w)),
        lambda: d.clip(d.store(w), float(w.min()), float(w.max())),
        lambda: unfolded(d, w) if d.chance(0.1) else d.op("Identity", d.store(w)),
        lambda: d.op("Neg", d.store(-w)),
    ]
    if np.all(w == np.rint(w)):
        ways.append(lambda: d.cast(d.store(w.astype(np.int8)), f))
        ways.append(
            lambda: d.cast(d.op("Mul", d.store(w.astype(np.int32)), d.store(np.int32(1))), f)
        )
        if d.opset >= 10 and f is np.float32:
            zero = d.pick([None, 0, 3])
            ways.append(lambda: _dequantized(d, w, zero))
    if len(levels) == 2 and levels[0] == -levels[1]:
        latent = (np.sign(w) * d.rng.uniform(0.1, 1, w.shape)).astype(f)
        alpha = np.asarray(levels[1], f).reshape([1] * d.pick([0, 1, w.ndim]))
        some = [
            lambda: d.op("Sub", d.op("Mul", d.cast(d.store(w > 0), f), d.number(2)), d.number(1)),
            lambda: d.op("Div", d.store(latent), d.op("Abs", d.store(latent))),
        ]
        if d.opset >= 9:
            some.append(lambda: d.op("Sign", d.store(latent)))
            some.append(
                lambda: d.op(
                    "Where",
                    d.op("Greater", d.store(latent), d.number(0)),
                    d.number(1),
                    d.number(-1),
                )
            )
        ways += [lambda: d.either("Mul", d.pick(some)(), d.store(alpha))] * 6
    return d.pick(ways)()


def unfolded(d: Draft, w: Array) -> str:
    """Write weights by what is meant for features."""
    if d.chance(0.5):
        return d.dropout(d.store(w))
    return d.parts(d.store(np.concatenate([w, w])), 0, [w.shape[0]] * 2)[1]


def _dequantized(d: Draft, w: Array, zero: int | None) -> str:
    kind = np.int8
    codes = d.store((w + (zero or 0)).astype(kind))
    given = [codes, d.store(np.float32(1))]
    if zero is not None:
        given.append(d.store(np.array(zero, kind)))
    return d.op("DequantizeLinear", *given)


# Functions of one value


def affine(d: Draft, x: str, axis: int) -> str:
    """Write what follows a layer ahead of its quantiser: nothing, a normalisation, a few steps."""
    v = d[x]
    n = v.shape[axis]

    def per(values: Array) -> str:
        made = values if d.chance(0.6) else values[:1]
        return d.number(
            d.at_channels(made, v.ndim, axis)
            if len(made) == n
            else made.reshape([1] * d.pick([0, 1]))
        )

    def variadic(operator: str, *given: str) -> str:
        # They broadcast from operator set 8 on.
        return d.op(operator, *(given if d.opset >= 8 else given[:1]))

    dyadic = d.rng.choice([0.25, 0.5, 1, 2, 3], n)
    signed = dyadic * d.rng.choice([-1, 1], n)
    shift = np.rint(d.rng.normal(0, 3, n)) / d.pick([1, 2, 4])
    ways: list[Callable[[], str]] = [lambda: x] * 3
    ways += [
        lambda: d.either("Mul", x, per(signed)),
        lambda: d.either("Add", x, per(shift)),
        lambda: d.op("Sub", x, per(shift)),
        lambda: d.op("Sub", per(shift), x),
        lambda: d.op("Div", x, per(d.rng.choice([-4.0, 0.5, 2, 8], n))),
        lambda: d.op("Neg", x),
        lambda: d.op("Relu", d.either("Add", x, per(shift))),
        lambda: variadic("Max", x, per(shift)),
        lambda: d.op("LeakyRelu", x, alpha=0.25),
        lambda: d.op("PRelu", x, d.number(d.at_channels(dyadic / 4, v.ndim, axis))),
        lambda: d.either("Add", d.either("Mul", x, per(signed)), per(shift)),
        lambda: variadic("Sum", x, per(shift), per(shift)),
        lambda: d.op("Sub", d.op("Mul", x, d.number(2)), x),
        lambda: d.op("Add", x, x),
        lambda: d.op("Abs", d.op("Add", x, per(shift))),
    ]
    if d.chance(0.25):
        return d.pick([curved, integral, masked, cropped])(d, x, axis)
    if axis == 1:
        ways += [lambda: normalise(d, x)] * 6
    return d.pick(ways)()


def curved(d: Draft, x: str, axis: int) -> str:
    """Write a function that is no straight line."""
    span = float(np.abs(d[x]).max()) or 1.0
    small = d.op("Mul", x, d.number(2.0 ** -round(np.log2(span))))
    d.exact = d.steady = False
    ways: list[Callable[[], str]] = [
        lambda: d.op(d.pick(["Tanh", "Sigmoid", "Softsign", "Softplus", "Elu"]), small),
        lambda: d.op("Elu", small, alpha=0.5),
        lambda: d.op("Pow", small, d.number(d.pick([2, 3]))),
        lambda: d.op("Sqrt", d.op("Relu", x)),
        lambda: d.op("Sqrt", d.op("Abs", x)),
        lambda: d.op("Reciprocal", d.op("Add", d.op("Abs", x), d.number(0.5))),
        lambda: d.op(
            "PRelu",
            x,
            d.number(d.at_channels(d.rng.choice([-1, -0.5, 2], d[x].shape[axis]), d[x].ndim, axis)),
        ),
        lambda: d.op("HardSigmoid", small),
        lambda: d.op("Mul", small, d.op("HardSigmoid", small, alpha=0.25)),
    ]
    if d.opset >= 10:
        ways.append(lambda: d.op("ThresholdedRelu", small, alpha=0.25))
        ways.append(lambda: d.op("ThresholdedRelu", x))
    if d.opset >= 14:
        ways.append(lambda: d.op("HardSwish", small))
    return d.pick(ways)()


def integral(d: Draft, x: str, axis: int) -> str:
    """Write arithmetic on integers."""
    y = d.cast(x, np.int32)

    def stored(value: int) -> str:
        return d.store(np.full([1] * d.pick([0, 1]), value, np.int32))

    ways: list[Callable[[str], str]] = [
        lambda v: d.op("Div", v, stored(d.pick([2, 3, -2]))),
        lambda v: d.either("Mul", v, stored(d.pick([3, -1]))),
        lambda v: d.either("Add", v, stored(d.pick([3, -7]))),
        lambda v: d.op("Sub", stored(d.pick([3, -7])), v),
        lambda v: d.op(d.pick(["Neg", "Abs"]), v),
        lambda v: d.cast(v, np.int64) if d[v].dtype == np.int32 else v,
    ]
    if d.opset >= 12:
        ways.append(
            lambda v: d.cast(d.op(d.pick(["Max", "Min"]), d.cast(v, np.int32), stored(1)), np.int32)
        )
        ways.append(lambda v: d.cast(d.clip(v, -5, 9), np.int32))
    for _ in range(d.pick([1, 2])):
        y = d.pick(ways)(y)
        y = d.cast(y, np.int32) if d[y].dtype != np.int32 else y
    if d.opset >= 15 and d.chance(0.3):
        return d.op("CastLike", y, d.number(0))
    return d.cast(y, d.float)


def masked(d: Draft, x: str, axis: int) -> str:
    """Write a choice between functions of one value."""
    if d.opset < 9:
        return x
    n = d[x].shape[axis]
    middle = d.number(d.cut(x))
    ways: list[Callable[[], str]] = [
        lambda: d.op(
            "Where",
            d.store(d.at_channels(d.rng.random(n) < 0.5, d[x].ndim, axis)),
            x,
            d.op("Neg", x),
        ),
        lambda: d.op("Where", d.op("Greater", x, middle), x, d.op("Mul", x, d.number(0.5))),
        lambda: d.op("Where", d.op("Less", x, middle), middle, x),
        lambda: d.op("Mul", x, d.cast(d.op("Greater", x, middle), d.float)),
        lambda: d.op(
            "Where",
            d.op("Not", d.op("Greater", x, middle)),
            d.number(-3),
            d.op("Add", x, d.number(1)),
        ),
    ]
    return d.pick(ways)()


def cropped(d: Draft, x: str, axis: int) -> str:
    """Write what loses the finer or the larger part of a value."""
    ways: list[Callable[[], str]] = [
        lambda: d.cast(d.cast(x, np.float16), d.float) if np.abs(d[x]).max() < 3e4 else x,
        lambda: d.clip(x, d.cut(x), None),
        lambda: d.clip(x, None, d.cut(x)),
        lambda: d.cast(d.cast(d.clip(x, -100, 100), np.int8), d.float),
        lambda: d.op("Floor", d.op("Mul", x, d.number(0.5))),
        lambda: d.op("Sub", x, d.op("Floor", d.op("Mul", x, d.number(0.25)))),
    ]
    return d.pick(ways)()


def normalise(d: Draft, x: str) -> str:
    """Write a BatchNormalization in the form of the operator set."""
    n = d[x].shape[1]
    spread = float(np.std(d[x])) or 1.0
    mean = np.array([d.cut(x) for _ in range(n)])
    gamma = d.rng.choice([-1.5, -1, 0.5, 1, 2, 3], n) * d.pick([1, 1, 1, 0.1])
    if d.chance(0.05):
        gamma[0] = 0
    beta = d.rng.choice([-0.25, 0, 0, 0.5], n)
    var = np.full(n, 4.0) if d.chance(0.3) else d.rng.uniform(0.5, 2, n) * spread**2
    more: dict[str, Any] = {}
    if d.chance(0.5):
        more["epsilon"] = float(np.float32(d.pick([1e-3, 0.0, 1e-5])))
    if d.chance(0.3):
        more["momentum"] = 0.5
    if d.opset < 9 and d.chance(0.5):
        more["spatial"] = 1
    if d.opset >= 14 and d.chance(0.3):
        more["training_mode"] = 0
    d.exact = d.steady = False
    return d.op("BatchNormalization", x, *(d.number(p) for p in (gamma, beta, mean, var)), **more)


def truth(d: Draft, x: str, t: Array) -> str:
    """Write a comparison with a threshold."""
    limit = d.number(t)
    if d.opset >= 12 and d.chance(0.4):
        operator = d.pick(["GreaterOrEqual", "LessOrEqual"])
        return d.op(operator, x, limit) if d.chance(0.7) else d.op(operator, limit, x)
    operator = d.pick(["Greater", "Less"])
    made = d.op(operator, x, limit) if d.chance(0.7) else d.op(operator, limit, x)
    return d.op("Not", made) if d.chance(0.3) else made


def two(d: Draft, condition: str) -> str:
    """Write two values for a condition."""
    low, high = d.pick(
        [(-1, 1)] * 6 + [(0, 1)] * 2 + [(1, -1), (-0.5, 0.5), (0, 2), (-1, 2), (1, 2)]
    )
    if d.opset >= 9 and d.chance(0.5):
        shape = [1] * d.pick([0, 0, 1])
        return d.op(
            "Where", condition, d.number(np.full(shape, high)), d.number(np.full(shape, low))
        )
    bits = d.cast(condition, d.float)
    if d.chance(0.3):
        bits = d.cast(d.cast(condition, np.int32), d.float)
    scaled = (
        d.either("Mul", bits, d.number(high - low)) if high - low != 1 or d.chance(0.3) else bits
    )
    return d.either("Add", scaled, d.number(low)) if low or d.chance(0.2) else scaled


def quantise(d: Draft, x: str, axis: int) -> str:
    """Write a function that has few values; one that is lively, if some attempts find it."""
    for _ in range(5):
        before = len(d.nodes), len(d.stored), d.exact, d.steady
        made = staircase(d, x, axis)
        v = d[made]
        lively = (v != v[:1]).any(0).mean() if len(v) > 1 else len(np.unique(v)) > 1
        if lively > 0.3:
            break
        if d.chance(0.9):
            for name in [o for node in d.nodes[before[0] :] for o in node.output]:
                del d.env[name]
            for stored in d.stored[before[1] :]:
                del d.env[stored.name]
            del d.nodes[before[0] :], d.stored[before[1] :]
            d.exact, d.steady = before[2:]
            made = ""
    return made or staircase(d, x, axis)


def staircase(d: Draft, x: str, axis: int) -> str:
    """Write a function of one value that has few values; its results are small dyadic numbers."""
    f = d.float
    span = float(np.ptp(d[x])) or 1.0
    step = 2.0 ** round(np.log2(max(span / d.pick([2, 4, 8]), 1e-3)))
    middle = d.cut(x)

    def centred() -> str:
        return d.op("Sub", x, d.number(d.cuts(x, axis)))

    def pair(operator: str) -> str:
        return d.op(operator, truth(d, x, d.cuts(x, axis)), truth(d, x, d.cuts(x, axis)))

    def levels(y: str) -> str:
        low, high = d.pick([(0, 3), (-2, 1), (-1, 1), (0, 1), (-4, 3), (-1, 2)])
        way = d.pick(["clip", "minmax", "clip", "relu"])
        if way == "clip":
            return d.clip(y, low, high)
        if d.opset < 8:
            return d.clip(y, low, high)
        if way == "relu":
            return d.op("Min", d.op("Relu", y), d.number(3))
        kept = d.op("Max", y, d.number(low)) if d.chance(0.5) else d.clip(y, low, None)
        return d.op("Min", d.number(high), kept) if d.chance(0.5) else d.clip(kept, None, high)

    def rounded() -> str:
        y = d.op("Mul", d.op("Sub", x, d.number(middle)), d.number(1 / step))
        whole_ = d.pick(["Floor", "Ceil"] + (["Round"] if d.opset >= 11 else []))
        return levels(d.op(whole_, y)) if d.chance(0.6) else d.op(whole_, levels(y))

    def truncated() -> str:
        y = d.op("Div", d.op("Sub", x, d.number(middle)), d.number(step))
        return levels(d.cast(d.cast(levels(y), np.int32), f))

    def thermometer() -> str:
        bits = [d.cast(truth(d, x, d.cuts(x, axis)), f) for _ in range(d.pick([2, 3]))]
        return d.op("Sum", *bits)

    def qdq() -> str:
        kind = d.pick([np.int8, np.uint8])
        zero = d.pick([0, 3, 128]) if kind is np.uint8 else d.pick([0, -2])
        scale = d.store(np.float32(step / d.pick([1, 2])))
        given = (
            [scale]
            if kind is np.uint8 and zero == 0 and d.chance(0.5)
            else [scale, d.store(np.array(zero, kind))]
        )
        codes = d.op("QuantizeLinear", d.op("Sub", x, d.number(middle)), *given)
        if d.opset >= 12:
            codes = d.clip(codes, max(zero - 3, 0 if kind is np.uint8 else -128), zero + 3)
        return d.op("DequantizeLinear", codes, *given)

    def ratio() -> str:
        d_ = d.op("Sub", x, d.number(middle + step / 1024))
        return (
            d.op("Div", d_, d.op("Abs", d_))
            if 0 not in d[d_]
            else two(d, truth(d, x, np.array(middle)))
        )

    ways: list[Callable[[], str]] = [lambda: two(d, truth(d, x, d.cuts(x, axis)))] * 5
    ways += [
        rounded,
        rounded,
        truncated,
        thermometer,
        ratio,
        lambda: two(d, pair("And")),
        lambda: two(d, pair("Or")),
        lambda: two(d, pair("Xor")),
        lambda: d.op(
            "Sub", d.cast(truth(d, x, d.cuts(x, axis)), f), d.cast(truth(d, x, d.cuts(x, axis)), f)
        ),
        lambda: two(
            d,
            truth(
                d, d.op("Mul", d_ := d.op("Sub", x, d.number(middle)), d_), np.array(step * step)
            ),
        ),
        lambda: two(
            d, truth(d, d.op("Abs", d.op("Sub", x, d.number(middle))), np.array(step * 0.75))
        ),
    ]
    if d.opset >= 9:
        ways += [
            lambda: d.op("Sign", centred()),
            lambda: d.op("Sign", d.op("Add", d.op("Sign", centred()), d.number(0.5))),
            lambda: d.op("Neg", d.op("Sign", centred())),
            lambda: d.clip(
                d.op("Add", d.op("Mul", d.op("Sign", centred()), d.number(2)), d.number(1)), -1, 1
            ),
        ]
    if d.opset >= 11:
        ways.append(
            lambda: d.op(
                "Round", d.op("HardSigmoid", x, alpha=float(np.float32(0.5 / step)), beta=0.5)
            )
        )
        ways.append(
            lambda: two(
                d, d.op("Equal", d.op("Floor", d.op("Div", x, d.number(step))), d.number(1))
            )
        )
    if d.opset >= 10 and f is np.float32:
        ways += [qdq, qdq]
    if d.opset >= 13 and f is np.float32:
        ways.append(lambda: per_axis(d, x, axis, step))
    if d.opset >= 9:
        ways.append(lambda: nested(d, x, axis))
    made = d.pick(ways)()
    if d.chance(0.15):
        made = d.either("Mul", made, d.number(d.pick([0.5, 2, -1, 0.25])))
    d.exact = True
    return made


def per_axis(d: Draft, x: str, axis: int, step: float) -> str:
    """Write QuantizeLinear with a scale per channel, and the codes as floats."""
    n = d[x].shape[axis]
    scale = d.store((step * d.rng.choice([0.5, 1, 2], n)).astype(np.float32))
    kind = d.pick([np.int8, np.uint8])
    zero = d.store(d.rng.integers(0, 4, n).astype(kind))
    more = {} if axis == 1 and d.chance(0.5) else {"axis": d.pick([axis, axis - d[x].ndim])}
    codes = d.op("QuantizeLinear", x, scale, zero, **more)
    return d.clip(d.cast(codes, d.float), 0, 6)


def nested(d: Draft, x: str, axis: int) -> str:
    """Write a staircase as choices in one another."""
    y = two(d, truth(d, x, d.cuts(x, axis)))
    for value in (d.pick([-1, 0, 2]), d.pick([1, 3]))[: d.pick([1, 2])]:
        y = d.op("Where", truth(d, x, d.cuts(x, axis)), d.number(value), y)
    return y


# Layers


def window(d: Draft, x: str, size: Sequence[int], what: str) -> tuple[list[int], dict[str, Any]]:
    """Draw a kernel with its attributes for a convolution ("conv") or a pool ("max", "average")."""
    kernel = [int(d.rng.integers(1, min(4, s + 1))) for s in size]
    a: dict[str, Any] = {}
    dilate = (
        what == "conv" or what == "max" and d.opset >= 10 or what == "average" and d.opset >= 19
    )
    if dilate and d.chance(0.25):
        dilations = [int(d.rng.integers(1, 3)) for _ in size]
        dilations = [
            q if (k - 1) * q < s else 1 for q, k, s in zip(dilations, kernel, size, strict=True)
        ]
        a["dilations"] = dilations
    if d.chance(0.5):
        a["strides"] = [int(d.rng.integers(1, 3)) for _ in size]
    way = d.rng.random()
    if way < 0.35:
        if d.chance(0.3):
            a["pads"] = [0] * (2 * len(size))
    elif way < 0.7:
        reach = [
            (k - 1) * q + 1
            for k, q in zip(kernel, a.get("dilations", [1] * len(size)), strict=True)
        ]
        limit = [k - 1 if what != "conv" else r - 1 for k, r in zip(kernel, reach, strict=True)]
        a["pads"] = [int(d.rng.integers(0, min(m, 2) + 1)) for m in (*limit, *limit)]
    else:
        same = [] if "dilations" in a else ["SAME_UPPER", "SAME_LOWER"]
        a["auto_pad"] = d.pick([*same, "VALID", "NOTSET"])
    if what != "conv" and d.opset >= 10 and d.chance(0.3):
        a["ceil_mode"] = d.pick([1, 1, 0])
    if what == "average" and d.chance(0.4):
        a["count_include_pad"] = d.pick([1, 1, 0])
    if what == "max" and d.opset >= 8 and d.chance(0.1):
        a["storage_order"] = 0
    if what != "conv" or d.chance(0.6):
        a["kernel_shape"] = kernel
    return kernel, a


def bias(d: Draft, n: int) -> Array:
    """Draw a bias."""
    return (np.rint(d.rng.normal(0, 3, n)) / d.pick([1, 2])).astype(d.float)


def convolution(d: Draft, x: str, whole_map: bool = False, outputs: int | None = None) -> str:
    """Write a convolution."""
    n, size = d[x].shape[1], d[x].shape[2:]
    kernel, a = (list(size), {}) if whole_map else window(d, x, size, "conv")
    groups = d.pick([1] * 5 + [n] + ([2] if n % 2 == 0 else []))
    if outputs is not None:
        groups = 1
    if groups != 1 or d.chance(0.3):
        a["group"] = groups
    out = outputs or groups * int(d.rng.integers(1, max(2, 6 // groups + 1)))
    w = whole(d, [out, n // groups, *kernel], 0)
    if d.chance(0.06):
        w = w * d.rng.uniform(0.1, 1, out if d.chance(0.5) else 1).astype(d.float).reshape(
            -1, *[1] * (w.ndim - 1)
        )
        d.exact = d.steady = False
    given = [x, weights(d, w)]
    if d.chance(0.4):
        given.append(d.number(bias(d, out)))
    elif d.chance(0.1):
        given.append("")
    if d.chance(0.08):
        given[0] = padded(d, x)
    return d.op("Conv", *given, **a)


def padded(d: Draft, x: str) -> str:
    """Write a Pad of the map."""
    n = d[x].ndim - 2
    widths = [int(i) for i in d.rng.integers(0, 2, 2 * n)]
    value = d.pick([0.0, 0.0, 1.0, -1.0])
    pads = [0, 0, *widths[:n], 0, 0, *widths[n:]]
    if d.opset < 11:
        more = {"value": value} if value or d.chance(0.5) else {}
        return d.op("Pad", x, pads=pads, **more)
    given = [d.store(np.array(pads, np.int64))]
    if value or d.chance(0.5):
        given.append(d.store(np.asarray(value, d.float)))
    if d.opset >= 18 and d.chance(0.4):
        axes = [a - n - 2 if d.chance(0.5) else a for a in range(2, n + 2)]
        given = [d.store(np.array(widths, np.int64)), *given[1:]]
        given += ["", ""][: 2 - len(given)] + [d.store(np.array(axes, np.int64))]
    more = {"mode": "constant"} if d.chance(0.3) else {}
    return d.op("Pad", x, *given, **more)


def integer_layer(d: Draft, x: str, outputs: int) -> str:
    """Write a layer on integer codes of values that are small whole numbers."""
    v = d[x]
    signed = bool(v.min() < 0)
    kind = np.int8 if signed else np.uint8
    zero = 0 if d.chance(0.5) else d.pick([1, 2])
    codes = d.cast(d.either("Add", x, d.number(zero)) if zero else x, kind)
    dims = [outputs, v.shape[1], *[min(2, s) for s in v.shape[2:]]]
    w = d.rng.choice([-1, 1, 1, 3], dims).astype(np.int8)
    zero_w = d.pick([None, 0, 1])
    stored_w = d.store(
        (w + (zero_w or 0)).astype(np.int8).T.copy()
        if v.ndim == 2
        else (w + (zero_w or 0)).astype(np.int8)
    )
    zeros = [d.store(np.array(zero, kind))] if zero or zero_w is not None or d.chance(0.5) else []
    if zero_w is not None:
        zeros.append(d.store(np.array(zero_w, np.int8)))
    if d.chance(0.5):
        more: dict[str, Any] = {"pads": [0, 1, 1, 0]} if v.ndim == 4 and d.chance(0.3) else {}
        operator = "MatMulInteger" if v.ndim == 2 else "ConvInteger"
        y = d.cast(d.op(operator, codes, stored_w, *zeros, **more), np.float32)
        return d.op("Mul", y, d.number(0.5)) if d.chance(0.5) else y
    one = d.store(np.float32(d.pick([1, 0.5])))
    zero_x = d.store(np.array(zero, kind))
    weight_zero = d.store(np.array(zero_w or 0, np.int8))
    out = d.store(np.float32(d.pick([0.5, 1, 2])))
    zero_y = d.store(np.array(d.pick([0, 5]), kind))
    operator = "QLinearMatMul" if v.ndim == 2 else "QLinearConv"
    given = [codes, one, zero_x, stored_w, one, weight_zero, out, zero_y]
    if v.ndim > 2 and d.chance(0.4):
        given.append(d.store(d.rng.integers(-3, 4, outputs).astype(np.int32)))
    return d.op("DequantizeLinear", d.op(operator, *given), out, zero_y)


def codes_fit(d: Draft, x: str) -> bool:
    """Return whether all values are small whole numbers."""
    v = d[x]
    return (
        d.opset >= 10
        and d.float is np.float32
        and bool(np.all(v == np.rint(v)) and np.abs(v).max() < 50)
    )


def pointwise(d: Draft, x: str) -> str:
    """Write a convolution of one pixel as MatMul on the last axis."""
    rank, n = d[x].ndim, d[x].shape[1]
    y = d.turn(x, [0, *range(2, rank), 1])
    y = d.op("MatMul", y, weights(d, whole(d, [n, int(d.rng.integers(2, 6))], 1)))
    return d.turn(y, [0, rank - 1, *range(1, rank - 1)])


def copies(d: Draft, x: str) -> str:
    """Write several functions of one tensor side by side."""
    some = [
        d.pick([two(d, truth(d, x, d.cuts(x, 1))), d.op("Neg", x), x])
        for _ in range(d.pick([2, 3]))
    ]
    return d.op("Concat", *some, axis=1 if d.opset < 11 else d.pick([1, 1 - d[x].ndim]))


def pool(d: Draft, x: str) -> str:
    """Write a pool."""
    size = d[x].shape[2:]
    if d.chance(0.7):
        _, a = window(d, x, size, "max")
        return d.op("MaxPool", x, **a)
    _, a = window(d, x, size, "average")
    counts = int(np.prod(a["kernel_shape"]))
    d.exact = d.exact and counts & (counts - 1) == 0
    d.steady = d.steady and d.exact
    if a.get("auto_pad", "").startswith("SAME") or any(a.get("pads", ())) or a.get("ceil_mode"):
        d.exact = d.steady = False
    return d.op("AveragePool", x, **a)


def shuffled(d: Draft, x: str) -> str:
    """Write a move of channels, or one of rows and columns."""
    v = d[x]
    n = v.shape[1]
    ways: list[Callable[[], str]] = [
        lambda: d.op(
            "Gather",
            x,
            d.store(d.rng.permutation(n)),
            axis=d.pick([1, 1 - v.ndim]) if d.opset >= 11 else 1,
        ),
        lambda: d.part(x, 1, 0, max(1, n - 1)),
        lambda: d.op("Concat", *d.parts(x, 1, [1, n - 1])[::-1], axis=1) if n > 1 else x,
        lambda: d.part(x, v.ndim - 1, 0, v.shape[-1]),
        lambda: d.op("Concat", x, x, axis=1),
    ]
    if v.ndim == 4:
        ways.append(lambda: d.turn(x, [0, 1, 3, 2]))
        ways.append(lambda: d.part(x, 3, 0, v.shape[3] - 1) if v.shape[3] > 1 else x)
    return d.pick(ways)()


def flat(d: Draft, x: str, batch: int) -> str:
    """Write the way from a map to rows of features."""
    v = d[x]
    if v.ndim == 2:
        return x
    if d.chance(0.2):
        x = d.turn(x, [0, *range(2, v.ndim), 1])
        v = d[x]
    n = int(np.prod(v.shape[1:]))
    ways: list[Callable[[], str]] = [
        lambda: d.op("Flatten", x, axis=1),
        lambda: d.op("Flatten", x),
        lambda: d.reshape(x, [0, -1]),
        lambda: d.reshape(x, [-1, n]),
        lambda: d.reshape(x, [0, n]),
    ]
    if d.opset >= 11:
        ways.append(lambda: d.op("Flatten", x, axis=1 - v.ndim))

    def computed() -> str:
        at = d.op("Gather", d.op("Shape", x), d.store(np.array(0, np.int64)), axis=0)
        tail = d.pick([-1, n])
        return d.op(
            "Reshape",
            x,
            d.op("Concat", d.unsqueeze(at, [0]), d.store(np.array([tail], np.int64)), axis=0),
        )

    def averaged() -> str:
        axes = list(range(2, v.ndim))
        count = int(np.prod(v.shape[2:]))
        d.exact = d.exact and count & (count - 1) == 0
        d.steady = d.steady and d.exact
        way = d.pick(["global", "mean", "sum", "max"])
        if way == "global":
            y = d.op(d.pick(["GlobalAveragePool", "GlobalMaxPool"]), x)
            return d.squeeze(y, axes) if d.chance(0.5) else d.op("Flatten", y)
        name = {"mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax"}[way]
        keep = d.pick([0, 1])
        y = d.reduce(name, x, axes, keep, 13 if way == "sum" else 18)
        return y if not keep else d.reshape(y, [0, -1])

    ways += [computed, computed, averaged, averaged]
    if batch:
        ways.append(lambda: d.reshape(x, [batch, -1]))
        ways.append(lambda: d.reshape(x, [batch, n]))
    return d.pick(ways)()


def dense(d: Draft, x: str, outputs: int) -> str:
    """Write a dense layer on rows of features."""
    n = d[x].shape[1]
    w = whole(d, [n, outputs], 1)
    b = bias(d, outputs)

    def gemm() -> str:
        a: dict[str, Any] = {}
        first = x
        if d.chance(0.1):
            first, a["transA"] = d.op("Transpose", x), 1
        if d.chance(0.6):
            given, a["transB"] = weights(d, np.ascontiguousarray(w.T)), 1
        else:
            given = weights(d, w)
            if d.chance(0.3):
                a["transB"] = 0
        if d.chance(0.3):
            a["alpha"] = d.pick([0.5, 2.0, -1.0, 1.0])
        if d.chance(0.3):
            a["beta"] = d.pick([0.5, 2.0, 0.0, 1.0])
        more = d.pick([b, b[None], b[:1], b[0], np.zeros(outputs)])
        if d.opset >= 11 and d.chance(0.3):
            return d.op("Gemm", first, given, **a)
        return d.op("Gemm", first, given, d.number(more), **a)

    def matmul() -> str:
        return d.op("MatMul", x, weights(d, w))

    def with_bias() -> str:
        return d.either("Add", matmul(), d.number(d.pick([b, b[None], b[:1]])))

    def left() -> str:
        y = d.op("MatMul", weights(d, np.ascontiguousarray(w.T)), d.op("Transpose", x, perm=[1, 0]))
        return d.op("Transpose", y)

    def column() -> str:
        y = d.op("MatMul", weights(d, np.ascontiguousarray(w.T)), d.unsqueeze(x, [2]))
        return d.squeeze(y, [2])

    def row() -> str:
        y = d.op("MatMul", d.unsqueeze(x, [1]), weights(d, w))
        return d.squeeze(y, [1]) if d.chance(0.7) else d.op("Flatten", y)

    def conv() -> str:
        y = d.op(
            "Conv", d.unsqueeze(x, [2, 3]), weights(d, np.ascontiguousarray(w.T)[..., None, None])
        )
        return d.op("Flatten", y) if d.chance(0.5) else d.squeeze(y, [2, 3])

    def one() -> str:
        y = d.reshape(x, [n])
        y = (
            d.op("MatMul", y, weights(d, w))
            if d.chance(0.5)
            else d.op("MatMul", weights(d, np.ascontiguousarray(w.T)), y)
        )
        return d.unsqueeze(y, [0])

    if d.chance(0.06):
        w = w * d.rng.uniform(0.1, 1, outputs if d.chance(0.5) else 1).astype(d.float)
        d.exact = d.steady = False
    ways: list[Callable[[], str]] = [gemm] * 12 + [matmul] * 6 + [with_bias] * 4 + [row] * 3
    ways += [d.pick([left, column, matmul])]
    if d.float is np.float32:
        ways += [conv] * 2
    if d[x].shape[0] == 1 and d.chance(0.5):
        ways.append(one)
    return d.pick(ways)()


def end(d: Draft, x: str) -> tuple[str, str]:
    """Write the end of a network; return its output and what that is."""
    n = d[x].shape[1]
    way = d.rng.random()
    if way < 0.4:
        return x, "scores"
    if way < 0.52:
        y = affine(d, x, 1)
        squashed = d.nodes[-1].op_type in ("Sigmoid", "Tanh", "Softsign")
        return y, "monotone" if squashed else "scores"
    if way < 0.55:
        return (quantise(d, x, 1) if d.exact else x), "scores"
    if way < 0.62:
        return d.op("Div", x, d.number(d.pick([3.0, 0.7, 16]))), "scores"
    if way < 0.68:
        y = d.unsqueeze(x, [d.pick([1, 2])])
        return (d.unsqueeze(y, [3]) if d.chance(0.5) else y), "scores"
    if way < 0.72:
        return d.op("Neg", x), "scores"
    if way < 0.8 and d.exact:
        more = d.pick([{}, {"axis": 1}] + ([{"axis": -1}] if d.opset >= 11 else []))
        return d.op(d.pick(["Softmax", "LogSoftmax"]), x, **more), "monotone"
    if 0.8 <= way < 0.84 and d.exact:
        return d.op(d.pick(["Sigmoid", "Tanh", "Softsign"]), x), "monotone"
    if n == 1 or not d.exact:
        return x, "scores"
    if way < 0.94:
        more = {"axis": d.pick([1, -1]) if d.opset >= 11 else 1}
        if d.chance(0.7):
            more["keepdims"] = d.pick([0, 1])
        last = d.opset >= 12 and d.chance(0.2)
        if last:
            more["select_last_index"] = 1
        return d.op("ArgMax", x, **more), "last label" if last else "label"
    k = int(d.rng.integers(1, n + 1))
    more = {} if d.chance(0.5) else {"axis": 1}
    if d.opset < 10:
        return d.several("TopK", x, outputs=2, k=k, **more)[1], "order"
    return d.several("TopK", x, d.store(np.array([k], np.int64)), outputs=2, **more)[1], "order"


# Whole networks


def data(rng: np.random.Generator, shape: Sequence[int], kind: str) -> Array:
    """Draw samples of one kind, by an even or a patchy law."""
    if kind == "float":
        return rng.normal(0, 1, shape).astype(np.float32)
    low, high = {"uint8": (0, 255), "int8": (-128, 127), "bits": (0, 1), "bipolar": (-1, 1)}.get(
        kind
    ) or (
        (0, 2 ** int(kind[4:]) - 1)
        if kind[0] == "u"
        else (-(2 ** (int(kind[3:]) - 1)), 2 ** (int(kind[3:]) - 1) - 1)
    )
    if kind == "bipolar":
        x = rng.choice([-1, 1], shape)
    elif rng.random() < 0.3:
        x = rng.choice([low, high, (low + high) // 2], shape)
    else:
        x = rng.integers(low, high + 1, shape)
    small = (
        np.uint8 if low >= 0 and high < 256 else np.int8 if low >= -128 and high < 128 else np.int16
    )
    return x.astype(small)


def draw(seed: int) -> Drawn:
    """Draw the network of a seed, with its data.

    Raises
    ------
    TooLarge
        If there are too many features to stay quick; draw another.
    """
    rng = np.random.default_rng(seed)
    d = Draft(rng, int(rng.integers(7, 25)))
    rank = d.pick([2, 2, 3, 4, 4, 4])
    batch = d.pick([0] * 50 + [1] * 35 + [2, 3])
    channels = int(rng.integers(1, 5))
    side = [int(i) for i in rng.integers(3, 8, rank - 2)]
    last = rank > 2 and d.chance(0.2)
    frame = (
        [int(rng.integers(3, 20))]
        if rank == 2
        else [*side, channels]
        if last
        else [channels, *side]
    )
    kind = d.pick(
        ["uint8"] * 6
        + ["int8", "bits", "bipolar", "uint4", "int4", "uint10", "int3", "float", "file"]
    )
    scale = d.pick(
        [1.0] * 5 + ["1/255", 1 / 255, Fraction(1, 4), 0.5, "1/256", 1 / 128, np.float32(1 / 255)]
    )
    element: Any = np.float32
    if kind == "file":
        element, scale = d.pick([np.uint8, np.int8]), 1.0
        samples = data(rng, [FRAMES, *frame], "uint8" if element is np.uint8 else "int8")
    else:
        samples = data(rng, [FRAMES, *frame], kind)
    if kind == "float":
        scale = 1.0
    if kind == "uint8" and scale == 1.0 and d.chance(0.3):
        element = d.pick([np.float16, np.uint8] * 4 + [np.float64, np.int32])
    if rank == 2 and d.chance(0.03):
        d.float = np.float64
    fed = (samples if element is np.int32 else samples.astype(element)).astype(element)
    fine = fed
    if element is np.float32:
        fed, fine = (_scaled(samples.astype(t), scale) for t in (np.float32, np.float64))
    d.exact = d.steady = (
        scale not in ("1/255", 1 / 255) and not isinstance(scale, np.float32) and kind != "float"
    )

    source = d.pick(["x", "input.1", "images", "0"])
    d.env[source] = fed[: batch or 6]
    x = source
    if element is not d.float:
        x = d.cast(x, d.float)
    if d.chance(0.2):
        x = d.noise(x)
    if kind != "float" and d.chance(0.25) and not last:
        x = woven(d, x) if d.chance(0.4) else entered(d, x)
        rank = d[x].ndim
    if kind == "float" or d.chance(0.25):
        x = quantise(d, x, rank - 1 if last or rank == 2 else 1)
    elif d.chance(0.3):
        x = centre(d, x)
    if last:
        x = d.turn(x, [0, rank - 1, *range(1, rank - 1)])

    pictures = False
    if rank > 2:
        for _ in range(d.pick([1, 1, 2, 3])):
            if d.chance(0.15):
                x = shuffled(d, x)
            if d.chance(0.05):
                x = quantise(d, woven(d, x), 1)
            if d.chance(0.08):
                x = copies(d, x)
            if d.chance(0.06):
                x = pointwise(d, x)
            elif d.chance(0.08) and codes_fit(d, x):
                x = integer_layer(d, x, int(rng.integers(1, 6)))
            else:
                x = convolution(d, x)
            pictures = pictures or (rank == 4 and not last)
            if d.chance(0.1):
                break  # what follows the layer follows when it is flat
            x = after(d, x, True)
        if d.chance(0.1):
            x = convolution(d, x, whole_map=True)
            x = after(d, x, False)
        x = flat(d, x, batch)
        if not d.exact or len(np.unique(d[x])) > 32:
            x = after(d, x, False)
    for _ in range(d.pick([0, 1, 1, 2])):
        outputs = int(rng.integers(2, 9))
        x = (
            integer_layer(d, x, outputs)
            if d.chance(0.08) and codes_fit(d, x)
            else dense(d, x, outputs)
        )
        x = after(d, x, False)
    if d[x].shape[1] > 400:
        raise TooLarge
    x = dense(d, x, d.pick([1, 2, 3, 4, 5, 6]))
    exact = d.exact
    x, what = end(d, x)
    model = _model(d, source, x, batch, element, frame)
    return Drawn(
        model,
        samples,
        fed,
        fine,
        batch or FRAMES,
        kind,
        scale,
        what,
        pictures,
        last,
        exact,
        d.steady,
    )


def _scaled(x: Array, scale: Any) -> Array:
    """Return samples as the documentation of the input scale says: divided by n, or multiplied.

    They are computed in the element type that they have.
    """
    f = x.dtype.type
    scale = f(scale) if isinstance(scale, np.float32) else scale
    if isinstance(scale, str | Fraction):
        return x / f(Fraction(scale).denominator)
    if isinstance(scale, np.floating):
        return x * scale
    return x / f(255) if scale == 1 / 255 else x * f(scale)


def entered(d: Draft, x: str) -> str:
    """Write moves ahead of the first layer."""
    v = d[x]
    n = v.shape[1]
    if v.ndim == 2:
        ways: list[Callable[[], str]] = [
            lambda: d.reshape(x, [-1, 1, n]),
            lambda: d.op("Gather", x, d.store(d.rng.permutation(n)), axis=1),
            lambda: (
                d.op("Gather", x, d.store(np.array([-1, 0, 0, 1])), axis=1) if d.opset >= 11 else x
            ),
            lambda: d.part(x, 1, 1, n),
            lambda: d.op("Concat", x, d.part(x, 1, 0, 2), axis=1),
            lambda: d.op("Flatten", d.unsqueeze(x, [1])),
        ]
        if n % 2 == 0:
            ways.append(lambda: d.reshape(x, [0, 2, n // 2]))
            ways.append(lambda: d.reshape(x, [-1, 1, 2, n // 2]))
            ways.append(lambda: d.turn(d.reshape(x, [-1, n // 2, 2]), [0, 2, 1]))
        if n % 4 == 0:
            ways.append(lambda: d.turn(d.reshape(x, [-1, n // 4, 2, 2]), [0, 3, 1, 2]))
        return d.pick(ways)()
    size = v.shape[2:]
    ways = [
        lambda: d.part(x, 2, 1, size[0]),
        lambda: d.turn(x, [0, 1, *range(2, v.ndim)[::-1]]),
        lambda: d.op("Gather", x, d.store(d.rng.integers(0, n, 3)), axis=1),
        lambda: shuffled(d, x),
        lambda: padded(d, x),
        lambda: d.op("Concat", x, x, axis=v.ndim - 1),
    ]
    if d.opset >= 10:
        back = [np.array([k], np.int64) for k in (-1, -(2**63) + 1, 2, -1)]
        every = [np.array([k], np.int64) for k in (d.pick([0, 1]), INT64_MAX, v.ndim - 1, 2)]
        ways.append(lambda: d.op("Slice", x, *map(d.store, back)))
        ways.append(lambda: d.op("Slice", x, *map(d.store, every)))
    if v.ndim == 4 and size[0] % 2 == 0 and size[1] % 2 == 0:
        ways.append(lambda: d.op("SpaceToDepth", x, blocksize=2))
    if v.ndim == 4 and n == 4:
        mode = {} if d.opset < 11 else d.pick([{}, {"mode": "DCR"}, {"mode": "CRD"}])
        ways.append(lambda: d.op("DepthToSpace", x, blocksize=2, **mode))
    if v.ndim == 4:
        ways.append(lambda: d.op("Tile", x, d.store(np.array([1, 1, 1, 2], np.int64))))
        ways.append(lambda: d.unsqueeze(d.squeeze(d.part(x, 1, 0, 1), [1]), [1]))
    return d.pick(ways)()


def moves(d: Draft, shape: Sequence[int]) -> list[Callable[[str], str]]:
    """Return moves that fit features of a shape."""
    rank = len(shape)
    axis = int(d.rng.integers(1, rank))
    size = shape[axis]
    shuffle = d.rng.permutation(size)
    some = d.rng.integers(0, size, int(d.rng.integers(1, size + 2)))
    start, end = sorted(int(i) for i in d.rng.choice(size + 1, 2, replace=False))
    order = [0, *(int(i) for i in 1 + d.rng.permutation(rank - 1))]
    ways: list[Callable[[str], str]] = [
        lambda y: d.op("Gather", y, d.store(shuffle), axis=axis),
        lambda y: d.op("Gather", y, d.store(some), axis=axis),
        lambda y: d.op("Concat", y, y, axis=axis),
        lambda y: d.part(y, axis, start, end),
    ]
    if rank > 2:
        ways += [lambda y: d.turn(y, order)] * 2
    if size > 1:
        ways.append(lambda y: d.op("Concat", *d.parts(y, axis, [1, size - 1])[::-1], axis=axis))
    repeats = [2 if i == axis else 1 for i in range(rank)]
    ways.append(lambda y: d.op("Tile", y, d.store(np.array(repeats, np.int64))))
    return ways


def woven(d: Draft, x: str) -> str:
    """Write two ways of moves and functions of one value that meet again."""
    ends = [x, x]

    def stepped(y: str) -> str:
        v = d[y]
        axis = int(d.rng.integers(1, v.ndim))
        limits = d.at_channels(np.array([d.cut(y) for _ in range(v.shape[axis])]), v.ndim, axis)
        ways = [
            lambda: two(d, truth(d, y, limits)),
            lambda: d.either("Mul", y, d.number(np.sign(limits) + 0.5)),
            lambda: d.op("Sub", y, d.number(limits)),
            lambda: d.op("Max", y, d.number(limits)) if d.opset >= 8 else y,
            lambda: d.op("Neg", y),
        ]
        return d.pick(ways)()

    for _ in range(int(d.rng.integers(1, 5))):
        way = d.pick(["first", "second", "move", "move"])
        if way == "move" and d[ends[0]].size < 200 * len(d[x]):
            move = d.pick(moves(d, d[ends[0]].shape))
            same = ends[0] == ends[1] and d.chance(0.5)
            ends = [move(ends[0])] * 2 if same else [move(y) for y in ends]
        elif way == "first":
            ends[0] = stepped(ends[0])
        else:
            ends[1] = stepped(ends[1])
    a, b = ends if d.chance(0.5) else ends[::-1]
    axis = d[a].ndim - 1
    ways: list[Callable[[], str]] = [
        lambda: two(d, d.op("And", truth(d, a, d.cuts(a, axis)), truth(d, b, d.cuts(b, 1)))),
        lambda: d.op("Add", a, b),
        lambda: d.op("Sub", a, two(d, truth(d, b, d.cuts(b, 1)))),
        lambda: d.op("Concat", a, b, axis=int(d.rng.integers(1, axis + 1))),
    ]
    if d.opset >= 8:
        ways.append(lambda: d.op("Max", a, b))
    if d.opset >= 9:
        ways.append(lambda: d.op("Where", truth(d, a, d.cuts(a, 1)), b, d.op("Neg", a)))
    return d.pick(ways)()


def centre(d: Draft, x: str) -> str:
    """Write a normalisation of the input."""
    v = d[x]
    middle = float(np.rint(np.mean(v) * 2) / 2) if d.exact else 0.5
    ways: list[Callable[[], str]] = [
        lambda: d.op("Sub", x, d.number(middle)),
        lambda: d.op("Div", d.op("Sub", x, d.number(middle)), d.number(0.5)),
        lambda: d.op("Sub", d.op("Mul", x, d.number(2)), d.number(2 * middle)),
        lambda: d.op("Mul", x, d.number(-0.5)),
        lambda: d.op("Sub", d.number(middle), x),
    ]
    return d.pick(ways)()


def after(d: Draft, x: str, spatial: bool) -> str:
    """Write what stands between two layers."""
    moved = spatial and d.chance(0.12)
    early = spatial and d.chance(0.2)
    if early:
        x = pool(d, x)
    rank = d[x].ndim
    if moved:
        x = d.turn(x, [0, *range(2, rank), 1])
    axis = rank - 1 if moved else 1
    x = affine(d, x, axis)
    if d.chance(0.15):
        x = d.noise(x)
    x = quantise(d, x, axis)
    if moved:
        x = d.turn(x, [0, rank - 1, *range(1, rank - 1)])
    if spatial and not early and d.chance(0.25):
        x = pool(d, x)
        if not d.exact and d.chance(0.7):
            x = quantise(d, x, 1)
    if d.chance(0.1):
        x = d.noise(x)
    return x


def _model(
    d: Draft, source: str, x: str, batch: int, element: Any, frame: list[int]
) -> onnx.ModelProto:
    if d.chance(0.1):
        d.op("Identity", d.pick(list(d.env)))  # a node that nothing reads
    first: Any = batch or d.pick(["N", "batch_size", None])
    given = [helper.make_tensor_value_info(source, NUMBER[np.dtype(element)], [first, *frame])]
    shape = [first, *(n if d.chance(0.9) else None for n in d[x].shape[1:])]
    out = helper.make_tensor_value_info(x, NUMBER[d[x].dtype], shape)
    ir = IR_OF_OPSET[d.opset] + (d.pick([0, 1]) if 4 <= IR_OF_OPSET[d.opset] < 10 else 0)
    if ir < 4 or d.chance(0.15):
        stored = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in d.stored]
        given = stored + given if d.chance(0.3) else given + stored
    domain = "ai.onnx" if d.chance(0.05) else ""
    graph = helper.make_graph(
        d.nodes, d.pick(["g", "main graph", "torch_jit"]), given, [out], d.stored
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(domain, d.opset)], ir_version=ir
    )
    onnx.checker.check_model(model)
    return model
