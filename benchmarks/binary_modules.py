"""Networks for PyTorch with binary middles and real ends, which `fixed_point` trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

Trainable = tuple[nn.Sequential, float, float]
"""A network, and the divisor and the mean of its samples."""


class Through(torch.autograd.Function):
    """Signs whose gradient passes where the value is between -1 and +1."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Return -1 or +1; zero becomes +1."""
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Return the gradient where it passes."""
        return grad * (ctx.saved_tensors[0].abs() <= 1)


class Sign(nn.Module):
    """The signs of activations."""

    def forward(self, x: Any) -> Any:
        """Return -1 or +1, in a file as a comparison."""
        if torch.onnx.is_in_onnx_export():
            return torch.where(x >= 0, torch.tensor(1.0), torch.tensor(-1.0))
        return Through.apply(x)


class Signs(nn.Module):
    """The signs of weights; with `alpha` times mean|w| of their filter."""

    def __init__(self, alpha: bool) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, w: Any) -> Any:
        """Return the weights that the layer computes with."""
        scale = w.abs().flatten(1).mean(1) if self.alpha else torch.ones(len(w))
        return Through.apply(w) * scale.detach().reshape(-1, *[1] * (w.dim() - 1))


def binary(layer: nn.Module, *, alpha: bool) -> nn.Module:
    """Let a layer compute with the signs of its weights; see `Signs`."""
    return parametrize.register_parametrization(layer, "weight", Signs(alpha))


def with_plain_weights(model: nn.Sequential) -> nn.Sequential:
    """Make the signs the weights themselves, in place, and return the network."""
    for module in model:
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return model


class Scaled(nn.Module):
    """A network that takes samples from 0 to 1."""

    def __init__(self, layers: nn.Module, spread: float, mean: float) -> None:
        super().__init__()
        self.layers, self.spread, self.mean = layers, spread, mean

    def forward(self, x: Any) -> Any:
        """Normalise the samples, and compute the scores."""
        return self.layers((x - self.mean) / self.spread)


def lenet() -> Trainable:
    """Build LeNet as XNOR-Net has it."""
    layers = [
        nn.Conv2d(1, 20, 5),
        nn.BatchNorm2d(20, eps=1e-4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(20, eps=1e-4),
        Sign(),
        binary(nn.Conv2d(20, 50, 5, bias=False), alpha=True),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(50, eps=1e-4),
        Sign(),
        nn.Flatten(),
        binary(nn.Linear(800, 500, bias=False), alpha=True),
        nn.ReLU(),
        nn.Linear(500, 10),
    ]
    return nn.Sequential(*layers), 0.3081, 0.1307


def larq() -> Trainable:
    """Build binary convolutions, the first of real samples, and a real dense layer."""

    def conv(inputs: int, outputs: int) -> nn.Module:
        return binary(nn.Conv2d(inputs, outputs, 3, bias=False), alpha=False)

    layers = [conv(1, 32), nn.MaxPool2d(2), nn.BatchNorm2d(32, eps=1e-3), Sign()]
    layers += [conv(32, 64), nn.MaxPool2d(2), nn.BatchNorm2d(64, eps=1e-3), Sign()]
    layers += [conv(64, 64), nn.BatchNorm2d(64, eps=1e-3)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, 10)), 0.5, 0.5


TRAINED = {"lenet_xnor": lenet, "larq_float_end": larq}
"""The networks by name."""
