"""Evaluate ONNX graphs in NumPy, each operator written down from its specification.

Source: the operators' texts in the ONNX repository, docs/Operators.md and docs/Changelog.md,
https://github.com/onnx/onnx. It is slow and plain on purpose, and shares nothing with the importer
or with the ``onnx`` package's own reference evaluator. Floats are added in the tensor's own type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]
Attributes = Mapping[str, Any]

TYPES: dict[int, Any] = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.DOUBLE: np.float64,
    onnx.TensorProto.FLOAT16: np.float16,
    onnx.TensorProto.INT8: np.int8,
    onnx.TensorProto.UINT8: np.uint8,
    onnx.TensorProto.INT16: np.int16,
    onnx.TensorProto.INT32: np.int32,
    onnx.TensorProto.INT64: np.int64,
    onnx.TensorProto.BOOL: np.bool_,
}
"""Types of elements that occur, by their number in a file."""


def execute(
    model: onnx.ModelProto, feeds: Mapping[str, Array], *, wide: bool = False
) -> list[Array]:
    """Return the outputs of a model for its inputs; with `wide`, float32 is float64 throughout."""
    opset = next(i.version for i in model.opset_import if i.domain in ("", "ai.onnx"))
    env: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    env.update(feeds)
    if wide:
        env = {n: _widened(a) for n, a in env.items()}
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [env[i] if i else None for i in node.input]
        outputs = evaluate(node.op_type, inputs, attributes, opset, len(node.output))
        if wide:
            outputs = [_widened(o) for o in outputs]
        env.update({n: o for n, o in zip(node.output, outputs, strict=False) if n})
    return [env[o.name] for o in model.graph.output]


def _widened(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def evaluate(
    operator: str, inputs: Sequence[Array | None], a: Attributes, opset: int, outputs: int = 1
) -> list[Array]:
    """Return the outputs of one operator; KeyError if it is none of those written here."""
    given = list(inputs)
    while given and given[-1] is None:
        given.pop()
    if operator in PLAIN:
        made = PLAIN[operator](*given)
        kept = made if operator in TRUTH else np.asarray(made).astype(given[0].dtype, copy=False)
        return [np.asarray(kept)]
    made = NAMED[operator](given, a, opset, outputs)
    return list(made) if isinstance(made, tuple) else [np.asarray(made)]


def _sum(*terms: Array) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _of_all(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def over(*terms: Array) -> Array:
        total = terms[0]
        for term in terms[1:]:
            total = function(total, term)
        return total

    return over


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return x / y
    return np.trunc(x.astype(np.float64) / y)


PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Neg": np.negative,
    "Ceil": np.ceil,
    "Floor": np.floor,
    "Round": np.rint,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Tanh": np.tanh,
    "Reciprocal": lambda x: 1 / x,
    "Softplus": lambda x: np.log(1 + np.exp(x)),
    "HardSwish": lambda x: (
        x * np.maximum(0, np.minimum(1, x / x.dtype.type(6) + x.dtype.type(0.5)))
    ),
    "CastLike": lambda x, like: x.astype(like.dtype),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Identity": lambda x: x,
    "Relu": lambda x: np.maximum(x, 0),
    "PRelu": lambda x, slope: np.where(x < 0, x * slope, x),
    "Pow": np.power,
    "Sum": _sum,
    "Max": _of_all(np.maximum),
    "Min": _of_all(np.minimum),
    "Mean": lambda *t: _sum(*t) / t[0].dtype.type(len(t)),
    "Not": np.logical_not,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Equal": np.equal,
    "Where": np.where,
}
"""Operators without attributes, value by value, with NumPy's broadcasting."""

TRUTH = {
    "CastLike",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Equal",
    "Where",
    "Not",
    "And",
    "Or",
    "Xor",
}
"""Those of them whose output has not the type of the first input."""


def _axes(g: list[Any], a: Attributes, input_from: int, opset: int) -> list[int] | None:
    if opset >= input_from:
        return [int(i) for i in g[1]] if len(g) > 1 and g[1] is not None else None
    return [int(i) for i in a["axes"]] if "axes" in a else None


