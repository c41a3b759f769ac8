"""Binary networks that branch, in PyTorch, with drawn weights, for `topologies`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

SIDE = 32
"""Height and width of an image, as in CIFAR-10."""
CLASSES = 10
STATISTICS = 64
"""Images from which batch normalisations have their means and variances."""
FITTED = 256
"""Images to which last layers are fitted."""


class Sign(nn.Module):
    """The signs of activations; zero becomes +1."""

    def forward(self, x: Any) -> Any:
        """Return -1 or +1."""
        return 2 * (x >= 0).to(x.dtype) - 1


class BinaryConv(nn.Conv2d):
    """A convolution with signs as weights, times mean|w| of their filter if they are `scaled`."""

    def __init__(self, inputs: int, outputs: int, size: int, *, scaled: bool, **options: Any):
        super().__init__(inputs, outputs, size, padding=size // 2, bias=False, **options)
        scale = self.weight.abs().mean((1, 2, 3), keepdim=True) if scaled else 1.0
        self.weight = nn.Parameter(torch.where(self.weight >= 0, scale, -scale).detach())


class Shift(nn.Module):
    """A constant per channel that is added, as before ReActNet's signs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Parameter(0.2 * torch.randn(1, channels, 1, 1))

    def forward(self, x: Any) -> Any:
        """Add the constants."""
        return x + self.value


def leaky(channels: int) -> nn.Sequential:
    """Build ReActNet's shifted rectifier: two shifts and a slope per channel."""
    slope = nn.PReLU(channels)
    nn.init.uniform_(slope.weight, 0.1, 0.4)
    return nn.Sequential(Shift(channels), slope, Shift(channels))


class Sum(nn.Module):
    """The sum of two ways; the second is the identity unless it is given."""

    def __init__(self, way: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.way, self.shortcut = way, shortcut or nn.Identity()

    def forward(self, x: Any) -> Any:
        """Compute the sum."""
        return self.way(x) + self.shortcut(x)


class Twice(nn.Module):
    """The channels of two ways side by side; with one way its map stands there twice."""

    def __init__(self, *ways: nn.Module) -> None:
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Any) -> Any:
        """Concatenate the channels."""
        made = [way(x) for way in self.ways]
        return torch.cat(made if len(made) > 1 else made * 2, 1)


def head(channels: int) -> tuple[nn.Module, ...]:
    """Build the mean over all pixels and a real dense layer."""
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)


class UNet(nn.Module):
    """A U-Net of signs with two levels, joined by concatenation, that scores each pixel."""

    def __init__(self) -> None:
        super().__init__()

        def pair(inputs: int, outputs: int) -> nn.Module:
            layers: list[nn.Module] = []
            for i in (inputs, outputs):
                conv = BinaryConv(i, outputs, 3, scaled=False)
                layers += [conv, nn.BatchNorm2d(outputs), Sign()]
            return nn.Sequential(*layers)

        self.down = nn.ModuleList([pair(3, 8), pair(8, 16)])
        self.bottom = pair(16, 32)
        self.up = nn.ModuleList([pair(32 + 16, 16), pair(16 + 8, 8)])
        self.scores = nn.Conv2d(8, 4, 1)

    def forward(self, x: Any) -> Any:
        """Return scores [frames, 4, height, width]."""
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, skip in zip(self.up, reversed(kept), strict=True):
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        return self.scores(x)


