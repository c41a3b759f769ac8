"""Product quantisation of a layer's weights, by k-means and with error correction.

Wu et al., arXiv:1512.06473. The weights of a layer, [outputs, positions, channels], are cut along
the channels into M subspaces of d channels. A subspace has one codebook D of K vectors, from which
an index B chooses one for each output and each position of the kernel.

* `by_k_means` minimises the error of the weights (eq. 5): k-means on the sub-vectors of a subspace.
* `corrected` minimises the error of the layer's response (eq. 7 and 9) on samples: with x the input
  that the compressed layers before it make, and t the response of the network as it was, the mean
  of ``(t - W x)**2``. Of the samples, only ``G = mean(x x^T)`` and ``C = mean(t x^T)`` matter.
  Codebooks and indices are updated in turn, subspace by subspace, each to the best value with all
  others fixed, so the error never rises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS = 50
"""Most rounds of k-means."""
SWEEPS = 5
"""Passes of the error correction over all subspaces."""
RIDGE = 1e-6
"""Weight, in relation to the mean diagonal, that keeps a codebook's vectors where they were."""


@dataclass(frozen=True, eq=False)
class ProductQuantised:
    """Weights of a layer as codebooks and indices.

    Parameters
    ----------
    codebooks : float64 array [M, K, d]
        The vectors of each subspace.
    indices : int64 array [outputs, positions, M]
        Which vector each part of the weights is.
    """

    codebooks: Doubles
    indices: Ints

    @property
    def weights(self) -> Doubles:
        """The weights [outputs, positions, channels] that codebooks and indices stand for."""
        chosen = self.codebooks[np.arange(len(self.codebooks)), self.indices]
        return chosen.reshape(*self.indices.shape[:2], -1)

    def rounded(self, bits: int) -> tuple[ProductQuantised, float]:
        """Return the layer with whole codebooks of so many bits, and the value of the integer 1."""
        largest = float(np.abs(self.codebooks).max()) or 1.0
        scale = float(np.float32(largest / ((1 << (bits - 1)) - 1)))
        return replace(self, codebooks=np.rint(self.codebooks / scale)), scale


@dataclass(frozen=True, eq=False)
class Responses:
    """What samples say of a layer's inputs and responses.

    Parameters
    ----------
    gram : float64 array [inputs, inputs]
        Mean of ``x x^T``; an input is a channel at a position of the kernel, channels last.
    cross : float64 array [outputs, inputs]
        Mean of ``t x^T``.
    """

    gram: Doubles
    cross: Doubles

    def error(self, weights: Doubles) -> float:
        """Return the mean squared error with weights [outputs, ...], but for a constant."""
        flat = weights.reshape(len(weights), -1)
        return float(np.sum((flat @ self.gram - 2 * self.cross) * flat))


