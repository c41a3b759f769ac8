"""Mirroring of channels of the last layer's output, exactly.

The code of a `Threshold` rises with its input. Where a channel's float value falls as its integer
rises, as with a negative batch-norm gamma, each integer v is replaced by ``mirror - v``. Mostly
this negates the weights of the channel, and the mirror is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.ir.layer import Mask, NotMirrored


class OffCentre(UnsupportedModel):
    """Error for padding of 0 that mirroring would move: it is not in the middle of the alphabet."""


@dataclass
class _Before:
    """The layers before the last; `mirror` changes the list in place."""

    layers: list[ir.Layer]
    given: ir.Features

    def features(self) -> ir.Features:
        """Return the feature map after the last of the layers."""
        features = self.given
        for layer in self.layers:
            features = layer.output(features)
        return features

    def mirror(self, mask: Mask) -> ir.Ints:
        """Mirror the marked channels of that map, and return their mirrors, int64 [channels]."""
        return negate(self.layers, self.given, mask)


def negate(layers: list[ir.Layer], given: ir.Features, mask: Mask) -> ir.Ints:
    """Replace `layers` so that each value v of a marked channel becomes ``mirror - v``.

    Parameters
    ----------
    layers : list of Layer
        The layers from the input on; changed in place.
    given : Features
        The input of the first layer.
    mask : bool array [channels]
        Channels of the last layer's output to mirror.

    Returns
    -------
    int64 array [channels]
        The mirror of each channel; only those marked in `mask` are meaningful.

    Raises
    ------
    UnsupportedModel
        If the channels cannot be mirrored; `OffCentre` if padding is the reason.
    """
    last, before = layers[-1], _Before(layers[:-1], given)
    try:
        layer, mirror = last.mirrored(mask, before)
    except NotMirrored as e:
        error = OffCentre if e.off_centre else UnsupportedModel
        raise error(str(e), node=last.name, op=e.op, hint=e.hint) from e
    layers[:] = [*before.layers, layer]
    return mirror


def rising(
    layers: list[ir.Layer],
    given: ir.Features,
    factor: NDArray[Any],
    offset: NDArray[Any],
    lo: ir.Ints,
    hi: ir.Ints,
) -> tuple[NDArray[Any], NDArray[Any], ir.Ints, ir.Ints]:
    """Mirror the channels in which ``factor * value + offset`` falls with the last layer's value.

    Parameters
    ----------
    layers, given
        As for `negate`.
    factor, offset : array [channels]
        Constants of the function; not changed.
    lo, hi : int64 array [channels]
        Least and greatest value of the last layer.

    Returns
    -------
    factor, offset, lo, hi
        The same of the mirrored values; no factor is negative.

    Raises
    ------
    UnsupportedModel
        As `negate`.
    """
    falls = factor < 0
    if not falls.any():
        return factor, offset, lo, hi
    mirror = negate(layers, given, falls)
    offset = np.where(falls, offset + factor * mirror, offset)
    lo, hi = np.where(falls, mirror - hi, lo), np.where(falls, mirror - lo, hi)
    return np.abs(factor), offset, lo, hi
