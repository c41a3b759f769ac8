"""Whether a merged network takes less of an FPGA, as the resource model estimates it."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from xnorflow import ir
from xnorflow.devices.tables import fpgas
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.folding import narrowest
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import folded, mapped
from xnorflow.plan.products import multipliers
from xnorflow.plan.tail_choice import GENERIC, with_tails
from xnorflow.resources.summarise import design_summary
from xnorflow.resources.usage import design_resources
from xnorflow.storage.blocks import StorageChoice
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, JoinSpec, StretchSpec

LANES = 1024
"""Most XNOR lanes of the fast folding at which two networks are compared."""
SLOWER = 16
"""How many times as many cycles a frame takes at the slow one."""


def worthwhile(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> bool:
    """Return whether a merged network is no slower and no larger than the one before.

    With all lanes that there can be, the merged one takes no more cycles per frame. Both are folded
    for the same cycles per frame, too: for the fewest at which the network before takes at most
    `LANES` lanes, and for `SLOWER` times as many. At each, the estimated LUTs, with what block RAM
    is worth, may not grow.
    """
    try:
        parts, fewer = reductions(before), reductions(after)
    except UnsupportedModel:
        # Whoever compiles it is told why there is no hardware.
        return False
    if max(map(narrowest.fastest, fewer)) > max(map(narrowest.fastest, parts)):
        return False
    cycles = narrowest.default_cycles(parts, LANES)
    for target in (cycles, SLOWER * cycles):
        old, new = cost(before, target), cost(after, target)
        if old is not None and (new is None or new > old):
            return False
    return True


def cost(net: ir.IntegerNetwork, cycles: int) -> float | None:
    """Return the estimated LUTs of a network, and what its block RAM is worth.

    Buffers have the least depths, and joins no queues, as only a schedule of the whole tells how
    deep they have to be.

    Parameters
    ----------
    net : IntegerNetwork
        Network, folded with the fewest lanes.
    cycles : int
        Most cycles per frame of each engine.

    Returns
    -------
    float or None
        None where the network cannot be as fast, or there is no hardware for a layer.
    """
    device = fpgas()[GENERIC]
    family = device.family
    try:
        parts = reductions(net)
        folds = narrowest.for_cycles(parts, cycles)
        products = multipliers(folded(net, folds), folds, device)
        spec = mapped(net, folds, in_lanes=1, out_lanes=1, multipliers=products)
    except (BadInput, UnsupportedModel):
        return None
    spec = _least_deep(with_tails(with_fabric(spec, device), device))
    found = design_resources(design_summary(net.name, parts, spec, cycles, cycles), family)
    return found.luts + found.ram_blocks * StorageChoice(family).price


def _least_deep(spec: AcceleratorSpec) -> AcceleratorSpec:
    """Return hardware in which every buffer has the least depth that its windows need."""
    stages = []
    for stage in spec.stages:
        match stage.buffer:
            case BufferSpec() | StretchSpec() as front:
                stage = replace(stage, buffer=replace(front, depth=front.minimum_depth))
            case JoinSpec():
                pass
            case other:
                assert_never(other)
        stages.append(stage)
    return replace(spec, stages=tuple(stages))
