"""Choose whether product-quantised layers look products up or multiply with their whole weights.

A table and the lookups in it equal one convolution, whose weights are the vectors that the indices
choose. Lookups take fewer operations, but each is a multiplexer as wide as a sum; products are
cheap where codes or weights have few bits, or where there are DSP blocks. So both are built at the
same speed, layer by layer, and the smaller one by the resource model is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.errors import BadInput
from xnorflow.ir.looked_up import multiplied, tables
from xnorflow.resources.engine import DesignSummary
from xnorflow.resources.usage import design_resources

Built = Callable[[ir.IntegerNetwork], DesignSummary]
"""Builds a network at a speed and describes the design; BadInput if the speed is out of reach."""


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

    names = [net.layers[k].name for k in tables(net)]
    best = size(net) if names else 0.0
    for name in names:
        at = next(k for k, layer in enumerate(net.layers) if layer.name == name)
        candidate = multiplied(net, at)
        found = size(candidate)
        if found < best:
            net, best = candidate, found
    return net
