"""Map an integer network and its folding to stages: bit widths, ROM words and tail constants.

The rule of each layer (`xnorflow.plan.layer_rules`) says what the values of its array mean. Depths,
forms of sums and memories are chosen afterwards by the passes in `xnorflow.plan.hardware_passes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.plan.layer_rules import StageRule, reductions, rule_of
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.score_constants import score_unit
from xnorflow.plan.tail_constants import (
    MAX_TABLE_BITS,
    Affine,
    Incoming,
    Span,
    TailRule,
    offset_tail,
)
from xnorflow_hw import spec
from xnorflow_hw.base.names import plain
from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.kinds import Multiplier

MAX_STEPS = 64
"""Most steps for which a table of wide samples is built of comparators; see `InputStage`."""


def folded(net: ir.LayerGraph, folds: Sequence[Fold]) -> tuple[Reduction, ...]:
    """Return the reductions of a network, and check that a folding fits them.

    Raises
    ------
    BadInput
        If it does not.
    UnsupportedModel
        If there is no hardware for a layer.
    """
    parts = reductions(net)
    if len(folds) != len(parts):
        raise BadInput(
            f"the folding has {len(folds)} entries, but {net.name} has {len(parts)} layers to fold:"
            f" {', '.join(part.name for part in parts)}"
        )
    for part, fold in zip(parts, folds, strict=True):
        part.check(fold)
    return parts


def mapped(
    net: ir.LayerGraph,
    folds: Sequence[Fold],
    *,
    in_lanes: int,
    out_lanes: int,
    multipliers: Sequence[Multiplier | None] = (),
) -> spec.AcceleratorSpec:
    """Build the specification of a network at a folding, in which depths are still to be chosen.

    Parameters
    ----------
    net : LayerGraph
        Layers to build hardware for.
    folds : sequence of Fold
        Folding of each reduction of the network, in order.
    in_lanes, out_lanes : int
        Samples per input beat and scores per output beat.
    multipliers : sequence of Multiplier or None
        For each reduction, what its products are built of; planes where it is None, and everywhere
        by default.

    Returns
    -------
    AcceleratorSpec
        Specification for any fabric; buffers have a depth of 1 word, queues of 2 places.

    Raises
    ------
    BadInput
        If the folding does not fit the network.
    UnsupportedModel
        If there is no hardware for a layer.
    """
    parts = folded(net, folds)
    frame, classes = int(np.prod(net.shape)), len(net.scores.offsets)
    if not (1 <= in_lanes <= frame and 1 <= out_lanes <= classes):
        raise BadInput(
            f"{in_lanes} samples per input beat and {out_lanes} scores per output beat are not"
            f" possible: a frame of {net.name} has {frame} samples and {classes} scores, so 1 to"
            f" {frame} and 1 to {classes} would work"
        )
    flat = parts[0].inp.shape == (1, 1, frame)
    stages, gearboxes = [], []
    group, lanes = (frame if flat else net.shape[2]), in_lanes
    source = describe_input(net, group, in_lanes)
    multipliers = multipliers or [None] * len(parts)
    for part, fold, multiplier in zip(parts, folds, multipliers, strict=True):
        bits = part.inp.alphabet.bits
        gearboxes.append(spec.GearboxSpec(bits, group, lanes, part.inp.channels, fold.simd))
        stages.append(describe_stage(part, fold, multiplier))
        group, lanes = part.out_channels, stages[-1].lanes_out
    last = stages[-1]
    gearboxes.append(spec.GearboxSpec(last.out_bits, group, lanes, group, out_lanes))
    alphabet = net.features[-1].alphabet
    unit = None
    if net.scores.steps:
        unit = unit_of_scores(parts[-1], folds[-1], last, out_lanes, multipliers[-1])
    signed = unit is not None or isinstance(last.tails[-1], spec.OffsetSpec)
    width = (unit or last).out_bits if signed else alphabet.bits
    return spec.AcceleratorSpec(
        plain(net.name),
        source,
        tuple(stages),
        tuple(gearboxes),
        classes,
        out_lanes,
        score_bits=8 * ceil((width + (not signed)) / 8),
        score_signed=signed,
        scores=unit,
    )


def unit_of_scores(
    part: Reduction,
    fold: Fold,
    stage: spec.StageSpec,
    lanes: int,
    multiplier: Multiplier | None = None,
) -> spec.ScoreSpec:
    """Return the unit that computes the scores of the last stage's values."""
    layer = part.tails[-1][0]
    assert isinstance(layer, ir.Scores)
    meaning, span = sent(part, fold, multiplier)
    return score_unit(layer, meaning, span, bits=stage.out_bits, lanes=lanes)


def sent(part: Reduction, fold: Fold, multiplier: Multiplier | None = None) -> tuple[Affine, Span]:
    """Return what the values mean that a reduction's stage sends, and which can occur."""
    rule = rule_of(part.layer)
    assert isinstance(rule, StageRule)
    return _tails(part, *rule.described(part, fold, multiplier))[1:]


