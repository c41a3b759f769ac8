"""Which scores depend on the input at all, against loops over every tap."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir import file as ir_file
from xnorflow.ir.verify import reached, verify_reached

Place = tuple[int, int, int]


def after(layer: ir.Layer, inp: ir.Features, out: ir.Features, alive: set[Place]) -> set[Place]:
    """Follow what depends on the input through one layer, tap by tap."""
    if isinstance(layer, ir.Flatten):
        places = list(product(*map(range, inp.shape)))
        return {(0, 0, i) for i, place in enumerate(places) if place in alive}
    if not isinstance(layer, ir.Conv | ir.MaxPool | ir.SumPool):
        return alive
    w, found = layer.window, set()
    for y, x, c in product(*map(range, out.shape)):
        channels = range(inp.channels) if isinstance(layer, ir.Conv) else [c]
        for ky, kx, i in product(range(w.kernel[0]), range(w.kernel[1]), channels):
            row = y * w.stride[0] + ky * w.dilation[0] - w.pads[0]
            column = x * w.stride[1] + kx * w.dilation[1] - w.pads[1]
            if (row, column, i) in alive:
                found.add((y, x, c))
    return found


@st.composite
def windows(draw: st.DrawFn) -> ir.Window:
    def pair(most: int) -> tuple[int, int]:
        return draw(st.integers(1, most)), draw(st.integers(1, most))

    pads: Any = tuple(draw(st.integers(0, 3)) for _ in range(4))
    return ir.Window(pair(3), pair(3), pair(2), pads)


@st.composite
def networks(draw: st.DrawFn) -> ir.IntegerNetwork:
    """Two windows over a small map, then all of it as scores."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 2)))
    layers: list[ir.Layer] = []
    features = ir.Features(*shape, ir.UINT8)
    for number in range(2):
        window, name = draw(windows()), f"layer{number}"
        assume(min(window.output(features.height, features.width)) >= 1)
        kind = draw(st.sampled_from(["conv", "max", "sum"]))
        if kind == "conv":
            weights = np.zeros((2, *window.kernel, features.channels), np.int64)
            layers.append(ir.Conv(name, weights, ir.TERNARY, window))
        elif kind == "max":
            layers.append(ir.MaxPool(name, window, np.zeros(features.channels, bool)))
        else:
            layers.append(ir.SumPool(name, window))
        features = layers[-1].output(features)
    layers.append(ir.Flatten("flat"))
    layers.append(ir.Scores("scores", np.zeros(features.size, np.int64)))
    return ir.IntegerNetwork("net", shape, tuple(layers))


@given(networks())
def test_scores_are_reached_through_some_tap(net: ir.IntegerNetwork) -> None:
    alive = set(product(*map(range, net.shape)))
    for layer, inp, out in net:
        alive = after(layer, inp, out, alive)
    wanted = [(0, 0, score) in alive for score in range(net.features[-1].channels)]
    assert reached(net).tolist() == wanted
    if all(wanted):
        verify_reached(net)
    else:
        first = wanted.index(False)
        with pytest.raises(UnsupportedModel, match=f"'scores'.*score {first} does not depend"):
            verify_reached(net)


def beside(kernel: int, stride: int, pads: int) -> ir.IntegerNetwork:
    """A window over a map of one pixel with padding on its left."""
    window = ir.Window((1, kernel), (1, stride), (1, 1), (0, pads, 0, 0))
    conv = ir.Conv("conv", np.zeros((1, 1, kernel, 1), np.int64), ir.TERNARY, window)
    classes = window.output(1, 1)[1]
    scores = ir.Scores("scores", np.zeros(classes, np.int64))
    return ir.IntegerNetwork("net", (1, 1, 1), (conv, ir.Flatten("flat"), scores))


def test_one_tap_on_the_map_is_enough() -> None:
    verify_reached(beside(kernel=2, stride=2, pads=1))
    verify_reached(beside(kernel=1, stride=2, pads=0))
    for kernel, stride, pads, score in ((1, 2, 1, 0), (1, 1, 1, 0), (2, 1, 2, 0), (1, 1, 2, 0)):
        with pytest.raises(UnsupportedModel, match=f"score {score} does not depend on the input"):
            verify_reached(beside(kernel, stride, pads))


def test_files_of_networks_have_so_many_bytes_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = beside(kernel=2, stride=2, pads=1)
    ir_file.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        size = sum(arrays[name].nbytes for name in arrays.files)
    monkeypatch.setattr(ir_file, "MAX_BYTES", size)
    assert ir_file.load(tmp_path / "net.npz").digest == net.digest
    monkeypatch.setattr(ir_file, "MAX_BYTES", size - 1)
    with pytest.raises(BadInput, match="is not a network that xnorflow wrote: .* claims"):
        ir_file.load(tmp_path / "net.npz")


def test_objects_are_never_written(tmp_path: Path) -> None:
    objects = ir.Scores("scores", np.array([{}], object))
    net = ir.IntegerNetwork("net", (1, 1, 1), (objects,))
    with pytest.raises(ValueError, match="[Oo]bject"):
        ir_file.save(net, tmp_path / "net.npz")
