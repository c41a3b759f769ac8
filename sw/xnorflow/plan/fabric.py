"""Choose how the arrays of an accelerator use the fabric of an FPGA family."""

from __future__ import annotations

from dataclasses import replace

from xnorflow.devices.tables import Fpga
from xnorflow_hw.array import baked_array
from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.fabric.beat import cheapest_form
from xnorflow_hw.spec import AcceleratorSpec, DotSpec, StageSpec
from xnorflow_hw.spec.kinds import Fabric, SumForm

GENERIC: Fabric = "generic"


def fabric(spec: AcceleratorSpec) -> Fabric:
    """Return the fabric whose primitives an accelerator instantiates, "generic" if none."""
    for stage in spec.stages:
        if isinstance(stage.array, DotSpec) and stage.array.fabric != GENERIC:
            return stage.array.fabric
    return GENERIC


def form_on(
    fabric: Fabric,
    *,
    pe: int,
    simd: int,
    pixels: int,
    bits: int,
    planes: int,
    words: int,
    blocks: int = 1,
    masked: bool = False,
) -> SumForm:
    """Choose how an array sums the products of a beat on a fabric.

    Weights that are the same in every beat become logic instead of a memory. Where there are few
    weight words, they may be stored in the LUTs that compute the sums.

    Parameters
    ----------
    fabric : str
        Name of the fabric.
    pe, simd, pixels : int
        Folding of the array.
    bits : int
        Bits of an activation.
    planes : int
        Bit planes of the weights without a mask, so popcounts per bit of an activation.
    words : int
        Words of the weight memory.
    blocks : int
        Parts of inputs and output channels that belong together.
    masked : bool
        Whether weights have a mask.

    Returns
    -------
    SumForm
        The form that takes the fewest LUTs.
    """
    plain = bits == planes == pixels == blocks == 1
    if plain and not masked and words == 1 and fabric in baked_array.FABRICS:
        return baked_array.FORM
    size = {"pe": pe, "simd": simd, "words": words}
    if plain and fabric in stored.FABRICS and stored.pays(**size, masked=masked):
        return stored.FORM
    return cheapest_form(
        simd=simd // blocks,
        bits=bits,
        fabric=fabric,
        sums=pe // blocks * planes,
        words=words,
        masked=masked,
    )


def with_fabric(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    """Choose the fabric of all arrays and, for each array, the form of sum that is cheapest on it.

    The form changes the latency of an array, so depths have to be chosen afterwards.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware with arrays for any fabric.
    device : Fpga or None
        FPGA to build for; without one the arrays use no primitives of a family.
    """
    name = GENERIC if device is None else device.family.fabric

    def placed(stage: StageSpec) -> StageSpec:
        if not isinstance(a := stage.array, DotSpec):
            return stage
        form = form_on(
            name,
            pe=a.pe,
            simd=a.simd,
            pixels=a.pixels,
            blocks=a.blocks,
            bits=a.bits,
            planes=len(a.coefficients),
            words=len(a.weights),
            masked=a.masked,
        )
        return replace(stage, array=replace(a, fabric=name, form=form))

    return replace(spec, stages=tuple(placed(stage) for stage in spec.stages))
