"""Small networks with real weights, as any framework exports them, drawn from a seed."""

import numpy as np

from .frontend.onnx_models import Model, f32


class Real(Model):
    """Writes layers whose weights are normal numbers, each followed by another."""

    def __init__(self, *shape, seed=0):
        super().__init__(*shape)
        self.rng = np.random.default_rng(seed)
        self.at = "x"

    def draw(self, *shape, size=1.0):
        return f32(self.rng.standard_normal(shape) * size)

    def then(self, op, *inputs, **attributes):
        self.at = self(op, self.at, *inputs, **attributes)
        return self

    def scaled(self, divisor=255.0, mean=0.0):
        self.then("Div", f32(divisor))
        return self.then("Sub", f32(mean)) if mean else self

    def conv(self, out, channels, kernel, *, bias=True, **attributes):
        fan = channels * kernel * kernel
        more = [self.draw(out, size=0.1)] if bias else []
        weights = self.draw(out, channels, kernel, kernel, size=fan**-0.5)
        return self.then("Conv", weights, *more, kernel_shape=[kernel] * 2, **attributes)

    def dense(self, inputs, out, *, bias=True):
        self.then("MatMul", self.draw(inputs, out, size=inputs**-0.5))
        return self.then("Add", self.draw(out, size=0.1)) if bias else self

    def norm(self, channels):
        gamma, beta, mean = (self.draw(channels, size=s) for s in (1.0, 0.3, 0.2))
        var = f32(self.rng.uniform(0.05, 0.5, channels))
        return self.then("BatchNormalization", gamma, beta, mean, var)

    def pool(self, op, size=2, stride=2, **attributes):
        return self.then(op, kernel_shape=[size] * 2, strides=[stride] * 2, **attributes)

    def flat(self):
        return self.then("Flatten", axis=1)


def lenet(seed=0):
    """Convolutions, rectifiers, max-pools and dense layers, all of them real; 12 x 12 samples."""
    m = Real(1, 1, 12, 12, seed=seed).scaled()
    m.conv(4, 1, 3).then("Relu").pool("MaxPool")
    m.conv(6, 4, 3, pads=[1, 1, 1, 1]).then("Relu").pool("MaxPool")
    return m.flat().dense(24, 12).then("Relu").dense(12, 5)


def float_ends(seed=0):
    """Real weights in the first and the last layer alone; those between are signs."""
    m = Real(1, 1, 8, 8, seed=seed).scaled(mean=0.4)
    m.conv(4, 1, 3, bias=False).norm(4)
    m.at = m.bipolar(m.at)
    m.then("Conv", f32(m.rng.choice([-1, 1], (6, 4, 3, 3))), kernel_shape=[3, 3]).norm(6)
    m.at = m.bipolar(m.at)
    return m.flat().dense(96, 4)


def middle(seed=0):
    """Real weights between two layers of signs."""
    m = Real(1, 1, 8, 8, seed=seed).then("Sub", f32(127))
    m.at = m.bipolar(m.at)
    m.then("Conv", f32(m.rng.choice([-1, 1], (4, 1, 3, 3))), kernel_shape=[3, 3]).norm(4)
    m.at = m.bipolar(m.at)
    m.conv(5, 4, 3).norm(5)
    m.at = m.bipolar(m.at)
    return m.flat().then("MatMul", f32(m.rng.choice([-1, 1], (80, 4))))


def tanh(seed=0):
    """A function that is no affine one between two layers."""
    m = Real(1, 1, 8, 8, seed=seed).scaled()
    return m.conv(4, 1, 3).then("Tanh").flat().dense(144, 4)


def mean(seed=0):
    """Average pools behind biases and batch normalisation, and a global one at the end."""
    m = Real(1, 2, 8, 8, seed=seed).scaled()
    m.conv(4, 2, 3, pads=[1, 1, 1, 1]).norm(4).then("Relu").pool("AveragePool")
    return m.conv(3, 4, 3).norm(3).then("GlobalAveragePool").flat()


def chain(seed=0):
    """Strides, dilation, pads of two sizes, a clip, a negative factor, another order of pools."""
    m = Real(1, 2, 11, 9, seed=seed).scaled(128.0, 1.0)
    m.conv(4, 2, 3, strides=[2, 1], pads=[1, 0, 1, 2]).norm(4).pool("MaxPool", 2, 1)
    m.then("Clip", f32(-0.5), f32(0.7)).then("Mul", f32(-1.5))
    m.conv(5, 4, 2, dilations=[2, 1], bias=False).then("Mul", m.draw(5).reshape(5, 1, 1))
    return m.flat().dense(105, 6).norm(6)


def perceptron(seed=0):
    """Two dense layers with a rectifier between them, on float samples."""
    return Real(1, 6, seed=seed).dense(6, 10).then("Relu").dense(10, 4)


NETWORKS = {f.__name__: f for f in (lenet, float_ends, middle, tanh, mean, chain, perceptron)}


def frames(net, count=40, seed=5):
    """Blurred noise of many means and contrasts, uint8 [count, ...] in the file's own order."""
    rng, shape = np.random.default_rng(seed), net.input_order.shape
    x = rng.random((count, *shape)) * rng.random((count, *[1] * len(shape)))
    return np.rint(255 * x).astype(np.uint8)
