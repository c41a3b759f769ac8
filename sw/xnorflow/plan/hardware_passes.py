"""The passes from an integer network and its folding to a finished `AcceleratorSpec`.

`mapped` makes a spec in which every buffer holds a single word; each of `PASSES` then decides one
thing of it, and `verify_spec` checks what has to be true after every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.ir.reach import verify_reached
from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.mapping import mapped
from xnorflow.plan.memories import with_memories
from xnorflow.plan.reductions import Fold
from xnorflow.plan.verify_spec import verify_spec
from xnorflow_hw.spec import AcceleratorSpec


class HardwarePass(NamedTuple):
    """One decision about the hardware.

    Parameters
    ----------
    name : str
        Short name.
    decides : str
        What it decides, in a few words.
    run : callable
        Makes the new spec of the old one and the device, which may be None.
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
    HardwarePass("depths", "depths of buffers and queues with which nothing waits", _depths),
    HardwarePass("shrink", "the least depths that delay no frame", _shrink),
    HardwarePass("memories", "what every memory is built of", with_memories),
    # A memory that is read through fewer registers answers earlier, so its stage needs less.
    HardwarePass("depths again", "depths for the latencies of these memories", _depths),
    HardwarePass("shrink again", "the least of those", _shrink),
)
"""In order."""

Watcher = Callable[[str, str, AcceleratorSpec | None, AcceleratorSpec], object]
"""Is told of a pass's name, of what it decides, and of the specs before and after it."""


def accelerator(
    net: ir.LayerGraph,
    folds: Sequence[Fold],
    *,
    in_lanes: int,
    out_lanes: int = 1,
    device: Fpga | None = None,
    watch: Watcher | None = None,
) -> AcceleratorSpec:
    """Describe the hardware of a network at a folding.

    Parameters
    ----------
    net : LayerGraph
        What to compute.
    folds : sequence of Fold
        One per reduction of the network, in order.
    in_lanes, out_lanes : int
        Samples per input beat, scores per output beat.
    device : Fpga, optional
        The FPGA for which memories are laid out and arithmetic is placed.
    watch : callable, optional
        Is told of every pass.

    Raises
    ------
    BadInput
        If the folding does not fit the network.
    UnsupportedModel
        If a layer has no hardware.
    """
    spec = mapped(net, folds, in_lanes=in_lanes, out_lanes=out_lanes)
    verify_reached(net)
    verify_spec(spec)
    if watch is not None:
        watch("map", "stages, weights and constants of the folding", None, spec)
    for name, decides, run in PASSES:
        before, spec = spec, run(spec, device)
        verify_spec(spec)
        if watch is not None:
            watch(name, decides, before, spec)
    return spec
