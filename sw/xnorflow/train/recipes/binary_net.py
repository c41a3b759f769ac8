"""BinaryNet: binary weights and activations, and samples of 8 bits at the input.

Courbariaux, Hubara et al., arXiv:1602.02830. Weights are the signs of real ones, which take their
gradient and are kept within -1 and 1. Activations are signs, through which the gradient passes
where abs(x) <= 1. The order is that of the published code: convolution padded with true zeros,
max-pool, batch normalisation, sign; the last layer has a batch normalisation and no sign. The first
layer reads 2x - most, the samples around 0, with binary weights.
"""

from __future__ import annotations

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import Signs
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import SignWeights


def start(task: Task) -> Training:
    """Build the untrained network."""
    rule = SignWeights()
    net = network(
        task, rule=lambda first, last: rule, activation=Signs, pool_first=True, factors=True
    )
    return GradientTraining(task, net)