def describe_input(net: ir.LayerGraph, group: int, lanes: int) -> spec.InputSpec:
    """Build the specification of the input stage.

    Parameters
    ----------
    net : LayerGraph
        Network whose samples come in.
    group : int
        Samples per group of the stream: a pixel's channels, or a whole flat frame.
    lanes : int
        Samples per beat.

    Raises
    ------
    UnsupportedModel
        If the table that turns samples into codes would be too large.
    """
    first, samples = net.layers[0], net.samples.alphabet
    if isinstance(first, ir.InputTable):
        table, bits = first.table, first.alphabet.bits
    else:
        table, bits = np.arange(samples.levels, dtype=np.int64)[None], samples.bits
    size = 1 << max(8, samples.bits)
    if table.shape[1] < size:
        # The hardware's table also has entries for codes that no sample has.
        plain = np.array_equal(table[0], np.arange(table.shape[1])) and len(table) == 1
        spare = np.arange(table.shape[1], size) & ((1 << bits) - 1)
        rest = spare[None] if plain else np.repeat(table[:, -1:], size - table.shape[1], axis=1)
        table = np.concatenate([table, rest], axis=1)
    steps = int((np.diff(table, axis=1) != 0).sum(1).max())
    wires = len(table) == 1 and steps == size - 1
    if size > 256 and not wires and steps > MAX_STEPS and table.size * bits > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"the table that turns samples into codes would hold {len(table)} x {size} entries of"
            f" {bits} bits, more than the {MAX_TABLE_BITS} bits that one design may have.",
            node=net.layers[0].name,
            op="Input",
            hint="samples of fewer bits, or a quantiser of fewer levels.",
        )
    return spec.InputSpec(lanes, bits, table, group, int(np.prod(net.shape)))


def describe_stage(
    reduction: Reduction, fold: Fold, multiplier: Multiplier | None = None
) -> spec.StageSpec:
    """Build the specification of a reduction at a folding; its depths are still to be chosen.

    Without a multiplier, weights and codes of several bits are computed by planes.

    Raises
    ------
    UnsupportedModel
        If there is no hardware for the reduction at any folding.
    """
    layer, inp = reduction.layer, reduction.inp
    w = layer.window
    if not geometry.minimum_depth(inp.height, inp.width, 1, w.kernel, w.stride, w.dilation, w.pads):
        raise UnsupportedModel(
            "its windows hold nothing but padding, so its output is constant",
            node=layer.name,
            op=type(layer).__name__,
            hint="less padding or a smaller stride.",
        )
    rule = rule_of(layer)
    assert isinstance(rule, StageRule)
    array, meaning = rule.described(reduction, fold, multiplier)
    words, repeat = ceil(inp.channels / fold.simd), reduction.repeat(fold)
    a, pad_code = inp.alphabet, reduction.pad_code()

    def pad_word(used: int) -> int:
        return sum((pad_code or 0) << (a.bits * lane) for lane in range(used))

    # Depths depend on the neighbouring engines, so a later pass chooses them.
    buffer = spec.BufferSpec(
        word_bits=fold.simd * a.bits,
        words=words,
        height=inp.height,
        width=inp.width,
        kernel=w.kernel,
        stride=w.stride,
        dilation=w.dilation,
        pads=w.pads,
        pad_word=pad_word(fold.simd),
        pad_word_last=pad_word(inp.channels - (words - 1) * fold.simd),
        repeat=repeat,
        groups=words // reduction.words(fold),
        classes=pad_code is None,
        depth=1,
        pixels=fold.pixels,
    )
    tails, _, _ = _tails(reduction, array, meaning)
    return spec.StageSpec(
        plain(layer.name), buffer, array, tails, reduction.out_channels, queue_depth=2
    )


def _tails(
    reduction: Reduction, array: spec.ArraySpec, meaning: Affine
) -> tuple[tuple[spec.TailSpec, ...], Affine, Span]:
    """Return the tails of a stage, what the values that it sends mean, and which can occur."""
    tails: list[spec.TailSpec] = []
    bits, span = array.out_bits, _span(reduction, array, meaning)
    for layer, inp, out in reduction.tails:
        if isinstance(layer, ir.Scores) and layer.steps:
            # A unit behind the last gearbox computes these.
            return tuple(tails), meaning, span
        rule = rule_of(layer)
        assert isinstance(rule, TailRule)
        tail, after = rule.tail(layer, Incoming(meaning, array.lanes_out, bits, inp, out, span))
        tails.append(tail)
        bits = tail.out_bits
        if after is not None:
            meaning, span = after, Span.of_codes(out.alphabet.levels, after)
    if reduction.weighted and not tails:
        # The next stage expects codes, which start at 0, so the lowest sum is subtracted.
        sums = reduction.out.alphabet
        tails.append(offset_tail(meaning.plus(-sums.lo), array.lanes_out, sums.bits))
        meaning = Affine(1, 1, np.full_like(meaning.offset, sums.lo))
        span = Span.of_codes(sums.levels, meaning)
    return tuple(tails), meaning, span


def _span(reduction: Reduction, array: spec.ArraySpec, meaning: Affine) -> Span:
    """Return the values of an array that can occur."""
    layer = reduction.layer
    if isinstance(layer, ir.Conv):
        low, high = layer.bounds(reduction.inp.alphabet)
        return Span.of_values(low, high, meaning, array.out_bits)
    return Span.of_codes(reduction.out.alphabet.levels, meaning)
