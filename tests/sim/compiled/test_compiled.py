"""Compiled layers against the golden model in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xnorflow as xf
from xnorflow import ir
from xnorflow.errors import BadInput, CheckFailed, ToolMissing
from xnorflow_sim import golden
from xnorflow_sim.compiled import compiled_layers, kernel_library
from xnorflow_sim.verilator import toolchain

from ...branching import branching_cases
from ...strategies import Case, cases

MODELS = Path(__file__).parents[4] / "shared/data/models"


@pytest.fixture(autouse=True)
def kernels() -> None:
    try:
        toolchain.compiler()
    except ToolMissing as e:
        pytest.skip(str(e))


def same(net: ir.IntegerNetwork, x: np.ndarray) -> int:
    """Compare compiled layers with NumPy; return how many layers are compiled."""
    fast = compiled_layers.compiled_layers(net, needed=True)
    if fast is None:
        return 0
    np.testing.assert_array_equal(
        golden._frame_scores(net, x, fast=fast), golden._frame_scores(net, x)
    )
    return fast.layers


@settings(max_examples=60, deadline=None)
@given(cases())
def test_drawn_networks_are_the_same(case: Case) -> None:
    same(case.net, golden.frames(case.net, case.x))


def layered(
    rng: np.random.Generator, channels: int, first: ir.Alphabet, codes: ir.Alphabet, w: ir.Alphabet,
    window: ir.Window, pad: int, groups: int, size: int = 6,
) -> ir.IntegerNetwork:  # fmt: skip
    """Return a network whose second convolution has at least 63 inputs a tap and group."""

    def conv(name: str, shape: tuple[int, ...], a: ir.Alphabet, **more: Any) -> ir.Conv:
        return ir.Conv(name, a.values(rng.integers(0, a.levels, shape)), a, **more)

    def cut(name: str, n: int, spread: int) -> ir.Threshold:
        drawn = rng.integers(-spread, spread + 1, (n, codes.levels - 1))
        return ir.Threshold(name, np.sort(drawn, 1), codes)

    wide = channels * groups
    minimum = rng.integers(0, 2, 5 * groups).astype(bool)
    table = rng.integers(0, first.levels, (1, 256))
    rows, cols = window.kernel
    body: list[ir.Layer] = [
        ir.InputTable("table", table, first),
        conv("conv0", (wide, 1, 1, 2), ir.BIPOLAR),
        cut("cut0", wide, 2),
        conv("conv1", (5 * groups, rows, cols, channels), w, window=window, pad_value=pad,
             groups=groups),
        cut("cut1", 5 * groups, 12),
        ir.MaxPool("pool", ir.Window((2, 2), (1, 1), pads=(1, 0, 0, 1)), minimum),
        ir.Flatten("flat"),
    ]  # fmt: skip
    partial = ir.LayerGraph("net", (size, size, 2), tuple(body))
    flat = partial.features[-1].channels
    body.append(conv("dense", (3, 1, 1, flat), w))
    body.append(ir.Scores("scores", np.zeros(3, np.int64)))
    return ir.IntegerNetwork("net", (size, size, 2), tuple(body))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    channels=st.sampled_from([31, 63, 64, 65, 127, 128, 129]),
    codes=st.sampled_from([ir.BIPOLAR, ir.UNIPOLAR, ir.TERNARY, ir.Alphabet(-3, 2, 4)]),
    first=st.sampled_from([ir.BIPOLAR, ir.TERNARY, ir.Alphabet(-8, 1, 16)]),
    weights=st.sampled_from([ir.BIPOLAR, ir.UNIPOLAR, ir.TERNARY, ir.Alphabet(-4, 1, 8)]),
    kernel=st.sampled_from([(1, 1), (2, 3), (3, 3)]),
    stride=st.sampled_from([(1, 1), (2, 1)]),
    dilation=st.sampled_from([(1, 1), (1, 2)]),
    pads=st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 0)]),
    pad=st.sampled_from([-1, 0, 1]),
    groups=st.sampled_from([1, 2, 3]),
)
def test_layers_at_the_edges_of_words_are_the_same(
    seed: int, channels: int, codes: ir.Alphabet, first: ir.Alphabet, weights: ir.Alphabet,
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    pads: tuple[int, int, int, int], pad: int, groups: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    window = ir.Window(kernel, stride, dilation, pads)
    net = layered(rng, channels, first, codes, weights, window, pad, groups)
    x = rng.integers(0, 256, (5, 6, 6, 2)).astype(np.uint8)
    assert same(net, x) == len(net.layers) - 1


@pytest.fixture
def net() -> ir.IntegerNetwork:
    rng = np.random.default_rng(1)
    window = ir.Window((3, 3), pads=(1, 1, 1, 1))
    return layered(rng, 64, ir.BIPOLAR, ir.BIPOLAR, ir.BIPOLAR, window, 0, 1)


def test_a_join_of_one_map_behind_compiled_layers_is_computed() -> None:
    """A chain may have a join: a map plus itself, or plus constants."""
    rng = np.random.default_rng(4)
    window = ir.Window((3, 3))
    layers: tuple[ir.Layer, ...] = (
        ir.InputTable("table", rng.integers(0, 2, (1, 256)), ir.BIPOLAR),
        ir.Conv("conv", rng.choice((-1, 1), (4, 3, 3, 64)), ir.BIPOLAR, window),
        ir.Add("add", np.array([[1, -1, 1, -1]])),
        ir.Threshold("sign", np.zeros((4, 1), np.int64), ir.BIPOLAR),
        ir.Flatten("flat"),
        ir.Conv("dense", rng.choice((-1, 1), (3, 1, 1, 36)), ir.BIPOLAR),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    net = ir.IntegerNetwork("net", (5, 5, 64), layers)
    assert net.chain
    x = rng.integers(0, 256, (20, 5, 5, 64)).astype(np.uint8)
    assert same(net, x) == 6
    np.testing.assert_array_equal(golden.run(net, x)[:5], golden.run(net, x[:5]))


@settings(max_examples=60, deadline=None)
@given(branching_cases(forks=3))
def test_drawn_networks_that_branch_are_the_same(case: Case) -> None:
    same(case.net, golden.frames(case.net, case.x))


@pytest.mark.parametrize("codes", [ir.BIPOLAR, ir.TERNARY, ir.Alphabet(-3, 2, 4)])
@pytest.mark.parametrize("channels", [32, 65])
def test_both_ways_of_a_branch_are_compiled(codes: ir.Alphabet, channels: int) -> None:
    """Behind a fork and behind a join, maps of values are brought into planes."""
    rng = np.random.default_rng(6)
    window = ir.Window((3, 3), pads=(1, 1, 1, 1))

    def conv(name: str, inputs: int) -> ir.Conv:
        weights = rng.choice((-1, 1), (channels, 3, 3, inputs))
        return ir.Conv(name, weights, ir.BIPOLAR, window, inputs=(before[name],))

    def cut(name: str) -> ir.Threshold:
        drawn = np.sort(rng.integers(-9, 10, (channels, codes.levels - 1)), 1)
        return ir.Threshold(name, drawn, codes, inputs=(before[name],))

    before = {
        "stem": "table",
        "code0": "stem",
        "conv1": "code0",
        "code1": "conv1",
        "conv2": "code1",
        "code2": "add",
        "conv3": "code2",
    }
    layers: tuple[ir.Layer, ...] = (
        ir.InputTable("table", rng.integers(0, 2, (1, 256)), ir.BIPOLAR),
        conv("stem", 2),
        cut("code0"),
        conv("conv1", channels),
        cut("code1"),
        conv("conv2", channels),
        ir.Add("add", np.array([[1], [3]]), inputs=("conv2", "code0")),
        cut("code2"),
        conv("conv3", channels),
        ir.Maximum("most", np.array([[1], [2]]), inputs=("conv3", "add")),
        ir.Flatten("flat"),
        ir.Conv("dense", rng.choice((-1, 1), (3, 1, 1, 36 * channels)), ir.BIPOLAR),
        ir.Scores("scores", np.zeros(3, np.int64)),
    )
    net = ir.IntegerNetwork("net", (6, 6, 2), layers)
    fast = compiled_layers.compiled_layers(net, needed=True)
    assert fast is not None
    assert [(t.first, t.end, t.source) for t in fast.tables.values()] == [
        (0, 3, 0),
        (3, 6, 3),
        (7, 9, 7),
        (10, 12, 10),
    ]
    assert same(net, X) == 10
    np.testing.assert_array_equal(golden.run(net, X), golden._frame_scores(net, X))


X = np.random.default_rng(2).integers(0, 256, (40, 6, 6, 2)).astype(np.uint8)


def test_the_environment_chooses(net: ir.IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for engine in golden.ENGINES:
        monkeypatch.setenv(golden.ENGINE, engine)
        found[engine] = net(X)
    np.testing.assert_array_equal(found["compiled"], found["numpy"])
    np.testing.assert_array_equal(found["auto"], found["numpy"])
    monkeypatch.setenv(golden.ENGINE, "fast")
    with pytest.raises(BadInput, match="can only be auto, numpy, compiled"):
        net(X)


def test_a_wrong_kernel_is_noticed(net: ir.IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = compiled_layers.CompiledLayers.__call__
    monkeypatch.setattr(compiled_layers.CompiledLayers, "__call__", lambda *a: wrong(*a) + 1)
    with pytest.raises(CheckFailed, match="network net: its compiled layers give frame 0 other"):
        net(X)


def test_without_a_library_numpy_computes(
    net: ir.IntegerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = net(X)

    def fails() -> None:
        raise CheckFailed("the compiler fails")

    monkeypatch.setattr(kernel_library, "kernels", fails)
    np.testing.assert_array_equal(net(X), expected)
    monkeypatch.setenv(golden.ENGINE, "compiled")
    with pytest.raises(CheckFailed, match="the compiler fails"):
        net(X)


def test_a_compiler_that_refuses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="compiler fails on the golden model's kernels"):
        kernel_library.load(("-march=nothing",), tmp_path)


def test_a_compiler_that_fails_is_called_once(
    net: ir.IntegerNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fails() -> kernel_library.Kernels:
        calls.append(1)
        raise CheckFailed("the compiler fails")

    monkeypatch.setattr(kernel_library, "load", fails)
    kernel_library._attempt.cache_clear()
    try:
        for _ in range(2):
            assert compiled_layers.compiled_layers(net, needed=False) is None
    finally:
        kernel_library._attempt.cache_clear()
    assert len(calls) == 1


@pytest.mark.parametrize("target", ["-march=x86-64-v3", ""])
def test_other_builds_and_a_damaged_library(
    net: ir.IntegerNetwork, tmp_path: Path, target: str
) -> None:
    targets = ("-march=nothing", target)
    fast = compiled_layers.compiled_layers(net, needed=True)
    assert fast is not None
    run = kernel_library.load(targets, tmp_path)
    other = compiled_layers.CompiledLayers(fast.tables, run)
    [part] = fast.tables.values()
    np.testing.assert_array_equal(other(part, X), fast(part, X))
    [library] = tmp_path.glob("golden-*/kernels.so")
    size = library.stat().st_size
    # A file of another name: this process still runs the first.
    library.rename(tmp_path / "kept.so")
    library.write_bytes(b"damaged")
    kernel_library.load(targets, tmp_path)
    [again] = tmp_path.glob("golden-*/kernels.so")
    assert again.stat().st_size == size


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_1W2A", "mnist_lfcW1A2", "cifar10_cnvW1A1"])
def test_published_networks_are_the_same(name: str) -> None:
    path = MODELS / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in shared/data/models")
    net = xf.load(path, input_scale=1 / 255)
    shape = (20, *net.shape)
    x = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    assert same(net, x) == len(net.layers) - 1
