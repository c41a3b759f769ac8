"""The rules for weights against what the papers' equations give by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")

from xnorflow.train import weight_rules as rules  # noqa: E402


def values(*shape: int, seed: int = 0) -> object:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32))


def test_zero_is_plus_one() -> None:
    assert rules.binary(torch.tensor([-0.1, -0.0, 0.0, 2.0])).tolist() == [-1, 1, 1, 1]


def test_the_gradient_of_signs_is_that_of_the_real_weights() -> None:
    w = values(3, 4).requires_grad_()
    (rules.SignWeights()(w) * torch.arange(12.0).reshape(3, 4)).sum().backward()
    assert w.grad.tolist() == torch.arange(12.0).reshape(3, 4).tolist()


def test_drawn_weights_are_plus_one_as_often_as_the_hard_sigmoid_says() -> None:
    torch.manual_seed(1)
    w = torch.tensor([-1.5, -0.5, 0.0, 0.2, 1.0]).repeat(20000, 1)
    share = ((rules.DrawnWeights()(w) > 0).float()).mean(0)
    np.testing.assert_allclose(share, [0, 0.25, 0.5, 0.6, 1], atol=0.02)
    assert rules.DrawnWeights().deployed(w)[0][0].tolist() == [-1, -1, 1, 1, 1]


def test_alpha_is_the_mean_magnitude_and_closest() -> None:
    w = values(5, 2, 3, 3)
    whole, alpha = rules.ScaledSigns().deployed(w)
    np.testing.assert_allclose(alpha, np.abs(w.numpy()).reshape(5, -1).mean(1), rtol=1e-6)
    for channel in range(5):
        near = ((w[channel] - alpha[channel] * whole[channel]) ** 2).sum()
        for other in (0.9, 1.1):
            assert near < ((w[channel] - other * alpha[channel] * whole[channel]) ** 2).sum()


def test_the_gradient_of_scaled_signs_is_the_papers() -> None:
    w = torch.tensor([[0.5, -1.5], [0.25, -0.75]], requires_grad=True)
    g = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    rules.ScaledSigns()(w).backward(g)
    # alpha is 1 and 1/2; 1/n is 1/2; the second weight is beyond 1.
    assert w.grad.tolist() == [[1 * (0.5 + 1), 2 * 0.5], [3 * (0.5 + 0.5), 4 * (0.5 + 0.5)]]


def test_a_shared_alpha_is_not_written() -> None:
    w = values(3, 8)
    assert rules.ScaledSigns(shared=True).deployed(w)[1] is None
    found = rules.ScaledSigns(shared=True)(w).abs()
    np.testing.assert_allclose(found, np.full((3, 8), np.abs(w.numpy()).mean()), rtol=1e-5)


def test_ternary_weights_by_hand() -> None:
    # The mean magnitude is 0.5, so the bound is 0.35, and the factor (1 + 0.6) / 2.
    w = torch.tensor([[1.0, -0.3], [-0.6, 0.1]])
    rule = rules.TernaryWeights()
    assert rule.deployed(w)[0].tolist() == [[1, 0], [-1, 0]]
    np.testing.assert_allclose(rule(w), [[0.8, 0], [-0.8, 0]], rtol=1e-6)


def closest(group: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the factor and the ternary weights closest to a group, of all there are."""
    best = (np.inf, 0.0, np.zeros(len(group)))
    for ternary in itertools.product((-1, 0, 1), repeat=len(group)):
        t = np.array(ternary)
        if t.any():
            alpha = (group @ t) / (t @ t)
            best = min(best, (((group - alpha * t) ** 2).sum(), alpha, t), key=lambda b: b[0])
    return best[1] * np.sign(best[1]), best[2] * np.sign(best[1])


