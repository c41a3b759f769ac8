"""Sizes and parameters of a file: the last that is read, and the first that is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xnorflow.errors import UnsupportedModel
from xnorflow.frontend import limits, model_file, read
from xnorflow.frontend.limits import MAX_FEATURES, MAX_RANK, elements
from xnorflow.frontend.operators import dense, windows
from xnorflow.graph import ops

from .onnx_models import QONNX, Model, f32

TINY, HUGE = 2.0**-149, float(np.finfo(np.float32).max)


def sized(shape: Any, limit: int) -> int:
    return elements(shape, limit, what="its shape", node="n", op="Op")


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 6, 1), (-0, 7), (np.int64(2), np.int32(3))])
def test_elements_are_counted_up_to_the_limit(shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    assert sized(shape, 6) == count
    if count:
        with pytest.raises(UnsupportedModel, match="Op node 'n'.*its shape of .* is too large"):
            sized(shape, count - 1)
    assert sized((), 1) == 1
    with pytest.raises(UnsupportedModel, match="too large"):
        sized((), 0)


def test_dimensions_are_counted_and_none_is_negative() -> None:
    assert sized([1] * MAX_RANK, 1) == 1
    with pytest.raises(UnsupportedModel, match=f"its shape has {MAX_RANK + 1} dimensions"):
        sized([1] * (MAX_RANK + 1), 1)
    for shape in ((-1,), (3, -1), (-1, -1), (0, -1)):
        with pytest.raises(UnsupportedModel, match="negative dimension"):
            sized(shape, 9)
    with pytest.raises(UnsupportedModel, match="too large"):
        sized((1 << 32, 1 << 32), 1 << 62)


def quantised(tmp_path: Path, scale: Any, bits: float = 4.0, zero: float = 0.0) -> ops.Graph:
    m = Model(1, 2)
    m("MatMul", m.quant("x", bits, scale=scale, zero=zero), f32([[1, -1], [1, 1]]))
    return read(m.save(tmp_path))


def quantised_weights(tmp_path: Path, scale: Any, bits: float = 4.0) -> ops.Graph:
    m = Model(1, 2)
    m("MatMul", "x", m.quant(f32([[1, -1], [1, 1]]), bits, scale=scale))
    return read(m.save(tmp_path))


@pytest.mark.parametrize("make", [quantised, quantised_weights])
@pytest.mark.parametrize(
    ("scale", "accepted"),
    [(TINY, True), (0.5, True), (0.0, False), (-0.0, False), (-TINY, False), (-0.5, False)],
)
def test_scales_of_a_quantiser_are_positive(
    tmp_path: Path, make: Callable[..., ops.Graph], scale: float, accepted: bool
) -> None:
    if accepted:
        assert isinstance(make(tmp_path, scale), ops.Graph)
    else:
        with pytest.raises(UnsupportedModel, match="Quant node .*scale is not positive"):
            make(tmp_path, scale)


@pytest.mark.parametrize("make", [quantised, quantised_weights])
@pytest.mark.parametrize("scales", [[1, 0], [-1, 1], [1, -TINY]])
def test_no_scale_of_a_channel_is_negative(
    tmp_path: Path, make: Callable[..., ops.Graph], scales: list[float]
) -> None:
    assert isinstance(make(tmp_path, [[1, TINY]]), ops.Graph)
    with pytest.raises(UnsupportedModel, match="Quant node .*scale is not positive"):
        make(tmp_path, [scales])


@pytest.mark.parametrize(
    ("bits", "accepted"), [(1, True), (24, True), (0, False), (25, False), (23.5, False)]
)
def test_widths_of_a_quantiser(tmp_path: Path, bits: float, accepted: bool) -> None:
    if accepted:
        (quant,) = (op for op in quantised(tmp_path, 1.0, bits).ops if isinstance(op, ops.QuantOp))
        assert quant.bits == bits
    else:
        with pytest.raises(UnsupportedModel, match="Quant node .*bit width"):
            quantised(tmp_path, 1.0, bits)


def test_zero_points_are_whole(tmp_path: Path) -> None:
    for zero in (0.0, -3.0, float(1 << 23)):
        assert isinstance(quantised(tmp_path, 1.0, zero=zero), ops.Graph)
    for zero in (0.5, float(np.nextafter(f32(1), f32(2))), (1 << 23) - 0.5):
        with pytest.raises(UnsupportedModel, match="Quant node .*zero point"):
            quantised(tmp_path, 1.0, zero=zero)


def test_a_bipolar_quantiser_of_weights_may_have_a_negative_scale(tmp_path: Path) -> None:
    m = Model(1, 2)
    m("MatMul", "x", m("BipolarQuant", f32([[1, -1], [1, 1]]), f32(-0.5), domain=QONNX))
    (conv,) = read(m.save(tmp_path)).ops
    assert isinstance(conv, ops.ConvOp)
    assert (conv.scale, conv.weights[:, 0, 0].T.tolist()) == (0.5, [[-1, 1], [-1, -1]])


def convolution(height: int, width: int, out: int, pads: tuple[int, ...] = (0, 0, 0, 0)) -> Model:
    m = Model(1, 1, height, width)
    y = m("Conv", "x", f32(np.ones((out, 1, 1, 1))), pads=pads)
    m("Flatten", m("Transpose", y, perm=[0, 2, 3, 1]))
    return m


@pytest.mark.parametrize(
    ("height", "width", "out"), [(97, 257, 673), (1024, 1024, 17), (1024, 1024, 4096)]
)
def test_features_are_counted_where_they_are_made_and_before(
    tmp_path: Path, height: int, width: int, out: int
) -> None:
    """97 x 257 x 673 is one more than allowed; no map of any of them is ever allocated."""
    assert MAX_FEATURES + 1 == 97 * 257 * 673
    path = convolution(height, width, out).save(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedModel) as caught:
            read(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.node == "Conv_0" and "its result" in caught.value.reason
    # The index of the input is there already, and a copy of it may be.
    assert most < 32 * height * width + (1 << 22)


@pytest.mark.parametrize("limit", [24, 23])
def test_each_map_of_a_network_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """The input, a padded input, a convolution's and a dense layer's result."""
    for module in (windows, model_file, dense):
        monkeypatch.setattr(module, "MAX_FEATURES", limit)
    product = Model(1, 6)
    product("MatMul", "x", f32(np.ones((6, 24))))
    pad = Model(1, 1, 2, 4)
    padded = pad("Pad", "x", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    pad("Flatten", pad("Conv", padded, f32(np.ones((1, 1, 3, 3)))))
    whole = Model(1, 2, 3, 4)
    whole("Flatten", whole("Transpose", "x", perm=[0, 2, 3, 1]))
    models = {
        "input 'x'": whole,
        "its result": convolution(2, 4, 3),
        "its padded input": convolution(2, 4, 1, (1, 1, 1, 1)),
        "its result ": product,
        "its result  ": pad,
    }
    for what, m in models.items():
        path = m.save(tmp_path)
        if limit == 24:
            assert read(path).ops
        else:
            with pytest.raises(UnsupportedModel, match=f"{what.strip()}.* is too large"):
                read(path)


def test_nodes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = Model(1, 4)
    m("Relu", m("Sign", "x"))
    path = m.save(tmp_path)
    monkeypatch.setattr(model_file, "MAX_NODES", 2)
    assert len(read(path).ops) == 2
    monkeypatch.setattr(model_file, "MAX_NODES", 1)
    with pytest.raises(UnsupportedModel, match="the file has 2 nodes"):
        read(path)


def test_bytes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    m = Model(1, 4)
    m("Relu", "x")
    path = m.save(tmp_path)
    size = path.stat().st_size
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", size)
    assert read(path).ops
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(UnsupportedModel, match=f"the file has {size} bytes"):
        read(path)


def test_limits_are_those_that_the_messages_say() -> None:
    assert limits.MAX_FEATURES == 1 << 24 and limits.MAX_RANK == 16
