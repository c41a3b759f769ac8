"""Bitwise neural networks: inputs, weights, biases and activations are all -1 or +1.

Kim, Smaragdis, arXiv:1601.06071. A neuron is ``sign(b + sum(w * z))`` with a bias of one bit and no
normalisation; some weights are switched off, which hardware has as a mask. There are two phases of
half the epochs each:

1. real weights, compressed: tanh(w), tanh(b), and tanh as the activation;
2. from those weights on, the forward pass has signs everywhere, the share `SPARSITY` of each
   layer's smallest weights is 0, and the real weights take the gradient of the binary ones; a sign
   passes the gradient of tanh.

In both phases a sum is divided by the root of its inputs before tanh, which changes no sign.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.topology import hidden_widths
from xnorflow.train.torch_layers import BinarySamples, WritableLayer
from xnorflow.train.training import Epoch, Task, Training
from xnorflow.train.weight_rules import binary, straight_through

SPARSITY = 0.1
"""Share of the weights of a layer that are switched off."""


class BitwiseDense(WritableLayer):
    """A dense layer of one of the phases, with its activation.

    Parameters
    ----------
    inputs, outputs : int
        Features before and after it.
    last : bool
        Whether it ends in scores rather than activations.
    """

    def __init__(self, inputs: int, outputs: int, last: bool) -> None:
        super().__init__()
        self.last, self.bits = last, False
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Any) -> Any:
        """Return activations, or for the last layer the sums over the root of the inputs."""
        x = x.flatten(1)
        root = x.shape[1] ** 0.5
        if not self.bits:
            a = functional.linear(x, torch.tanh(self.weight), torch.tanh(self.bias)) / root
            return a if self.last else torch.tanh(a)
        weights = straight_through(self.weight, self.masked())
        a = functional.linear(x, weights, straight_through(self.bias, binary(self.bias))) / root
        if self.last:
            return a
        smooth = torch.tanh(a)
        return straight_through(smooth, binary(a))

    def masked(self) -> Any:
        """Return the signs of the weights, and 0 for the smallest."""
        size = self.weight.detach().abs()
        rank = 1 + int(SPARSITY * (size.numel() - 1))
        return binary(self.weight.detach()) * (size > size.flatten().kthvalue(rank).values)

    def write(self, file: ChainFile) -> None:
        """Append the layer of bits, and the sign behind it."""
        file.dense(self.masked().numpy(), binary(self.bias.detach()).numpy())
        if not self.last:
            file.sign()


class TwoPhases(GradientTraining):
    """The two phases, half of the epochs each; the second has at least one."""

    def epoch(self, number: int) -> Epoch:
        """Go over the images in the phase that the number of the epoch says."""
        for layer in self.layers():
            layer.bits = number >= self.task.epochs // 2
        return super().epoch(number)

    def write(self, file: ChainFile) -> None:
        """Append the network of bits."""
        for layer in self.net:
            layer.write(file)

    def notes(self) -> tuple[str, ...]:
        """Return the share of weights that are switched off."""
        kept = [(layer.masked() != 0).float().mean().item() for layer in self.layers()]
        return (f"{1 - sum(kept) / len(kept):.1%} of the weights of a layer are switched off",)

    def layers(self) -> list[BitwiseDense]:
        """Return the dense layers."""
        return [layer for layer in self.net if isinstance(layer, BitwiseDense)]


def start(task: Task) -> Training:
    """Build the untrained network."""
    data = task.data
    channels, height, width = data.frame
    sizes = (channels * height * width, *hidden_widths(task.net, "bitwise"), data.classes)
    layers: list[nn.Module] = [BinarySamples(data.most)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layers.append(BitwiseDense(inputs, outputs, i == len(sizes) - 2))
    return TwoPhases(task, nn.Sequential(*layers), loss=functional.cross_entropy, rate=0.03)
