"""FracBNN: activations of two bits, the lower computed only where the upper asks for it.

Zhang et al., arXiv:2012.12206, and the code published with it. A sample becomes signs of
comparisons (thermometer), so the first convolution is binary, too. An activation is
``round((clip(x, -1, 1) + 1) * 3 / 2)``, 0 to 3, which stands for -3, -1, 1, 3 thirds: twice the
sign of its upper bit and the sign of its lower. A convolution adds up the upper bits; where that
exceeds a learned threshold of its channel, the sum of the lower bits is added. A block is

    x = norm(rprelu(norm(conv(x))) + shortcut(x))

twice, where a shortcut that halves the map is a mean over 2 x 2 pixels, twice side by side. The
last layer is real. Gradients pass an activation where abs(x) < 1, the sign of a weight up to 1.3,
and through the gate by a sigmoid where it is open. The loss is the cross-entropy, and a penalty
that draws the thresholds to `TARGET`. The first half of the epochs has real weights.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.residual_layers import (
    Beside,
    MeanPooling,
    MeanScores,
    Residual,
    Way,
    shifted_rectifier,
)
from xnorflow.train.stages import stages
from xnorflow.train.torch_layers import Norm, WeightLayer, WritableLayer
from xnorflow.train.training import Task, Training
from xnorflow.train.two_steps import TwoSteps
from xnorflow.train.weight_rules import ClippedSigns, RealFirst, binary, straight_through

LEVELS = 32
"""Most comparisons of a sample."""
CLIP = 1.3
"""Largest magnitude of a weight through whose sign the gradient passes."""
FIRST_THRESHOLD = -1.0
"""Threshold that every gate starts with."""
STEEPNESS = 5.0
"""Factor ahead of the sigmoid of a gate."""
TARGET, PULL = 0.0, 1e-5
"""What the penalty draws the thresholds to, and its factor."""


class Thermometer(WritableLayer):
    """Each sample as signs of comparisons with evenly spaced levels.

    Parameters
    ----------
    channels, most : int
        Channels of a frame, and the largest sample.
    """

    def __init__(self, channels: int, most: int) -> None:
        super().__init__()
        self.levels = min(LEVELS, most)
        step = most / self.levels
        # In the middle of a step, and between two samples.
        bounds = torch.tensor([ceil(step * (k + 0.5)) - 0.5 for k in range(self.levels)])
        self.register_buffer("bounds", bounds.repeat_interleave(channels))

    def forward(self, x: Any) -> Any:
        """Return signs [frames, levels * channels, rows, columns]."""
        return binary(torch.cat([x] * self.levels, 1) - self.bounds[:, None, None])

    def write(self, file: ChainFile) -> None:
        """Append the comparisons."""
        file.join("Concat", *[file.at] * (self.levels - 1), axis=1)
        file.compare(self.bounds.numpy()[:, None, None], 1.0, -1.0)


class GatedConv(WritableLayer):
    """A convolution of activations of two bits with a gate for the lower bits.

    Parameters
    ----------
    inputs, outputs, stride : int
        Channels, and the stride of the kernel of 3 x 3.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        rule = RealFirst(ClippedSigns(CLIP, bounded=False))
        self.conv = WeightLayer((outputs, inputs, 3, 3), rule, stride=stride)
        self.threshold = nn.Parameter(torch.full((outputs,), FIRST_THRESHOLD))

    def forward(self, x: Any) -> Any:
        """Return sums of odd numbers -3 to 3, or of -2 and 2 alone where the gate is shut."""
        codes = straight_through(x.clamp(-1, 1) * 3, _codes(x))
        upper = 2 * straight_through(x.clamp(-1, 1), binary(x))
        first, both = self.conv(upper), self.conv(codes)
        gate = torch.sigmoid(STEEPNESS * (first / 3 - self.threshold[:, None, None]))
        gate = straight_through(gate * (gate >= 0.5), (first > self.bounds()).to(x.dtype))
        return first + gate * (both - first)

    def bounds(self) -> Any:
        """Return what the sum of the upper bits is compared with, [channels, 1, 1]."""
        return (3 * self.threshold.detach())[:, None, None]

    def penalty(self) -> Any:
        """Return the penalty for thresholds far from `TARGET`."""
        return PULL / 2 * (self.threshold - TARGET).square().sum()

    def write(self, file: ChainFile) -> None:
        """Append the codes, both convolutions and the gate."""
        file.per_channel("Mul", 1.5)
        file.per_channel("Add", 1.5)
        file.stepped(1, 0, 3)
        file.per_channel("Mul", 2)
        file.per_channel("Sub", 3)
        codes = file.at
        file.sign()
        file.per_channel("Mul", 2)
        upper = file.at
        self.conv.write(file)
        first = file.at
        file.add("Greater", self.bounds().numpy())
        file.add("Cast", to=1)
        gate, file.at = file.at, codes
        file.join("Sub", upper)
        self.conv.write(file)
        file.join("Mul", gate)
        file.join("Add", first)


def _codes(x: Any) -> Any:
    return 2 * (x.clamp(-1, 1) * 1.5 + 1.5).round() - 3


def unit(inputs: int, outputs: int) -> Way:
    """Build a gated convolution with its shortcut; one that doubles the channels halves the map."""
    grows = inputs != outputs
    way = Way(
        GatedConv(inputs, outputs, 2 if grows else 1), Norm(outputs), shifted_rectifier(outputs)
    )
    shortcut = Way(Beside(MeanPooling(2), MeanPooling(2))) if grows else None
    return Way(Residual(way, shortcut), Norm(outputs))


class GatedTraining(TwoSteps):
    """The two steps, with a penalty on the thresholds of the gates."""

    def loss_of(self, scores: Any, chosen: Any) -> Any:
        """Compute the loss with the penalties."""
        return super().loss_of(scores, chosen) + sum(g.penalty() for g in self.gates())

    def gates(self) -> list[GatedConv]:
        """Return the gated convolutions."""
        return [m for m in self.net.modules() if isinstance(m, GatedConv)]

    def notes(self) -> tuple[str, ...]:
        """Return how often the gates are open on the test images."""
        opened: list[float] = []

        def watch(gated: Any, inputs: tuple[Any, ...], _: Any) -> None:
            first = gated.conv(2 * binary(inputs[0]))
            opened.append(float((first > gated.bounds()).float().mean()))

        net = self.settled()
        for module in net.modules():
            if isinstance(module, GatedConv):
                module.register_forward_hook(watch)
        with torch.no_grad():
            for part in torch.from_numpy(self.task.data.x_test).float().split(self.batch):
                net(part)
        share = sum(opened) / len(opened)
        return (f"{share:.0%} of the gates are open: an activation has {1 + share:.2f} bits",)


def start(task: Task) -> Training:
    """Build the untrained network."""
    data = task.data
    planned = stages(task.net, data.frame, doubles=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        width, thermometer = planned[0].width, Thermometer(data.frame[0], data.most)
        rule = RealFirst(ClippedSigns(CLIP, bounded=False))
        first = WeightLayer((width, len(thermometer.bounds), 3, 3), rule)
        layers: list[nn.Module] = [thermometer, first, Norm(width)]
        for stage in planned:
            for inputs in stage.block_inputs():
                layers += [unit(inputs, stage.width), unit(stage.width, stage.width)]
        layers.append(MeanScores(planned[-1].width, data.classes))
    return GatedTraining(task, nn.Sequential(*layers), loss=functional.cross_entropy)
