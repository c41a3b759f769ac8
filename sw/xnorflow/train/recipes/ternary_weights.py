"""Ternary weights: one factor per layer, or one per group of input channels.

Li, Liu, arXiv:1605.04711: a weight is -1, 0 or +1; the layer has one factor, which the batch
normalisation behind it absorbs. Activations are rectified, here in 15 steps of 1/4.

With the variant "groups" it is the fine-grained quantisation of Mellempudi et al.,
arXiv:1705.01462, with groups of 4 input channels and activations of 8 bits ("8-2"). The paper
quantises a trained network and then fine-tunes; here it is trained in that form from the start. The
file has the product of factor and ternary weight as one weight of 4 bits, -7 to 7.
"""

from __future__ import annotations

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import Stepped
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import GroupedTernary, TernaryWeights, WeightRule


def start(task: Task) -> Training:
    """Build the untrained network."""
    groups = task.variant == "groups"
    # Codes per standard deviation, and the largest code.
    factor, most = (64, 255) if groups else (4, 15)

    def rule(first: bool, last: bool) -> WeightRule:
        return GroupedTernary(shared=last) if groups else TernaryWeights()

    net = network(task, rule=rule, activation=lambda: Stepped(factor, most), pool_first=False)
    return GradientTraining(task, net, rate=0.003)
