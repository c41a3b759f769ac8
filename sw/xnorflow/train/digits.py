"""Trains the demo network with Brevitas: ``python -m xnorflow.train.digits -o digits.onnx``.

The network is small enough for the smallest boards: 25,744 binary weights, binary activations
everywhere but at the input, which is read as 4 bits. It has what makes such a network hard to map
exactly: convolutions whose padding is 0, a value that no binary activation has; a pool between a
convolution and its batch-norm; batch-norms whose gammas may be negative. All scales are 1, so the
scores are integers.

Training is that of BinaryNet (Hubara et al., arXiv:1602.02830): float weights whose signs are used,
a straight-through gradient that stops where a value is beyond 1, Adam. Same seed, same machine,
same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from xnorflow import demo
from xnorflow.errors import XnorflowError
from xnorflow.train import needs

CHANNELS = (16, 32, 64)
TEMPERATURE = 1 / 16
"""Softmax of the loss sees scores times this: sums of 256 signs are 16 times too steep for it."""


def network() -> Any:
    """Build the untrained network.

    Returns
    -------
    torch.nn.Sequential
        Takes raw samples, float32 [frames, 1, 8, 8] of 0 to 16; gives scores [frames, 10], whole
        numbers in -256 to 256.
    """
    nn, qnn, enums = needs("torch").nn, needs("brevitas.nn"), needs("brevitas.inject.enum")
    binary, base = needs("brevitas.quant.binary"), needs("brevitas.quant.base")
    solver = needs("brevitas.quant.solver")

    class Weight(binary.SignedBinaryWeightPerTensorConst):
        """-1 and +1."""

        scaling_const = 1.0

    class Sample(base.UintQuant, solver.ActQuantSolver):
        """0 to 15 in steps of 1; the rare 16 becomes 15."""

        bit_width = 4
        min_val, max_val = 0.0, 15.0
        scaling_impl_type = enums.ScalingImplType.CONST
        scaling_per_output_type = enums.ScalingPerOutputType.TENSOR
        restrict_scaling_type = enums.RestrictValueType.FP

    def conv(inputs: int, outputs: int, padding: int) -> Any:
        return qnn.QuantConv2d(
            inputs, outputs, 3, padding=padding, bias=False, weight_quant=Weight
        )

    def norm(channels: int) -> Any:
        layer = nn.BatchNorm2d(channels)
        layer.weight.data[1::2] = -1.0  # so that a pool's minimum can decide, not its maximum only
        return layer

    def sign() -> Any:
        return qnn.QuantIdentity(act_quant=binary.SignedBinaryActPerTensorConst)

    a, b, c = CHANNELS
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=Sample),
        conv(1, a, 1), norm(a), sign(),  # 8 x 8
        conv(a, b, 1), nn.MaxPool2d(2), norm(b), sign(),  # 4 x 4
        conv(b, c, 0), norm(c), sign(),  # 2 x 2
        nn.Flatten(),
        qnn.QuantLinear(4 * c, 10, bias=False, weight_quant=Weight),
    )  # fmt: skip


def augment(x: Any, generator: Any) -> Any:
    """Turn each image by up to 12 degrees, scale it by up to 10 %, shift it by up to 0.8 pixels.

    Parameters
    ----------
    x : torch.Tensor
        Raw samples, float32 [frames, 1, 8, 8].
    generator : torch.Generator
        Source of the random numbers.

    Returns
    -------
    torch.Tensor
        As `x`; samples are whole numbers again.
    """
    torch = needs("torch")
    draw = 2 * torch.rand((4, len(x)), generator=generator) - 1
    angle, scale = draw[0] * np.deg2rad(12), 1 + 0.1 * draw[1]
    shift = draw[2:] * 0.8 * 2 / x.shape[-1]  # affine_grid's image is 2 wide
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).reshape(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(rows, list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid, align_corners=False).round()


def fit(
    x: NDArray[np.uint8],
    y: NDArray[np.uint8],
    *,
    seed: int = 0,
    epochs: int = 200,
    batch: int = 64,
    rate: float = 0.01,
) -> Any:
    """Train a network.

    Parameters
    ----------
    x, y : uint8 arrays [images, 8, 8] and [images]
        Raw samples and classes.
    seed : int
        Of the initial weights, the order of the images and the augmentation.
    epochs, batch : int
        Passes over the images, and images per step.
    rate : float
        Adam's step at the start; it falls to 0 along half a cosine.

    Returns
    -------
    torch.nn.Sequential
        The network in evaluation mode; its weights are exactly -1 and +1.
    """
    torch = needs("torch")
    torch.set_num_threads(1)  # the order of float sums, and so the result, depends on it
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(x.astype(np.float32))[:, None]
    labels = torch.from_numpy(y.astype(np.int64))
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), rate)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    with click.progressbar(range(epochs), label="training") as bar:
        for _ in bar:
            order = torch.randperm(len(images), generator=generator)
            # The last, incomplete batch is left out; the next epoch draws another.
            for chosen in order[: len(order) // batch * batch].split(batch):
                scores = net(augment(images[chosen], generator))
                loss = torch.nn.functional.cross_entropy(scores * TEMPERATURE, labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    for module in net:
        if hasattr(module, "quant_weight"):
            module.weight.data = module.quant_weight().value.detach()
    return net.eval()


def scores(net: Any, x: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run a network on raw samples, uint8 [frames, 8, 8]; gives float32 [frames, 10]."""
    torch = needs("torch")
    with torch.no_grad():
        result = net(torch.from_numpy(x.astype(np.float32))[:, None])
    return result.numpy()
