"""Choose whether product-quantised layers look products up or multiply with their whole weights.

A table and the lookups in it equal one convolution, whose weights are the vectors that the indices
choose. Lookups take fewer operations, but each is a multiplexer as wide as a sum; products are
cheap where codes or weights have few bits, or where there are DSP blocks. So both are built at the
same speed, layer by layer, and the smaller one by the resource model is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.errors import BadInput
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.usage import design_resources

MAX_WEIGHTS = 1 << 26
"""Most weights of a layer that is multiplied instead."""

Built = Callable[[ir.IntegerNetwork], DesignSummary]
"""Builds a network at a speed and describes the design; BadInput if the speed is out of reach."""


def tables(net: ir.LayerGraph) -> tuple[int, ...]:
    """Return the places of lookups that alone read the 1 x 1 convolution right before them."""
    found = []
    for k, layer in enumerate(net.layers):
        read = net.reads[k][0]
        table = net.layers[read - 1] if read else None
        if (
            isinstance(layer, ir.Gather)
            and isinstance(table, ir.Conv)
            and table.window == ir.Window()
            and read == k
            and net.readers[read] == (k,)
            and (layer.pad_value == 0 or not any(layer.window.pads))
        ):
            found.append(k)
    return tuple(found)


def multiplied(net: ir.IntegerNetwork, at: int) -> ir.IntegerNetwork:
    """Return a network in which a convolution takes the place of lookups and of their table.

    Parameters
    ----------
    net : IntegerNetwork
        A network.
    at : int
        Place of the lookups among its layers; one of `tables`.

    Returns
    -------
    IntegerNetwork
        A network of the same scores. The convolution has the name of the lookups.
    """
    table, layer = net.layers[at - 1 : at + 1]
    assert isinstance(layer, ir.Gather) and isinstance(table, ir.Conv)
    weights = _weights(layer, table)
    made = ir.Conv(
        layer.name,
        weights,
        weight_alphabet(weights),
        layer.window,
        0,
        sources=tuple(dict.fromkeys((*table.sources, *layer.sources))),
        inputs=table.inputs,
    )
    return replace(net, layers=(*net.layers[: at - 1], made, *net.layers[at + 1 :]))


def _weights(layer: ir.Gather, table: ir.Conv) -> ir.Ints:
    """Return the weights [out, rows, columns, in] that indices choose of a table's weights."""
    out, rows, columns, _ = layer.indices.shape
    per_group = table.weights.shape[3]
    wide = np.zeros((len(table.weights), table.groups, per_group), np.int64)
    group = np.arange(len(table.weights)) // (len(table.weights) // table.groups)
    wide[np.arange(len(wide)), group] = table.weights[:, 0, 0]
    wide = wide.reshape(len(wide), -1)
    found = np.zeros((out, rows, columns, wide.shape[1]), np.int64)
    for m in range(layer.tables):
        found += wide[layer.channels[..., m]]
    return found * np.where(layer.negative, -1, 1)[:, None, None, None]


def with_cheaper_layers(net: ir.IntegerNetwork, family: Family, built: Built) -> ir.IntegerNetwork:
    """Return the network with those lookups replaced that products are smaller than.

    Parameters
    ----------
    net : IntegerNetwork
        A network.
    family : Family
        FPGA family to estimate for.
    built : callable
        See `Built`.
    """
    worth = float(family.block_luts.use())

    def size(candidate: ir.IntegerNetwork) -> float:
        try:
            takes = design_resources(built(candidate), family)
        except BadInput:
            return np.inf
        return takes.luts + worth * takes.ram_blocks

    names = [net.layers[k].name for k in tables(net) if _count(net, k) <= MAX_WEIGHTS]
    best = size(net) if names else 0.0
    for name in names:
        at = next(k for k, layer in enumerate(net.layers) if layer.name == name)
        candidate = multiplied(net, at)
        found = size(candidate)
        if found < best:
            net, best = candidate, found
    return net


def _count(net: ir.LayerGraph, at: int) -> int:
    """Return the weights of the convolution in place of lookups."""
    layer = net.layers[at]
    assert isinstance(layer, ir.Gather)
    channels = net.features[net.reads[at - 1][0]].channels
    return int(np.prod(layer.indices.shape[:3])) * channels
