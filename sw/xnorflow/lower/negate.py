"""Mirror channels of the last layer's output, exactly.

A threshold counts the values that reach it, so it wants every channel to rise. A channel whose
float value falls, as with a negative batch-norm gamma, is negated where its weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.ir.layer import Mask, NotMirrored


class OffCentre(UnsupportedModel):
    """Padding of 0 that negation would move: it is not in the middle of the alphabet."""


@dataclass
class _Before:
    """The layers before the last one; mirroring changes them in place."""

    layers: list[ir.Layer]
    frame: ir.Features

    def features(self) -> ir.Features:
        """Return the feature map that the layers make."""
        made = self.frame
        for layer in self.layers:
            made = layer.output(made)
        return made

    def mirror(self, mask: Mask) -> ir.Ints:
        """Mirror channels of that map."""
        return negate(self.layers, self.frame, mask)


def negate(layers: list[ir.Layer], frame: ir.Features, mask: Mask) -> ir.Ints:
    """Rewrite `layers` so that value v of a marked channel becomes ``mirror - v``.

    Parameters
    ----------
    layers : list of Layer
        From the input on; changed in place.
    frame : Features
        The input.
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
    last, before = layers[-1], _Before(layers[:-1], frame)
    try:
        layer, mirror = last.mirrored(mask, before)
    except NotMirrored as e:
        error = OffCentre if e.off_centre else UnsupportedModel
        raise error(str(e), node=last.name, op=e.op, hint=e.hint) from e
    layers[:] = [*before.layers, layer]
    return mirror
