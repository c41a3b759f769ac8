"""How real weights become binary ones: while they are trained, and for good.

A rule is called with the real weights, [outputs, ...], while the network is trained, and returns
the weights that the layer computes with, through which the gradient passes. Its ``deployed``
returns what is written to the file: whole numbers, and a factor of the sums or None.

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
    """Whether the real weights are kept within `most` after every step."""
    most = 1.0
    """Largest magnitude of a real weight."""

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


class ClippedSigns(SignWeights):
    """The sign of each weight; the gradient passes where its magnitude is at most `most`.

    Parameters
    ----------
    most : float
        Bound of the gradient.
    bounded : bool
        Whether the real weights are kept within it, too.
    """

    def __init__(self, most: float, bounded: bool) -> None:
        self.most, self.bounded = most, bounded

    def __call__(self, w: Any) -> Any:
        """Return the signs."""
        return straight_through(w.clamp(-self.most, self.most), binary(w))


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
    def forward(ctx: Any, w: Any, shared: bool) -> Any:
        """Return mean(abs(w)) * sign(w), the mean over each filter or the layer."""
        alpha = w.abs().flatten(1).mean(1).reshape(-1, *[1] * (w.ndim - 1))
        if shared:
            alpha = alpha.mean()
        ctx.save_for_backward(w, alpha)
        return alpha * binary(w)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return g * (1/n + alpha where abs(w) < 1)."""
        w, alpha = ctx.saved_tensors
        return gradients[0] * (1 / w[0].numel() + alpha * (w.abs() < 1)), None


class ScaledSigns(WeightRule):
    """The closest alpha * B to a filter: B its signs, alpha its mean magnitude (XNOR-Net, eq. 6).

    The gradient is that of the paper's section 3.1, g * (1/n + alpha * [abs(w) < 1]).

    Parameters
    ----------
    shared : bool
        Whether the whole layer has one alpha, which a last layer does not need.
    """

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared

    def __call__(self, w: Any) -> Any:
        """Return alpha * B."""
        return _Scaled.apply(w, self.shared)

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return B, and alpha unless it is shared."""
        return binary(w), None if self.shared else w.abs().flatten(1).mean(1)


class MagnitudeSigns(WeightRule):
    """alpha * sign(w) with alpha the mean magnitude of a filter, a constant for the gradient.

    The gradient passes where abs(w) < 1, as in the published PyTorch code of Bi-Real Net and
    ReActNet.
    """

    bounded = False

    def __call__(self, w: Any) -> Any:
        """Return alpha * signs."""
        signs, alpha = self.deployed(w.detach())
        return straight_through(w.clamp(-1, 1), signs * alpha.reshape(-1, *[1] * (w.ndim - 1)))

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return the signs, and alpha."""
        return binary(w), w.abs().flatten(1).mean(1)


