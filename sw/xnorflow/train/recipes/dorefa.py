"""DoReFa-Net: weights of 1 or 2 bits, activations of 2 bits.

Zhou et al., arXiv:1606.06160, without its quantised gradients (W-A-32). Activations are ``round(3 *
clip(x, 0, 1)) / 3``, here as the codes 0 to 3, or, for the variant "w1a2-ternary", -1, 0 and +1.
The paper leaves the first and the last layer in float; here all weights have the same bits, and the
first layer reads samples of 8 bits.
"""

from __future__ import annotations

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import Stepped
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import DorefaWeights

FORMS = {"w1a2": (1, 3, 3, 0), "w2a2": (2, 3, 3, 0), "w1a2-ternary": (1, 1, 1, -1)}
"""Per variant: bits of a weight; steps per unit, largest and smallest code of an activation."""


def start(task: Task) -> Training:
    """Build the untrained network."""
    bits, factor, most, least = FORMS[task.variant]
    rule = DorefaWeights(bits)
    net = network(
        task,
        rule=lambda first, last: rule,
        activation=lambda: Stepped(factor, most, least),
        pool_first=False,
    )
    return GradientTraining(task, net, rate=0.003)
