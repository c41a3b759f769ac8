"""Ternary Residual Networks: a trained network whose weights become sums of ternary edges.

Kundu et al., arXiv:1707.04679. The network is trained with real weights and activations of 8 bits.
Then, without further training, each group of input channels is written as
``W = sum over i of alpha_i * T_i`` with ternary T_i: the closest ternary weights with their factor,
then those of what remains, and so on. A layer gets as few edges as keep the norm of what remains
within a share of its weights' norm, which bounds how far its sums can be off: so sensitive layers
get more.

So that all sums are whole, the factors of an output are rounded to 0 to `MOST` times a unit, its
largest first factor over `MOST`; each edge starts from what the rounded ones before it leave.

The file has a layer for every edge, and adds what they make.
"""

from __future__ import annotations

from typing import Any

import torch

from xnorflow.train.gradient_training import GradientTraining
from xnorflow.train.topology import steps
from xnorflow.train.torch_layers import Stepped, WeightLayer
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Task, Training
from xnorflow.train.weight_rules import WeightRule, closest_ternary

GROUP = 16
"""Input channels that share a factor; those of a flat input are grouped pixel by pixel."""
MOST = 31
"""Largest factor in units: 5 bits."""
MOST_EDGES = 4
"""Most edges of a layer."""
LEFT = 1 / 12
"""Largest share of a layer's norm that may remain."""


class TernaryResidual(WeightRule):
    """Real weights while training; for good, whole numbers that are a sum of ternary edges.

    Parameters
    ----------
    pixels : int
        Pixels of each channel, of a dense layer that reads maps.
    shared : bool
        Whether the whole layer has one unit.
    """

    bounded = False

    def __init__(self, pixels: int = 1, shared: bool = False) -> None:
        self.pixels, self.shared = pixels, shared

    def __call__(self, w: Any) -> Any:
        """Return the real weights."""
        return w

    def deployed(self, w: Any) -> tuple[Any, Any]:
        """Return the sum of all edges, and no factor: the normalisation absorbs the units."""
        return sum(self.edges(w)), None

    def edges(self, w: Any) -> list[Any]:
        """Return the edges, the first of them with the largest factors."""
        found, _ = self.split(w)
        return found

    def split(self, w: Any) -> tuple[list[Any], float]:
        """Return the edges, and the share of the weights' norm that they leave."""
        w = w.detach()
        groups = self._grouped(w)
        _, alpha = closest_ternary(groups)
        unit = alpha.flatten(1).amax(1) / MOST
        if self.shared:
            unit = unit.max().expand(unit.shape)
        unit = unit.clamp(min=1e-12).reshape(-1, *[1] * (groups.ndim - 1))
        found: list[Any] = []
        rest, left = groups / unit, 1.0
        while len(found) < MOST_EDGES and left > LEFT:
            ternary, alpha = closest_ternary(rest)
            edge = ternary * alpha.round()
            if found and not edge.any():
                break
            rest = rest - edge
            found.append(self._like(edge, w))
            left = float((rest * unit).norm() / groups.norm().clamp(min=1e-12))
        return found, left

    def _grouped(self, w: Any) -> Any:
        """Return the weights as [outputs, ..., groups, GROUP], filled up with zeros."""
        if w.ndim == 2:
            w = w.reshape(len(w), -1, self.pixels)
        last = w.movedim(1, -1)
        padded = torch.nn.functional.pad(last, (0, -last.shape[-1] % GROUP))
        return padded.reshape(*padded.shape[:-1], -1, GROUP)

    def _like(self, groups: Any, w: Any) -> Any:
        """Return groups in the shape of the weights that they came from."""
        channels = w.shape[1] // self.pixels if w.ndim == 2 else w.shape[1]
        flat = groups.flatten(-2)[..., :channels].movedim(-1, 1)
        return flat.reshape(w.shape).contiguous()


class ResidualTraining(GradientTraining):
    """A training that says how many edges each layer got."""

    def notes(self) -> tuple[str, ...]:
        """Return the number of edges of each layer, and what they leave."""
        splits = [
            layer.rule.split(layer.weight)
            for layer in self.net.modules()
            if isinstance(layer, WeightLayer) and isinstance(layer.rule, TernaryResidual)
        ]
        counts = ", ".join(str(len(edges)) for edges, _ in splits)
        rest = ", ".join(f"{left:.1%}" for _, left in splits)
        return (
            f"Edges of the layers: {counts}. Of the norm of their weights, these leave {rest}.",
            "Load it with --with-edges, and --edges K enables the first K edges of each layer.",
        )


def start(task: Task) -> Training:
    """Build the untrained network."""
    planned = iter(steps(task.net, task.data.frame, task.data.classes))
    channels = task.data.frame[0]

    def rule(first: bool, last: bool) -> WeightRule:
        nonlocal channels
        step = next(planned)
        # Pixels of a single channel are grouped with each other.
        pixels = step.inputs // channels if step.flattens and channels > 1 else 1
        channels = step.outputs
        return TernaryResidual(pixels, shared=last)

    net = network(
        task, rule=rule, activation=lambda: Stepped(64, 255), pool_first=False, centred=False
    )
    return ResidualTraining(task, net, rate=0.003)
