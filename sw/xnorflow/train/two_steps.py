"""Training in two steps: with real weights first, then with binary ones that start from them.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.torch_layers import WeightLayer
from xnorflow.train.weight_rules import RealFirst


class TwoSteps(GradientTraining):
    """Half of the epochs with real weights, the others with binary ones.

    The layers with a rule of `xnorflow.train.weight_rules.RealFirst` change; the second step has at
    least one epoch. The learning rate begins anew.
    """

    def phase(self, number: int) -> tuple[int, int]:
        """Enter a step."""
        real = self.task.epochs // 2
        self.enter(real=number < real)
        return (number, real) if number < real else (number - real, self.task.epochs - real)

    def enter(self, *, real: bool) -> None:
        """Let all layers compute with their real weights, or with those of their rules."""
        for layer in self.net.modules():
            if isinstance(layer, WeightLayer) and isinstance(layer.rule, RealFirst):
                layer.rule.real = real
