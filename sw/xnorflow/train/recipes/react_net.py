"""ReActNet: signs and rectifiers with learned shifts, trained after a real network.

Liu et al., arXiv:2003.03488. RSign is ``sign(x + a)`` (eq. 2), RPReLU a PReLU between two shifts
(eq. 3), all learned per channel. A block is

    y = rprelu(x + norm(conv3x3(rsign(x))))        z = rprelu(y + norm(conv1x1(rsign(y))))

where a stage halves the map, the first shortcut is a mean over 2 x 2 pixels, and its second half is
done twice side by side, which doubles the channels. Weights and their gradients are those of
Bi-Real Net. The stem and the last layer are real.

The loss is the cross-entropy of the scores against those of a real network, both after the softmax
(the distributional loss, eq. 5); it has a third of the epochs here, and the same layers without
signs, where the paper takes a trained ResNet-34. The second third has binary activations and real
weights, the last third binary weights that start from them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.residual_layers import (
    ApproxSigns,
    Beside,
    MeanPooling,
    MeanScores,
    Residual,
    Shift,
    Way,
    shifted_rectifier,
)
from xnorflow.train.stages import BlockStage, stages
from xnorflow.train.torch_layers import Centred, Norm, WeightLayer
from xnorflow.train.training import Epoch, Task, Training
from xnorflow.train.two_steps import TwoSteps
from xnorflow.train.weight_rules import MagnitudeSigns, RealFirst, RealWeights

TEACHER = "teacher."
"""What the names of the real network's arrays begin with in a checkpoint."""


def way(channels: int, size: int, stride: int, real: bool) -> Way:
    """Build RSign, a convolution and its normalisation; a real one has no sign."""
    shape = (channels, channels, size, size)
    if real:
        return Way(WeightLayer(shape, RealWeights(), stride=stride), Norm(channels))
    conv = WeightLayer(shape, RealFirst(MagnitudeSigns()), stride=stride)
    return Way(Shift(channels), ApproxSigns(), conv, Norm(channels))


def block(inputs: int, outputs: int, real: bool) -> Way:
    """Build a block; one that doubles the channels halves rows and columns."""
    grows = inputs != outputs
    shortcut = Way(MeanPooling(2)) if grows else None
    first = Residual(way(inputs, 3, 2 if grows else 1, real), shortcut)
    seconds = [Residual(way(inputs, 1, 1, real)) for _ in range(2 if grows else 1)]
    second = Beside(*seconds) if grows else seconds[0]
    return Way(first, shifted_rectifier(inputs), second, shifted_rectifier(outputs))


def network(task: Task, planned: tuple[BlockStage, ...], real: bool) -> Any:
    """Build all layers, with signs or without."""
    data, width = task.data, planned[0].width
    stem = WeightLayer((width, data.frame[0], 3, 3), RealWeights())
    layers: list[nn.Module] = [Centred(data.most), stem, Norm(width)]
    for stage in planned:
        layers += [block(inputs, stage.width, real) for inputs in stage.block_inputs()]
    return nn.Sequential(*layers, MeanScores(planned[-1].width, data.classes))


class AfterTeacher(TwoSteps):
    """A real network first, for a third of the epochs, then the two steps of the binary one."""

    def __init__(self, task: Task, net: Any, teacher: Any) -> None:
        """Move the data to tensors."""
        self.taught = task.epochs // 3
        super().__init__(replace(task, epochs=task.epochs - self.taught), net)
        self.teacher = GradientTraining(
            replace(task, epochs=self.taught), teacher, loss=functional.cross_entropy
        )
        self.wanted: Any = None

    def epoch(self, number: int) -> Epoch:
        """Go over the images with the real network, or with the binary one."""
        if number < self.taught:
            return self.teacher.epoch(number)
        if self.task.shift:
            self.wanted = None
        return super().epoch(number - self.taught)

    def loss_of(self, scores: Any, chosen: Any) -> Any:
        """Compute the distributional loss; that of the labels if there is no epoch to teach."""
        if not self.taught:
            return functional.cross_entropy(scores, self.labels[chosen])
        if self.wanted is None:
            net = self.teacher.net.eval()
            with torch.no_grad():
                made = [net(part) for part in self.seen.split(self.batch)]
            self.wanted = torch.cat(made).softmax(1)
        return functional.cross_entropy(scores, self.wanted[chosen])

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the tensors of both networks, by name."""
        teacher = {TEACHER + k: v for k, v in self.teacher.state().items()}
        return super().state() | teacher

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        teacher = {k[len(TEACHER) :]: v for k, v in state.items() if k.startswith(TEACHER)}
        super().restore({k: v for k, v in state.items() if not k.startswith(TEACHER)})
        self.teacher.restore(teacher)
        self.wanted = None

    def notes(self) -> tuple[str, ...]:
        """Return the accuracy of the real network."""
        if not self.taught:
            return ("there was no epoch for a real network to learn from",)
        data = self.task.data
        with torch.no_grad():
            scores = self.teacher.net.eval()(torch.from_numpy(data.x_test.astype(np.float32)))
        right = float((scores.argmax(1).numpy() == data.y_test).mean())
        return (f"the real network that it learned from has {right:.2%} of the test images right",)


def start(task: Task) -> Training:
    """Build the untrained networks."""
    planned = stages(task.net, task.data.frame, doubles=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        net, teacher = network(task, planned, False), network(task, planned, True)
    return AfterTeacher(task, net, teacher)
