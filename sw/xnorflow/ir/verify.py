"""Checks of an integer network: lowering has to pass them, and every file that is read."""

from __future__ import annotations

import math

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.ir.features import Features
from xnorflow.ir.field_checks import MAX_FEATURES, check_alphabet, integers, need
from xnorflow.ir.input_kind import MAX_SAMPLE_BITS, InputKind
from xnorflow.ir.input_order import LAYOUTS, InputOrder
from xnorflow.ir.joins import AllScores, Join
from xnorflow.ir.layer import Layer, Mask
from xnorflow.ir.layer_graph import LayerGraph, Output
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
    if not net.layers or not isinstance(net.layers[-1], Scores | AllScores):
        raise ValueError("the last layer is not a Scores")
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
    maps = [Features(*net.shape, net.samples.alphabet)]
    for layer, reads, readers in zip(net.layers, _reads(net), net.readers[1:], strict=True):
        try:
            need(_is_name(layer.name), "its name is not an identifier")
            need(
                reads == (0,) or not isinstance(layer, InputTable),
                "a table can only be first, on the samples",
            )
            _readers(net, layer, readers)
            maps.append(_checked_output(layer, [maps[k] for k in reads]))
        except ValueError as e:
            raise ValueError(f"layer {layer.name!r}: {e}") from e
    count = maps[-1].size
    if len(net.classes) not in (0, count):
        raise ValueError(
            f"{len(net.classes)} names of classes are not one for each of the {count} scores"
        )
    _outputs(net.outputs, count)


def _reads(net: LayerGraph) -> tuple[tuple[int, ...], ...]:
    """Check the types of all layers' inputs; return the maps that each layer reads."""
    for layer in net.layers:
        inputs = layer.inputs
        need(
            isinstance(inputs, tuple) and all(isinstance(name, str) for name in inputs),
            f"layer {layer.name!r}: its inputs are no names of layers",
        )
        need(
            len(inputs) == 1 or not inputs or isinstance(layer, Join),
            f"layer {layer.name!r} reads {len(inputs)} maps, but joins none",
        )
    return net.reads


def _readers(net: LayerGraph, layer: Layer, readers: tuple[int, ...]) -> None:
    """Check that a layer's map is read, and its scores by nothing but an `AllScores`."""
    if layer is net.layers[-1]:
        return
    need(readers, "nothing reads its output")
    others = [net.layers[k] for k in readers if not isinstance(net.layers[k], AllScores)]
    need(not isinstance(layer, Scores) or not others, "scores can only be last")
    need(not isinstance(layer, AllScores), "scores can only be last")
    need(
        isinstance(layer, Scores) or len(others) == len(readers),
        "it makes no scores, but is read as if it did",
    )


def _outputs(outputs: object, count: int) -> None:
    """Check the file's outputs of a network with `count` scores."""
    need(
        isinstance(outputs, tuple) and all(isinstance(o, Output) for o in outputs),
        "the outputs are no outputs",
    )
    assert isinstance(outputs, tuple)
    names = [o.name for o in outputs]
    need(
        all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names),
        f"the outputs' names {names} are no different texts",
    )
    for o in outputs:
        whole = isinstance(o.shape, tuple) and len(o.shape) <= MAX_RANK
        need(
            whole and all(type(n) is int and n >= 1 for n in o.shape),
            f"an output of shape {o.shape!r} is not possible",
        )
        gather = integers(o.gather, 1, "places among the scores")
        need(
            len(gather) == o.size and gather.min() >= 0 and gather.max() < count,
            f"the places of output {o.name!r} are not {o.size} numbers from 0 to {count - 1}",
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


def _checked_output(layer: Layer, inputs: list[Features]) -> Features:
    """Check one layer; return its output."""
    layer.check(*inputs)
    out = layer.output(*inputs)
    need(
        out.size <= MAX_FEATURES,
        f"features of {out.shape} are too many: a map may have {MAX_FEATURES}",
    )
    if isinstance(layer, Scores | AllScores):
        # Nothing follows scores, so they may be as wide as a result can be.
        widest = max(abs(out.alphabet.lo), abs(out.alphabet.hi))
        need(widest.bit_length() <= MAX_SCORE_BITS, "its scores are too wide")
    else:
        check_alphabet(out.alphabet)
    return out


def reached(net: LayerGraph) -> Mask:
    """Return which scores can depend on the input rather than on padding alone, bool [classes]."""
    maps: list[Mask] = [np.ones(net.shape, np.bool_)]
    for layer, reads in zip(net.layers, net.reads, strict=True):
        maps.append(layer.depends(*(maps[k] for k in reads)))
    return maps[-1].reshape(-1)


def verify_reached(net: LayerGraph) -> None:
    """Check that no score is decided by padding alone.

    Hardware would send such a score without waiting for a frame.

    Raises
    ------
    UnsupportedModel
        If there is such a score; the message names it.
    """
    alive = reached(net)
    if not alive.all():
        raise UnsupportedModel(
            f"score {int(np.argmin(alive))} does not depend on the input: every window on its way"
            " holds padding only",
            node=net.layers[-1].name,
            op="Scores",
            hint="less padding, so that some input takes part in every score.",
        )
