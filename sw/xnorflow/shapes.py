"""Summaries of mapped layers for the estimators."""

from __future__ import annotations

from collections.abc import Sequence

from xnorflow import ir
from xnorflow.estimate.shape import EngineKind, EngineShape
from xnorflow.mapping import Reduction
from xnorflow_hw.spec import AcceleratorSpec, DotSpec, GearboxSpec, StageSpec, ThresholdSpec

_KINDS: dict[str, EngineKind] = {"conv": "conv", "maxpool": "maxpool", "sumpool": "sumpool"}


def engine_shape(part: Reduction, stage: StageSpec, box: GearboxSpec) -> EngineShape:
    """Summarise one stage and the gearbox before it."""
    b, a = stage.buffer, stage.array
    taps = b.kernel[0] * b.kernel[1]
    rows = levels = 0
    threshold_rom = None
    for tail in stage.tails:
        if isinstance(tail, ThresholdSpec):
            rows, _, levels = tail.thresholds.shape
            threshold_rom = tail.rom
    dot = isinstance(a, DotSpec)
    return EngineShape(
        name=part.name, kind=_KINDS[part.layer.kind],
        pixels=part.out.height * part.out.width, channels=part.out_channels,
        reduction=taps * (part.inp.channels if isinstance(part.layer, ir.Conv) else 1),
        inputs=part.inp.size, pe=a.lanes_out, simd=a.simd if isinstance(a, DotSpec) else 1,
        cycles=b.cycles,
        rom_depth=len(a.weights) if isinstance(a, DotSpec) else 0,
        rom_width=a.weights[0].size if isinstance(a, DotSpec) else 0,
        buffer_depth=b.depth, buffer_width=b.word_bits, act_bits=part.inp.alphabet.bits,
        weight_planes=len(a.coefficients) if isinstance(a, DotSpec) else 1,
        acc_bits=a.out_bits if dot else 0, threshold_rows=rows, threshold_levels=levels,
        out_bits=stage.out_bits,
        gearbox=box if box.needed else None,
        queue_depth=stage.queue_depth, at_once=b.pixels,
        rom=a.rom if isinstance(a, DotSpec) else None, threshold_rom=threshold_rom,
        buffer_ram=b.ram,
    )


def engine_shapes(
    parts: Sequence[Reduction], described: AcceleratorSpec
) -> tuple[EngineShape, ...]:
    """Summarise all stages of an accelerator."""
    stages = zip(parts, described.stages, described.gearboxes, strict=False)
    return tuple(engine_shape(*each) for each in stages)
