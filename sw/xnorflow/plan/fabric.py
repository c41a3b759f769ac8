"""Which FPGA fabric the arrays of an accelerator are placed for."""

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
    """Give the fabric whose primitives an accelerator has; "generic" if it has none."""
    for stage in spec.stages:
        if isinstance(stage.array, DotSpec) and stage.array.fabric != GENERIC:
            return stage.array.fabric
    return GENERIC


def form_on(
    fabric: Fabric, *, pe: int, simd: int, pixels: int, bits: int, planes: int, words: int
) -> SumForm:
    """Choose how an array sums a beat's products on a fabric.

    Weights that never change are no memory but logic; those of few words may be in the sums.
    """
    plain = bits == planes == pixels == 1
    if plain and words == 1 and fabric in baked_array.FABRICS:
        return baked_array.FORM
    if plain and fabric in stored.FABRICS and stored.pays(pe=pe, simd=simd, words=words):
        return stored.FORM
    return cheapest_form(simd=simd, bits=bits, fabric=fabric, sums=pe * planes, words=words)


def with_fabric(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    """Place the arrays for a device, each summed in the form that is cheapest on its fabric.

    Latencies change with it, so depths are to be chosen afterwards.
    """
    name = GENERIC if device is None else device.family.fabric

    def placed(stage: StageSpec) -> StageSpec:
        if not isinstance(a := stage.array, DotSpec):
            return stage
        words, planes = a.weights.shape[:2]
        form = form_on(
            name, pe=a.pe, simd=a.simd, pixels=a.pixels, bits=a.bits, planes=planes, words=words
        )
        return replace(stage, array=replace(a, fabric=name, form=form))

    return replace(spec, stages=tuple(placed(stage) for stage in spec.stages))
