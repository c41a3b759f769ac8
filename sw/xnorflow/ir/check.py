"""Checks what every pass must leave true of an integer network, and every file must hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir.alphabet import MAX_BITS, Alphabet
from xnorflow.ir.input_kind import MAX_SAMPLE_BITS, InputKind
from xnorflow.ir.input_order import LAYOUTS, InputOrder
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import (
    Conv,
    Features,
    InputTable,
    Layer,
    MaxPool,
    Scores,
    SumPool,
    Threshold,
    Window,
)

MAX_FEATURES = 1 << 24
"""Most features of a frame between two layers, padding included."""
MAX_RANK = 16
"""Most dimensions of the imported file's input."""
MAX_VALUE = 1 << (MAX_BITS + 1)
"""No value of an alphabet and no weight is further from 0."""


def verify(net: LayerGraph) -> None:
    """Check a network's names, shapes, types and ranges before anyone computes with it.

    Raises
    ------
    ValueError
        With the layer and what is wrong with it.
    """
    if not _is_name(net.name):
        raise ValueError(f"the network's name {net.name!r} is not an identifier")
    if not net.layers or not isinstance(net.layers[-1], Scores):
        raise ValueError("the last layer is not a Scores")
    names = [layer.name for layer in net.layers]
    if len(set(names)) != len(names):
        raise ValueError(f"two layers share a name: {names}")
    if min(net.shape) < 1 or math.prod(net.shape) > MAX_FEATURES:
        raise ValueError(f"frames of {net.shape} are not possible")
    if net.order is not None:
        _order(net.order, math.prod(net.shape))
    _samples(net.samples, net.shape[2])
    features = Features(*net.shape, net.samples.alphabet)
    for index, layer in enumerate(net.layers):
        try:
            _need(_is_name(layer.name), "its name is not an identifier")
            _need(index == 0 or not isinstance(layer, InputTable), "a table can only be first")
            _need(
                layer is net.layers[-1] or not isinstance(layer, Scores), "scores can only be last"
            )
            features = _layer(layer, features)
        except ValueError as e:
            raise ValueError(f"layer {layer.name!r}: {e}") from e


def _order(order: InputOrder, features: int) -> None:
    """Check how samples become a frame of so many features."""
    shape, gather = order.shape, order.gather
    whole = isinstance(shape, tuple) and 0 < len(shape) <= MAX_RANK and min(shape) >= 1
    _need(whole and order.size <= MAX_FEATURES, f"an input of shape {shape} is not possible")
    _need(order.channels in ("first", "last", ""), f"channels {order.channels!r} are unknown")
    _need(order.layout in ("", *LAYOUTS), f"layout {order.layout!r} is unknown")
    if gather is None:
        _need(order.size == features, f"an input of shape {shape} is no frame")
        return
    _integers(gather, 1, "places in the input")
    _need(
        len(gather) == features and gather.min() >= 0 and gather.max() < order.size,
        "the places in the input are not those of a frame",
    )


def _samples(kind: InputKind, channels: int) -> None:
    """Check what samples are."""
    a, quantiser = kind.alphabet, kind.quantiser
    _alphabet(a)
    _need(a.bits <= MAX_SAMPLE_BITS, f"samples of {a} are too wide")
    if quantiser is None:
        return
    codes = _integers(quantiser.codes, 2, "input's codes")
    t = quantiser.thresholds
    _need(
        isinstance(t, np.ndarray)
        and t.dtype == np.float32
        and t.shape == (len(codes), codes.shape[1] - 1)
        and len(t) in (1, channels),
        "the input's thresholds do not fit its codes",
    )
    _need(not np.isnan(t).any() and (t[:, 1:] >= t[:, :-1]).all(), "the input's thresholds descend")
    _need(codes.min() >= 0 and codes.max() < a.levels, "a code of the input is out of range")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isidentifier()


def _need(truth: object, what: str) -> None:
    if not truth:
        raise ValueError(what)


