"""QuickNet: binary convolutions with shortcuts, and real ones of 1 x 1 between the stages.

Bannink et al., arXiv:2011.09398, and the code published with it (Larq Zoo, version 1). A block is
``x + norm(relu(conv(sign(x))))``, its convolution padded with +1; weights and activations are
signs, through which the gradient passes up to a magnitude of 1.25, where the real weights are kept.
Between stages stand ReLU, a max-pool of 2 x 2 with stride 1, a fixed blur with stride 2, a real
convolution of 1 x 1 and a normalisation. The stem is a real convolution to a quarter of the
channels, ReLU, a depthwise convolution and one of 1 x 1. It has strides of 2 for pictures of 224 x
224; here its depthwise one has, for pictures from 16 x 16. The loss is the cross-entropy.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from xnorflow.errors import BadInput
from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.residual_layers import (
    Blur,
    MeanScores,
    OnePadding,
    Rectifier,
    Residual,
    Way,
)
from xnorflow.train.stages import stages
from xnorflow.train.torch_layers import Centred, MaxPooling, Norm, Signs, WeightLayer
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import ClippedSigns, RealWeights

BOUND = 1.25
"""Largest magnitude of a real weight, and the largest through whose sign the gradient passes."""
LARGE = 16
"""Rows and columns from which the stem halves a picture."""


def block(width: int) -> Residual:
    """Build a binary convolution of 3 x 3 with its shortcut."""
    conv = WeightLayer((width, width, 3, 3), ClippedSigns(BOUND, bounded=True), pad=0)
    return Residual(Way(Signs(BOUND), OnePadding(), conv, Rectifier(), Norm(width)))


def transition(inputs: int, outputs: int) -> Way:
    """Build what halves a map between two stages."""
    real = WeightLayer((outputs, inputs, 1, 1), RealWeights())
    return Way(Rectifier(), MaxPooling(2, 1), Blur(inputs), real, Norm(outputs))


def stem(channels: int, width: int, stride: int) -> Way:
    """Build the real layers in front of the first stage."""
    narrow, real = width // 4, RealWeights()
    return Way(
        WeightLayer((narrow, channels, 3, 3), real),
        Norm(narrow),
        Rectifier(),
        WeightLayer((narrow, 1, 3, 3), real, stride=stride, groups=narrow),
        Norm(narrow),
        WeightLayer((width, narrow, 1, 1), real),
        Norm(width),
    )


def start(task: Task) -> Training:
    """Build the untrained network."""
    channels, height, columns = task.data.frame
    stride = 2 if min(height, columns) >= LARGE else 1
    seen = (channels, -(-height // stride), -(-columns // stride))
    planned = stages(task.net, seen)
    if planned[0].width % 4:
        raise BadInput(f"--net {task.net}: the first stage needs a multiple of 4 channels")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        layers: list[nn.Module] = [
            Centred(task.data.most),
            stem(channels, planned[0].width, stride),
        ]
        for number, stage in enumerate(planned):
            if number:
                layers.append(transition(stage.inputs, stage.width))
            layers += [block(stage.width) for _ in range(stage.blocks)]
        layers += [Rectifier(), MeanScores(planned[-1].width, task.data.classes)]
    return GradientTraining(task, nn.Sequential(*layers), loss=functional.cross_entropy)
