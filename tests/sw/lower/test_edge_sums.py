"""Sums of convolutions of one map become edges of one layer, where the user asks for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import xnorflow as xf
from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.train.chain_file import ChainFile

Array = NDArray[np.float32]


def edges(rng: np.random.Generator, *shape: int, count: int = 3) -> list[Array]:
    """Return ternary weights times a factor of each output, smaller from edge to edge."""
    found = []
    for e in range(count):
        factor = rng.integers(1, 4, (shape[0], *[1] * (len(shape) - 1))) << (count - 1 - e)
        found.append((rng.integers(-1, 2, shape) * factor).astype(np.float32))
    return found


def written(path: Path, parts: list[list[Array]], used: int = 9) -> Path:
    """Write a convolution and a dense layer, each with the first edges of its list."""
    file = ChainFile("net", (2, 4, 4))
    file.sum_of_layers(parts[0][:used], pad=1)
    file.batch_norm(np.full(4, 3.0), np.full(4, 90000.0), np.ones(4), np.full(4, 0.3), 1e-4)
    file.stepped(4, 0, 15)
    file.sum_of_layers(parts[1][:used])
    file.save(path, 3, "")
    return path


@pytest.fixture
def parts() -> list[list[Array]]:
    rng = np.random.default_rng(2)
    return [edges(rng, 4, 2, 3, 3), edges(rng, 3, 64, count=2)]


X = np.random.default_rng(3).integers(0, 256, (40, 2, 4, 4)).astype(np.uint8)


def plain(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return scores without the factor that they all share: a network may have any."""
    return scores // np.gcd.reduce(scores, axis=None)


def test_fewer_edges_are_a_file_with_fewer_layers(parts: list[list[Array]], tmp_path: Path) -> None:
    path = written(tmp_path / "all.onnx", parts)
    net = xf.load(path, edges=True)
    layers = [layer for layer in net.layers if isinstance(layer, ir.Conv)]
    assert [layer.edge_count for layer in layers] == [3, 2] and net.edge_count == 3
    assert net.chain
    for count in (1, 2, 3):
        fewer = xf.load(written(tmp_path / f"{count}.onnx", parts, count))
        assert fewer.edge_count == 1
        np.testing.assert_array_equal(plain(net(X, edges=count)), plain(fewer(X)))
    counts = np.arange(len(X)) % 3 + 1
    each = [net(X, edges=count) for count in (1, 2, 3)]
    mixed = np.array([each[count - 1][k] for k, count in enumerate(counts)])
    np.testing.assert_array_equal(net(X, edges=counts), mixed)
    assert (each[0] != each[2]).any() and (each[1] != each[2]).any()


def test_without_the_wish_they_are_joined(parts: list[list[Array]], tmp_path: Path) -> None:
    path = written(tmp_path / "all.onnx", parts)
    joined = xf.load(path)
    assert joined.edge_count == 1
    np.testing.assert_array_equal(plain(joined(X)), plain(xf.load(path, edges=True)(X)))


def test_files_keep_the_edges(parts: list[list[Array]], tmp_path: Path) -> None:
    net = xf.load(written(tmp_path / "all.onnx", parts), edges=True)
    folder = xf.compile(net, cycles=2000).write(tmp_path / "design")
    again = xf.load(folder)
    assert again.digest == net.digest and again.edge_count == 3
    np.testing.assert_array_equal(again(X, edges=1), net(X, edges=1))
    with pytest.raises(BadInput, match="already says what its edges are"):
        xf.load(folder, edges=True)


def changed(path: Path, change: object) -> Path:
    """Change the weights or nodes of a file in place."""
    model = onnx.load(path)
    change(model.graph)  # type: ignore[operator]
    onnx.save(model, path)
    return path


def scaled(graph: onnx.GraphProto, factors: dict[str, Array]) -> None:
    """Multiply weights, by the name of their node, by a factor of each output."""
    for tensor in graph.initializer:
        for name, factor in factors.items():
            if tensor.name == f"{name}_0":
                value = numpy_helper.to_array(tensor)
                value = value * factor.reshape(-1, *[1] * (value.ndim - 1))
                tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))


def test_edges_of_other_scales_get_one_unit(parts: list[list[Array]], tmp_path: Path) -> None:
    factors = {
        "conv_0": np.full(4, 0.5, np.float32),
        "conv_1": np.array([0.25, 0.5, 1.0, 0.5], np.float32),
        "conv_2": np.full(4, 0.125, np.float32),
    }
    path = changed(written(tmp_path / "all.onnx", parts), lambda graph: scaled(graph, factors))
    net = xf.load(path, edges=True)
    layer = next(layer for layer in net.layers if isinstance(layer, ir.Conv))
    assert layer.edges is not None
    for e, name in enumerate(factors):
        whole = parts[0][e] * factors[name].reshape(-1, 1, 1, 1)
        got = layer.edges[e].transpose(0, 3, 1, 2)
        ratio = got[whole != 0] / whole[whole != 0]
        # Thresholds per output: each output has its own unit, the same in all edges.
        rows = np.nonzero(whole)[0]
        if e == 0:
            units = np.array([ratio[rows == o][0] for o in range(4)])
        np.testing.assert_array_equal(ratio, units[rows])
    np.testing.assert_array_equal(plain(net(X)), plain(xf.load(path)(X)))


def with_bias(graph: onnx.GraphProto) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "bias"))
    graph.node[1].input.append("bias")


def with_real_weights(graph: onnx.GraphProto) -> None:
    scaled(graph, {"conv_1": np.random.default_rng(1).uniform(0.5, 1, 4).astype(np.float32)})
    for tensor in graph.initializer:
        if tensor.name == "conv_1_0":
            value = np.random.default_rng(1).normal(size=tuple(tensor.dims)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def with_dilation(graph: onnx.GraphProto) -> None:
    node = graph.node[1]
    del node.attribute[:]
    node.attribute.extend(
        [helper.make_attribute("pads", [2] * 4), helper.make_attribute("dilations", [2, 2])]
    )


def with_far_scales(graph: onnx.GraphProto) -> None:
    scaled(graph, {"conv_1": np.full(4, 0.37, np.float32)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_bias, "'conv_1' has a bias"),
        (with_real_weights, "'conv_1' has real weights"),
        (with_dilation, "'conv_1' has another kernel, stride, padding or shape than 'conv_0'"),
        (with_far_scales, "no common unit"),
    ],
)
def test_terms_that_are_no_edges_are_named(
    change: object, reason: str, parts: list[list[Array]], tmp_path: Path
) -> None:
    path = changed(written(tmp_path / "all.onnx", parts), change)
    with pytest.raises(UnsupportedModel, match=f"add_.*{reason}"):
        xf.load(path, edges=True)


def test_a_network_without_such_sums_is_refused(parts: list[list[Array]], tmp_path: Path) -> None:
    path = written(tmp_path / "all.onnx", parts, 1)
    with pytest.raises(UnsupportedModel, match="none of its layers is a sum of edges"):
        xf.load(path, edges=True)