def _integers(a: object, axes: int, what: str) -> NDArray[Any]:
    _need(
        isinstance(a, np.ndarray) and a.dtype == np.int64 and a.ndim == axes and a.size,
        f"its {what} are not int64 with {axes} axes",
    )
    assert isinstance(a, np.ndarray)
    return a


def _alphabet(a: Alphabet) -> None:
    _need(max(abs(a.lo), abs(a.hi)) <= MAX_VALUE and a.bits <= MAX_BITS, f"{a} is too wide")


def _layer(layer: Layer, inp: Features) -> Features:
    """Check one layer; give its output."""
    match layer:
        case InputTable():
            table = _integers(layer.table, 2, "table's codes")
            _alphabet(layer.alphabet)
            _need(
                table.shape[1] == inp.alphabet.levels,
                f"a table of {table.shape[1]} entries is not for {inp.alphabet}",
            )
            _need(
                table.min() >= 0 and table.max() < layer.alphabet.levels,
                "a code of its table is out of range",
            )
        case Conv():
            weights, a = _integers(layer.weights, 4, "weights"), layer.alphabet
            _alphabet(a)
            codes, rest = np.divmod(weights - a.lo, a.step)
            _need(
                not rest.any() and codes.min() >= 0 and codes.max() < a.levels,
                f"a weight is not in {a}",
            )
            _need(
                type(layer.pad_value) is int and abs(layer.pad_value) <= MAX_VALUE,
                f"{layer.pad_value!r} is no value for padding",
            )
            _window(layer.window, inp, every=False)
        case MaxPool():
            _need(
                isinstance(layer.minimum, np.ndarray) and layer.minimum.dtype == np.bool_,
                "its marks of a minimum are not bool",
            )
            _window(layer.window, inp, every=True)
        case SumPool():
            _need(
                type(layer.pad_code) is int and 0 <= layer.pad_code < inp.alphabet.levels,
                "its pad code is out of range",
            )
            _window(layer.window, inp, every=False)
        case Threshold():
            _alphabet(layer.alphabet)
            t = layer.thresholds
            _need(
                isinstance(t, np.ndarray) and t.dtype == np.int64 and t.ndim == 2,
                "its thresholds are not int64 with 2 axes",
            )
            _need((np.diff(t, axis=1) >= 0).all(), "thresholds descend")
        case Scores():
            _scores(layer)
    out = layer.output(inp)
    _need(out.size <= MAX_FEATURES, f"features of {out.shape} are too many")
    _alphabet(out.alphabet)
    return out


def _window(w: Window, inp: Features, *, every: bool) -> None:
    """Check a window; `every` one has to have a tap that isn't padded."""
    _need(min(*w.kernel, *w.stride, *w.dilation) >= 1 and min(w.pads) >= 0, f"{w} is not possible")
    top, left, bottom, right = w.pads
    size = (inp.height + top + bottom) * (inp.width + left + right) * inp.channels
    _need(size <= MAX_FEATURES and max(w.extent) <= MAX_FEATURES, f"{w} is too large")
    _need(
        not (every and w.holds_padding_only(inp.height, inp.width)), "a window holds padding only"
    )


def _scores(layer: Scores) -> None:
    classes = len(_integers(layer.offsets, 1, "offsets"))
    _need(np.abs(layer.offsets).max() <= MAX_VALUE, "an offset is too large")
    if layer.ranks is None:
        _need(layer.rank_lo is None, "it has rank_lo, but no ranks")
        return
    ranks, lo = _integers(layer.ranks, 2, "ranks"), _integers(layer.rank_lo, 1, "rank_lo")
    _need(len(ranks) == len(lo) == classes, f"its ranks are not for {classes} classes")
    _need(not layer.offsets.any(), "it has ranks and offsets")
    _need(ranks.min() >= -1 and 0 <= ranks.max() < 1 << MAX_BITS, "a rank is out of range")
