"""Quantized CNN: a trained network whose kernels become codebooks and indices.

Wu et al., arXiv:1512.06473. First a network with real weights is trained, with activations of 4
bits, which hardware can take. Then its layers are product-quantised one after the other
(`xnorflow.train.codebooks.product_quantiser`), by k-means alone ("plain") or with error correction
("corrected"), for which each layer reads what the compressed layers before it make. Codebooks are
rounded to whole numbers of 8 bits and one scale per layer.

A compressed layer's sums have other means and variances than before, so those of the normalisation
behind it are taken once more.

The first layer, which reads samples, and the last one are not product-quantised: their weights are
whole numbers of 8 bits. A dense layer behind a map takes its features pixel by pixel, so that a
subspace is channels of one pixel.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from xnorflow.train.chain_file import ChainFile
from xnorflow.train.codebooks.lookup_cost import KeptLayer, QuantisedLayer, Ratios, ratios
from xnorflow.train.codebooks.product_quantiser import (
    ProductQuantised,
    Responses,
    by_k_means,
    corrected,
    reassigned,
)
from xnorflow.train.gradient_training import GradientTraining, reproducible
from xnorflow.train.torch_layers import Norm, ScoreNorm, Stepped, WeightLayer, WritableLayer
from xnorflow.train.torch_networks import network
from xnorflow.train.training import Epoch, Task, Training
from xnorflow.train.weight_rules import RealWeights

CODES = (4.0, 15)
"""Steps per unit of an activation, and its largest code."""
DIMENSION = 8
"""Most channels of a subspace."""
WORDS = {"conv": 32, "dense": 16}
"""Most vectors of a codebook, by kind of layer."""
BITS = 8
"""Bits of a codebook's numbers, and of the weights of the first and the last layer."""
FRAMES = 500
"""Training images from which responses are taken."""
ROWS = 20_000
"""Most windows of them, drawn."""
KEPT = 1e-3
"""Weight of the real weights beside the responses, in relation to an input's mean square."""


