"""Convolutions whose weights are zero outside of blocks become groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import gcd

import numpy as np

from xnorflow import ir
from xnorflow.ir.alphabet import weight_alphabet
from xnorflow.ir.layer_graph import with_inputs
from xnorflow.merge.rebuild import rebuilt


def group_blocks(net: ir.IntegerNetwork) -> Iterator[ir.IntegerNetwork]:
    """Yield networks in which a convolution has more groups, so that fewer weights are zero."""
    layers = with_inputs(net)
    for k, layer in enumerate(layers):
        if isinstance(layer, ir.Conv):
            made = blocks_of(layer)
            if made is not None:
                note = f"{layer.name} has {made.groups} groups: all other weights are zero."
                found = rebuilt(net, [*layers[:k], made, *layers[k + 1 :]], {}, note)
                if found is not None:
                    yield found


def blocks_of(conv: ir.Conv) -> ir.Conv | None:
    """Return a convolution with as many groups as possible; None if it has them already."""
    before, out = conv.groups, len(conv.weights) // conv.groups
    inputs = conv.weights.shape[3]
    # [groups, outputs, rows and columns, inputs]
    weights = conv.weights.reshape(before, out, -1, inputs)
    used = weights.any(axis=2)
    common = gcd(out, inputs)
    for number in range(common, 1, -1):
        if common % number:
            continue
        by_block = used.reshape(before, number, out // number, number, inputs // number)
        some = np.asarray(by_block.any(axis=(0, 2, 4)))
        if (some & ~np.eye(number, dtype=bool)).any():
            continue
        parts = conv.weights.reshape(
            before, number, out // number, *conv.window.kernel, number, inputs // number
        )
        each = np.arange(number)
        own = parts[:, each, :, :, :, each]  # [number, groups, outputs, rows, columns, inputs]
        own = np.moveaxis(own, 0, 1).reshape(-1, *conv.window.kernel, inputs // number)
        own = np.ascontiguousarray(own)
        return replace(conv, weights=own, alphabet=weight_alphabet(own), groups=before * number)
    return None
