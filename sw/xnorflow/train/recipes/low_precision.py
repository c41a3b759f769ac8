"""Low-precision multiplications: fixed point, or dynamic fixed point, in all of the training.

Courbariaux, Bengio, David, arXiv:1412.7024. A number of n bits besides its sign, of the range
2**r, is

    q(x) = clip(round(x * 2**(n - r)), -(2**n - 1), 2**n - 1) / 2**(n - r),

with the same largest magnitude on both sides. Weights, activations and gradients have 7 bits
besides the sign while they are propagated; the weights that are kept and updated have 11. Every
layer's weights, activations and gradients have a range of their own. In dynamic fixed point it
changes every `EVERY` batches: if more than the share `MOST_OVERFLOW` of the values overflowed it
grows by one; else, if at most that share would have overflowed half the range, it shrinks by one.

With the variant "fixed", ranges stay as they were set, and gradients and kept weights have 19 bits
besides the sign, as the paper needs for it. Sums are kept wide and rounded once, behind the
rectifier. The paper's units are maxout; here they are rectifiers. There is no normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.gradient_training import BATCH, reproducible
from xnorflow.train.topology import hidden_widths
from xnorflow.train.training import Epoch, Task, Training

EVERY = 20
"""Batches between two changes of a range; the paper has 100, of larger data."""
MOST_OVERFLOW = 1e-4
RATE, MOMENTUM = 0.1, 0.5
PROPAGATED = 7
"""Bits of what is propagated, besides the sign."""


@dataclass(frozen=True)
class Form:
    """The numbers of a variant.

    Parameters
    ----------
    dynamic : bool
        Whether ranges change.
    kept, gradients : int
        Bits of kept weights and of gradients, besides the sign.
    """

    dynamic: bool
    kept: int
    gradients: int


FORMS = {"dynamic": Form(True, 11, PROPAGATED), "fixed": Form(False, 19, 19)}


def quantised(x: Any, bits: int, order: int) -> Any:
    """Return q(x) of `bits` besides the sign, with the range 2**order."""
    step = 2.0 ** (bits - order)
    most = 2**bits - 1
    return (x * step).round().clamp(-most, most) / step


class NumberRange:
    """The range of one group of numbers, and how many of them overflowed it.

    Parameters
    ----------
    order : int
        Binary logarithm of the range.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self.counts = np.zeros(3)

    def see(self, x: Any) -> None:
        """Count numbers, those beyond the range, and those beyond half of it."""
        size = x.detach().abs()
        limit = 2.0**self.order
        over, half = (float((size >= bound).sum()) for bound in (limit, limit / 2))
        self.counts += (size.numel(), over, half)

    def change(self) -> None:
        """Grow or shrink by the rule, and count anew."""
        count, over, half = self.counts
        if over > MOST_OVERFLOW * count:
            self.order += 1
        elif count and half <= MOST_OVERFLOW * count:
            self.order -= 1
        self.counts[:] = 0


