"""Chains of layers for PyTorch, in the orders that the papers put them.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from xnorflow.train.topology import steps
from xnorflow.train.torch_layers import Centred, MaxPooling, Norm, ScoreNorm, WeightLayer
from xnorflow.train.training import Task
from xnorflow.train.weight_rules import WeightRule


def network(
    task: Task,
    *,
    rule: Callable[[bool, bool], WeightRule],
    activation: Callable[[], nn.Module],
    pool_first: bool,
    factors: bool = False,
    centred: bool = True,
) -> Any:
    """Build a chain of layer, normalisation and activation; the last has no activation.

    Parameters
    ----------
    task : Task
        Layers, data and the seed of the first weights.
    rule : callable
        Takes whether a layer is the first and whether it is the last, and makes the rule for its
        weights.
    activation : callable
        Makes what stands between the layers.
    pool_first : bool
        Whether a pool stands right behind its convolution, as in BinaryNet, or behind the
        activation.
    factors : bool
        Whether every class has a factor of its own at the end, by batch normalisation, or all share
        one.
    centred : bool
        Whether samples are shifted to lie around 0, or enter the first layer as they are.

    Returns
    -------
    torch.nn.Sequential
        The untrained network. It takes float32 [frames, channels, rows, columns] and returns scores
        [frames, classes].
    """
    layers: list[nn.Module] = [Centred(task.data.most)] if centred else []
    planned = steps(task.net, task.data.frame, task.data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        for i, step in enumerate(planned):
            last = i == len(planned) - 1
            square = (step.kernel, step.kernel) if step.kind == "conv" else ()
            layers.append(WeightLayer((step.outputs, step.inputs, *square), rule(i == 0, last)))
            if last:
                layers.append(Norm(step.outputs) if factors else ScoreNorm(step.outputs))
                break
            pool = [MaxPooling(step.pool)] if step.pool > 1 else []
            between = [Norm(step.outputs), activation()]
            layers += [*pool, *between] if pool_first else [*between, *pool]
    return nn.Sequential(*layers)
