"""Draws a network, and writes it node by node as people do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from drawn_functions import affine, batch_norm, function, quantiser
from drawn_samples import Kind, integers
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_writer import DOMAINS, FLOAT, Value, Writer, f32


@dataclass(frozen=True)
class Drawn:
    """A network, and frames for it.

    Parameters
    ----------
    model : ModelProto
    kind : Kind
    layout : str, optional
        As the option `layout` has it.
    x : array [N, ...]
        Frames as a user has them.
    taken : array [N, ...]
        The same in the file's own shape and order, as the file takes them.
    tags : frozenset of str
        What it is made of.
    ends_in : str
        Operator at the end that only orders the scores.
    cut : float
        A single score above it means label 1.
    """

    model: onnx.ModelProto
    kind: Kind
    layout: str | None
    x: NDArray[Any]
    taken: NDArray[Any]
    tags: frozenset[str]
    ends_in: str = ""
    cut: float = 0.0


def draw(seed: int, *, twin: bool = False) -> Drawn:
    """Draw a network from a seed; its twin lacks what straight-through estimators leave behind."""
    rng = np.random.default_rng((seed, 1))
    opset = int(rng.integers(7, 25))
    domain = DOMAINS[int(rng.choice(3, p=(0.7, 0.15, 0.15)))]
    return _Network(Writer(rng, opset, domain, twin=twin)).drawn()


class _Network:
    def __init__(self, w: Writer) -> None:
        self.w, self.rng = w, w.rng
        self.kind, self.layout = Kind("uint8", 0, 255), None
        self.element, self.datatype = FLOAT, ""
        self.file: tuple[int, ...] = ()
        self.first_last = False  # The file's input has its channels last.
        self.flat_picture: tuple[int, ...] = ()  # What a flat input is made into.
        self.late = False  # Moves come behind the quantiser.
        self.cut = 0.0

    def int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def drawn(self) -> Drawn:
        """Draw everything."""
        v = self.start()
        v = self.first_quantiser(v)
        for _ in range(self.int(0, 2)):
            if len(v.shape) == 1:
                break
            v = self.block(v)
        v = self.head(v)
        y, ends_in = self.end(v)
        x, taken = self.frames()
        model = self.w.model(self.file, y, self.element, self.datatype)
        w = self.w
        w.tags |= {f"opset {w.opset}", f"input {self.kind.name}", f"end {ends_in or 'scores'}"}
        return Drawn(model, self.kind, self.layout, x, taken, frozenset(w.tags), ends_in, self.cut)

    # The input.

    def start(self) -> Value:
        """Draw the input, its kind and how its file orders it."""
        w = self.w
        form = w.pick("flat", "first", "first", "first", "last", "flat picture", "line")
        w.tags.add(f"layout {form}")
        c = w.pick(1, 1, 2, 3, 3, 4)
        h, width = self.int(4, 8), self.int(4, 8)
        match form:
            case "flat":
                shape: tuple[int, ...] = (self.int(5, 40),)
                self.file = shape
            case "line":
                shape = (c, self.int(6, 16))
                self.file = shape
            case "first":
                self.file = shape = (c, h, width)
            case "last":
                self.file, shape, self.first_last = (h, width, c), (c, h, width), True
            case _:
                shape = (c, h, width)
                self.file, self.flat_picture = (c * h * width,), shape
        self.kind = integers(self.rng)
        match self.int(0, 9):
            case 0:
                self.kind = Kind("float", -4, 4)
            case 1:
                self.declared()
        low, high = self.kind.ends
        name = "x"
        if self.element != FLOAT:
            name = w("Cast", "x", to=FLOAT)
        v = Value(name, self.file, max(abs(low), abs(high)), few=True, whole=self.kind.scale == 1)
        self.late = w.chance(30)
        return v if self.late else self.moved(v, shape)

    def declared(self) -> None:
        """Draw samples as the file declares them."""
        w = self.w
        name, low, high, step = w.pick(
            ("INT4", -8, 7, 1),
            ("UINT3", 0, 7, 1),
            ("BIPOLAR", -1, 1, 2),
            ("BINARY", 0, 1, 1),
            ("TERNARY", -1, 1, 1),
            ("int8", -128, 127, 1),
            ("uint8", 0, 255, 1),
            ("int16", -(1 << 15), (1 << 15) - 1, 1),
        )
        self.kind = Kind("file", low, high, step)
        if name.isupper():
            self.datatype = name
        else:
            self.element = int(TensorProto.DataType.Value(name.upper()))

    def moved(self, v: Value, shape: tuple[int, ...]) -> Value:
        """Bring the file's order into channels first."""
        w = self.w
        if self.first_last:
            v = replace(v, name=w("Transpose", v.name, perm=[0, 3, 1, 2]))
        elif self.flat_picture:
            c, h, width = shape
            if w.chance(50):
                y = w("Reshape", v.name, np.array([1, c, h, width]))
            else:
                y = w("Reshape", v.name, np.array([1, h, width, c]))
                y = w("Transpose", y, perm=[0, 3, 1, 2])
            v = replace(v, name=y)
        v = replace(v, shape=shape)
        if len(shape) == 3 and w.chance(15):
            v = self.pick_of(v)
        return v

    def pick_of(self, v: Value) -> Value:
        """Move or pick features of a map."""
        w, (c, h, width) = self.w, v.shape
        w.tags.add("picked")
        match w.pick("swap", "flip", "crop", "shuffle", "rotate", "split"):
            case "swap":
                return replace(
                    v, name=w("Transpose", v.name, perm=[0, 1, 3, 2]), shape=(c, width, h)
                )
            case "flip":
                order = np.arange(c)[::-1].copy()
                return replace(v, name=w("Gather", v.name, order, axis=1))
            case "crop":
                axis = self.int(2, 3)
                name, size = w.slice(v.name, axis, 1, v.shape[axis - 1]), list(v.shape)
                size[axis - 1] -= 1
                return replace(v, name=name, shape=tuple(size))
            case "shuffle" if c % 2 == 0:
                y = w("Reshape", v.name, np.array([1, 2, c // 2, h, width]))
                y = w("Transpose", y, perm=[0, 2, 1, 3, 4])
                return replace(v, name=w("Reshape", y, np.array([1, c, h, width])))
            case "rotate":
                # The rows become channels.
                return replace(
                    v, name=w("Transpose", v.name, perm=[0, 2, 1, 3]), shape=(h, c, width)
                )
            case "split" if c > 1 and w.opset < 13:
                y = w("Split", v.name, outputs=2, axis=1, split=[1, c - 1])
                rest = w.nodes[-1].output[1]
                return replace(v, name=w("Concat", rest, y, axis=1))
        return v

    def normalised(self, v: Value) -> Value:
        """Normalise the samples in the file."""
        w = self.w
        low, high = self.kind.ends
        span = high - low
        channels_first = not self.late or not (self.first_last or self.flat_picture)
        name = v.name
        if span > 100 and w.chance(50):
            name = w("Div", name, f32(span))
            low, high = low / span, high / span
        count = v.shape[0] if channels_first and len(v.shape) > 1 and w.chance(40) else 1
        mean = np.round(self.rng.uniform(low, high, count) * 1000) / 1000
        deviation = np.round((high - low) * self.rng.uniform(0.2, 0.4, count) * 1000) / 1000 + 1e-3
        if count > 1:
            name = w("Sub", name, w.per_channel(v, mean))
            name = w("Div", name, w.per_channel(v, deviation))
        else:
            name = w("Div", w("Sub", name, f32(mean[0])), f32(deviation[0]))
        return replace(v, name=name, size=1.5, few=count == 1, whole=False)

    def first_quantiser(self, v: Value) -> Value:
        """Quantise the samples, or hand them to the first layer as they are."""
        w = self.w
        shape = self.flat_picture or self.file
        if self.first_last:
            shape = (self.file[2], *self.file[:2])
        if self.kind.name == "float":
            low, high = -4, 4
            if w.chance(50):
                v = self.normalised(v)
            v = quantiser(w, v)
        else:
            low, high = self.kind.ends
            if w.chance(40):
                v = self.normalised(v)
            else:
                middle = np.rint((low + high) / 2 * 4) / 4
                if not (self.kind.low < 0 or w.chance(40)):
                    name = w("Sub", v.name, f32(middle + w.pick(0, 0.25)))
                    v = replace(v, name=name, size=max((high - low) / 3, 1e-3))
            if not v.few or w.chance(65):
                v = quantiser(w, v)
                w.tags.add("input quantised")
        if self.late:
            v = self.moved(v, shape)
        return v

    # Layers.

    def weights(self, v: Value, out: int, rest: tuple[int, ...]) -> tuple[Any, float]:
        """Draw weights [out, *rest] and how they stand in the file, with their usual size."""
        w, rng = self.w, self.rng
        shape = (out, *rest)
        kind = w.pick(
            "bipolar", "bipolar", "ternary", "int", "float", "live", "quant", "dq", "binq"
        )
        per = (-1,) + (1,) * len(rest)
        w.tags.add(f"weights {kind}")
        signs = f32(rng.choice([-1, 1], shape))
        match kind:
            case "bipolar":
                return signs, 1.0
            case "ternary":
                return f32(rng.integers(-1, 2, shape)), 0.8
            case "int":
                return f32(rng.integers(-7, 8, shape)), 4.0
            case "float":
                s = 2.0 ** rng.integers(-3, 2, out) if w.chance(60) else rng.uniform(0.05, 1, out)
                return f32(signs * f32(s).reshape(per)), float(s.mean())
            case "live" if w.opset >= 9:
                latent = f32(rng.normal(0, 1, shape))
                match w.pick("sign", "where", "alpha", "ternary", "dorefa"):
                    case "sign":
                        return w("Sign", latent), 1.0
                    case "where":
                        return w.where(w.reaches(latent, f32(0)), 1, -1), 1.0
                    case "alpha" if w.opset < 18:
                        axes = list(range(1, len(shape)))
                        mean = w("ReduceMean", w("Abs", latent), axes=axes, keepdims=1)
                        return w("Mul", w("Sign", latent), mean), 0.8
                    case "dorefa" if w.opset >= 11:
                        unit = w("Add", w("Div", w("Tanh", latent), f32(2)), f32(0.5))
                        unit = w("Div", w("Round", w("Mul", unit, f32(3))), f32(3))
                        return w("Sub", w("Mul", unit, f32(2)), f32(1)), 0.7
                truth = w.truth(w("Greater", w("Abs", latent), f32(0.7)))
                return w("Mul", w("Sign", latent), truth), 0.7
            case "quant":
                latent, bits = f32(rng.normal(0, 1, shape)), self.int(2, 4)
                s = f32(2.0 ** rng.integers(-2, 1, out) if w.chance(30) else 0.5)
                s = s.reshape(per) if s.ndim else s
                more = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
                return w.own("Quant", latent, s, f32(0), f32(bits), **more), 1.0
            case "dq" if w.opset >= 10:
                many = w.opset >= 13 and w.chance(60)
                s = f32(2.0 ** rng.integers(-2, 2, out)) if many else f32(w.pick(0.5, 0.1))
                zero = np.zeros(s.shape, np.int8)
                codes = rng.integers(-4, 5, shape).astype(np.int8)
                more = {"axis": 0} if many else {}
                return w("DequantizeLinear", codes, s, zero, **more), 2.5 * float(s.mean())
        scale = f32(w.pick(1.0, 0.5, 0.1))
        return w.own("BipolarQuant", f32(rng.normal(0, 1, shape)), scale), float(scale)

    def bias(self, out: int, size: float) -> NDArray[np.float32] | None:
        if self.w.chance(60):
            return None
        b = self.rng.normal(0, size / 2, out)
        return f32(np.round(b * 2) / 2 if self.w.chance(60) else b)

    def conv(self, v: Value, *, biased: bool = True) -> Value:
        """Write a convolution of one or two dimensions."""
        w = self.w
        space = v.shape[1:]
        kernel = [self.int(1, min(3, n)) for n in space]
        stride = [w.pick(1, 1, 2) for _ in space]
        dilation = [
            w.pick(1, 2) if k == 2 and n >= 4 else 1 for k, n in zip(kernel, space, strict=True)
        ]
        pads = [0] * (2 * len(space))
        x, more = v.name, dict[str, Any]()
        padding = w.pick("none", "none", "zero", "auto", "pad")
        if padding == "zero" and max(kernel) > 1:
            pads = [self.int(0, 1) for _ in pads]
        elif padding == "pad" and max(kernel) > 1:
            value = v.amplitude * w.pick(0, 1, -1)
            w.tags.add(f"pad {np.sign(value):+.0f}")
            around = [self.int(0, 1) for _ in pads]
            half = len(space)
            x = w.pad(x, [0, 0, *around[:half], 0, 0, *around[half:]], value)
            space = tuple(n + around[i] + around[half + i] for i, n in enumerate(space))
        if padding == "auto":
            more["auto_pad"] = w.pick("SAME_UPPER", "SAME_LOWER", "VALID")
            dilation = [1] * len(space)
        else:
            more["pads"] = pads
        if w.chance(60) or max(stride) > 1:
            more["strides"] = stride
        else:
            stride = [1] * len(space)
        if max(dilation) > 1:
            more["dilations"] = dilation
        half = len(space)
        if more.get("auto_pad", "VALID") != "VALID":
            size = [-(-n // s) for n, s in zip(space, stride, strict=True)]
        else:
            reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
            size = [
                (n + pads[i] + pads[half + i] - reach[i]) // stride[i] + 1
                for i, n in enumerate(space)
            ]
        c = v.shape[0]
        group = w.pick(1, 1, 1, c, 2)
        group = group if c % group == 0 else 1
        out = self.int(1, 6) if group == 1 else group * self.int(1, 2)
        if group > 1:
            more["group"] = group
        weights, usual = self.weights(v, out, (c // group, *kernel))
        terms = c // group * int(np.prod(kernel))
        spread = terms**0.5 * usual * v.size
        bias = self.bias(out, spread) if biased else None
        y = w("Conv", x, weights, *([] if bias is None else [bias]), **more)
        whole = v.whole and usual in (1.0, 0.8, 4.0) and bias is None
        return Value(y, (out, *size), spread, whole=whole)

    def pool(self, v: Value, op: str) -> Value:
        """Write a pool, with padding sometimes."""
        w = self.w
        space = v.shape[1:]
        if min(space) < 2:
            return v
        kernel = [self.int(1, min(3, n)) if n > 2 else 2 for n in space]
        kernel = kernel if max(kernel) > 1 else [2] * len(space)
        stride = kernel if w.chance(60) else [self.int(1, 2) for _ in space]
        pads = [0] * (2 * len(space))
        more: dict[str, Any] = {}
        if w.chance(20) and min(kernel) > 1:
            pads = [self.int(0, 1) for _ in pads]
            more["pads"] = pads
            if op == "AveragePool" and w.chance(60):
                more["count_include_pad"] = 1
        half = len(space)
        size = [
            (n + pads[i] + pads[half + i] - kernel[i]) // stride[i] + 1 for i, n in enumerate(space)
        ]
        y = w(op, v.name, kernel_shape=kernel, strides=stride, **more)
        made = replace(v, name=y, shape=(v.shape[0], *size))
        return made if op == "MaxPool" else replace(made, amplitude=0.0, whole=False)

    def between(self, v: Value) -> Value:
        """Write what stands between a layer and its quantiser."""
        w = self.w
        for _ in range(w.pick(0, 1, 1, 2)):
            match w.pick("norm", "norm", "affine", "function", "function"):
                case "norm":
                    v = batch_norm(w, v)
                case "affine":
                    v = affine(w, v)
                case _:
                    v = function(w, v)
        return v

    def block(self, v: Value) -> Value:
        """Write a layer with its functions, its quantiser and pools."""
        w = self.w
        where = w.pick("", "", "max before", "max behind", "max behind", "average", "sums")
        # The mean of sums with a bias is refused; some are drawn.
        v = self.conv(v, biased=where != "sums" or w.chance(15))
        if where == "max before":
            v = self.pool(v, "MaxPool")
        elif where == "sums":
            w.tags.add("average of sums")
            v = self.pool(v, "AveragePool")
        v = quantiser(w, self.between(v))
        if where == "max behind":
            v = self.pool(v, "MaxPool")
        elif where == "average":
            w.tags.add("average of codes")
            v = quantiser(w, self.between(self.pool(v, "AveragePool")))
        if len(v.shape) == 3 and w.chance(10):
            match w.pick("swap", "flip", "depth"):
                case "swap":
                    y = w("Transpose", v.name, perm=[0, 1, 3, 2])
                    v = replace(v, name=y, shape=(v.shape[0], v.shape[2], v.shape[1]))
                case "flip":
                    order = np.arange(v.shape[0])[::-1].copy()
                    v = replace(v, name=w("Gather", v.name, order, axis=1))
                case _ if v.shape[1] % 2 == v.shape[2] % 2 == 0:
                    c, h, width = v.shape
                    y = w("SpaceToDepth", v.name, blocksize=2)
                    v = replace(v, name=y, shape=(4 * c, h // 2, width // 2))
                    v = quantiser(w, self.between(self.conv(v)))
        return v

    def dense(self, v: Value, out: int) -> Value:
        """Write a dense layer as Gemm or MatMul."""
        w = self.w
        weights, usual = self.weights(v, out, (v.features,))
        spread = v.features**0.5 * usual * v.size
        bias = self.bias(out, spread)
        if w.chance(50):
            more: dict[str, Any] = {"transB": 1}
            if w.chance(25):
                more["alpha"] = float(w.pick(0.5, 0.25, 2.0))
                spread *= more["alpha"]
            if isinstance(weights, np.ndarray) and w.chance(30):
                weights = np.ascontiguousarray(weights.T)
                more.pop("transB")
            if w.opset < 11 and bias is None:
                bias = f32(np.zeros(out))
            y = w("Gemm", v.name, weights, *([] if bias is None else [bias]), **more)
        else:
            if isinstance(weights, np.ndarray):
                weights = np.ascontiguousarray(weights.T)
            else:
                weights = w("Transpose", weights, perm=[1, 0])
            y = w("MatMul", v.name, weights)
            if bias is not None:
                y = w("Add", y, bias) if w.chance(50) else w("Add", bias, y)
        whole = v.whole and usual in (1.0, 0.8, 4.0) and bias is None
        return Value(y, (out,), spread, whole=whole)

    def flat(self, v: Value) -> Value:
        """Make a map flat, in one of many ways."""
        w = self.w
        rank = len(v.shape) + 1
        if rank == 2:
            return v
        way = w.pick("flatten", "reshape", "zero", "shape", "last", "mean", "global", "sum", "max")
        w.tags.add(f"flat by {way}")
        c = v.shape[0]
        space = list(range(2, rank)) if w.chance(50) else list(range(2 - rank, 0))
        pooled = replace(v, shape=(c,), few=True, amplitude=0.0, whole=False)
        match way:
            case "flatten":
                more = {"axis": 1} if w.chance(50) else {}
                y = w("Flatten", v.name, **more)
            case "reshape":
                y = w("Reshape", v.name, np.array([w.pick(1, -1), v.features]))
            case "zero":
                y = w("Reshape", v.name, np.array([0, -1]))
            case "shape":
                batch = w("Gather", w("Shape", v.name), np.array(0), axis=0)
                batch = w.axes("Unsqueeze", batch, [0], 13)
                y = w("Reshape", v.name, w("Concat", batch, np.array([-1]), axis=0))
            case "last":
                y = w("Transpose", v.name, perm=[0, *range(2, rank), 1])
                y = w("Reshape", y, np.array([1, -1]))
            case "mean":
                keep = w.pick(0, 1)
                y = w.axes("ReduceMean", v.name, space, 18, keepdims=keep)
                return replace(pooled, name=w("Flatten", y) if keep else y)
            case "sum":
                y = w.axes("ReduceSum", v.name, space, 13, keepdims=0)
                return replace(pooled, name=y, size=v.size * v.features / c)
            case _:
                op = "GlobalAveragePool" if way == "global" else "GlobalMaxPool"
                y = w(op, v.name)
                y = (
                    w.axes("Squeeze", y, list(range(2, rank)), 13)
                    if w.chance(40)
                    else w("Flatten", y)
                )
                return replace(pooled, name=y)
        return replace(v, name=y, shape=(v.features,))

    def head(self, v: Value) -> Value:
        """Write dense layers, the last of which gives the scores."""
        w = self.w
        classes = w.pick(1, 2, 3, 5, 10)
        self.classes = classes
        if len(v.shape) == 3 and w.chance(15):
            # Scores of each pixel, averaged.
            w.tags.add("average at the end")
            weights, usual = self.weights(v, classes, (v.shape[0], 1, 1))
            y = w("Flatten", w("GlobalAveragePool", w("Conv", v.name, weights)))
            return Value(y, (classes,), usual * v.size)
        v = self.flat(v)
        for _ in range(w.pick(0, 0, 1, 1, 2)):
            v = quantiser(w, self.between(self.dense(v, self.int(2, 12))))
        return self.dense(v, classes)

    def end(self, v: Value) -> tuple[str, str]:
        """Write what stands behind the scores; give the output and the operator that is dropped."""
        w = self.w
        match w.pick("", "", "", "norm", "scale", "quantised", "affine"):
            case "norm":
                v = batch_norm(w, v)
            case "scale":
                v = replace(v, name=w("Mul", v.name, f32(w.rng.uniform(0.01, 1))))
            case "affine":
                v = affine(w, v)
            case "quantised":
                v = quantiser(w, v)
        last = w.pick("", "", "", "Softmax", "LogSoftmax", "ArgMax", "TopK", "squash")
        if v.shape[0] == 1:
            last = w.pick("", "squash", "squash", "threshold")
        match last:
            case "Softmax" | "LogSoftmax":
                return w(last, v.name, axis=w.pick(1, -1) if w.opset >= 11 else 1), last
            case "ArgMax":
                return w("ArgMax", v.name, axis=1, keepdims=w.pick(0, 1)), last
            case "TopK":
                k = np.array([1], np.int64)
                y = w("TopK", v.name, k, outputs=2, axis=1) if w.opset >= 10 else ""
                if not y:
                    w("TopK", v.name, k=1, outputs=2, axis=1)
                return w.nodes[-1].output[1], last
            case "squash":
                op = w.pick("Sigmoid", "Sigmoid", "Tanh", "Softsign", *["Erf"] * (w.opset >= 9))
                return w(
                    op,
                    w("Mul", v.name, f32(2.0 ** -np.ceil(np.log2(v.size + 1)))),
                ), op
            case "threshold":
                self.cut = 0.5
                return w.truth(w("Greater", w("Sigmoid", v.name), f32(0.5))), ""
        return v.name, ""

    # Frames.

    def frames(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw frames as a user has them, and as the file takes them."""
        w = self.w
        x = self.kind.draw(self.rng, self.file)
        taken = x if self.element != FLOAT or self.kind.name == "float" else self.kind.taken(x)
        match w.pick("file", "file", "flat", "moved", "said"):
            case "flat":
                return x.reshape(len(x), -1), taken
            case "moved" if len(self.file) == 3 and not self.first_last and self.file[0] in (1, 3):
                moved = x.transpose(0, 2, 3, 1)
                if moved.shape != x.shape and moved.shape[-1] != x.shape[-1]:
                    w.tags.add("data channels last")
                    # Where no layer shows where the channels are, the user has to.
                    shown = "Conv" in w.tags or "MaxPool" in w.tags
                    if w.chance(30) or not shown or "picked" in w.tags:
                        self.layout = "nhwc"
                    return moved, taken
            case "said" if len(self.file) == 3:
                self.layout = w.pick("file", "nchw", "nhwc")
                w.tags.add(f"layout said {self.layout}")
                if self.layout == "nhwc" and not self.first_last:
                    self.layout = "nhwc"
                    return x.transpose(0, 2, 3, 1), taken
                if self.layout == "nchw" and self.first_last:
                    return x.transpose(0, 3, 1, 2), taken
        return x, taken