class RoundedActivation(torch.autograd.Function):
    """An activation rounded on its way forth, and its gradient on its way back."""

    @staticmethod
    def forward(ctx: Any, x: Any, layer: Any) -> Any:
        """Return the rounded activation, rectified unless it is a score."""
        ctx.layer = layer
        ctx.save_for_backward(x)
        if layer.last:
            return x.clone()
        layer.out.see(x)
        return quantised(x.clamp(min=0), PROPAGATED, layer.out.order)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the rounded gradient of the sum."""
        (x,) = ctx.saved_tensors
        layer, gradient = ctx.layer, gradients[0]
        if not layer.last:
            gradient = gradient * (x > 0) * (x < 2.0**layer.out.order)
        layer.back.see(gradient)
        return quantised(gradient, layer.form.gradients, layer.back.order), None


class FixedPointDense(nn.Module):
    """A dense layer whose numbers are all in fixed point.

    Parameters
    ----------
    inputs, outputs : int
        Features before and after it.
    form : Form
        Bits.
    last : bool
        Whether its sums are the scores.
    """

    def __init__(self, inputs: int, outputs: int, form: Form, last: bool) -> None:
        super().__init__()
        self.form, self.last = form, last
        span = (6 / inputs) ** 0.5
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-span, span))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weights, self.out = NumberRange(0), NumberRange(2)
        self.back = NumberRange(-2 if form.dynamic else 2)

    def propagated(self) -> tuple[Any, Any]:
        """Return weights and biases as they are computed with."""
        order = self.weights.order
        return tuple(quantised(p, PROPAGATED, order) for p in (self.weight, self.bias))

    def forward(self, x: Any) -> Any:
        """Return activations or scores."""
        exact = (self.weight, self.bias)
        pairs = zip(exact, self.propagated(), strict=True)
        weight, bias = (p + (q - p).detach() for p, q in pairs)
        return RoundedActivation.apply(functional.linear(x, weight, bias), self)

    def store(self) -> None:
        """Round the kept weights, after an update."""
        self.weights.see(self.weight)
        with torch.no_grad():
            for p in (self.weight, self.bias):
                p.copy_(quantised(p, self.form.kept, self.weights.order))


class FixedPointTraining(Training):
    """Stochastic gradient descent with momentum, all of it in fixed point.

    Parameters
    ----------
    task : Task
        Dense layers, data, epochs and seed.
    """

    def __init__(self, task: Task) -> None:
        """Draw the first weights."""
        self.task, data = task, task.data
        self.form = FORMS[task.variant]
        self.order = data.most.bit_length()
        """Samples are divided by 2 to this power."""
        self.x = self._samples(data.x_train)
        self.y = torch.from_numpy(data.y_train)
        self.batch = min(BATCH, len(self.x))
        sizes = (self.x.shape[1], *hidden_widths(task.net, task.variant), data.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            pairs = list(zip(sizes, sizes[1:], strict=False))
            self.layers = [
                FixedPointDense(i, o, self.form, n == len(pairs) - 1)
                for n, (i, o) in enumerate(pairs)
            ]
        self.parameters = [p for layer in self.layers for p in (layer.weight, layer.bias)]
        self.moving = [torch.zeros_like(p) for p in self.parameters]

    def epoch(self, number: int) -> Epoch:
        """Go over all whole batches of the images in a drawn order."""
        x = self._samples(self.task.images(number)) if self.task.shift else self.x
        batches = len(x) // self.batch
        total, right = 0.0, 0
        with reproducible(self.task, number):
            order = torch.randperm(len(x))[: batches * self.batch]
            for i, chosen in enumerate(order.split(self.batch)):
                done = number * batches + i
                scores = self.scores(x[chosen])
                loss = functional.cross_entropy(scores, self.y[chosen])
                gradients = torch.autograd.grad(loss, self.parameters)
                rate = RATE * (1 - done / (self.task.epochs * batches))
                with torch.no_grad():
                    for p, v, g in zip(self.parameters, self.moving, gradients, strict=True):
                        v.mul_(MOMENTUM).sub_(g, alpha=rate)
                        p.add_(v)
                for layer in self.layers:
                    layer.store()
                    if self.form.dynamic and done % EVERY == EVERY - 1:
                        for group in (layer.weights, layer.out, layer.back):
                            group.change()
                total += float(loss.detach())
                right += int((scores.argmax(1) == self.y[chosen]).sum())
        return Epoch(total / batches, right / (batches * self.batch))

    def scores(self, x: Any) -> Any:
        """Return scores [frames, classes] of samples [frames, inputs]."""
        for layer in self.layers:
            x = layer(x)
        return x

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, their movement, ranges and counts."""
        found = {}
        for i, (p, v) in enumerate(zip(self.parameters, self.moving, strict=True)):
            found[f"p{i}"], found[f"v{i}"] = p.detach().numpy().copy(), v.numpy().copy()
        for i, group in enumerate(self._ranges()):
            found[f"r{i}"] = np.array([group.order, *group.counts])
        return found

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        with torch.no_grad():
            for i, (p, v) in enumerate(zip(self.parameters, self.moving, strict=True)):
                for own, kept in ((p, state[f"p{i}"]), (v, state[f"v{i}"])):
                    if kept.shape != tuple(own.shape):
                        raise ValueError(f"parameter {i} has the shape {kept.shape}")
                    own.copy_(torch.from_numpy(np.array(kept)))
        for i, group in enumerate(self._ranges()):
            order, *counts = state[f"r{i}"]
            group.order, group.counts[:] = int(order), counts

    def write(self, file: ChainFile) -> None:
        """Append the layers as whole numbers: all scales are powers of two."""
        file.flatten()
        before = -self.order
        for layer in self.layers:
            with torch.no_grad():
                weight, bias = (p.numpy().astype(np.float64) for p in layer.propagated())
            fine = PROPAGATED - layer.weights.order
            file.dense(weight * 2.0**fine)
            # A sum is in units of 2 ** (before - fine).
            file.per_channel("Add", bias * 2.0 ** (fine - before))
            if layer.last:
                continue
            after = layer.out.order - PROPAGATED
            file.stepped(2.0 ** (before - fine - after), 0, 2**PROPAGATED - 1)
            before = after

    def notes(self) -> tuple[str, ...]:
        """Return the ranges that were found."""
        said = ", ".join(
            f"2^{layer.weights.order} and 2^{layer.back.order}"
            + ("" if layer.last else f" (activations 2^{layer.out.order})")
            for layer in self.layers
        )
        return (f"ranges of weights and gradients, layer by layer: {said}",)

    def _samples(self, x: NDArray[np.uint8]) -> Any:
        return torch.from_numpy(x.astype(np.float32)).flatten(1) / 2**self.order

    def _ranges(self) -> list[NumberRange]:
        return [r for layer in self.layers for r in (layer.weights, layer.out, layer.back)]


def start(task: Task) -> Training:
    """Build the untrained network."""
    return FixedPointTraining(task)
