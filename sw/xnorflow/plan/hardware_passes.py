"""The passes from an integer network and its folding to a finished `AcceleratorSpec`.

`multipliers` chooses what multiplies in each layer, because the meaning of sums depends on it;
`mapped` builds a spec in which every buffer holds a single word. Each of `PASSES` then decides one
aspect of it, and `verify_spec` checks after every pass that the parts of the spec fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.ir.reach import verify_reached
from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.mapping import folded, mapped
from xnorflow.plan.memories import with_memories
from xnorflow.plan.products import multipliers
from xnorflow.plan.reductions import Fold
from xnorflow.plan.tail_choice import with_tails
from xnorflow.plan.verify_spec import verify_spec
from xnorflow_hw.spec import AcceleratorSpec
from xnorflow_hw.spec.kinds import Multiplier


class HardwarePass(NamedTuple):
    """A pass that makes one decision about the hardware.

    Parameters
    ----------
    name : str
        Short name of the pass.
    decides : str
        Decision that the pass makes, in a few words.
    run : callable
        Returns the new spec, given the old one and the device, which may be None.
    """

    name: str
    decides: str
    run: Callable[[AcceleratorSpec, Fpga | None], AcceleratorSpec]


def _depths(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    return with_depths(spec)


def _shrink(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    return shrunk(spec)


PASSES = (
    HardwarePass("fabric", "how each array sums a beat, and with which primitives", with_fabric),
    HardwarePass("tails", "whether codes are searched for or computed, and how", with_tails),
    HardwarePass("depths", "depths of buffers and queues with which nothing waits", _depths),
    HardwarePass("shrink", "the least depths that delay no frame", _shrink),
    HardwarePass("memories", "what every memory is built of", with_memories),
    # Some memories are read through fewer registers than was assumed, so less depth is enough.
    HardwarePass("depths again", "depths for the latencies of these memories", _depths),
    HardwarePass("shrink again", "the least of those", _shrink),
)
"""All passes, in the order in which they run."""

Watcher = Callable[[str, str, AcceleratorSpec | None, AcceleratorSpec], object]
"""Callback with the name of a pass, what it decides, and the specs before and after it."""


def accelerator(
    net: ir.LayerGraph,
    folds: Sequence[Fold],
    *,
    in_lanes: int,
    out_lanes: int = 1,
    device: Fpga | None = None,
    products: Sequence[Multiplier | None] | None = None,
    watch: Watcher | None = None,
    least: bool = True,
) -> AcceleratorSpec:
    """Build the complete specification of the hardware for a network and its folding.

    Parameters
    ----------
    net : LayerGraph
        Layers to build hardware for.
    folds : sequence of Fold
        Folding of each reduction of the network, in order.
    in_lanes, out_lanes : int
        Samples per input beat and scores per output beat.
    device : Fpga, optional
        FPGA for which memories and arithmetic are chosen; without one, the hardware suits any.
    products : sequence of Multiplier or None, optional
        For each reduction, what multiplies in its array, planes where it is None; chosen by cost if
        it is not given.
    watch : callable, optional
        Callback that is called after every pass.
    least : bool
        Whether to search for the least depths. Without that, depths are those of the closed form,
        which delay no frame either.

    Returns
    -------
    AcceleratorSpec
        Specification with depths, forms of sums and storage of every memory.

    Raises
    ------
    BadInput
        If the folding does not fit the network.
    UnsupportedModel
        If there is no hardware for a layer.
    """
    if products is None:
        products = multipliers(folded(net, folds), folds, device)
    spec = mapped(net, folds, in_lanes=in_lanes, out_lanes=out_lanes, multipliers=products)
    verify_reached(net)
    verify_spec(spec)
    if watch is not None:
        watch("map", "stages, weights and constants of the folding", None, spec)
    for name, decides, run in PASSES:
        if run is _shrink and not least:
            continue
        before, spec = spec, run(spec, device)
        verify_spec(spec)
        if watch is not None:
            watch(name, decides, before, spec)
    return spec
