"""Check whether a network can be built in hardware at all, whatever its folding and board."""

from __future__ import annotations

import math

from xnorflow import ir
from xnorflow.ir.verify import verify_reached
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import describe_input, describe_stage, has_steps, unit_of_scores


def check_buildable(net: ir.IntegerNetwork) -> None:
    """Check that a network can be built, so that `inspect` and `compile` never disagree.

    Every stage is described at its smallest folding by the same functions that describe it at any
    other one. So this refuses exactly the networks that `xnorflow.compile` refuses without a board.

    Parameters
    ----------
    net : IntegerNetwork
        Network to check.

    Raises
    ------
    UnsupportedModel
        If there is no hardware for a layer; the message names the layer.
    """
    describe_input(net, math.prod(net.shape), 1)
    parts = reductions(net)
    for part in parts:
        last = part is parts[-1]
        stage = describe_stage(part, part.smallest_fold, last=last, steps=has_steps(net))
    unit_of_scores(net, parts[-1], parts[-1].smallest_fold, stage, 1)
    verify_reached(net)
