"""Check that every score depends on the input, by the geometry of the windows."""

from __future__ import annotations

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.ir.layer import Mask
from xnorflow.ir.layer_graph import LayerGraph


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
