"""Turn channels of the last layer's output upside down, exactly.

A threshold counts the values that reach it, so it wants every channel to rise. A channel whose
float value falls, as with a negative batch-norm gamma, is negated where its weights are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.lower.alphabets import weight_alphabet

Mask = NDArray[np.bool_]


class OffCentre(UnsupportedModel):
    """Padding of 0 that negation would move: it is not in the middle of the alphabet."""


def negate(layers: list[ir.Layer], shape: tuple[int, int, int], mask: Mask) -> ir.Ints:
    """Rewrite `layers` so that value v of a marked channel becomes ``mirror - v``.

    Parameters
    ----------
    layers : list of Layer
        From the input on; changed in place.
    shape : tuple of int
        Of the input.
    mask : bool array [channels]
        Channels of the last layer's output.

    Returns
    -------
    int64 array [channels]
        The mirror of each channel; right where `mask` is set.

    Raises
    ------
    UnsupportedModel
        Where the layers leave no place to do it.
    """
    layer, rest = layers[-1], layers[:-1]
    if isinstance(layer, ir.Conv):
        sign = np.where(mask, -1, 1)[:, None, None, None]
        weights = layer.weights * sign
        layers[-1] = replace(layer, weights=weights, alphabet=weight_alphabet(weights))
        return np.zeros(len(mask), np.int64)
    if isinstance(layer, ir.InputTable):
        table = np.broadcast_to(layer.table, (len(mask), layer.table.shape[1]))
        turned = layer.alphabet.levels - 1 - table
        layers[-1] = replace(layer, table=np.where(mask[:, None], turned, table))
        return np.full(len(mask), layer.alphabet.lo + layer.alphabet.hi)
    if isinstance(layer, ir.Flatten):
        inp = ir.IntegerNetwork("partial", shape, tuple(rest)).features[-1]
        pixels = mask.reshape(-1, inp.channels)
        if (pixels != pixels[0]).any():
            raise UnsupportedModel(
                "it falls for some pixels of a channel and rises for others.",
                node=layer.name,
                op="Flatten",
                hint="batch normalisation per channel, ahead of the flattening.",
            )
        mirror = np.tile(negate(rest, shape, pixels[0]), len(pixels))
    elif isinstance(layer, ir.MaxPool):
        mirror = negate(rest, shape, mask)
        layer = replace(layer, minimum=layer.minimum ^ mask)
    elif isinstance(layer, ir.SumPool):
        mirror = negate(rest, shape, mask) * int(np.prod(layer.window.kernel))
        if any(layer.window.pads) and mirror[mask].any():
            raise OffCentre(
                "its channels fall, and its padding of 0 is not in the middle of their values.",
                node=layer.name,
                op="AveragePool",
                hint="an average pool without padding.",
            )
    elif isinstance(layer, ir.Threshold):
        source = negate(rest, shape, mask)
        # v < t exactly where mirror - v >= mirror - t + 1.
        turned = (source[:, None] + 1 - layer.thresholds)[:, ::-1]
        layer = replace(layer, thresholds=np.where(mask[:, None], turned, layer.thresholds))
        mirror = np.full(len(mask), layer.alphabet.lo + layer.alphabet.hi)
    else:
        raise TypeError(f"a layer of type {type(layer).__name__} cannot be negated")
    layers[:] = [*rest, layer]
    return mirror
