"""Decides whether a network has hardware at all, whatever its folding and board."""

from __future__ import annotations

import math

from xnorflow import ir
from xnorflow.ir.reach import verify_reached
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import describe_input, describe_stage
from xnorflow.plan.reductions import Fold


def check_buildable(net: ir.IntegerNetwork) -> None:
    """Refuse exactly the networks that `xnorflow.compile` refuses without a board.

    Every stage is described at its smallest folding, by what describes it at any other.

    Raises
    ------
    UnsupportedModel
        If a layer has no hardware.
    """
    describe_input(net, math.prod(net.shape), 1)
    for part in reductions(net):
        describe_stage(part, Fold(1, 1))
    verify_reached(net)
