"""XNOR-Net without the map K: binary weights with a factor per filter, binary activations.

Rastegari et al., arXiv:1603.05279. A block is batch normalisation, sign, convolution, pool; a
filter is ``alpha * sign(w)`` with alpha its mean magnitude. The paper also multiplies every sum by
K, the mean magnitude of the inputs under the kernel; the published code leaves K out, and so does
this. The loss is the cross-entropy.

The paper keeps the first and the last layer in float, which is the variant "float-ends": such a
file needs fixed point. In the other, all weights are binary, and the first layer reads samples of 8
bits.
"""

from __future__ import annotations

from torch.nn import functional

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import Signs
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import RealWeights, ScaledSigns, WeightRule


def start(task: Task) -> Training:
    """Build the untrained network."""

    def rule(first: bool, last: bool) -> WeightRule:
        if task.variant == "float-ends" and (first or last):
            return RealWeights()
        return ScaledSigns(shared=last)

    # From layer to layer, norm - sign - convolution - pool is the order of BinaryNet, one step on.
    # Behind real weights, whole offsets would be too coarse.
    factors = task.variant == "float-ends"
    net = network(task, rule=rule, activation=Signs, pool_first=True, factors=factors)
    return GradientTraining(task, net, loss=functional.cross_entropy)
