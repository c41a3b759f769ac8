"""Finds what in a network does not depend on its input at all, by the geometry of its windows."""

from __future__ import annotations

import numpy as np

from xnorflow.errors import UnsupportedModel
from xnorflow.ir.layer import Mask
from xnorflow.ir.layer_graph import LayerGraph


def reached(net: LayerGraph) -> Mask:
    """Return which scores have a way to the input that is not all padding: bool [classes]."""
    alive: Mask = np.ones(net.shape, np.bool_)
    for layer, _, _ in net:
        alive = layer.depends(alive)
    return alive.reshape(-1)


def verify_reached(net: LayerGraph) -> None:
    """Refuse a network with a score that padding alone decides.

    Its hardware would send that score without waiting for a frame.

    Raises
    ------
    UnsupportedModel
        Names the layer and the score.
    """
    alive = reached(net)
    if not alive.all():
        raise UnsupportedModel(
            f"score {int(np.argmin(alive))} does not depend on the input: every window on its way"
            " holds padding only",
            node=net.scores.name,
            op="Scores",
            hint="less padding, so that some input takes part in every score.",
        )