def dense_net() -> nn.Module:
    """Build a block of BinaryDenseNet: 4 layers that add 16 channels each to 32."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)]
    channels = 32
    for _ in range(4):
        conv = BinaryConv(channels, 16, 3, scaled=False)
        way = nn.Sequential(nn.BatchNorm2d(channels), Sign(), conv)
        layers.append(Twice(nn.Identity(), way))
        channels += 16
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), *head(channels))


def react_net() -> nn.Module:
    """Build 4 blocks of ReActNet behind a real convolution: 16, 32, 64, 64 and 64 channels."""

    def way(inputs: int, size: int, stride: int = 1) -> nn.Module:
        conv = BinaryConv(inputs, inputs, size, scaled=True, stride=stride)
        return nn.Sequential(Shift(inputs), Sign(), conv, nn.BatchNorm2d(inputs))

    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)]
    for inputs, outputs, stride in ((16, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 2)):
        shortcut = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        layers += [Sum(way(inputs, 3, stride), shortcut), leaky(inputs)]
        if inputs == outputs:
            layers.append(Sum(way(inputs, 1)))
        else:
            layers.append(Twice(Sum(way(inputs, 1)), Sum(way(inputs, 1))))
        layers.append(leaky(outputs))
    return nn.Sequential(*layers, *head(64))


class PadOnes(nn.Module):
    """A border of +1, as Larq's `pad_values=1`."""

    def forward(self, x: Any) -> Any:
        """Add one pixel on each side."""
        return F.pad(x, (1, 1, 1, 1), value=1.0)


class Blur(nn.Conv2d):
    """The depthwise binomial filter with stride 2 of QuickNet's pools."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, 2, 1, groups=channels, bias=False)
        row = torch.tensor([1.0, 2.0, 1.0])
        self.weight = nn.Parameter((row[:, None] * row / 16).expand(channels, 1, 3, 3).clone())


def quick_net() -> nn.Module:
    """Build QuickNet with sections of 32, 64, 128 and 256 channels, 2 layers each.

    The stem has strides 1 and 2 instead of 2 and 2.
    """
    widths = (32, 64, 128, 256)
    layers: list[nn.Module] = [
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 32, 1, bias=False),
        nn.BatchNorm2d(32),
    ]
    for width, following in pairwise((*widths, 0)):
        for _ in range(2):
            conv = nn.Conv2d(width, width, 3, bias=False)
            conv.weight = nn.Parameter(torch.where(conv.weight >= 0, 1.0, -1.0).detach())
            way = nn.Sequential(Sign(), PadOnes(), conv, nn.ReLU(), nn.BatchNorm2d(width))
            layers.append(Sum(way))
        layers.append(nn.ReLU())
        if following:
            layers += [nn.MaxPool2d(2, 1), Blur(width)]
            layers += [nn.Conv2d(width, following, 1, bias=False), nn.BatchNorm2d(following)]
    return nn.Sequential(*layers, *head(widths[-1]))


def bi_real_net() -> nn.Module:
    """Build Bi-Real Net of 18 layers with ResNet-18's full width, 64 to 512 channels."""

    def unit(inputs: int, outputs: int) -> nn.Module:
        stride = 1 if inputs == outputs else 2
        conv = BinaryConv(inputs, outputs, 3, scaled=True, stride=stride)
        way = nn.Sequential(Sign(), conv, nn.BatchNorm2d(outputs))
        if stride == 1:
            return Sum(way)
        shortcut = [nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False)]
        return Sum(way, nn.Sequential(*shortcut, nn.BatchNorm2d(outputs)))

    widths = (64, 64, 128, 256, 512)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)]
    for inputs, outputs in pairwise(widths):
        layers += [unit(inputs, outputs), *(unit(outputs, outputs) for _ in range(3))]
    return nn.Sequential(*layers, *head(512))


class Thermometer(nn.Module):
    """FracBNN's input: for each sample of 8 bits, 32 signs of comparisons in steps of 8."""

    def __init__(self) -> None:
        super().__init__()
        levels = (torch.arange(32.0) * 8 + 3.5) / 255  # Between samples.
        self.register_buffer("levels", levels.repeat_interleave(3).reshape(1, -1, 1, 1))

    def forward(self, x: Any) -> Any:
        """Return -1 or +1 for each colour and level, 96 channels."""
        return 2 * (torch.cat([x] * 32, 1) >= self.levels).to(x.dtype) - 1


