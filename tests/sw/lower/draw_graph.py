"""Small random graphs for hypothesis; all scales are powers of two, so float sums are exact."""

import numpy as np
from hypothesis import strategies as st

from xnorflow.graph import ops
from xnorflow.graph.function_ops import CastOp, FunctionOp
from xnorflow.graph.input_scale import InputScale
from xnorflow.ir import Window

ROUNDINGS = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


def f32(values):
    return np.asarray(values, np.float32)


class Drawer:
    """Draws one graph, operation by operation, and knows the shape so far."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.shape = (self.int(1, 7), self.int(1, 7), self.int(1, 3))
        self.ops = []
        self.levels = 256  # a rough size of the integers so far

    def int(self, low, high):
        return self.draw(st.integers(low, high))

    def pick(self, *options):
        return self.draw(st.sampled_from(options))

    def power(self):
        return f32(2.0 ** self.int(-4, 3))

    def add(self, op_type, *args, **kwargs):
        kind = op_type.__name__.removesuffix("Op")
        name = f"{kind}_{len(self.ops)}"
        self.ops.append(op_type(*args, node=name, op=kind, **kwargs))

    def graph(self):
        scale = self.pick(1.0, 0.5, 1 / 256)
        self.size = 255 * scale
        if self.pick(True, False):
            self.add(ops.SubtractOp, f32(self.size / 2), self.pick(True, False))
            self.quantiser()
        if self.pick(True, False, False):
            self.max_pool()
        for _ in range(self.int(0, 2)):
            self.block()
        if self.pick(True, True, False) or self.shape[0] * self.shape[1] == 1:
            self.add(ops.FlattenOp)
            self.set_shape(1, 1, int(np.prod(self.shape)))
            self.conv(self.int(2, 5))
        else:
            self.conv(self.int(2, 5), bias=False)
            self.pool(ops.AveragePoolOp, Window(kernel=self.shape[:2]))
        self.tail()
        return ops.Graph("net", self.first_shape, tuple(self.ops), input_scale=InputScale.of(scale))

    def set_shape(self, *shape):
        self.shape = shape

    # Reductions.

    def window(self, pads=True):
        height, width, _ = self.shape
        pads = pads and self.pick(True, False)
        pad = tuple(self.int(0, 2) if pads else 0 for _ in range(4))
        kernel, dilation = [], []
        for size, around in ((height, pad[0] + pad[2]), (width, pad[1] + pad[3])):
            k = self.int(1, min(3, size + around))
            kernel.append(k)
            fits = 1 if k == 1 else min(2, (size + around - 1) // (k - 1))
            dilation.append(self.int(1, fits))
        stride = (self.int(1, 2), self.int(1, 2))
        return Window(tuple(kernel), stride, tuple(dilation), pad)

    def pool(self, kind, window):
        self.add(kind, window)
        self.set_shape(*window.output(*self.shape[:2]), self.shape[2])

    def max_pool(self):
        w = self.window(pads=False)
        if self.pick(True, False) and w.dilation == (1, 1) and min(w.kernel) > 1:
            w = Window(w.kernel, w.stride, w.dilation, tuple(self.int(0, 1) for _ in range(4)))
        self.pool(ops.MaxPoolOp, w)

    def average_pool(self):
        w = self.window()
        # Other tap counts round; then only a quantiser makes integers of the mean again.
        self.pool(ops.AveragePoolOp, w)
        return int(np.prod(w.kernel)) in (1, 2, 4)

    def conv(self, out, window=None, bias=True):
        window = window or Window()
        channels = self.shape[2]
        groups = self.pick(*(n for n in range(1, 7) if channels % n == out % n == 0))
        shape = (out, *window.kernel, channels // groups)
        low, high, only = self.pick((-1, 1, 2), (-1, 1, 1), (0, 1, 1), (-8, 7, 1), (-3, 3, 2))
        weights = self.rng.choice(np.arange(low, high + 1, only), shape)
        many = self.pick(True, False)
        scale = f32(2.0 ** self.rng.integers(-2, 3, out)) if many else self.power()
        pad = self.pad_values() if any(window.pads) else 0.0
        bias = f32(self.rng.integers(-9, 9, out) / 2) if bias and self.pick(True, False) else None
        self.add(ops.ConvOp, weights, scale, window, pad, bias, groups)
        self.size = self.size * float(scale.max()) * max(-low, high) * np.prod(shape[1:]) ** 0.5
        self.set_shape(*window.output(*self.shape[:2]), out)

    def pad_values(self):
        last = next((o for o in reversed(self.ops) if not isinstance(o, ops.MaxPoolOp)), None)
        if isinstance(last, ops.BipolarQuantOp) and last.scale.ndim == 0:
            return float(last.scale) * self.pick(0, 1, -1)
        return 0.0

    def block(self):
        before, between, after = (self.pick("", "", "max", "average") for _ in range(3))
        # The mean of sums with a bias has no integer form.
        self.conv(self.int(1, 6), self.window(), bias=before != "average")
        if before == "average":
            self.average_pool()
        elif before:
            self.max_pool()
        for _ in range(self.int(0, 2)):
            self.affine()
        if between == "max":
            self.max_pool()
        if self.pick(True, False):
            self.affine()
        if self.pick(True, False):
            self.function()
        self.quantiser()
        if after == "max":
            self.max_pool()
        elif after and not self.average_pool():
            self.affine()
            self.quantiser()

    # Elementwise.

    def affine(self):
        c, r, size = self.shape[2], self.rng, float(self.size)
        match self.pick("norm", "add", "scale", "clip"):
            case "norm":
                gamma = r.standard_normal(c)
                special = r.integers(0, 8, c)
                gamma = np.select(
                    [special == 0, special == 1, special == 2],
                    [0, 1e-40 * np.sign(gamma), -1e-42],
                    gamma,
                )
                mean = np.round(r.normal(0, size / 4, c) * 2) / 2
                beta = np.where(r.random(c) < 0.5, 0, r.standard_normal(c))
                self.add(
                    ops.BatchNormOp,
                    f32(gamma),
                    f32(beta),
                    f32(mean),
                    f32(r.uniform(1e-3, size * size + 1, c)),
                    1e-5,
                )
                self.size = 2
            case "add":
                self.add(ops.AddOp, f32(np.round(r.normal(0, size / 4, c))))
            case "scale":
                scale = f32(r.choice([-1, 1], c) * r.uniform(0.1, 2, c))
                self.add(self.pick(ops.MultiplyOp, ops.DivideOp), scale)
            case "clip":
                self.add(ops.ClipOp, self.pick(0.0, -size, -np.inf), np.inf)

    def function(self):
        c, r, size = self.shape[2], self.rng, float(self.size)
        one = (ops.AddOp(f32(np.round(r.normal(0, size / 4, c)))),)
        match self.pick("abs", "slope", "round", "where", "square", "fan", "compare"):
            case "abs":
                self.add(FunctionOp, "Abs", ((),))
            case "slope":
                self.add(FunctionOp, "LeakyRelu", ((), f32(r.choice([-0.5, 0.25, 1, 2], c))))
            case "round":
                self.add(FunctionOp, self.pick("Round", "Floor", "Ceil"), ((),))
            case "where":
                truth = FunctionOp("Greater", (one, f32(0)))
                self.add(FunctionOp, "Where", ((truth,), (), f32(r.normal(0, size, c))))
            case "square":
                self.add(FunctionOp, "Mul", ((), one))
                self.size = size * size
            case "fan":
                which = r.integers(0, 2, c)
                self.add(FunctionOp, "Choose", (which, (), one))
            case "compare":
                near = FunctionOp("Equal", (one, f32(0)))
                self.add(FunctionOp, "Sub", ((), (near, CastOp("float32"))))

    def quantiser(self):
        c, r, size = self.shape[2], self.rng, float(self.size)
        match self.pick("bipolar", "quant", "multi", "sign", "larq"):
            case "bipolar":
                self.add(ops.BipolarQuantOp, self.power() * self.pick(f32(1), f32(-1)))
            case "quant":
                bits, signed = self.int(1, 4), self.pick(True, False)
                scale = f32(2.0 ** np.round(np.log2(size / 2**bits + 1e-6)))
                # A narrow single bit would be no bit.
                narrow = bits > 1 and self.pick(True, False)
                self.add(
                    ops.QuantOp,
                    scale,
                    f32(self.pick(0, 0, 1)),
                    float(bits),
                    signed,
                    narrow,
                    self.pick(*ROUNDINGS),
                )
            case "multi":
                t = np.round(r.normal(0, size / 3, (self.pick(1, c), self.int(1, 7))) * 2) / 2
                self.add(
                    ops.MultiThresholdOp,
                    f32(np.sort(t, 1)),
                    float(self.power()),
                    self.pick(0.0, -1.0, 0.5),
                )
            case "sign":
                self.add(ops.SignOp)
            case "larq":
                self.add(ops.SignOp)
                self.add(ops.AddOp, f32(0.1))
                self.add(ops.SignOp)
        self.size = max(1.0, float(np.abs(self.ops[-1].apply(f32([[-1e9] * c, [1e9] * c]))).max()))

    def tail(self):
        k = self.shape[2]
        match self.pick("", "affine", "negative", "offsets", "norm", "quantised", "max"):
            case "affine":
                self.add(ops.MultiplyOp, f32(0.3))
                self.add(ops.AddOp, f32(-1.7))
            case "negative":
                self.add(ops.MultiplyOp, f32(-0.5))
            case "offsets":
                self.add(ops.SubtractOp, f32(self.rng.integers(-9, 10, k)))
            case "norm":
                self.affine()
                self.affine()
            case "quantised":
                self.affine()
                self.quantiser()


@st.composite
def graphs(draw):
    drawer = Drawer(draw)
    drawer.first_shape = drawer.shape
    return drawer.graph()
