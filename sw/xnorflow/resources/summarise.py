"""Summarise the specification of an accelerator for the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from xnorflow.plan.layer_rules import Part
from xnorflow.plan.tail_choice import affine_logic, affine_registers, score_luts, score_registers
from xnorflow.resources.engine import (
    ComputedCodes,
    DesignSummary,
    EdgeSums,
    EngineSummary,
    Lookups,
    Products,
    ScoreSummary,
    StreamSummary,
)
from xnorflow.resources.join_counts import join_summary, stream_summaries
from xnorflow_hw.array.tail import search_steps
from xnorflow_hw.spec import (
    AcceleratorSpec,
    AffineSpec,
    BufferSpec,
    DotSpec,
    EdgeSpec,
    GatherSpec,
    JoinSpec,
    MacSpec,
    ScoreSpec,
    StageSpec,
    StretchSpec,
    ThresholdSpec,
)
from xnorflow_hw.spec.stage_latency import compares


def engine_summary(
    part: Part, stage: StageSpec, streams: tuple[StreamSummary, ...], frames: int = 0
) -> EngineSummary:
    """Return the summary of a stage, of the streams into it and of its queue of settings."""
    b, a = stage.buffer, stage.array
    rows = levels = 0
    words: tuple[int, ...] = ()
    threshold_rom = computed = None
    for tail in stage.tails:
        if isinstance(tail, AffineSpec):
            computed = _computed(tail)
        if isinstance(tail, ThresholdSpec):
            rows, _, levels = tail.thresholds.shape
            threshold_rom = tail.rom
            words = _threshold_words(stage, tail)
    plain = len(streams) == 1 and not streams[0].queue and not streams[0].forked
    common = EngineSummary(
        name=part.name,
        kind=part.kind,
        positions=part.out.height * part.out.width,
        channels=part.out_channels,
        reduction=len(part.inputs),
        inputs=sum(f.size for f in part.inputs),
        pe=a.lanes_out,
        simd=a.simd,
        cycles=b.cycles,
        rom_depth=a.weight_words,
        rom_width=a.word_bits,
        buffer_depth=0,
        buffer_width=0,
        act_bits=part.inp.alphabet.bits,
        weight_planes=a.weight_planes,
        acc_bits=a.acc_bits,
        threshold_rows=rows,
        threshold_levels=levels,
        out_bits=stage.out_bits,
        gearbox=streams[0].gearbox,
        queue_depth=stage.queue_depth,
        at_once=b.pixels,
        rom=a.rom,
        threshold_rom=threshold_rom,
        frame=part.inp.shape[:2],
        windows=b.output,
        form=a.form or "",
        tail_bits=_tail_bits(stage),
        threshold_words=words,
        blocks=a.blocks,
        computed=computed,
        join=join_summary(stage),
        streams=() if plain else streams,
        products=Products(a.multiplier, a.weight_bits) if isinstance(a, MacSpec) else None,
        lookups=Lookups(a.words, a.index_bits, a.negative is not None)
        if isinstance(a, GatherSpec)
        else None,
        masked=isinstance(a, DotSpec) and a.masked,
        edges=EdgeSums(a.edges * a.parts, a.part_lanes, a.factor_bits, a.edges, frames)
        if isinstance(a, EdgeSpec)
        else None,
    )
    match b:
        case BufferSpec():
            return replace(
                common,
                reduction=b.kernel[0] * b.kernel[1] * part.terms,
                buffer_depth=b.depth,
                buffer_width=b.word_bits,
                buffer_ram=b.ram,
                frame=(b.height, b.width),
                kernel=b.kernel,
                repeat=b.repeat,
                padded=any(b.pads),
            )
        case StretchSpec():
            return replace(
                common,
                buffer_depth=b.depth,
                buffer_width=b.word_bits,
                buffer_ram=b.ram,
                kernel=b.factors,
                padded=b.fill == "zeros",
            )
        case JoinSpec():
            return common
        case _:
            assert_never(b)


def _computed(tail: AffineSpec) -> ComputedCodes:
    """Return the summary of a tail that computes codes."""
    return ComputedCodes(
        rows=tail.rows,
        word_bits=tail.word_bits,
        late_depth=0 if tail.late is None else tail.rows << tail.out_bits,
        lane_luts=affine_logic(tail),
        lane_ffs=affine_registers(tail),
        rom=tail.rom,
        late_rom=tail.late_rom,
        dsp_widths=(tail.acc_bits, tail.factor_bits) if tail.multiplier == "dsp" else None,
    )


def _threshold_words(stage: StageSpec, tail: ThresholdSpec) -> tuple[int, ...]:
    """Return the bits per word of each memory of a tail, not counting bits that never change."""
    bits = stage.array.out_bits
    if compares(stage.array, stage.tails):
        return (tail.thresholds.shape[1] * (bits + 1),)
    return tuple(
        int(np.bitwise_count(np.bitwise_or.reduce(step ^ step[:1])).sum())
        for step in search_steps(tail.thresholds, bits)
    )


def _tail_bits(stage: StageSpec) -> int:
    """Return the bits of logic in a stage's tails.

    Neither the tail that its array computes nor one that computes codes is counted.
    """
    fused = compares(stage.array, stage.tails)
    bits, found = stage.array.out_bits, 0
    for index, tail in enumerate(stage.tails):
        if (index or not fused) and not isinstance(tail, AffineSpec):
            levels = tail.thresholds.shape[2] if isinstance(tail, ThresholdSpec) else 1
            found += stage.lanes_out * stage.buffer.pixels * levels * max(bits, tail.out_bits)
        bits = tail.out_bits
    return found


def design_summary(
    name: str, parts: Sequence[Part], described: AcceleratorSpec, ii: int, latency: int
) -> DesignSummary:
    """Return the summary of a whole accelerator.

    Parameters
    ----------
    name : str
        Name of the network.
    parts : sequence of Reduction or Joint
        Parts of the network.
    described : AcceleratorSpec
        Hardware of the network.
    ii, latency : int
        Predicted initiation interval and latency in cycles.
    """
    source, last = described.input, described.gearboxes[-1]
    plain = len(source.table) == 1 and bool(
        (source.table[0] == np.arange(len(source.table[0])) & ((1 << source.bits) - 1)).all()
    )
    bits = source.lanes * source.bits
    return DesignSummary(
        name,
        engine_summaries(parts, described),
        ii,
        latency,
        input_bits=bits,
        table_bits=0 if plain else bits,
        output=last if last.needed else None,
        score_bits=described.out_lanes * described.score_bits,
        scores=None if described.scores is None else score_summary(described.scores),
    )


def score_summary(unit: ScoreSpec) -> ScoreSummary:
    """Return the summary of the unit of scores."""
    memories = tuple(
        (*words, getattr(step, name)) for step in unit.steps for name, words in step.words.items()
    )
    products = tuple(
        (step.value_bits, step.factor_bits + 1)
        for step in unit.steps
        if step.places is None and step.multiplier == "dsp"
        for _ in range(unit.lanes)
    )
    return ScoreSummary(score_luts(unit), score_registers(unit), memories, products)


def engine_summaries(
    parts: Sequence[Part], described: AcceleratorSpec
) -> tuple[EngineSummary, ...]:
    """Return the summaries of all stages of an accelerator."""
    into = stream_summaries(described)[:-1]
    frames = [described.frames_before(k) for k in range(len(parts))]
    each = zip(parts, described.stages, into, frames, strict=True)
    return tuple(engine_summary(*one) for one in each)
