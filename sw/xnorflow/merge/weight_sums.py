"""Sums of convolutions of the same windows become one convolution with the sums of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.ir.layer_graph import with_inputs
from xnorflow.merge.rebuild import readers, rebuilt, sources, words


def add_weights(net: ir.IntegerNetwork) -> Iterator[ir.IntegerNetwork]:
    """Yield networks in which a sum has fewer convolutions.

    ``m * conv(x, w) + n * conv(x, v)`` is ``conv(x, m * w + n * v)``, where both have the same
    window, padding and groups.
    """
    layers = with_inputs(net)
    by_name, read = {x.name: x for x in layers}, readers(layers)
    for layer in layers:
        if not isinstance(layer, ir.Add):
            continue
        alike: dict[object, list[int]] = {}
        for k, name in enumerate(layer.inputs):
            conv = by_name.get(name)
            if isinstance(conv, ir.Conv) and read[name] == 1:
                pad = conv.pad_value if any(conv.window.pads) else 0
                key = (conv.inputs, conv.window, conv.weights.shape, conv.groups, pad)
                alike.setdefault(key, []).append(k)
        for places in alike.values():
            if len(places) > 1:
                made = _added(net, layers, layer, places)
                if made is not None:
                    yield made


def _added(
    net: ir.IntegerNetwork, layers: list[ir.Layer], total: ir.Add, places: list[int]
) -> ir.IntegerNetwork | None:
    """Return the network with the convolutions at some places of a sum as one."""
    convs = [x for k in places for x in layers if x.name == total.inputs[k]]
    first = convs[0]
    assert isinstance(first, ir.Conv)
    count, out = total.multiply.shape[1], len(first.weights)
    if count not in (1, out):
        # The maps have a single channel, which goes to all channels of the sum.
        return None
    weights = np.zeros_like(first.weights)
    for conv, k in zip(convs, places, strict=True):
        assert isinstance(conv, ir.Conv)
        weights += conv.weights * total.multiply[k][:, None, None, None]
    one = replace(
        first,
        weights=weights,
        alphabet=weight_alphabet(weights),
        sources=sources(convs),
    )
    rest, renamed = left_of_sum(total, places, one.name)
    changed = [one if x is first else rest if x is total else x for x in layers]
    kept = [x for x in changed if x is not None and x not in convs[1:]]
    return rebuilt(net, kept, renamed, f"{words(convs)} are one convolution, with their sums.")


def left_of_sum(
    total: ir.Add, places: list[int], name: str
) -> tuple[ir.Add | None, dict[str, str]]:
    """Return what is left of a sum when a map holds the sum of those at some places.

    Returns
    -------
    Add or None
        The sum of that map and the others; None where there are no others.
    dict of str to str
        What is read in place of the sum where it is gone.
    """
    others = [k for k in range(len(total.inputs)) if k not in places]
    if not others:
        return None, {total.name: name}
    ones = np.ones((1, total.multiply.shape[1]), np.int64)
    multiply = np.concatenate([ones, total.multiply[others]])
    inputs = (name, *(total.inputs[k] for k in others))
    return replace(total, multiply=multiply, inputs=inputs), {}
