"""BinaryConnect and Binary-Weight-Networks: binary weights, activations of 4 bits.

Each layer computes ``y = sum of w_b * x``, with weights w_b that are made of real ones for every
batch, and the real ones take the gradient of w_b: Courbariaux et al., arXiv:1511.00363, algorithm
1. Then comes batch normalisation, and a rectifier in 15 steps of 1/4, as hardware has whole numbers
where the paper has floats. The real weights are kept within -1 and 1, and are gone at inference:
the test accuracy is that of their signs, also for the stochastic variant, for which the paper tests
with real ones.

With the variant "alpha" a filter is ``alpha * sign(w)``, alpha the mean magnitude: Rastegari et
al., arXiv:1603.05279, section 3.1.
"""

from __future__ import annotations

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import Stepped
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import DrawnWeights, ScaledSigns, SignWeights, WeightRule

STEPS = 4
"""Codes of an activation per standard deviation of what it is made of."""
MOST = 15
"""Largest code of an activation."""

RATE, DRAWN_RATE = 0.01, 0.1
"""Learning rates of Adam. Drawn weights settle only when the real ones have come near -1 and 1."""


def start(task: Task) -> Training:
    """Build the untrained network."""

    def rule(first: bool, last: bool) -> WeightRule:
        match task.variant:
            case "":
                return SignWeights()
            case "stochastic":
                return DrawnWeights()
            case "alpha":
                return ScaledSigns(shared=last)
            case _:
                raise TypeError(f"no variant {task.variant!r}")

    net = network(task, rule=rule, activation=lambda: Stepped(STEPS, MOST), pool_first=False)
    return GradientTraining(task, net, rate=DRAWN_RATE if task.variant == "stochastic" else RATE)