class Gated(nn.Module):
    """FracBNN's convolution: of activations of 2 bits, the lower only where the upper asks for it.

    The upper bit alone gives a first sum; where that exceeds a threshold of its channel, the sum of
    both bits takes its place.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = BinaryConv(inputs, outputs, 3, scaled=False, stride=stride)
        odd = 2 * torch.randint(-12, 12, (1, outputs, 1, 1)) + 1
        self.register_buffer("threshold", odd / 3)  # Between sums, which are multiples of 2 / 3.

    def forward(self, x: Any) -> Any:
        """Return the sums that the gate chooses."""
        full = (torch.round(torch.clamp(x, -1.0, 1.0) * 1.5 + 1.5) * 2 - 3) / 3
        upper = 2 * (full >= 0).to(x.dtype) - 1
        first = self.conv(upper * (2 / 3))
        gate = (first > self.threshold).to(x.dtype)
        return first + gate * (self.conv(full) - first)


def frac_bnn(width: int = 16) -> nn.Module:
    """Build FracBNN's ResNet-20 for CIFAR-10; its own width is 16, 32 and 64 channels."""

    def unit(inputs: int, outputs: int) -> list[nn.Module]:
        stride = 1 if inputs == outputs else 2
        way = nn.Sequential(Gated(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        shortcut = nn.Identity() if stride == 1 else Twice(nn.AvgPool2d(2))
        return [Sum(way, shortcut), leaky(outputs)]

    widths = (width, width, 2 * width, 4 * width)
    first = BinaryConv(96, width, 3, scaled=False)
    layers: list[nn.Module] = [Thermometer(), first, nn.BatchNorm2d(width)]
    for inputs, outputs in pairwise(widths):
        layers += unit(inputs, outputs)
        for _ in range(5):
            layers += unit(outputs, outputs)
    return nn.Sequential(*layers, *head(widths[-1]))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "unet": UNet,
    "densenet": dense_net,
    "reactnet": react_net,
    "quicknet": quick_net,
    "bireal18": bi_real_net,
    "fracbnn20": frac_bnn,
}
"""The networks by name, from the smallest to the largest."""


def images(frames: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw smooth images with noise, each near one of ten that stand for the classes.

    Returns
    -------
    x : uint8 tensor [frames, 3, SIDE, SIDE]
    y : int64 tensor [frames]
        Classes.
    """
    classes = torch.rand(CLASSES, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    source = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (frames,), generator=source)
    coarse = 0.6 * classes[y] + 0.4 * torch.rand(frames, 3, 5, 5, generator=source)
    x = F.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear", align_corners=True)
    x = x + 0.05 * torch.randn(x.shape, generator=source)
    return (255 * x.clamp(0, 1)).round().to(torch.uint8), y


def fit_last(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> None:
    """Fit the last, dense layer to classes by ridge regression."""
    with torch.no_grad():
        found = torch.cat([model[:-1](part.float() / 255) for part in x.split(32)])
        mean, wanted = found.mean(0), F.one_hot(y, CLASSES).float()
        found = found - mean
        ridge = 0.01 * found.square().sum() / len(x) * torch.eye(found.shape[1])
        weight = torch.linalg.solve(found.T @ found / len(x) + ridge, found.T @ wanted / len(x)).T
        model[-1].weight.copy_(weight)
        model[-1].bias.copy_(wanted.mean(0) - weight @ mean)


def drawn(name: str, seed: int) -> nn.Module:
    """Build a network with drawn weights; see `settled`.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    seed : int
        Of weights and images.
    """
    torch.manual_seed(seed)
    return settled(MODELS[name](), seed)


def settled(model: nn.Module, seed: int) -> nn.Module:
    """Draw the batch normalisations of a network, in place, with statistics of drawn images.

    Where it gives scores to frames, its last layer is fitted, so that labels mean something.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.2)
            module.momentum = 1.0
    x, y = images(FITTED, seed)
    with torch.no_grad():
        model(x[:STATISTICS].float() / 255)
    model.eval()
    if isinstance(model, nn.Sequential):
        fit_last(model, x, y)
    return model
