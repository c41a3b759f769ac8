"""Expectation backpropagation: the posterior of binary weights, updated by Bayes' rule.

Soudry, Hubara, Meir, NIPS 2014. There are no gradients of a loss and no learning rate for the
weights. Each weight is +1 or -1 with a log-odds of ``2 h``, so its mean is ``tanh(h)``. Sums of
many such weights are nearly normal; with K inputs of mean v,

    mu = sum(tanh(h) * v) / sqrt(K) + b         s**2 = sum(1 - tanh(h)**2 * v**2) / K
    v' = 2 * Phi(mu / s) - 1

(for the samples, which are certain, s**2 = sum((1 - tanh(h)**2) * x**2) / K). The last layer's
targets t = +-1 give ``d = t * N(0 | mu, s**2) / Phi(t * mu / s)``, each layer before it
``d = 2 * N(0 | mu, s**2) * sum(tanh(h) * d') / sqrt(K)``, and the update is
``h += d * v / sqrt(K)``.

Written are the signs of h, and the biases b, which are plain numbers: a neuron is ``sign(sum(w * v)
+ b * sqrt(K))``, and the label is the class of the largest sum. NumPy does it all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.topology import hidden_widths
from xnorflow.train.training import Epoch, Task, Training

Floats = NDArray[np.floating[Any]]

BATCH = 20
"""Samples whose updates are added up; the paper takes one at a time."""
SPREAD = 1.5
"""Standard deviation of the first h."""
BIAS_RATE = 0.05
"""Share of d that a bias takes."""
LEAST_VARIANCE = 1e-6
MOST = 10.0
"""Largest magnitude of h, at which a weight is certain to 2e-9."""
ROOT_2_PI = math.sqrt(2 * math.pi)


def normal_tail(z: Floats) -> tuple[Floats, Floats]:
    """Return the standard normal density at z, and the density over the share below z.

    The share comes from a polynomial with an error below 7.5e-8 (Abramowitz, Stegun, 26.2.17), or
    below z = -3 from the continued fraction of Mills' ratio, so that no two small numbers are
    divided.
    """
    size = np.abs(z)
    density = np.exp(-0.5 * z * z) / ROOT_2_PI
    t = 1 / (1 + 0.2316419 * size)
    terms = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    polynomial = sum(c * t ** (i + 1) for i, c in enumerate(terms))
    far = np.maximum(size, 3.0)
    fraction = far
    for k in range(12, 0, -1):
        fraction = far + k / fraction
    share = 1 - density * polynomial
    return density, np.where(z >= 0, density / share, np.where(z > -3, 1 / polynomial, fraction))


def share_below(z: Floats) -> Floats:
    """Return the share of a standard normal distribution below z."""
    density, quotient = normal_tail(-np.abs(z))
    below = density / quotient
    return np.where(z >= 0, 1 - below, below)


class Moments(NamedTuple):
    """What is known of the sums of a layer.

    Parameters
    ----------
    values : float array [frames, inputs]
        Means of the layer's inputs.
    weights : float array [outputs, inputs]
        Means of its weights.
    mu, s : float array [frames, outputs]
        Means and standard deviations of its sums.
    """

    values: Floats
    weights: Floats
    mu: Floats
    s: Floats


class Posterior(Training):
    """The log-odds of all weights, and the biases.

    Parameters
    ----------
    task : Task
        Dense layers, data and seed.
    kind : type
        Floats to compute in.
    """

    def __init__(self, task: Task, kind: type[np.floating[Any]] = np.float32) -> None:
        """Draw the first log-odds."""
        self.task, self.kind, data = task, kind, task.data
        self.x = self._centred(data.x_train)
        labels = np.arange(data.classes) == data.y_train[:, None]
        self.targets: Floats = np.where(labels, 1.0, -1.0).astype(kind)
        sizes = (self.x.shape[1], *hidden_widths(task.net, "ebp"), data.classes)
        drawn = task.generator(task.epochs)
        self.h: list[Floats] = [
            drawn.normal(0, SPREAD, (outputs, inputs)).astype(kind)
            for inputs, outputs in zip(sizes, sizes[1:], strict=False)
        ]
        self.b: list[Floats] = [np.zeros(outputs, kind) for outputs in sizes[1:]]

    def epoch(self, number: int) -> Epoch:
        """Update the posterior with all images in a drawn order."""
        x = self._centred(self.task.images(number)) if self.task.shift else self.x
        order = self.task.generator(number).permutation(len(x))
        total, right = 0.0, 0
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            loss, hits = self._update(x[chosen], self.targets[chosen])
            total, right = total + loss, right + hits
        return Epoch(total / len(order), right / len(order))

    def forward(self, x: Floats) -> list[Moments]:
        """Return what is known of every layer's sums, for x [frames, inputs]."""
        found, values = [], x
        for i, (h, b) in enumerate(zip(self.h, self.b, strict=True)):
            weights, inputs = np.tanh(h), h.shape[1]
            square = values * values
            mu = values @ weights.T / self.kind(np.sqrt(inputs)) + b
            certain = square.sum(1, keepdims=True) if i == 0 else self.kind(inputs)
            variance = (certain - square @ (weights * weights).T) / self.kind(inputs)
            s = np.sqrt(np.maximum(variance, self.kind(LEAST_VARIANCE)))
            found.append(Moments(values, weights, mu, s))
            values = 2 * share_below(mu / s) - 1
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the log-odds and biases."""
        pairs = enumerate(zip(self.h, self.b, strict=True))
        return {
            f"{name}{i}": a.copy() for i, both in pairs for name, a in zip("hb", both, strict=True)
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        for i, (h, b) in enumerate(zip(self.h, self.b, strict=True)):
            for own, kept in ((h, state[f"h{i}"]), (b, state[f"b{i}"])):
                if own.shape != kept.shape:
                    raise ValueError(f"layer {i} has the shape {kept.shape}, not {own.shape}")
                own[:] = kept

    def write(self, file: ChainFile) -> None:
        """Append the most probable weights, and the biases in the units of the sums."""
        file.flatten()
        file.per_channel("Mul", 2)
        file.per_channel("Sub", self.task.data.most)
        unit = float(self.task.data.most)
        for i, (h, b) in enumerate(zip(self.h, self.b, strict=True)):
            if i:
                file.sign()
            file.dense(np.where(h >= 0, 1, -1))
            file.per_channel("Add", b * np.sqrt(h.shape[1]) * unit)
            unit = 1.0

    def notes(self) -> tuple[str, ...]:
        """Return the accuracy of the averaged output, which no binary network computes."""
        data = self.task.data
        last = self.forward(self._centred(data.x_test))[-1]
        right = float(((last.mu / last.s).argmax(1) == data.y_test).mean())
        sure = np.mean([np.abs(np.tanh(h)).mean() for h in self.h])
        return (
            f"averaged over the posterior, in floats, {right:.2%} of the test images are right; the"
            f" mean of |tanh(h)| is {sure:.2f}",
        )

    def _update(self, x: Floats, targets: Floats) -> tuple[float, int]:
        """Add the updates of a batch; return its negative log-likelihood and its hits."""
        layers = self.forward(x)
        last = layers[-1].mu / layers[-1].s
        density, quotient = normal_tail(targets * last)
        d = targets * quotient / layers[-1].s
        least = np.finfo(self.kind).tiny
        loss = -float(np.log(np.maximum(density, least) / quotient).sum())
        hits = int((last.argmax(1) == targets.argmax(1)).sum())
        for i in reversed(range(len(layers))):
            root = self.kind(np.sqrt(self.h[i].shape[1]))
            back = d @ layers[i].weights / root
            self.h[i] += d.T @ layers[i].values / root
            np.clip(self.h[i], -MOST, MOST, out=self.h[i])
            self.b[i] += self.kind(BIAS_RATE) * d.mean(0)
            if i:
                before = layers[i - 1]
                d = 2 * normal_tail(before.mu / before.s)[0] / before.s * back
        return loss, hits

    def _centred(self, x: NDArray[np.uint8]) -> Floats:
        """Return samples from -1 to 1."""
        most = self.kind(self.task.data.most)
        centred: Floats = (2 * x.reshape(len(x), -1).astype(self.kind) - most) / most
        return centred


def start(task: Task) -> Training:
    """Build the posterior before any data."""
    return Posterior(task)
