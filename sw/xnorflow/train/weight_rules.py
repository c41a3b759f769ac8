"""How real weights become binary ones: while they are trained, and for good.

A rule is called with the real weights, [outputs, ...], while the network is trained, and returns
the weights that the layer computes with, through which the gradient passes. Its ``deployed`` returns
what is written to the file: whole numbers, and a factor of the sums or None.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch


def binary(w: Any) -> Any:
    """Return +1 where a tensor is at least 0, and -1 elsewhere."""
    return torch.where(w >= 0, 1.0, -1.0)


def straight_through(w: Any, value: Any) -> Any:
    """Return `value`, with a gradient that goes to `w` unchanged."""
    return w + (value - w).detach()


class WeightRule(ABC):
    """A rule without state of its own."""

    bounded = True
    """Whether the real weights are kept within -1 and 1 after every step."""

    @abstractmethod
    def __call__(self, w: Any) -> Any:
        """Return the weights that a layer computes with while it is trained."""

    @abstractmethod
    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return whole numbers of the shape of `w`, and a factor per output, or None for 1."""


class SignWeights(WeightRule):
    """The sign of each weight (BinaryConnect, eq. 1); the gradient is that of the sign itself."""

    def __call__(self, w: Any) -> Any:
        """Return the signs."""
        return straight_through(w, binary(w))

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return the signs, and no factor."""
        return binary(w), None


class DrawnWeights(SignWeights):
    """+1 with the probability clip((w + 1) / 2, 0, 1), else -1 (BinaryConnect, eq. 2 and 3).

    Weights are drawn anew for every batch; what is deployed are the signs.
    """

    def __call__(self, w: Any) -> Any:
        """Return drawn signs."""
        drawn = torch.rand_like(w) < ((w + 1) / 2).clamp(0, 1)
        return straight_through(w, torch.where(drawn, 1.0, -1.0))


class _Scaled(torch.autograd.Function):
    """alpha times the sign, with the gradient that the paper gives for it."""

    @staticmethod
    def forward(ctx: Any, w: Any) -> Any:
        """Return mean(abs(w)) * sign(w), the mean over each filter."""
        alpha = w.abs().flatten(1).mean(1).reshape(-1, *[1] * (w.ndim - 1))
        ctx.save_for_backward(w, alpha)
        return alpha * binary(w)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return g * (1/n + alpha where abs(w) < 1)."""
        w, alpha = ctx.saved_tensors
        return gradients[0] * (1 / w[0].numel() + alpha * (w.abs() < 1))


class ScaledSigns(WeightRule):
    """The closest alpha * B to a filter: B its signs, alpha its mean magnitude (XNOR-Net, eq. 6).

    The gradient is that of the paper's section 3.1, g * (1/n + alpha * [abs(w) < 1]).
    """

    def __call__(self, w: Any) -> Any:
        """Return alpha * B."""
        return _Scaled.apply(w)

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return B and alpha."""
        return binary(w), w.abs().flatten(1).mean(1)
