"""Chains of layers for PyTorch, in the orders that the papers put them.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from xnorflow.train.topology import steps
from xnorflow.train.torch_layers import Centred, Norm, Pool, Weighted
from xnorflow.train.training import Task
from xnorflow.train.weight_rules import WeightRule


def network(
    task: Task,
    *,
    rule: Callable[[int], WeightRule],
    activation: Callable[[], nn.Module],
    pool_first: bool,
    first: nn.Module | None = None,
) -> Any:
    """Build a chain: layer, normalisation and activation, over and over; the last has no activation.

    Parameters
    ----------
    task : Task
        Layers, data and the seed of the first weights.
    rule : callable
        Makes the rule for the weights of layer i, counted from 0.
    activation : callable
        Makes what stands between the layers.
    pool_first : bool
        Whether a pool stands right behind its convolution, as in BinaryNet, or behind the
        activation.
    first : nn.Module, optional
        What the samples go through first; `Centred` by default.

    Returns
    -------
    torch.nn.Sequential
        The untrained network. It takes float32 [frames, channels, rows, columns] and returns scores
        [frames, classes].
    """
    layers: list[nn.Module] = [first or Centred(task.data.most)]
    planned = steps(task.net, task.data.frame, task.data.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        for i, step in enumerate(planned):
            square = (step.kernel, step.kernel) if step.kind == "conv" else ()
            layers.append(Weighted((step.outputs, step.inputs, *square), rule(i)))
            pool = [Pool(step.pool)] if step.pool > 1 else []
            between = [Norm(step.outputs)] if i == len(planned) - 1 else [
                Norm(step.outputs), activation()
            ]  # fmt: skip
            layers += [*pool, *between] if pool_first else [*between, *pool]
    return nn.Sequential(*layers)
