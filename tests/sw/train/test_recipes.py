"""What is special about each recipe, against answers from outside."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from xnorflow.errors import BadInput
from xnorflow.train.fit import fit
from xnorflow.train.methods import find_method
from xnorflow.train.recipes import expectation_backpropagation as ebp

from .tiny import stripes, task, trained


def layers(path: Path) -> list[tuple[np.ndarray, ...]]:
    """Return the constants of all dense layers and convolutions of a file."""
    graph = onnx.load(path).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    found = (n for n in graph.node if n.op_type in ("Gemm", "Conv"))
    return [tuple(stored[name] for name in n.input[1:]) for n in found]


# Expectation backpropagation


def test_the_normal_distribution_is_right_to_its_stated_error() -> None:
    z = np.linspace(-9, 9, 181)
    share = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
    assert np.abs(ebp.share_below(z) - share).max() < 1e-7
    density, quotient = ebp.normal_tail(z)
    np.testing.assert_allclose(density, np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    np.testing.assert_allclose(quotient, density / share, rtol=6e-5)


def test_an_update_is_the_slope_of_the_likelihood_along_the_means() -> None:
    """Finite differences of log P(t), with every standard deviation held."""
    wanted = task(find_method("ebp"), net="6")
    made = ebp.Posterior(wanted, np.float64)
    x, t = made.x[:1], made.targets[:1]
    held = [layer.s for layer in made.forward(x)]

    def likelihood(means: list[np.ndarray]) -> float:
        values = x
        for i, (m, s) in enumerate(zip(means, held, strict=True)):
            mu = values @ m.T / math.sqrt(m.shape[1])
            if i == len(means) - 1:
                return sum(
                    math.log(0.5 * math.erfc(-z / math.sqrt(2))) for z in (t * mu / s).ravel()
                )
            values = np.array([[math.erf(z / math.sqrt(2)) for z in (mu / s).ravel()]])
        raise AssertionError

    means = [np.tanh(h) for h in made.h]
    before = [h.copy() for h in made.h]
    made._update(x, t)
    for layer, place in ((0, (2, 5)), (0, (4, 30)), (1, (0, 3)), (1, (2, 1))):
        moved = []
        for step in (1e-4, -1e-4):
            changed = [m.copy() for m in means]
            changed[layer][place] += step
            moved.append(likelihood(changed))
        slope = (moved[0] - moved[1]) / 2e-4
        update = made.h[layer][place] - before[layer][place]
        assert update == pytest.approx(slope, rel=2e-3, abs=1e-6)


def test_ebp_has_a_real_bias_and_binary_weights(tmp_path: Path) -> None:
    trained(find_method("ebp"), tmp_path / "a.onnx")
    assert all(set(np.unique(w)) == {-1, 1} for (w,) in layers(tmp_path / "a.onnx"))


# The others need PyTorch.

torch = pytest.importorskip("torch", reason="PyTorch (extra: train) trains the networks")


def test_bitwise_layers_are_bits_with_a_mask(tmp_path: Path) -> None:
    trained(find_method("bitwise"), tmp_path / "a.onnx")
    for weight, bias in layers(tmp_path / "a.onnx"):
        assert set(np.unique(weight)) <= {-1, 0, 1} and set(np.unique(bias)) <= {-1, 1}
        assert (weight == 0).mean() == pytest.approx(0.1, abs=0.03)


def test_the_first_half_of_the_epochs_is_the_first_phase() -> None:
    training = fit(find_method("bitwise"), task(find_method("bitwise"), epochs=1))
    assert all(layer.bits for layer in training.layers())  # type: ignore[attr-defined]
    wanted = task(find_method("bitwise"), epochs=4)
    training = find_method("bitwise").start(wanted)
    phases = []
    for number in range(4):
        training.epoch(number)
        phases.append(training.layers()[0].bits)  # type: ignore[attr-defined]
    assert phases == [False, False, True, True]


def test_windows_of_a_truenorth_chip() -> None:
    from xnorflow.train.recipes.true_north import windows

    found = windows((1, 28, 28))
    assert found.shape == (4, 256)
    assert [w[0] for w in found] == [0, 12, 12 * 28, 12 * 28 + 12]
    assert set(found.ravel()) == set(range(784))
    with pytest.raises(BadInput, match="more than the 256 inputs"):
        windows((3, 32, 32))


def test_a_spike_is_as_likely_as_all_synapses_together_say() -> None:
    from xnorflow.train.recipes.true_north import Cores

    torch.manual_seed(3)
    cores = Cores(1, 12, 5)
    with torch.no_grad():
        x = torch.tensor([[[1.0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]]])
        found = cores(x)[0, 0].numpy()
    c, signs = cores.c[0].detach().numpy(), cores.signs[0].numpy()
    for neuron in range(5):
        share = 0.0
        for there in itertools.product((0, 1), repeat=12):
            t = np.array(there)
            likely = np.where(t, c[neuron], 1 - c[neuron]).prod()
            share += likely * ((x.numpy()[0, 0] * t) @ signs[neuron] >= 0)
        # The normal approximation of ten Bernoulli variables is this good.
        assert found[neuron] == pytest.approx(share, abs=0.05)


def test_synapses_are_drawn_as_often_as_they_were_trained() -> None:
    from xnorflow.train.recipes.true_north import Cores

    torch.manual_seed(3)
    cores, random = Cores(2, 9, 4), np.random.default_rng(0)
    drawn = np.stack([cores.drawn(random) for _ in range(4000)])
    np.testing.assert_allclose(drawn.mean(0), (cores.c.detach() * cores.signs).numpy(), atol=0.04)
    assert (np.sign(drawn) * cores.signs.numpy() >= 0).all()
    per_neuron = cores.signs[..., :4]
    assert (per_neuron.sum(-1) == 0).all(), "every neuron has two types of either sign"


def test_an_ensemble_adds_the_spikes_of_its_members(tmp_path: Path) -> None:
    one, eight = find_method("true-north"), find_method("true-north-ensemble")
    trained(one, tmp_path / "one.onnx")
    trained(eight, tmp_path / "eight.onnx")
    (first, *_), (second, *_), (votes, *_) = layers(tmp_path / "eight.onnx")
    # 4 cores x 8 members x 12 neurons, 16 axons of a window of 4 x 4.
    assert first.shape == (384, 16, 1, 1) and second.shape == (240, 384)
    assert votes.shape == (3, 240) and set(np.unique(votes)) == {0, 1}
    blocks = second.reshape(8, 30, 4, 8, 12)
    for reader, read in itertools.product(range(8), repeat=2):
        assert (blocks[reader, :, :, read] != 0).any() == (reader == read)
    # The same seed draws the single network as the ensemble's first member.
    (own, *_), (after, *_), _ = layers(tmp_path / "one.onnx")
    np.testing.assert_array_equal(own.reshape(4, 12, 16), first.reshape(4, 8, 12, 16)[:, 0])
    np.testing.assert_array_equal(after, blocks[0, :, :, 0].reshape(30, 48))


@pytest.mark.parametrize("net", ["12", "65-30", "12-300", "12-2", "8C3-4-4"])
def test_chips_that_do_not_exist(net: str) -> None:
    with pytest.raises(BadInput, match="--net"):
        find_method("true-north").start(task(find_method("true-north"), net=net))


def test_committees_vote_and_perceptrons_do_not(tmp_path: Path) -> None:
    trained(find_method("committee"), tmp_path / "a.onnx")
    (hidden,), (votes,) = layers(tmp_path / "a.onnx")
    assert hidden.shape == (15, 36) and votes.tolist() == np.repeat(np.eye(3), 5, 1).tolist()
    trained(find_method("perceptron"), tmp_path / "b.onnx")
    ((weights,),) = layers(tmp_path / "b.onnx")
    assert weights.shape == (3, 36) and set(np.unique(weights)) == {-1, 1}


@pytest.mark.parametrize(
    ("name", "net"), [("committee", "4"), ("committee", "5-5"), ("perceptron", "5")]
)
def test_committees_that_cannot_decide(name: str, net: str) -> None:
    with pytest.raises(BadInput, match="--net"):
        find_method(name).start(task(find_method(name), net=net))


def test_replicas_are_drawn_together() -> None:
    from xnorflow.train.recipes import local_entropy

    wanted = task(find_method("committee"), epochs=40)
    training = find_method("committee").start(wanted)
    spread = []
    for number in range(40):
        training.epoch(number)
        spread.append(float(training.w.detach().std(0).mean()))  # type: ignore[attr-defined]
    assert len(training.w) == local_entropy.REPLICAS  # type: ignore[attr-defined]
    assert spread[-1] < 0.8 * max(spread)
    assert len(find_method("committee-plain").start(task(find_method("committee-plain"))).w) == 1  # type: ignore[attr-defined]


def test_symmetric_saturation() -> None:
    from xnorflow.train.recipes.low_precision import quantised

    x = torch.tensor([0.3, 5.0, -5.0, 0.125, 0.375, -0.126])
    # Two bits and a sign, range 2: steps of 1/2 up to 3/2 on both sides; halves to even.
    assert quantised(x, 2, 1).tolist() == [0.5, 1.5, -1.5, 0.0, 0.5, 0.0]


def test_the_range_follows_the_overflow() -> None:
    from xnorflow.train.recipes.low_precision import NumberRange

    group = NumberRange(0)
    group.see(torch.tensor([0.1, 1.5]))
    group.change()
    assert group.order == 1  # too many overflowed 1
    group.see(torch.tensor([0.1, 1.5]))
    group.change()
    assert group.order == 1  # none overflows 2, some would overflow 1
    group.see(torch.tensor([0.1, 0.9]))
    group.change()
    group.change()
    assert group.order == 0  # and nothing changes without numbers


def test_weights_are_kept_in_more_bits_than_they_are_used_in() -> None:
    training = fit(find_method("dynamic-fixed-point"), task(find_method("dynamic-fixed-point")))
    for layer in training.layers:  # type: ignore[attr-defined]
        kept = layer.weight.detach() * 2.0 ** (11 - layer.weights.order)
        used = layer.propagated()[0] * 2.0 ** (7 - layer.weights.order)
        assert (kept == kept.round()).all() and (used == used.round()).all()
        assert used.abs().max() <= 127 and (kept / 16 != (kept / 16).round()).any()


def test_batch_normalisation_is_settled_on_the_deployed_weights() -> None:
    method = find_method("binary-connect-stochastic")
    training = fit(method, task(method))
    net = training.settled()  # type: ignore[attr-defined]
    with torch.no_grad():
        x = torch.from_numpy(stripes().x_train.astype(np.float32))
        for layer in net[:2]:
            x = layer(x)
    mean = net[2].inner.running_mean
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-3, atol=0.5)
