"""Bi-Real Net: every binary convolution has a shortcut, so that real values go through.

Liu et al., arXiv:1808.00278. A block is ``x + norm(conv(sign(x)))``; where a stage halves the map,
the shortcut is a mean over 2 x 2 pixels, a real convolution of 1 x 1 and a normalisation. The stem,
that convolution and the last layer are real. The sign of activations passes the gradient
``2 - 2 * abs(x)`` where abs(x) < 1 (section 3.3, the derivative of ApproxSign); weights are
``mean(abs(w)) * sign(w)`` of their filter, whose magnitude is a constant for the gradient. The loss
is the cross-entropy.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.residual_layers import ApproxSigns, MeanPooling, MeanScores, Residual, Way
from xnorflow.train.stages import stages
from xnorflow.train.torch_layers import Centred, Norm, WeightLayer
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import MagnitudeSigns, RealWeights


def block(inputs: int, outputs: int, stride: int) -> Residual:
    """Build a binary convolution of 3 x 3 with its shortcut."""
    conv = WeightLayer((outputs, inputs, 3, 3), MagnitudeSigns(), stride=stride)
    way = Way(ApproxSigns(), conv, Norm(outputs))
    if stride == 1:
        return Residual(way)
    real = WeightLayer((outputs, inputs, 1, 1), RealWeights())
    return Residual(way, Way(MeanPooling(2), real, Norm(outputs)))


def start(task: Task) -> Training:
    """Build the untrained network."""
    data = task.data
    planned = stages(task.net, data.frame)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        width = planned[0].width
        stem = WeightLayer((width, data.frame[0], 3, 3), RealWeights())
        layers: list[nn.Module] = [Centred(data.most), stem, Norm(width)]
        for number, stage in enumerate(planned):
            for i, inputs in enumerate(stage.block_inputs()):
                layers.append(block(inputs, stage.width, 2 if number and not i else 1))
        layers.append(MeanScores(planned[-1].width, data.classes))
    return GradientTraining(task, nn.Sequential(*layers), loss=functional.cross_entropy)
