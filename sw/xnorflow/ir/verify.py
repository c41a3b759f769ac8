"""Checks of an integer network: lowering has to pass them, and every file that is read."""

from __future__ import annotations

import math

import numpy as np

from xnorflow.ir.features import Features
from xnorflow.ir.field_checks import MAX_FEATURES, check_alphabet, integers, need
from xnorflow.ir.input_kind import MAX_SAMPLE_BITS, InputKind
from xnorflow.ir.input_order import LAYOUTS, InputOrder
from xnorflow.ir.layer import Layer
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import InputTable, Scores
from xnorflow.ir.score_steps import MAX_SCORE_BITS

MAX_RANK = 16
"""Most dimensions that the imported file's input may have."""


def verify(net: LayerGraph) -> None:
    """Check a network's names, shapes, types and ranges before anyone computes with it.

    Raises
    ------
    ValueError
        If a check fails; the message names the layer and what is wrong with it.
    """
    if not _is_name(net.name):
        raise ValueError(f"the network's name {net.name!r} is not an identifier")
    scores = net.scores
    names = [layer.name for layer in net.layers]
    if len(set(names)) != len(names):
        raise ValueError(f"two layers share a name: {names}")
    if min(net.shape) < 1 or math.prod(net.shape) > MAX_FEATURES:
        raise ValueError(
            f"frames of {net.shape} are not possible: sizes are at least 1, and a frame has at most"
            f" {MAX_FEATURES} features"
        )
    if net.order is not None:
        _order(net.order, math.prod(net.shape))
    _samples(net.samples, net.shape[2])
    features = Features(*net.shape, net.samples.alphabet)
    for index, layer in enumerate(net.layers):
        try:
            need(_is_name(layer.name), "its name is not an identifier")
            need(index == 0 or not isinstance(layer, InputTable), "a table can only be first")
            need(
                layer is net.layers[-1] or not isinstance(layer, Scores), "scores can only be last"
            )
            features = _checked_output(layer, features)
        except ValueError as e:
            raise ValueError(f"layer {layer.name!r}: {e}") from e
    if len(net.classes) not in (0, len(scores.offsets)):
        raise ValueError(
            f"{len(net.classes)} names of classes are not one for each of the"
            f" {len(scores.offsets)} scores"
        )


def _order(order: InputOrder, features: int) -> None:
    """Check the order of samples of a frame with `features` features."""
    shape, gather = order.shape, order.gather
    whole = isinstance(shape, tuple) and 0 < len(shape) <= MAX_RANK and min(shape) >= 1
    need(whole and order.size <= MAX_FEATURES, f"an input of shape {shape} is not possible")
    need(order.channels in ("first", "last", ""), f"channels {order.channels!r} are unknown")
    need(order.layout in ("", *LAYOUTS), f"layout {order.layout!r} is unknown")
    if gather is None:
        need(
            order.size == features,
            f"an input of shape {shape} does not have the {features} features of a frame",
        )
        return
    integers(gather, 1, "places in the input")
    need(
        len(gather) == features and gather.min() >= 0 and gather.max() < order.size,
        f"the places in the input are not {features} numbers from 0 to {order.size - 1}",
    )


def _samples(kind: InputKind, channels: int) -> None:
    """Check the kind of samples."""
    a, quantiser = kind.alphabet, kind.quantiser
    check_alphabet(a)
    need(a.bits <= MAX_SAMPLE_BITS, f"samples of {a} are too wide: at most {MAX_SAMPLE_BITS} bits")
    if quantiser is None:
        return
    codes = integers(quantiser.codes, 2, "input's codes")
    t = quantiser.thresholds
    need(
        isinstance(t, np.ndarray)
        and t.dtype == np.float32
        and t.shape == (len(codes), codes.shape[1] - 1)
        and len(t) in (1, channels),
        "the input's thresholds do not fit its codes",
    )
    need(not np.isnan(t).any() and (t[:, 1:] >= t[:, :-1]).all(), "the input's thresholds descend")
    need(codes.min() >= 0 and codes.max() < a.levels, "a code of the input is out of range")


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isidentifier()


def _checked_output(layer: Layer, inp: Features) -> Features:
    """Check one layer; return its output."""
    layer.check(inp)
    out = layer.output(inp)
    need(
        out.size <= MAX_FEATURES,
        f"features of {out.shape} are too many: a map may have {MAX_FEATURES}",
    )
    if isinstance(layer, Scores):
        # Nothing follows scores, so they may be as wide as a result can be.
        widest = max(abs(out.alphabet.lo), abs(out.alphabet.hi))
        need(widest.bit_length() <= MAX_SCORE_BITS, "its scores are too wide")
    else:
        check_alphabet(out.alphabet)
    return out
