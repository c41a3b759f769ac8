"""Layers for PyTorch that compute in training what they will compute in hardware, and write it.

Between the layers are whole numbers: the samples, the codes of the activations, the sums. In
evaluation mode the layers use the weights that are written.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.weight_rules import WeightRule, binary, straight_through


class WritableLayer(nn.Module, ABC):
    """A layer that appends itself to a file."""

    @abstractmethod
    def write(self, file: ChainFile) -> None:
        """Append the layer."""


class Centred(WritableLayer):
    """Samples 0 to `most` as odd steps around 0: 2x - most, BinaryNet's 2x/255 - 1 in integers."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Any) -> Any:
        """Return 2x - most."""
        return 2 * x - self.most

    def write(self, file: ChainFile) -> None:
        """Append a product and a difference."""
        file.per_channel("Mul", 2)
        file.per_channel("Sub", self.most)


class BinarySamples(WritableLayer):
    """Samples as two values: the upper half of the range is +1, the lower half `low`.

    Parameters
    ----------
    most : int
        Largest sample.
    low : float
        -1 for bipolar and 0 for unipolar values.
    """

    def __init__(self, most: int, low: float = -1.0) -> None:
        super().__init__()
        self.bound, self.low = (most + 1) / 2, low

    def forward(self, x: Any) -> Any:
        """Return +1 and `low`."""
        return torch.where(x >= self.bound, 1.0, self.low)

    def write(self, file: ChainFile) -> None:
        """Append the comparison."""
        file.compare(self.bound, 1.0, self.low)


class WeightLayer(WritableLayer):
    """A convolution or a dense layer without bias, with weights by a rule.

    Parameters
    ----------
    shape : tuple of int
        Of the weights: [outputs, inputs] of a dense layer, or [outputs, inputs per group, rows,
        columns] of a convolution.
    rule : WeightRule
        How its weights become what it computes with.
    stride, groups : int
        Of a convolution.
    pad : int, optional
        Border of 0 of a convolution; without it, and with stride 1, the map keeps its size.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rule: WeightRule,
        *,
        stride: int = 1,
        groups: int = 1,
        pad: int | None = None,
    ) -> None:
        super().__init__()
        self.rule, self.stride, self.groups = rule, stride, groups
        self.pad = shape[-1] // 2 if pad is None else pad
        span = 1 / np.prod(shape[1:]) ** 0.5
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-span, span))

    def forward(self, x: Any) -> Any:
        """Return the sums."""
        if self.training:
            return self._sums(x, self.rule(self.weight))
        whole, factor = self.rule.deployed(self.weight)
        sums = self._sums(x, whole)
        if factor is None:
            return sums
        return sums * (factor if self.weight.ndim == 2 else factor[:, None, None])

    def bound(self) -> None:
        """Bring the real weights back within the rule's bounds, if it has any."""
        if self.rule.bounded:
            with torch.no_grad():
                self.weight.clamp_(-self.rule.most, self.rule.most)

    def write(self, file: ChainFile) -> None:
        """Append the layer with its whole weights, and a product with the factor."""
        with torch.no_grad():
            whole, factor = self.rule.deployed(self.weight)
        if whole.ndim == 2:
            file.dense(whole.numpy())
        else:
            file.convolution(whole.numpy(), self.pad, self.groups, self.stride)
        if factor is not None:
            file.per_channel("Mul", factor.numpy())

    def _sums(self, x: Any, weights: Any) -> Any:
        if weights.ndim == 2:
            return functional.linear(x.flatten(1), weights)
        return functional.conv2d(x, weights, None, self.stride, self.pad, 1, self.groups)


class MaxPooling(WritableLayer):
    """Max-pool of size x size pixels, side by side unless there is a stride."""

    def __init__(self, size: int, stride: int | None = None) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: Any) -> Any:
        """Return the largest values."""
        return functional.max_pool2d(x, self.size, self.stride)

    def write(self, file: ChainFile) -> None:
        """Append the pool."""
        file.max_pool(self.size, self.stride)