class TernaryWeights(WeightRule):
    """-1, 0 or +1 times one factor per layer (Ternary Weight Networks, arXiv:1605.04711).

    A weight is 0 where its magnitude is at most 0.7 times the layer's mean magnitude; the factor is
    the mean magnitude of the others.
    """

    bounded = False
    SHARE = 0.7

    def __call__(self, w: Any) -> Any:
        """Return factor * ternary weights."""
        whole, kept = self.deployed(w)[0], self._kept(w)
        factor = (w.detach().abs() * kept).sum() / kept.sum().clamp(min=1)
        return straight_through(w, whole * factor)

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return the ternary weights, and no factor: the normalisation behind them absorbs it."""
        return torch.sign(w.detach()) * self._kept(w), None

    def _kept(self, w: Any) -> Any:
        size = w.detach().abs()
        return size > self.SHARE * size.mean()


class GroupedTernary(WeightRule):
    """Ternary weights with a factor for every group of input channels (arXiv:1705.01462).

    In a group of N input channels, at one place of the kernel, the k largest magnitudes are kept,
    with the k for which alpha * T is closest to the weights: alpha is their mean, and k maximises
    sum**2 / k. So that the sum of all groups is whole, the factors of an output are rounded to 0 to
    `most` times a unit, which is its largest factor over `most`.

    Parameters
    ----------
    group : int
        Input channels that share a factor.
    most : int
        Largest factor in units.
    shared : bool
        Whether the whole layer has one unit.
    """

    bounded = False

    def __init__(self, group: int = 4, most: int = 7, shared: bool = False) -> None:
        self.group, self.most, self.shared = group, most, shared

    def __call__(self, w: Any) -> Any:
        """Return the weights with their rounded factors."""
        whole, unit = self._whole(w)
        return straight_through(w, whole * unit.reshape(-1, *[1] * (w.ndim - 1)))

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return factors in units times ternary weights; the normalisation absorbs the units."""
        return self._whole(w)[0], None

    def _whole(self, w: Any) -> tuple[Any, Any]:
        """Return the whole weights, and the unit of each output."""
        w = w.detach()
        channels_last = w.movedim(1, -1)
        short = -channels_last.shape[-1] % self.group
        padded = torch.nn.functional.pad(channels_last, (0, short))
        groups = padded.reshape(*padded.shape[:-1], -1, self.group)
        size, order = groups.abs().sort(-1, descending=True)
        sums = size.cumsum(-1)
        counts = torch.arange(1, self.group + 1)
        best = (sums.square() / counts).argmax(-1, keepdim=True)
        alpha = sums.gather(-1, best) / (best + 1)
        rank = order.argsort(-1)
        ternary = torch.sign(groups) * (rank <= best)
        unit = alpha.flatten(1).amax(1) / self.most
        if self.shared:
            unit = unit.max().expand(unit.shape)
        shaped = unit.clamp(min=1e-12).reshape(-1, *[1] * (groups.ndim - 1))
        whole = (ternary * (alpha / shaped).round()).reshape(padded.shape)
        return whole[..., : channels_last.shape[-1]].movedim(-1, 1).contiguous(), unit


class DorefaWeights(WeightRule):
    """Weights of 1 or 2 bits as DoReFa-Net has them (arXiv:1606.06160, section 2.3).

    One bit is the sign, times the layer's mean magnitude. k bits are
    ``2 * round((2**k - 1) * (tanh(w) / (2 * max(abs(tanh(w)))) + 1/2)) / (2**k - 1) - 1``.

    Parameters
    ----------
    bits : int
        Bits of a weight.
    """

    bounded = False

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __call__(self, w: Any) -> Any:
        """Return the quantised weights; the gradient passes the rounding and goes through tanh."""
        if self.bits == 1:
            return straight_through(w, binary(w) * w.detach().abs().mean())
        steps = 2**self.bits - 1
        shape = torch.tanh(w)
        shape = shape / shape.detach().abs().max()
        return straight_through(shape, self.deployed(w)[0] / steps)

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return odd whole numbers from -(2**bits - 1) to 2**bits - 1."""
        if self.bits == 1:
            return binary(w), None
        steps = 2**self.bits - 1
        shape = torch.tanh(w.detach())
        return 2 * (steps * (shape / (2 * shape.abs().max()) + 0.5)).round() - steps, None


class RealFirst(WeightRule):
    """Another rule from the second of two steps on; in the first, the real weights.

    What is deployed is the other rule's at any time.

    Parameters
    ----------
    rule : WeightRule
        That of the second step.

    Attributes
    ----------
    real : bool
        Whether the training is in its first step.
    """

    def __init__(self, rule: WeightRule) -> None:
        self.rule, self.real = rule, True
        self.bounded, self.most = rule.bounded, rule.most

    def __call__(self, w: Any) -> Any:
        """Return the weights of the step."""
        return w if self.real else self.rule(w)

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return what the rule of the second step deploys."""
        return self.rule.deployed(w)


class RealWeights(WeightRule):
    """The real weights themselves, for layers that a paper leaves in float."""

    bounded = False

    def __call__(self, w: Any) -> Any:
        """Return the weights."""
        return w

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return the weights, and no factor; they need fixed point in hardware."""
        return w.detach(), None
