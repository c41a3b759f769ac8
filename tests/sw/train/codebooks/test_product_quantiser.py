"""Product quantisation against plain loops, and that its error never rises."""

import itertools

import numpy as np
import pytest

from xnorflow.train.codebooks.product_quantiser import (
    ProductQuantised,
    Responses,
    by_k_means,
    corrected,
    reassigned,
)


def drawn(seed, *, outputs=6, positions=3, channels=8):
    random = np.random.default_rng(seed)
    return random, random.normal(0, 1, (outputs, positions, channels))


def sampled(random, weights, rows=200):
    """Return inputs with a common part, responses to disturbed ones, and the means of both."""
    inputs = weights[0].size
    x = random.normal(0, 1, (rows, inputs)) + random.normal(0, 1, (rows, 1))
    t = (x + random.normal(0, 0.2, x.shape)) @ weights.reshape(len(weights), -1).T
    return x, t, Responses(x.T @ x / rows, t.T @ x / rows)


def test_weights_are_the_chosen_vectors():
    codebooks = np.arange(12.0).reshape(2, 3, 2)
    layer = ProductQuantised(codebooks, np.array([[[0, 2], [1, 0]]]))
    assert layer.weights.tolist() == [[[0, 1, 10, 11], [2, 3, 6, 7]]]


def test_k_means_finds_vectors_that_repeat():
    random, _ = drawn(1)
    words = random.normal(0, 1, (2, 4, 4))
    indices = random.integers(0, 4, (10, 3, 2))
    weights = ProductQuantised(words, indices).weights
    np.testing.assert_allclose(by_k_means(weights, 4, 4, random).weights, weights)


def test_k_means_ends_where_no_vector_and_no_choice_is_better():
    random, weights = drawn(2, outputs=20)
    layer = by_k_means(weights, 4, 5, random)
    parts = weights.reshape(20, 3, 2, 4)
    for m in range(2):
        distance = ((parts[:, :, m, None] - layer.codebooks[m]) ** 2).sum(3)
        np.testing.assert_array_equal(layer.indices[:, :, m], distance.argmin(2))
        for k in range(5):
            own = parts[:, :, m][layer.indices[:, :, m] == k]
            np.testing.assert_allclose(layer.codebooks[m, k], own.mean(0))


def test_more_words_than_different_vectors_are_no_error():
    random = np.random.default_rng(3)
    layer = by_k_means(np.ones((4, 1, 4)), 2, 3, random)
    np.testing.assert_array_equal(layer.weights, np.ones((4, 1, 4)))


def test_error_is_that_of_the_responses():
    random, weights = drawn(4)
    x, t, responses = sampled(random, weights)
    other = weights + random.normal(0, 0.3, weights.shape)
    found = [((t - x @ w.reshape(6, -1).T) ** 2).sum(1).mean() for w in (weights, other)]
    errors = [responses.error(w) for w in (weights, other)]
    assert errors[1] - errors[0] == pytest.approx(found[1] - found[0])


@pytest.mark.parametrize(("positions", "seed"), [(1, 5), (3, 6)])
def test_correction_lessens_the_error_with_every_sweep(positions, seed):
    random, weights = drawn(seed, outputs=12, positions=positions)
    _, _, responses = sampled(random, weights)
    layers = [by_k_means(weights, 4, 3, random)]
    for _ in range(3):
        layers.append(corrected(layers[-1], responses, sweeps=1))
    errors = [responses.error(layer.weights) for layer in layers]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(errors)) and errors[1] < errors[0]


def test_no_single_index_and_no_codebook_is_better_in_the_end():
    random, weights = drawn(7, outputs=5)
    _, _, responses = sampled(random, weights)
    layer = corrected(by_k_means(weights, 4, 3, random), responses, sweeps=60)
    least = responses.error(layer.weights)
    for at in np.ndindex(layer.indices.shape):
        for k in range(3):
            indices = layer.indices.copy()
            indices[at] = k
            assert (
                responses.error(ProductQuantised(layer.codebooks, indices).weights) > least - 1e-9
            )
    for at in np.ndindex(layer.codebooks.shape):
        for step in (-0.01, 0.01):
            codebooks = layer.codebooks.copy()
            codebooks[at] += step
            error = responses.error(ProductQuantised(codebooks, layer.indices).weights)
            assert error > least - 1e-6


def test_indices_suit_rounded_codebooks():
    random, weights = drawn(8, outputs=9)
    _, _, responses = sampled(random, weights)
    rounded, scale = corrected(by_k_means(weights, 4, 4, random), responses).rounded(3)
    assert np.abs(rounded.codebooks).max() == 3
    assert (rounded.codebooks == np.rint(rounded.codebooks)).all()
    in_units = Responses(responses.gram, responses.cross / scale)
    after = reassigned(rounded, in_units)
    assert responses.error(after.weights * scale) <= responses.error(rounded.weights * scale)