@pytest.mark.parametrize("shape", [(3, 8), (2, 7), (2, 6, 3, 3)])
def test_groups_have_the_closest_factor_and_ternary_weights(shape: tuple[int, ...]) -> None:
    w = values(*shape, seed=3)
    whole = rules.GroupedTernary(4, 7).deployed(w)[0].numpy()
    assert whole.shape == shape and np.abs(whole).max() == 7
    last = np.moveaxis(w.numpy(), 1, -1).astype(np.float64)
    got = np.moveaxis(whole, 1, -1)
    for output in range(shape[0]):
        rows = last[output].reshape(-1, shape[1])
        groups = [row[i : i + 4] for row in rows for i in range(0, shape[1], 4)]
        found = [closest(g) for g in groups]
        unit = max(alpha for alpha, _ in found) / 7
        wanted = np.concatenate([np.rint(alpha / unit) * t for alpha, t in found])
        np.testing.assert_array_equal(got[output].ravel(), wanted)


def test_two_bits_are_odd_numbers_in_the_order_of_the_weights() -> None:
    w = values(40, 10)
    whole = rules.DorefaWeights(2).deployed(w)[0].numpy().ravel()
    assert set(whole) == {-3, -1, 1, 3}
    assert (np.diff(whole[np.argsort(w.numpy().ravel())]) >= 0).all()
    # round(3 * (t / 2 + 1/2)) is 2 or more above t = 0.
    t = np.tanh(w.numpy().ravel())
    np.testing.assert_array_equal(whole > 0, np.rint(3 * (t / np.abs(t).max() / 2 + 0.5)) >= 2)


def test_one_bit_is_the_sign() -> None:
    w = values(4, 5)
    assert (rules.DorefaWeights(1).deployed(w)[0] == rules.binary(w)).all()


@pytest.mark.parametrize(
    "rule",
    [
        rules.SignWeights(),
        rules.ScaledSigns(),
        rules.TernaryWeights(),
        rules.GroupedTernary(),
        rules.DorefaWeights(1),
        rules.DorefaWeights(2),
    ],
    ids=lambda r: type(r).__name__,
)
def test_what_is_trained_is_what_is_deployed_but_for_a_factor_per_output(rule: object) -> None:
    w = values(3, 8, seed=9)
    trained, (whole, _) = rule(w).detach(), rule.deployed(w)  # type: ignore[operator,attr-defined]
    for t, d in zip(trained, whole, strict=True):
        factor = t.abs().max() / d.abs().max()
        np.testing.assert_allclose(t, d * factor, rtol=1e-4, atol=1e-6)


def test_edges_are_ternary_in_groups_and_each_leaves_less() -> None:
    from xnorflow.train.recipes import ternary_residual as trn

    for shape, pixels in (((3, 40), 1), ((3, 80), 4), ((4, 20, 3, 3), 1)):
        w = values(*shape)
        rule = trn.TernaryResidual(pixels)
        edges, left = rule.split(w)
        assert 1 < len(edges) <= trn.MOST_EDGES and left <= trn.LEFT
        unit = None
        rest = w
        for edge in edges:
            assert edge.shape == w.shape and (edge == edge.round()).all()
            assert edge.abs().max() <= trn.MOST
            by_channel = edge.reshape(shape[0], shape[1] // pixels, -1)
            for first in range(0, by_channel.shape[1], trn.GROUP):
                sizes = by_channel[:, first : first + trn.GROUP].abs()
                assert ((sizes == 0) | (sizes == sizes.amax(1, keepdim=True))).all()
            if unit is None:
                # The unit of each output is that which the first edge's largest factor is MOST of.
                flat = (w * edge.sign()).reshape(shape[0], -1)
                unit = (flat.sum(1) / edge.abs().reshape(shape[0], -1).sum(1)).reshape(
                    -1, *[1] * (w.ndim - 1)
                )
            before = rest.norm()
            rest = rest - edge * unit
            assert rest.norm() < 0.8 * before
        assert (rule.deployed(w)[0] == sum(edges)).all()


def test_closest_ternary_is_the_closest_of_all() -> None:
    groups = values(6, 4)
    ternary, alpha = rules.closest_ternary(groups)
    found = (groups - ternary * alpha).norm(dim=1)
    for signs in itertools.product((-1.0, 0.0, 1.0), repeat=4):
        t = torch.tensor(signs)
        if t.any():
            best = (groups @ t / t.square().sum()).clamp(min=0)[:, None]
            assert (found <= (groups - best * t).norm(dim=1) + 1e-6).all()