def _constant(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    if "value" in a:
        return numpy_helper.to_array(a["value"])
    (name, value), *_ = a.items()
    kinds = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
    return np.asarray(value, kinds[name])


def _constant_of_shape(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    value = numpy_helper.to_array(a["value"]) if "value" in a else np.zeros(1, np.float32)
    return np.full([int(i) for i in g[0]], value.reshape(-1)[0], value.dtype)


def _cast(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return g[0].astype(TYPES[a["to"]])


def _clip(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    if opset < 11:
        low, high = a.get("min"), a.get("max")
    else:
        low, high = [*g[1:], None, None][:2]
    x = g[0]
    if low is not None:
        x = np.maximum(x, np.asarray(low, x.dtype))
    return x if high is None else np.minimum(x, np.asarray(high, x.dtype))


def _reshape(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, shape = g[0], [int(i) for i in g[1]]
    if not a.get("allowzero", 0):
        shape = [x.shape[i] if s == 0 else s for i, s in enumerate(shape)]
    return x.reshape(shape)


def _flatten(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, axis = g[0], a.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1)


def _transpose(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return np.transpose(g[0], a.get("perm"))


def _squeeze(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    axes = _axes(g, a, 13, opset)
    return np.squeeze(g[0], None if axes is None else tuple(axes))


def _unsqueeze(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    axes = _axes(g, a, 13, opset)
    assert axes is not None
    rank = g[0].ndim + len(axes)
    new = {i % rank for i in axes}
    old = iter(g[0].shape)
    return g[0].reshape([1 if i in new else next(old) for i in range(rank)])


def _concat(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return np.concatenate(g, a["axis"])


def _split(g: list[Any], a: Attributes, opset: int, n: int) -> tuple[Array, ...]:
    x, axis = g[0], a.get("axis", 0)
    sizes = a.get("split")
    if opset >= 13 and len(g) > 1:
        sizes = [int(i) for i in g[1]]
    if sizes is None:
        parts = a.get("num_outputs", n)
        each = ceil(x.shape[axis] / parts)
        sizes = [each] * (parts - 1) + [x.shape[axis] - each * (parts - 1)]
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


def _slice(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x = g[0]
    if opset < 10:
        starts, ends = a["starts"], a["ends"]
        axes, steps = a.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = g[1], g[2]
        axes = g[3] if len(g) > 3 and g[3] is not None else range(len(starts))
        steps = g[4] if len(g) > 4 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size, start, end, step = x.shape[axis], int(start), int(end), int(step)
        start += size if start < 0 else 0
        end += size if end < 0 else 0
        if step > 0:
            picked = range(min(max(start, 0), size), min(max(end, 0), size), step)
        else:
            picked = range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step)
        x = np.take(x, list(picked), int(axis))
    return x


def _gather(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return np.take(g[0], g[1], a.get("axis", 0))


def _pad(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x = g[0]
    axes = list(range(x.ndim))
    if opset < 11:
        pads, value = a["pads"], a.get("value", 0.0)
    else:
        pads, value = g[1], g[2] if len(g) > 2 and g[2] is not None else 0
        if len(g) > 3 and g[3] is not None:
            axes = [int(i) % x.ndim for i in g[3]]
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        widths[axis] = (int(pads[i]), int(pads[i + len(axes)]))
    mode = a.get("mode", b"constant")
    if mode == b"constant":
        return np.pad(x, widths, constant_values=np.asarray(value).reshape(-1)[0])
    return np.pad(x, widths, mode={b"edge": "edge", b"reflect": "reflect"}[mode])


def _expand(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return g[0] * np.ones([int(i) for i in g[1]], g[0].dtype)


def _gemm(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x = g[0].T if a.get("transA", 0) else g[0]
    w = g[1].T if a.get("transB", 0) else g[1]
    y = np.float32(a.get("alpha", 1.0)).astype(x.dtype) * (x @ w)
    if len(g) > 2 and g[2] is not None:
        y = y + np.float32(a.get("beta", 1.0)).astype(x.dtype) * g[2]
    return y


def _windows(
    a: Attributes, size: Sequence[int], kernel: Sequence[int]
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Return strides, dilations, first pads, last pads and the sizes of the output."""
    axes = range(len(size))
    strides = list(a.get("strides", [1] * len(size)))
    dilations = list(a.get("dilations", [1] * len(size)))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    mode = a.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        out = [ceil(size[i] / strides[i]) for i in axes]
        total = [max((out[i] - 1) * strides[i] + reach[i] - size[i], 0) for i in axes]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        first, last = (less, more) if mode == b"SAME_UPPER" else (more, less)
        return strides, dilations, first, last, out
    pads = [0] * (2 * len(size)) if mode == b"VALID" else list(a.get("pads", [0] * 2 * len(size)))
    first, last = pads[: len(size)], pads[len(size) :]
    room = [size[i] + first[i] + last[i] - reach[i] for i in axes]
    out = [room[i] // strides[i] + 1 for i in axes]
    if a.get("ceil_mode", 0) and mode != b"VALID":
        out = [ceil(room[i] / strides[i]) + 1 for i in axes]
        # A window that would begin in the last pads is left out.
        out = [o - ((o - 1) * strides[i] >= size[i] + first[i]) for i, o in enumerate(out)]
    return strides, dilations, first, last, out


def _taps(x: Array, a: Attributes, kernel: Sequence[int], fill: Any) -> list[Array]:
    """Return the input of each kernel element at every output, the row-major order of a kernel."""
    size = x.shape[2:]
    strides, dilations, first, last, out = _windows(a, size, kernel)
    reach = [
        (o - 1) * s + (k - 1) * d + 1
        for o, s, k, d in zip(out, strides, kernel, dilations, strict=True)
    ]
    widths = [(0, 0), (0, 0)]
    widths += [(f, max(e, r - f - n)) for f, e, r, n in zip(first, last, reach, size, strict=True)]
    padded = np.pad(x, widths, constant_values=fill)
    taps = []
    for at in product(*map(range, kernel)):
        cut = [slice(None), slice(None)]
        cut += [
            slice(p * d, p * d + (o - 1) * s + 1, s)
            for p, d, o, s in zip(at, dilations, out, strides, strict=True)
        ]
        taps.append(padded[tuple(cut)])
    return taps


def _conv(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, w = g[0], g[1]
    groups = a.get("group", 1)
    taps = _taps(x, a, w.shape[2:], 0)
    flat = w.reshape(*w.shape[:2], -1)
    into, outof = w.shape[1], w.shape[0] // groups
    parts = []
    for k in range(groups):
        some = [
            np.einsum(
                "ni...,oi->no...",
                t[:, k * into : (k + 1) * into],
                flat[k * outof : (k + 1) * outof, :, j],
            )
            for j, t in enumerate(taps)
        ]
        parts.append(_sum(*some))
    y = np.concatenate(parts, 1)
    if len(g) > 2 and g[2] is not None:
        y = y + g[2].reshape(1, -1, *[1] * (y.ndim - 2))
    return y


def _max_pool(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    low = -np.inf if g[0].dtype.kind == "f" else np.iinfo(g[0].dtype).min
    return np.max(_taps(g[0], a, a["kernel_shape"], low), 0)


def _average_pool(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, kernel = g[0], a["kernel_shape"]
    ones = np.ones_like(x)
    if a.get("count_include_pad", 0):
        # Its pads count, but not what lies beyond them, where ceil_mode reaches.
        _, _, first, last, _ = _windows(a, x.shape[2:], kernel)
        ones = np.pad(ones, [(0, 0), (0, 0), *zip(first, last, strict=True)], constant_values=1)
        wide = np.pad(x, [(0, 0), (0, 0), *zip(first, last, strict=True)])
        _, _, _, _, out = _windows(a, x.shape[2:], kernel)
        strides = a.get("strides", [1] * len(kernel))
        dilations = a.get("dilations", [1] * len(kernel))
        reach = [
            (o - 1) * s + (k - 1) * d + 1
            for o, s, k, d in zip(out, strides, kernel, dilations, strict=True)
        ]
        beyond = [(0, 0), (0, 0)] + [
            (0, max(r - s, 0)) for r, s in zip(reach, wide.shape[2:], strict=True)
        ]
        wide, ones = np.pad(wide, beyond), np.pad(ones, beyond)
        cut = (slice(None), slice(None), *(slice(r) for r in reach))
        plain = {"strides": strides, "dilations": dilations}
        return _sum(*_taps(wide[cut], plain, kernel, 0)) / _sum(*_taps(ones[cut], plain, kernel, 0))
    return _sum(*_taps(x, a, kernel, 0)) / _sum(*_taps(ones, a, kernel, 0))


def _global(function: Callable[..., Array]) -> Callable[..., Array]:
    def over(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
        return function(g[0], axis=tuple(range(2, g[0].ndim)), keepdims=True)

    return over


def _reduce(function: Callable[..., Array], input_from: int) -> Callable[..., Array]:
    def over(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
        axes = _axes(g, a, input_from, opset)
        if not axes and a.get("noop_with_empty_axes", 0):
            return g[0]
        made = function(
            g[0], axis=tuple(axes) if axes else None, keepdims=bool(a.get("keepdims", 1))
        )
        return np.asarray(made, g[0].dtype)

    return over


def _batch_normalization(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, scale, b, mean, var = g[:5]
    at = (1, -1, *[1] * (x.ndim - 2))
    scale, b, mean, var = (p.reshape(at) for p in (scale, b, mean, var))
    return (x - mean) / np.sqrt(var + np.float32(a.get("epsilon", 1e-5))) * scale + b


def _softmax(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x = g[0]
    axis = a.get("axis", 1 if opset < 13 else -1)
    flat = x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1) if opset < 13 and axis >= 0 else x
    over = -1 if flat is not x else axis
    e = np.exp(flat - flat.max(over, keepdims=True))
    return (e / e.sum(over, keepdims=True)).reshape(x.shape)


def _log_softmax(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x = g[0]
    axis = a.get("axis", 1 if opset < 13 else -1)
    flat = x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1) if opset < 13 and axis >= 0 else x
    over = -1 if flat is not x else axis
    less = flat - flat.max(over, keepdims=True)
    return (less - np.log(np.exp(less).sum(over, keepdims=True))).reshape(x.shape)


def _arg_max(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, axis = g[0], a.get("axis", 0)
    if a.get("select_last_index", 0):
        at = x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis)
    else:
        at = np.argmax(x, axis)
    return np.expand_dims(at, axis) if a.get("keepdims", 1) else at


def _top_k(g: list[Any], a: Attributes, opset: int, n: int) -> tuple[Array, Array]:
    x, axis = g[0], a.get("axis", -1)
    k = a["k"] if opset < 10 else int(g[1].reshape(-1)[0])
    at = np.take(np.argsort(-x if a.get("largest", 1) else x, axis, kind="stable"), range(k), axis)
    return np.take_along_axis(x, at, axis), at


def _quantize(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, scale = g[0], g[1]
    zero = g[2] if len(g) > 2 and g[2] is not None else np.zeros((), np.uint8)
    if scale.ndim:
        at = [1] * x.ndim
        at[a.get("axis", 1)] = -1
        scale, zero = scale.reshape(at), zero.reshape(at) if zero.ndim else zero
    limits = np.iinfo(zero.dtype)
    codes = np.rint(x / scale) + zero.astype(np.float32)
    return np.clip(codes, limits.min, limits.max).astype(zero.dtype)


def _dequantize(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, scale = g[0], g[1]
    zero = g[2] if len(g) > 2 and g[2] is not None else np.zeros((), x.dtype)
    if scale.ndim:
        at = [1] * x.ndim
        at[a.get("axis", 1)] = -1
        scale, zero = scale.reshape(at), zero.reshape(at) if zero.ndim else zero
    return (x.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale


def _hard_sigmoid(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    alpha, beta = np.float32(a.get("alpha", 0.2)), np.float32(a.get("beta", 0.5))
    return np.maximum(np.float32(0), np.minimum(np.float32(1), alpha * g[0] + beta))


def _leaky_relu(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return np.where(g[0] < 0, np.float32(a.get("alpha", 0.01)) * g[0], g[0])


def _elu(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    alpha = np.float32(a.get("alpha", 1.0))
    return np.where(g[0] < 0, alpha * (np.exp(g[0]) - np.float32(1)), g[0])


def _thresholded_relu(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    return np.where(g[0] > np.float32(a.get("alpha", 1.0)), g[0], np.zeros_like(g[0]))


def _less_zero(x: Array, zero: Array | None, at: Sequence[int] = ()) -> Array:
    codes = x.astype(np.int32)
    if zero is None:
        return codes
    return codes - zero.astype(np.int32).reshape(at if zero.ndim and zero.size > 1 else ())


def _conv_integer(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, w, zero_x, zero_w = [*g, None, None][:4]
    return _conv(
        [_less_zero(x, zero_x), _less_zero(w, zero_w, [-1] + [1] * (w.ndim - 1))], a, opset, n
    )


def _matmul_integer(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, w, zero_x, zero_w = [*g, None, None][:4]
    return _less_zero(x, zero_x, [-1, 1]) @ _less_zero(w, zero_w, [1, -1])


def _requantized(total: Array, scale: Array, zero: Array) -> Array:
    limits = np.iinfo(zero.dtype)
    codes = np.rint(total.astype(np.float32) * scale) + zero.astype(np.float32)
    return np.clip(codes, limits.min, limits.max).astype(zero.dtype)


def _qlinear_conv(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, scale_x, zero_x, w, scale_w, zero_w, scale_y, zero_y, bias = [*g, None][:9]
    at = [1, -1] + [1] * (x.ndim - 2)
    total = _conv(
        [_less_zero(x, zero_x), _less_zero(w, zero_w, [-1] + [1] * (w.ndim - 1))], a, opset, n
    )
    if bias is not None:
        total = total + bias.reshape(at)
    scale = scale_x * scale_w / scale_y
    return _requantized(total, scale.reshape(at) if scale.size > 1 else scale, zero_y)


def _qlinear_matmul(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, scale_x, zero_x, w, scale_w, zero_w, scale_y, zero_y = g
    total = _less_zero(x, zero_x, [-1, 1]) @ _less_zero(w, zero_w, [1, -1])
    return _requantized(total, scale_x * scale_w / scale_y, zero_y)


def _space_to_depth(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, b = g[0], a["blocksize"]
    k, c, h, w = x.shape
    cells = x.reshape(k, c, h // b, b, w // b, b)
    return cells.transpose(0, 3, 5, 1, 2, 4).reshape(k, c * b * b, h // b, w // b)


def _depth_to_space(g: list[Any], a: Attributes, opset: int, n: int) -> Array:
    x, b = g[0], a["blocksize"]
    k, c, h, w = x.shape
    if a.get("mode", b"DCR") == b"DCR":
        cells = x.reshape(k, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        cells = x.reshape(k, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return cells.reshape(k, c // (b * b), h * b, w * b)


NAMED: dict[str, Callable[[list[Any], Attributes, int, int], Any]] = {
    "ArgMax": _arg_max,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Dropout": lambda g, a, o, n: g[0],
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "MatMul": lambda g, a, o, n: g[0] @ g[1],
    "MaxPool": _max_pool,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceMax": _reduce(np.max, 18),
    "ReduceMean": _reduce(np.mean, 18),
    "ReduceMin": _reduce(np.min, 18),
    "ReduceSum": _reduce(np.sum, 13),
    "Reshape": _reshape,
    "Shape": lambda g, a, o, n: np.array(g[0].shape[a.get("start", 0) : a.get("end")], np.int64),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda g, a, o, n: np.tile(g[0], [int(i) for i in g[1]]),
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "ThresholdedRelu": _thresholded_relu,
    "Elu": _elu,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "QLinearMatMul": _qlinear_matmul,
    "QLinearConv": _qlinear_conv,
    "MatMulInteger": _matmul_integer,
    "ConvInteger": _conv_integer,
}
"""The other operators: inputs, attributes, operator set and number of outputs to output."""
