"""Layers of residual networks for PyTorch: ways that part and join, shifts, pools and their like.

They write themselves as those of `xnorflow.train.torch_layers` do.

Import this module by `xnorflow.train.needs`, which says what to install if PyTorch is missing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.torch_layers import WritableLayer
from xnorflow.train.weight_rules import binary


class Way(nn.Sequential, WritableLayer):
    """Layers one after the other; without any, the map itself."""

    def write(self, file: ChainFile) -> None:
        """Append all layers."""
        for layer in self:
            layer.write(file)


class Residual(WritableLayer):
    """The sum of a way and its shortcut, which is the map itself unless it is given."""

    def __init__(self, way: Way, shortcut: Way | None = None) -> None:
        super().__init__()
        self.way, self.shortcut = way, shortcut or Way()

    def forward(self, x: Any) -> Any:
        """Return the sum."""
        return self.way(x) + self.shortcut(x)

    def write(self, file: ChainFile) -> None:
        """Append both, and the sum."""
        start = file.at
        self.way.write(file)
        end, file.at = file.at, start
        self.shortcut.write(file)
        file.join("Add", end)


class Beside(WritableLayer):
    """The channels of several ways, one after the other."""

    def __init__(self, *ways: WritableLayer) -> None:
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Any) -> Any:
        """Return [frames, channels of all ways, rows, columns]."""
        return torch.cat([way(x) for way in self.ways], 1)

    def write(self, file: ChainFile) -> None:
        """Append all ways, and the concatenation."""
        start, ends = file.at, []
        for way in self.ways:
            file.at = start
            way.write(file)
            ends.append(file.at)
        file.at = ends[0]
        file.join("Concat", *ends[1:], axis=1)


class Shift(WritableLayer):
    """A learned constant per channel that is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Any) -> Any:
        """Return shifted maps."""
        return x + self.value[:, None, None]

    def write(self, file: ChainFile) -> None:
        """Append the addition."""
        file.per_channel("Add", self.value.detach().numpy())


class Slope(WritableLayer):
    """PReLU: what is below 0 is multiplied by a learned slope per channel."""

    START = 0.25

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((channels,), self.START))

    def forward(self, x: Any) -> Any:
        """Return the rectified maps."""
        return functional.prelu(x, self.slope)

    def write(self, file: ChainFile) -> None:
        """Append the rectifier."""
        file.add("PRelu", self.slope.detach().numpy()[:, None, None])


def shifted_rectifier(channels: int) -> Way:
    """Build RPReLU (ReActNet, eq. 3): a shift, PReLU, and another shift."""
    return Way(Shift(channels), Slope(channels), Shift(channels))


class Rectifier(WritableLayer):
    """ReLU."""

    def forward(self, x: Any) -> Any:
        """Return what is above 0, and 0."""
        return functional.relu(x)

    def write(self, file: ChainFile) -> None:
        """Append the rectifier."""
        file.add("Relu")


class _ApproxSign(torch.autograd.Function):
    """The sign, with the gradient of a piecewise polynomial of second order."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Return the signs."""
        ctx.save_for_backward(x)
        return binary(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Return the gradient times 2 - 2 * abs(x), and 0 where that is negative."""
        (x,) = ctx.saved_tensors
        return gradients[0] * (2 - 2 * x.abs()).clamp(min=0)


class ApproxSigns(WritableLayer):
    """Binary activations with Bi-Real Net's estimator of the gradient (ApproxSign)."""

    def forward(self, x: Any) -> Any:
        """Return the signs."""
        return _ApproxSign.apply(x)

    def write(self, file: ChainFile) -> None:
        """Append the sign."""
        file.sign()


class MeanPooling(WritableLayer):
    """Mean of size x size pixels, side by side."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Any) -> Any:
        """Return the means."""
        return functional.avg_pool2d(x, self.size)

    def write(self, file: ChainFile) -> None:
        """Append the pool."""
        file.average_pool(self.size, self.size)


class OnePadding(WritableLayer):
    """A border of one pixel of +1, as Larq's ``pad_values=1``."""

    def forward(self, x: Any) -> Any:
        """Return maps with a border."""
        return functional.pad(x, (1, 1, 1, 1), value=1.0)

    def write(self, file: ChainFile) -> None:
        """Append the border."""
        file.pad(1, 1.0)


class Blur(WritableLayer):
    """A depthwise filter [1, 2, 1] x [1, 2, 1] / 16 with stride 2, which is not trained."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("weight", (row[:, None] * row / 16).repeat(channels, 1, 1, 1))

    def forward(self, x: Any) -> Any:
        """Return maps of half the size, rounded up."""
        return functional.conv2d(x, self.weight, None, 2, 1, 1, len(self.weight))

    def write(self, file: ChainFile) -> None:
        """Append the filter."""
        file.convolution(self.weight.numpy(), 1, len(self.weight), 2)


class MeanScores(WritableLayer):
    """The end of a residual network: the mean over all pixels, and a real dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, classes)

    def forward(self, x: Any) -> Any:
        """Return scores [frames, classes]."""
        return self.dense(x.mean((2, 3)))

    def write(self, file: ChainFile) -> None:
        """Append both."""
        file.add("GlobalAveragePool")
        file.dense(self.dense.weight.detach().numpy(), self.dense.bias.detach().numpy())
