"""XNOR-Net with the map K: every sum is multiplied by the mean magnitude of what it adds up.

Rastegari et al., arXiv:1603.05279, eq. 11: ``(sign(x) * sign(w)) . K . alpha``, where alpha is the
mean magnitude of the filter, and K a box filter of the size of the kernel over A, the mean of
abs(x) over the channels. For a dense layer K is one number. A block is batch normalisation, the
layer with its sign, and a pool; the first and the last layer are real, as in the paper. Gradients
of the sign and of the weights are those of the recipe without K; they pass K, too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.topology import steps
from xnorflow.train.torch_layers import (
    Centred,
    MaxPooling,
    Norm,
    Signs,
    WeightLayer,
    WritableLayer,
)
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import RealWeights, ScaledSigns


class MagnitudeScaled(WritableLayer):
    """The sign of its input, a binary layer, and the product with K.

    Parameters
    ----------
    shape : tuple of int
        Of the weights, as for `WeightLayer`.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.signs, self.weights = Signs(), WeightLayer(shape, ScaledSigns())
        self.kernel = shape[-1] if len(shape) == 4 else 0

    def forward(self, x: Any) -> Any:
        """Return scaled sums."""
        if not self.kernel:
            x = x.flatten(1)
        means = x.abs().mean(1, keepdim=True)
        if self.kernel:
            means = functional.avg_pool2d(means, self.kernel, 1, self.kernel // 2)
        return self.weights(self.signs(x)) * means

    def write(self, file: ChainFile) -> None:
        """Append the signs and their layer, the map K, and the product."""
        if not self.kernel:
            file.flatten()
        start = file.at
        self.signs.write(file)
        self.weights.write(file)
        sums, file.at = file.at, start
        file.add("Abs")
        file.add("ReduceMean", axes=[1], keepdims=1)
        if self.kernel:
            file.average_pool(self.kernel, 1, self.kernel // 2)
        file.join("Mul", sums)


def start(task: Task) -> Training:
    """Build the untrained network."""
    layers: list[nn.Module] = [Centred(task.data.most)]
    first, *middle, last = steps(task.net, task.data.frame, task.data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        for step in (first, *middle):
            shape = (step.outputs, step.inputs, *[step.kernel] * (2 * (step.kind == "conv")))
            real = step is first
            layers.append(WeightLayer(shape, RealWeights()) if real else MagnitudeScaled(shape))
            if step.pool > 1:
                layers.append(MaxPooling(step.pool))
            layers.append(Norm(step.outputs))
        layers += [Signs(), WeightLayer((last.outputs, last.inputs), RealWeights())]
        layers.append(Norm(last.outputs))
    return GradientTraining(task, nn.Sequential(*layers), loss=functional.cross_entropy)
