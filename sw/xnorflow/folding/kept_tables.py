"""Keep the tables of what foldings cost, which are the same for devices of one family.

Most of the time of a search goes into these tables. They depend on the family, and on a device only
through its SPRAMs and, where a layer can multiply, its DSP blocks. So a comparison of several
boards computes them once per family.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.folding.branches import Branches, is_chain
from xnorflow.folding.cheapest import Chain
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.products import can_multiply
from xnorflow.resources.engine import EngineSummary

MOST = 4
"""Most tables that are kept of a network: as many as there are families."""

_KEPT: WeakKeyDictionary[ir.IntegerNetwork, list[tuple[Any, Chain | Branches]]]
_KEPT = WeakKeyDictionary()
"""Tables of each network that is still in use, with what they were computed from."""


def tables(
    net: ir.IntegerNetwork,
    parts: Sequence[Part],
    examples: Sequence[EngineSummary],
    device: Fpga,
    pixels: int,
) -> Chain | Branches:
    """Return what all foldings of a network cost on a device.

    Parameters
    ----------
    net : IntegerNetwork
        The network.
    parts : sequence of Part
        Its parts.
    examples : sequence of EngineSummary
        An engine of each part, from which those of other foldings are derived.
    device : Fpga
        FPGA to build for.
    pixels : int
        Most output pixels that an engine may compute at once.
    """
    family, sprams = device.family, device.spram_number
    dsps = device.dsp_number if any(can_multiply(part) for part in parts) else 0
    origin = family, tuple(examples), pixels, sprams, dsps
    kept = _KEPT.setdefault(net, [])
    for known, found in kept:
        if known == origin:
            return found
    made = (Chain if is_chain(parts) else Branches)(
        net, parts, examples, family, pixels, sprams, dsps
    )
    kept.append((origin, made))
    del kept[:-MOST]
    return made