def by_k_means(
    weights: Doubles, dimension: int, words: int, random: np.random.Generator
) -> ProductQuantised:
    """Quantise weights by k-means in each subspace.

    Parameters
    ----------
    weights : float64 array [outputs, positions, channels]
        The weights.
    dimension : int
        Channels of a subspace; it divides the channels.
    words : int
        Vectors of a codebook, at most as many as outputs times positions.
    random : Generator
        Draws the first vectors.
    """
    outputs, positions, channels = weights.shape
    parts = weights.reshape(outputs * positions, channels // dimension, dimension)
    found = [_k_means(parts[:, m], words, random) for m in range(parts.shape[1])]
    indices = np.stack([chosen for _, chosen in found], axis=1)
    return ProductQuantised(
        np.stack([centres for centres, _ in found]), indices.reshape(outputs, positions, -1)
    )


def _k_means(vectors: Doubles, words: int, random: np.random.Generator) -> tuple[Doubles, Ints]:
    """Return centres [words, d] and the nearest centre of each vector, by Lloyd's algorithm.

    The first centres are drawn as k-means++ does, far from each other.
    """
    centres = vectors[random.integers(len(vectors))][None]
    nearest = np.full(len(vectors), np.inf)
    while len(centres) < words:
        nearest = np.minimum(nearest, ((vectors - centres[-1]) ** 2).sum(1))
        total = nearest.sum()
        share = nearest / total if total > 0 else None
        centres = np.concatenate([centres, vectors[random.choice(len(vectors), 1, p=share)]])
    chosen = np.full(len(vectors), -1)
    for _ in range(ROUNDS):
        distances = (centres**2).sum(1) - 2 * vectors @ centres.T
        before, chosen = chosen, distances.argmin(1)
        if np.array_equal(before, chosen):
            break
        for k in range(words):
            own = vectors[chosen == k]
            if len(own):
                centres[k] = own.mean(0)
    return centres, chosen.astype(np.int64)


def corrected(
    layer: ProductQuantised, responses: Responses, sweeps: int = SWEEPS
) -> ProductQuantised:
    """Return codebooks and indices with less error of the responses, starting from `layer`."""
    for _ in range(sweeps):
        for m in range(len(layer.codebooks)):
            layer = _with_best_codebook(layer, responses, m)
            layer = reassigned(layer, responses, (m,))
    return layer


def _with_best_codebook(layer: ProductQuantised, responses: Responses, m: int) -> ProductQuantised:
    """Return the layer with the best vectors of a subspace, all else fixed (section 3.3).

    All vectors of a codebook are found at once, from their normal equations.
    """
    _, words, dimension = layer.codebooks.shape
    outputs, positions, _ = layer.indices.shape
    weights = layer.weights
    columns = _columns(weights.shape, m, dimension)
    flat = weights.reshape(outputs, -1)
    own = columns.ravel()
    gram = responses.gram[np.ix_(own, own)]
    wanted = responses.cross[:, own] - flat @ responses.gram[:, own] + flat[:, own] @ gram
    wanted = wanted.reshape(outputs, positions, dimension)
    gram = gram.reshape(positions, dimension, positions, dimension)
    uses = (layer.indices[:, :, m, None] == np.arange(words)).astype(np.float64)
    together = np.einsum("oqk,orl->qrkl", uses, uses)
    square = np.einsum("qrkl,qerf->kelf", together, gram, optimize=True)
    square = square.reshape(words * dimension, -1)
    right = np.einsum("oqk,oqd->kd", uses, wanted)
    before = layer.codebooks[m]
    ridge = RIDGE * max(float(np.trace(square)) / len(square), 1e-12)
    solved = np.linalg.solve(square + ridge * np.eye(len(square)), (right + ridge * before).ravel())
    codebooks = layer.codebooks.copy()
    codebooks[m] = solved.reshape(words, dimension)
    return replace(layer, codebooks=codebooks)


def reassigned(
    layer: ProductQuantised, responses: Responses, subspaces: tuple[int, ...] | None = None
) -> ProductQuantised:
    """Return the layer with the best index at each position in turn, all else fixed.

    Parameters
    ----------
    layer : ProductQuantised
        Codebooks and the indices to begin with.
    responses : Responses
        What the error is measured on.
    subspaces : tuple of int, optional
        The subspaces that are changed; all by default.
    """
    every = range(len(layer.codebooks))
    dimension = layer.codebooks.shape[2]
    outputs, positions, _ = layer.indices.shape
    indices, weights = layer.indices.copy(), layer.weights
    flat = weights.reshape(outputs, -1)
    for m in every if subspaces is None else subspaces:
        words = layer.codebooks[m]
        for q, own in enumerate(_columns(weights.shape, m, dimension)):
            gram = responses.gram[np.ix_(own, own)]
            wanted = responses.cross[:, own] - flat @ responses.gram[:, own] + flat[:, own] @ gram
            cost = np.einsum("kd,de,ke->k", words, gram, words) - 2 * wanted @ words.T
            indices[:, q, m] = cost.argmin(1)
            flat[:, own] = words[indices[:, q, m]]
    return replace(layer, indices=indices)


def _columns(shape: tuple[int, ...], m: int, dimension: int) -> Ints:
    """Return the inputs [positions, d] that belong to a subspace."""
    _, positions, channels = shape
    first = np.arange(positions)[:, None] * channels + m * dimension
    return first + np.arange(dimension)