class KeptWeights(WritableLayer):
    """A layer with whole weights of a few bits and one scale.

    Parameters
    ----------
    layer : WeightLayer
        The layer with real weights.
    scaled : bool
        Whether sums are multiplied by the scale; otherwise they are whole numbers.
    """

    def __init__(self, layer: WeightLayer, *, scaled: bool) -> None:
        super().__init__()
        real = layer.weight.detach()
        self.scale = float(np.float32(float(real.abs().max()) / ((1 << (BITS - 1)) - 1))) or 1.0
        self.register_buffer("whole", (real / self.scale).round())
        self.factor = self.scale if scaled else 1.0

    def forward(self, x: Any) -> Any:
        """Return the sums."""
        return _sums(x, self.whole) * self.factor

    def write(self, file: ChainFile) -> None:
        """Append the layer and its scale."""
        weights = self.whole.numpy()
        if weights.ndim == 2:
            file.dense(weights)
        else:
            file.convolution(weights, pad=weights.shape[-1] // 2)
        if self.factor != 1:
            file.per_channel("Mul", self.factor)


class LookupLayer(WritableLayer):
    """A product-quantised layer with whole codebooks.

    Parameters
    ----------
    layer : ProductQuantised
        Codebooks and indices; an input of a dense layer is a channel of the one position.
    scale : float
        Value of the integer 1 of a codebook.
    kernel : tuple of int
        Rows and columns of the kernel, (0, 0) for a dense layer.
    """

    def __init__(self, layer: ProductQuantised, scale: float, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.layer, self.scale, self.kernel = layer, scale, kernel
        weights = layer.weights
        if kernel == (0, 0):
            found = weights[:, 0]
        else:
            found = weights.reshape(len(weights), *kernel, -1).transpose(0, 3, 1, 2)
        self.register_buffer("whole", torch.from_numpy(np.ascontiguousarray(found)).float())

    def forward(self, x: Any) -> Any:
        """Return the sums times the scale."""
        return _sums(_by_pixel(x) if self.kernel == (0, 0) else x, self.whole) * self.scale

    def write(self, file: ChainFile) -> None:
        """Append the table, the lookups and the scale."""
        indices = self.layer.indices
        if self.kernel == (0, 0):
            if not file.flat:
                file.add("Transpose", perm=[0, 2, 3, 1])
            subspaces, _, dimension = self.layer.codebooks.shape
            file.reshape(subspaces * dimension, 1, 1)
            file.lookups(self.layer.codebooks, indices[:, :, None])
            file.reshape(len(indices))
        else:
            shape = (len(indices), *self.kernel, -1)
            file.lookups(self.layer.codebooks, indices.reshape(shape), self.kernel[0] // 2)
        file.per_channel("Mul", self.scale)


class Offsets(WritableLayer):
    """Whole offsets of the scores."""

    def __init__(self, norm: ScoreNorm, unit: float) -> None:
        super().__init__()
        self.register_buffer("whole", (norm.real_offsets() / unit).round())

    def forward(self, x: Any) -> Any:
        """Return scores."""
        return x + self.whole

    def write(self, file: ChainFile) -> None:
        """Append the offsets."""
        file.per_channel("Add", self.whole.numpy())


def _by_pixel(x: Any) -> Any:
    """Return the features of maps pixel by pixel, [frames, features]."""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


def _sums(x: Any, weights: Any) -> Any:
    if weights.ndim == 2:
        return functional.linear(x.flatten(1), weights)
    return functional.conv2d(x, weights, padding=weights.shape[-1] // 2)


def _windows(x: Any, kernel: tuple[int, int]) -> Any:
    """Return what each output pixel reads, [windows, positions * channels], channels last."""
    if kernel == (0, 0):
        return _by_pixel(x)
    found = functional.unfold(x, kernel, padding=kernel[0] // 2)
    frames, _, pixels = found.shape
    found = found.reshape(frames, x.shape[1], -1, pixels).permute(0, 3, 2, 1)
    return found.reshape(frames * pixels, -1)


@dataclass(frozen=True, eq=False)
class Compressed:
    """A network whose weights are codebooks and indices.

    Parameters
    ----------
    net : torch.nn.Sequential
        Members that write themselves.
    costs : tuple
        Operations and storage of each layer with weights.
    """

    net: Any
    costs: tuple[QuantisedLayer | KeptLayer, ...]

    @property
    def ratios(self) -> Ratios:
        """How much smaller it is than with float32 weights."""
        return ratios(self.costs, BITS)


class QuantisedTraining(GradientTraining):
    """Training of the real network; what is written is compressed.

    Parameters
    ----------
    task : Task
        Data, layers, and the variant, "plain" or "corrected".
    net : torch.nn.Sequential
        The network with real weights.
    """

    def __init__(self, task: Task, net: Any) -> None:
        super().__init__(task, net, rate=0.003, loss=functional.cross_entropy)
        self._made: dict[str, Compressed] = {}

    def epoch(self, number: int) -> Epoch:
        """Train the real network for an epoch."""
        self._made = {}
        return super().epoch(number)

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned."""
        self._made = {}
        super().restore(state)

    def compressed(self, variant: str) -> Compressed:
        """Return the network with codebooks found as the variant says."""
        if variant not in self._made:
            with torch.no_grad(), reproducible(self.task, self.task.epochs + 1):
                self._made[variant] = self._compress(variant == "corrected")
        return self._made[variant]

    def _compress(self, correct: bool) -> Compressed:
        """Compress layer by layer; of each, `x` is its input as it was, `y` what it is now."""
        random = self.task.generator(self.task.epochs, 2)
        chosen = torch.randperm(len(self.images))[:FRAMES]
        x = y = self.images[chosen]
        layers: list[nn.Module] = []
        costs: list[QuantisedLayer | KeptLayer] = []
        real = self.settled()
        weighted = [layer for layer in real if isinstance(layer, WeightLayer)]
        for layer in real:
            made = layer
            if isinstance(layer, WeightLayer):
                target = layer(x)
                if layer in (weighted[0], weighted[-1]):
                    made = KeptWeights(layer, scaled=layer is not weighted[-1])
                    size = layer.weight.numel()
                    pixels = target[0, 0].numel()
                    costs.append(KeptLayer(size * pixels, size, len(layer.weight)))
                else:
                    made = _quantised(layer, y, target, correct, random)
                    costs.append(_cost(made, y, target))
            elif isinstance(layer, Norm):
                made = copy.deepcopy(layer)
                made.settle(y)
            elif isinstance(layer, ScoreNorm):
                unit, made = layers[-1].scale, copy.deepcopy(layer)
                made.settle(y * unit)
                made = Offsets(made, unit)
            layers.append(made)
            if not isinstance(layer, ScoreNorm):
                x, y = layer(x), made(y)
        return Compressed(nn.Sequential(*layers).eval(), tuple(costs))

    def write(self, file: ChainFile) -> None:
        """Append the compressed network."""
        for layer in self.compressed(self.task.variant).net:
            layer.write(file)

    def notes(self) -> tuple[str, ...]:
        """Return the accuracy before and after, and how much smaller the network is."""
        with torch.no_grad(), reproducible(self.task, self.task.epochs + 1):
            real = self.settled()
            real[-1].exact = True
            before = self._right(real)
            after = {v: self._right(self.compressed(v).net) for v in ("plain", "corrected")}
        found = self.compressed(self.task.variant).ratios
        return (
            f"with real weights {before:.2%} of the test images are right, product-quantised by"
            f" k-means {after['plain']:.2%}, with error correction {after['corrected']:.2%}",
            f"weights take 1/{found.size:.1f} of the bits of float32, and a frame"
            f" 1/{found.operations:.2f} of the operations",
        )

    def _right(self, net: Any) -> float:
        """Return the share of the test images that a network gets right."""
        images = torch.from_numpy(self.task.data.x_test.astype(np.float32))
        found = torch.cat([net(part).argmax(1) for part in images.split(self.batch)]).numpy()
        return float((found == self.task.data.y_test).mean())


def _divisor(channels: int) -> int:
    """Return the channels of a subspace: the most that divide all."""
    return max(n for n in range(1, DIMENSION + 1) if channels % n == 0)


def _quantised(
    layer: WeightLayer, x: Any, target: Any, correct: bool, random: np.random.Generator
) -> LookupLayer:
    """Return a layer in place of one with real weights, for its input and its response."""
    real = layer.weight.detach()
    if real.ndim == 4:
        kernel = (real.shape[2], real.shape[3])
        weights = real.permute(0, 2, 3, 1).reshape(len(real), kernel[0] * kernel[1], -1)
        wanted = target.permute(0, 2, 3, 1).reshape(-1, len(real))
    else:
        kernel = (0, 0)
        if x.ndim == 4:
            # The weights are for features channel by channel.
            real = real.reshape(len(real), *x.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        weights, wanted = real[:, None], target
    dimension = _divisor(x.shape[1])
    outputs, positions, _ = weights.shape
    kind = "conv" if real.ndim == 4 else "dense"
    # A codebook has half as many vectors as there are to choose for, or fewer.
    words = min(WORDS[kind], 1 << max(1, (outputs * positions // 2).bit_length() - 1))
    values = weights.double().numpy()
    found = by_k_means(values, dimension, words, random)
    if not correct:
        return LookupLayer(*found.rounded(BITS), kernel)
    inputs = _windows(x, kernel)
    rows = torch.randperm(len(inputs))[:ROWS]
    inputs, wanted = (t[rows].double().numpy() for t in (inputs, wanted))
    gram, cross = inputs.T @ inputs / len(rows), wanted.T @ inputs / len(rows)
    # What the samples hardly vary keeps the weights that it had.
    kept = KEPT * float(np.trace(gram)) / len(gram)
    gram += kept * np.eye(len(gram))
    cross += kept * values.reshape(outputs, -1)
    responses = Responses(gram, cross)
    rounded, scale = corrected(found, responses).rounded(BITS)
    in_units = Responses(gram, cross / scale)
    return LookupLayer(reassigned(rounded, in_units), scale, kernel)


def _cost(layer: LookupLayer, x: Any, target: Any) -> QuantisedLayer:
    """Return the shape of a product-quantised layer that reads `x` and makes `target`."""
    subspaces, words, dimension = layer.layer.codebooks.shape
    outputs, positions, _ = layer.layer.indices.shape
    dense = layer.kernel == (0, 0)
    return QuantisedLayer(
        inputs=subspaces * dimension,
        outputs=outputs,
        kernel=positions,
        read=1 if dense else x[0, 0].numel(),
        made=1 if dense else target[0, 0].numel(),
        subspaces=subspaces,
        dimension=dimension,
        words=words,
    )


def start(task: Task) -> Training:
    """Build the untrained network."""
    net = network(
        task,
        rule=lambda first, last: RealWeights(),
        activation=lambda: Stepped(*CODES),
        pool_first=False,
    )
    return QuantisedTraining(task, net)
