"""What is special to the recipes of networks that branch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from xnorflow.errors import BadInput
from xnorflow.train.fit import CALIBRATION, fit, write_calibration
from xnorflow.train.methods import find_method
from xnorflow.train.stages import BlockStage, stages

from .tiny import stripes, task, trained

torch = pytest.importorskip("torch", reason="PyTorch (extra: train) trains these")

from xnorflow.train import residual_layers as layers  # noqa: E402
from xnorflow.train import weight_rules as rules  # noqa: E402
from xnorflow.train.recipes import frac_bnn, react_net, xnor_net_k  # noqa: E402
from xnorflow.train.torch_layers import Norm, Signs, WeightLayer  # noqa: E402


def kinds(path: Path) -> list[str]:
    """Return the operators of a file, in order."""
    return [n.op_type for n in onnx.load(path).graph.node]


def stored(path: Path, op: str) -> list[np.ndarray]:
    """Return the last constants of all nodes of an operator."""
    graph = onnx.load(path).graph
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    return [held[n.input[-1]] for n in graph.node if n.op_type == op and n.input[-1] in held]


def test_stages_of_blocks() -> None:
    assert stages("16x2-32", (3, 8, 8), doubles=True) == (
        BlockStage(16, 16, 2),
        BlockStage(16, 32, 1),
    )
    assert BlockStage(16, 32, 3).block_inputs() == (16, 32, 32)


@pytest.mark.parametrize(
    ("net", "why"),
    [
        ("", "is no stage"),
        ("16C3-32", "'16C3' is no stage.*16x3-32x3"),
        ("16-24", "twice the channels.*16-32 would work"),
        ("16-32-64", "a map of 3 x 3 cannot be halved for the stage 64; 2 stages would work"),
        ("0", "1 to 16384 channels"),
        ("8x0", "1 to 64 blocks"),
        ("99999", "1 to 16384 channels"),
        ("8x40-16x40", "more than 64 blocks"),
    ],
)
def test_stages_that_are_none(net: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        stages(net, (1, 6, 6), doubles=True)


def test_quick_net_needs_a_quarter_of_the_channels() -> None:
    method = find_method("quick-net")
    with pytest.raises(BadInput, match="multiple of 4"):
        method.start(task(method, net="6"))


def test_the_gradient_of_approx_sign() -> None:
    x = torch.tensor([-1.5, -1.0, -0.25, 0.0, 0.5, 2.0], requires_grad=True)
    made = layers.ApproxSigns()(x)
    made.sum().backward()
    assert made.tolist() == [-1, -1, -1, 1, 1, 1]
    assert x.grad.tolist() == [0, 0, 1.5, 2, 1, 0]


def test_the_bound_of_a_signs_gradient() -> None:
    x = torch.tensor([-1.3, -1.2, 1.25, 1.26], requires_grad=True)
    Signs(1.25)(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_magnitudes_are_constants_for_the_gradient() -> None:
    w = torch.tensor([[0.5, -1.5], [0.25, 0.75]], requires_grad=True)
    made = rules.MagnitudeSigns()(w)
    made.sum().backward()
    assert made.tolist() == [[1, -1], [0.5, 0.5]]
    assert w.grad.tolist() == [[1, 0], [1, 1]]


def test_real_weights_first() -> None:
    rule = rules.RealFirst(rules.ClippedSigns(1.3, bounded=False))
    w = torch.tensor([[0.5, -1.5]], requires_grad=True)
    assert rule(w) is w and rule.deployed(w)[0].tolist() == [[1, -1]]
    rule.real = False
    made = rule(w)
    made.sum().backward()
    assert made.tolist() == [[1, -1]] and w.grad.tolist() == [[1, 0]]


def test_rprelu_by_hand() -> None:
    bent = layers.shifted_rectifier(2)
    with torch.no_grad():
        bent[0].value.copy_(torch.tensor([1.0, -1.0]))
        bent[1].slope.copy_(torch.tensor([0.5, -2.0]))
        bent[2].value.copy_(torch.tensor([0.0, 10.0]))
    x = torch.tensor([[-3.0, -3.0], [0.0, 3.0]])[:, :, None, None]
    assert bent(x)[:, :, 0, 0].tolist() == [[-1, 18], [1, 12]]


def test_the_map_k_is_a_box_filter_of_the_mean_magnitude() -> None:
    layer = xnor_net_k.MagnitudeScaled((4, 3, 3, 3)).eval()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 5, 6))).float()
    with torch.no_grad():
        made = layer(x).numpy()
        whole, alpha = layer.weights.rule.deployed(layer.weights.weight)
        sums = torch.nn.functional.conv2d(torch.where(x >= 0, 1.0, -1.0), whole, padding=1)
    padded = np.pad(np.abs(x.numpy()).mean(1), ((0, 0), (1, 1), (1, 1)))
    for row, column in np.ndindex(5, 6):
        k = padded[:, row : row + 3, column : column + 3].sum((1, 2)) / 9
        want = sums.numpy()[:, :, row, column] * alpha.numpy() * k[:, None]
        np.testing.assert_allclose(made[:, :, row, column], want, rtol=1e-5)


def test_a_thermometer_counts() -> None:
    for most, levels in ((16, 16), (255, 32)):
        thermometer = frac_bnn.Thermometer(2, most)
        x = torch.arange(most + 1.0).reshape(-1, 1, 1, 1).repeat(1, 2, 1, 1)
        bits = thermometer(x)[:, :, 0, 0].reshape(-1, levels, 2)
        ones = (bits == 1).sum(1)[:, 0]
        assert ones[0] == 0 and ones[-1] == levels and (ones.diff() >= 0).all()
        assert (bits[:, :, 0] == bits[:, :, 1]).all()
        assert (bits.diff(dim=1) <= 0).all(), "a lower level first"
    # As published: round(x / 8), but for ties.
    assert ones.tolist() == [(x + 4) // 8 for x in range(256)]


def test_a_gate_adds_the_lower_bits_where_the_upper_ask_for_it() -> None:
    gated = frac_bnn.GatedConv(2, 3, 1).eval()
    with torch.no_grad():
        gated.threshold.copy_(torch.tensor([-100.0, 100.0, 0.5]))
        x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 2, 5, 5))).float()
        made = gated(x)
        # Thirds -3, -1, 1, 3: twice the upper sign, and the lower.
        codes = 2 * ((x.clamp(-1, 1) + 1) * 1.5).round() - 3
        upper = torch.where(codes >= 0, 1.0, -1.0)
        lower = codes - 2 * upper
        assert set(lower.unique().tolist()) == {-1, 1}
        first, second = gated.conv(2 * upper), gated.conv(lower)
    assert (made[:, 0] == (first + second)[:, 0]).all()
    assert (made[:, 1] == first[:, 1]).all()
    asked = first[:, 2] > 1.5
    assert (made[:, 2] == torch.where(asked, (first + second)[:, 2], first[:, 2])).all()
    assert asked.any() and not asked.all()


def test_frac_bnn_has_binary_weights_and_one_real_layer(tmp_path: Path) -> None:
    trained(find_method("frac-bnn"), tmp_path / "a.onnx")
    for weights in stored(tmp_path / "a.onnx", "Conv"):
        assert set(np.unique(weights)) <= {-1, 1}
    assert kinds(tmp_path / "a.onnx").count("Gemm") == 1


def test_quick_net_pads_with_ones_and_blurs(tmp_path: Path) -> None:
    trained(find_method("quick-net"), tmp_path / "a.onnx")
    assert stored(tmp_path / "a.onnx", "Pad") == [1, 1]
    blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
    assert any(
        w.shape[1:] == (1, 3, 3) and (w == blur).all() for w in stored(tmp_path / "a.onnx", "Conv")
    )


def test_every_block_has_its_shortcut(tmp_path: Path) -> None:
    for name, net, adds, concats in (
        ("bi-real", "6x2-8", 3, 0),
        ("react-net", "4x2-8", 2 * 2 + 3, 1),
        ("quick-net", "8x2-6", 3, 0),
    ):
        method = find_method(name)
        trained(method, tmp_path / "a.onnx", task(method, net=net))
        found = kinds(tmp_path / "a.onnx")
        shortcuts = [n for n in onnx.load(tmp_path / "a.onnx").graph.node if n.op_type == "Add"]
        constants = {t.name for t in onnx.load(tmp_path / "a.onnx").graph.initializer}
        assert sum(not constants & set(n.input) for n in shortcuts) == adds, name
        assert found.count("Concat") == concats, name


def test_react_net_learns_from_a_network_that_no_longer_changes() -> None:
    method = find_method("react-net")
    training = method.start(task(method, epochs=3))
    assert isinstance(training, react_net.AfterTeacher)

    def values(net: torch.nn.Module) -> list[np.ndarray]:
        return [p.detach().numpy().copy() for p in net.parameters()]

    start = values(training.net)
    training.epoch(0)
    assert all((a == b).all() for a, b in zip(start, values(training.net), strict=True))
    teacher, weights = values(training.teacher.net), []
    for number in (1, 2):
        training.epoch(number)
        rule = next(
            m.rule
            for m in training.net.modules()
            if isinstance(m, WeightLayer) and isinstance(m.rule, rules.RealFirst)
        )
        weights.append(rule.real)
    assert weights == [True, False]
    assert all((a == b).all() for a, b in zip(teacher, values(training.teacher.net), strict=True))
    assert any((a != b).any() for a, b in zip(start, values(training.net), strict=True))


def test_norms_within_a_block_are_settled_on_the_deployed_weights() -> None:
    method = find_method("bi-real")
    training = fit(method, task(method))
    net = training.settled()
    x = torch.from_numpy(stripes().x_train.astype(np.float32))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        seen: list[tuple[float, float]] = []
        for norm in (m for m in net.modules() if isinstance(m, Norm)):
            norm.register_forward_hook(
                lambda m, _, y: seen.append(
                    (
                        float(abs(y.mean((0, 2, 3)) - m.inner.bias).max()),
                        float(abs(y.std((0, 2, 3)) - m.inner.weight.abs()).max()),
                    )
                )
            )
        net(x)
    # All images were in the batches that they were settled on.
    assert len(seen) == 4
    assert max(a for a, _ in seen) < 1e-4 and max(b for _, b in seen) < 2e-3


def test_images_are_kept_for_calibration(tmp_path: Path) -> None:
    data = stripes(frames=CALIBRATION + 20)
    write_calibration(data, tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as held:
        assert held.files == ["x"]
        np.testing.assert_array_equal(held["x"], data.x_train[:CALIBRATION])
