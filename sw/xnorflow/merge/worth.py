"""Whether a merged network takes less of an FPGA, as the resource model estimates it."""

from __future__ import annotations

from xnorflow import ir
from xnorflow.devices.tables import fpgas
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.folding import narrowest
from xnorflow.plan.depths import with_depths
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import mapped
from xnorflow.plan.tail_choice import GENERIC, with_tails
from xnorflow.resources.summarise import design_summary
from xnorflow.resources.usage import design_resources
from xnorflow.storage.blocks import StorageChoice

LANES = 1024
"""Most XNOR lanes of the fast folding at which two networks are compared."""
SLOWER = 16
"""How many times as many cycles a frame takes at the slow one."""


def worthwhile(before: ir.IntegerNetwork, after: ir.IntegerNetwork) -> bool:
    """Return whether a merged network is no slower and no larger than the one before.

    Both are folded for the same cycles per frame: for the fewest at which the network before takes
    at most `LANES` lanes, and for `SLOWER` times as many. At each, the estimated LUTs, with what
    block RAM is worth, may not grow.
    """
    cycles = narrowest.default_cycles(reductions(before), LANES)
    for target in (cycles, SLOWER * cycles):
        old, new = cost(before, target), cost(after, target)
        if old is not None and (new is None or new > old):
            return False
    return True


def cost(net: ir.IntegerNetwork, cycles: int) -> float | None:
    """Return the estimated LUTs of a network, and what its block RAM is worth.

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
        spec = mapped(net, narrowest.for_cycles(parts, cycles), in_lanes=1, out_lanes=1)
    except (BadInput, UnsupportedModel):
        return None
    spec = with_depths(with_tails(with_fabric(spec, device), device))
    found = design_resources(design_summary(net.name, parts, spec, cycles, cycles), family)
    return found.luts + found.ram_blocks * StorageChoice(family).price