class Norm(WritableLayer):
    """Batch normalisation per channel or feature."""

    EPS = 1e-4

    def __init__(self, channels: int) -> None:
        super().__init__()
        # With the same statistics for [frames, features] and for maps, one class does for both.
        self.inner = nn.BatchNorm2d(channels, eps=self.EPS)

    def forward(self, x: Any) -> Any:
        """Return normalised values."""
        return self.inner(x) if x.ndim == 4 else self.inner(x[:, :, None, None])[:, :, 0, 0]

    def settle(self, values: Any) -> None:
        """Take the statistics of `values` for good."""
        axes = (0, *range(2, values.ndim))
        self.inner.running_mean.copy_(values.mean(axes))
        self.inner.running_var.copy_(values.var(axes, unbiased=False))

    def write(self, file: ChainFile) -> None:
        """Append the normalisation with its running statistics."""
        n = self.inner
        numbers = (n.running_mean, n.running_var, n.weight, n.bias)
        mean, variance, gamma, beta = (t.detach().numpy() for t in numbers)
        file.batch_norm(mean, variance, gamma, beta, self.EPS)


class ScoreNorm(WritableLayer):
    """Normalisation of the last sums by an offset per class and one factor for all classes.

    What is written are whole offsets alone: a factor that all classes share orders no scores. With
    a factor per class, as batch normalisation has it, hardware needs a table of all scores, which
    is large where the sums are.
    """

    MOMENTUM = 0.1

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(classes))
        self.register_buffer("variance", torch.ones(()))
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(classes))

    def forward(self, x: Any) -> Any:
        """Return normalised scores while training, else sums with whole offsets."""
        if not self.training:
            return x + self.whole_offsets()
        mean, variance = x.mean(0), x.var(0, unbiased=False).mean()
        with torch.no_grad():
            self.mean.lerp_(mean, self.MOMENTUM)
            self.variance.lerp_(variance, self.MOMENTUM)
        return (x - mean) * (self.log_gain.exp() / (variance + Norm.EPS).sqrt()) + self.offset

    def whole_offsets(self) -> Any:
        """Return what is added to the sums of each class."""
        deviation = (self.variance + Norm.EPS).sqrt()
        return (self.offset * deviation / self.log_gain.exp() - self.mean).detach().round()

    def settle(self, values: Any) -> None:
        """Take the statistics of `values` for good."""
        self.mean.copy_(values.mean(0))
        self.variance.copy_(values.var(0, unbiased=False).mean())

    def write(self, file: ChainFile) -> None:
        """Append the offsets."""
        file.per_channel("Add", self.whole_offsets().numpy())


class _HardSign(torch.autograd.Function):
    """The sign, with the gradient of hard tanh."""

    @staticmethod
    def forward(ctx: Any, x: Any, most: float) -> Any:
        """Return the signs."""
        ctx.save_for_backward(x)
        ctx.most = most
        return binary(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradient where abs(x) is at most `most`, and 0 elsewhere."""
        (x,) = ctx.saved_tensors
        return gradients[0] * (x.abs() <= ctx.most), None


class Signs(WritableLayer):
    """Binary activations: -1 below 0, else +1; the gradient passes where abs(x) <= `most`."""

    def __init__(self, most: float = 1.0) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Any) -> Any:
        """Return the signs."""
        return _HardSign.apply(x, self.most)

    def write(self, file: ChainFile) -> None:
        """Append the sign."""
        file.sign()


class Stepped(WritableLayer):
    """Activations in steps: round(x * factor), cut to whole numbers from `least` to `most`.

    Parameters
    ----------
    factor : float
        Steps per unit.
    most : int
        Largest code.
    least : int
        Smallest code; 0 makes it a rectifier.
    """

    def __init__(self, factor: float, most: int, least: int = 0) -> None:
        super().__init__()
        self.factor, self.least, self.most = factor, least, most

    def forward(self, x: Any) -> Any:
        """Return codes; the gradient passes where none was cut."""
        scaled = (x * self.factor).clamp(self.least, self.most)
        return straight_through(scaled, scaled.round())

    def write(self, file: ChainFile) -> None:
        """Append the rounding."""
        file.stepped(self.factor, self.least, self.most)
