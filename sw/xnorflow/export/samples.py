"""The input of a written file: samples of a network's kind, and how its nodes take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from xnorflow.errors import UnsupportedModel
from xnorflow.export.onnx_builder import OnnxBuilder
from xnorflow.ir import InputKind
from xnorflow.ir.input_kind import HostQuantiser

MAX_COMPARISONS = 1 << 27
"""Most comparisons that thresholds make for a frame."""
INTEGERS = {
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
}
"""Element types of integer samples, from the one that is taken first."""


def element_type(kind: InputKind, network: str) -> int:
    """Return ONNX's element type of samples: the narrowest integers that hold them, or float32.

    Raises
    ------
    UnsupportedModel
        If no integers of 16 bits hold them.
    """
    if kind.quantiser is not None:
        return int(TensorProto.FLOAT)
    for name, number in INTEGERS.items():
        info = np.iinfo(name)
        if info.min <= kind.alphabet.lo and kind.alphabet.hi <= info.max:
            return int(number)
    raise UnsupportedModel(
        f"its samples are {kind}, and a file takes integers of up to 16 bits.",
        node=network,
        hint="the weights alone, as .npz, hex or C.",
    )


def read_samples(b: OnnxBuilder, kind: InputKind) -> None:
    """Append nodes that make float32 of samples: the integers that the stream carries.

    Floats are quantised as the host does it, by counting the thresholds that they reach.

    Raises
    ------
    UnsupportedModel
        If the quantiser makes too many comparisons.
    """
    if kind.quantiser is None:
        b.add("Cast", "samples", to=TensorProto.FLOAT)
    else:
        _quantise(b, kind, kind.quantiser)
    b.mark(b.shape, kind.alphabet)


def _quantise(b: OnnxBuilder, kind: InputKind, quantiser: HostQuantiser) -> None:
    rows, count = quantiser.thresholds.shape
    if count * int(np.prod(b.shape)) > MAX_COMPARISONS:
        raise UnsupportedModel(
            f"it compares {int(np.prod(b.shape))} samples with {count} thresholds each.",
            node=b.name,
            hint="a quantiser of fewer bits, or the weights alone, as .npz, hex or C.",
        )
    axis = b.store("samples_axis", np.array([-1], np.int64))
    thresholds = b.store("samples_thresholds", quantiser.thresholds.reshape(rows, 1, 1, count))
    b.add("Unsqueeze", "samples", axis)
    b.add("GreaterOrEqual", "samples_each", thresholds)
    b.add("Cast", "samples_reached", to=TensorProto.INT64)
    b.add("ReduceSum", "samples_count", axis, keepdims=0)
    starts = np.arange(rows) * (count + 1)
    b.add("Add", "samples_entries", b.per_channel("samples_rows", starts, np.int64))
    values = kind.alphabet.values(quantiser.codes).astype(np.float32).ravel()
    b.add("Gather", "samples_values", b.store("samples_table", values), "@", axis=0)


def random_samples(kind: InputKind, shape: tuple[int, int, int], count: int) -> NDArray[Any]:
    """Draw frames [count, rows, columns, channels] of samples, the same every time.

    The first two are of the least and of the greatest sample. Floats lie on thresholds of the
    network's quantiser, or just below one.
    """
    rng = np.random.default_rng(0)
    size = (count, *shape)
    if kind.quantiser is None:
        codes = rng.integers(0, kind.alphabet.levels, size, kind.dtype)
        codes[:1], codes[1:2] = 0, kind.alphabet.levels - 1
        return codes if kind.plain else kind.alphabet.values(codes)
    at = kind.quantiser.thresholds
    at = np.unique(np.append(at[np.isfinite(at)], np.float32(0)))
    x = rng.choice(at, size)
    x = np.where(rng.integers(0, 2, size), x, np.nextafter(x, np.float32(-np.inf)))
    x[:1], x[1:2] = np.nextafter(at[0], np.float32(-np.inf)), at[-1]
    return x
