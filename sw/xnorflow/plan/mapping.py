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
from xnorflow.plan.joints.joined_arrays import code_tail
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.joints.several_outputs import scores_of_all
from xnorflow.plan.layer_rules import Part, StageRule, reductions, rule_of, tail_rule_of
from xnorflow.plan.reductions import Fold, ProductForm, Reduction
from xnorflow.plan.score_constants import score_unit
from xnorflow.plan.tail_constants import (
    MAX_TABLE_BITS,
    Affine,
    Incoming,
    Lanes,
    Span,
    offset_tail,
    signed_bits,
)
from xnorflow_hw import spec
from xnorflow_hw.base.names import plain
from xnorflow_hw.spec import geometry

MAX_STEPS = 64
"""Most steps for which a table of wide samples is built of comparators; see `InputStage`."""


def folded(net: ir.LayerGraph, folds: Sequence[Fold]) -> tuple[Part, ...]:
    """Return the parts of a network, and check that a folding fits them.

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
    multipliers: Sequence[ProductForm | None] = (),
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
    multipliers : sequence of ProductForm or None
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
    frame, classes = int(np.prod(net.shape)), net.score_count
    if not (1 <= in_lanes <= frame and 1 <= out_lanes <= classes):
        raise BadInput(
            f"{in_lanes} samples per input beat and {out_lanes} scores per output beat are not"
            f" possible: a frame of {net.name} has {frame} samples and {classes} scores, so 1 to"
            f" {frame} and 1 to {classes} would work"
        )
    stages: list[spec.StageSpec] = []
    streams: list[spec.StreamSpec] = []
    sent = [(input_group(net, parts), in_lanes)]
    source = describe_input(net, *sent[0])
    multipliers = multipliers or [None] * len(parts)
    steps = has_steps(net)
    for part, fold, multiplier in zip(parts, folds, multipliers, strict=True):
        stage = describe_stage(part, fold, multiplier, last=part is parts[-1], steps=steps)
        for port, (read, f) in enumerate(zip(part.reads, part.inputs, strict=True)):
            lanes = fold.simd if isinstance(part, Reduction) else port_lanes(stage, port, fold)
            channels = f.size if isinstance(part.layer, ir.AllScores) else f.channels
            box = spec.GearboxSpec(f.alphabet.bits, *sent[read], channels, lanes)
            streams.append(spec.StreamSpec(read, len(stages), box, port))
        stages.append(stage)
        sent.append((part.out_channels, stage.lanes_out))
    last = stages[-1]
    box = spec.GearboxSpec(last.out_bits, *sent[-1], classes, out_lanes)
    streams.append(spec.StreamSpec(len(stages), len(stages), box))
    alphabet = net.features[-1].alphabet
    unit = unit_of_scores(net, parts[-1], folds[-1], last, out_lanes, multipliers[-1])
    signed = unit is not None or isinstance(last.tails[-1], spec.OffsetSpec)
    width = (unit or last).out_bits if signed else alphabet.bits
    return spec.AcceleratorSpec(
        plain(net.name),
        source,
        tuple(stages),
        tuple(streams),
        classes,
        out_lanes,
        score_bits=8 * ceil((width + (not signed)) / 8),
        score_signed=signed,
        scores=unit,
    )


def input_group(net: ir.LayerGraph, parts: Sequence[Part]) -> int:
    """Return the samples per group of the input stream.

    A group is a pixel; if all that read the frame are dense layers, it is the whole frame.
    """
    frame = int(np.prod(net.shape))
    read = [f for part in parts for r, f in zip(part.reads, part.inputs, strict=True) if not r]
    return frame if all(f.shape == (1, 1, frame) for f in read) else net.shape[2]


def port_lanes(stage: spec.StageSpec, port: int, fold: Fold) -> int:
    """Return the lanes of a beat that a joint's port takes."""
    front = stage.buffer
    return front.ports[port].lanes if isinstance(front, spec.JoinSpec) else fold.simd


def has_steps(net: ir.LayerGraph) -> bool:
    """Return whether a unit behind the last stage computes scores, step by step."""
    return any(layer.steps for layer in net.score_layers)


def unit_of_scores(
    net: ir.LayerGraph,
    part: Part,
    fold: Fold,
    stage: spec.StageSpec,
    lanes: int,
    multiplier: ProductForm | None = None,
) -> spec.ScoreSpec | None:
    """Return the unit that computes the scores of the last stage's values, if there is one.

    Parameters
    ----------
    net : LayerGraph
        Network whose scores are computed.
    part : Reduction or Joint
        Its last part.
    fold : Fold
        Folding of that part.
    stage : StageSpec
        Stage of that part.
    lanes : int
        Scores per beat.
    multiplier : ProductForm, optional
        What multiplies in that part, if its array does.
    """
    if not has_steps(net):
        return None
    meaning, span = sent(part, fold, multiplier)
    pixels = part.out.height * part.out.width
    if isinstance(part.layer, ir.AllScores):
        assert isinstance(part, Joint)
        layer, span = scores_of_all(net, part, meaning)
        meaning = Affine(meaning.numerator, 1, np.full((1, net.score_count), part.out.alphabet.lo))
    else:
        layer = net.scores
    return score_unit(layer, meaning, span, bits=stage.out_bits, lanes=lanes, pixels=pixels)


def sent(part: Part, fold: Fold, multiplier: ProductForm | None = None) -> tuple[Affine, Span]:
    """Return what the values mean that the last stage sends, and which can occur."""
    return _tails(part, fold, *_array(part, fold, multiplier), last=True, steps=True)[1:]


def _array(part: Part, fold: Fold, multiplier: ProductForm | None) -> tuple[spec.ArraySpec, Affine]:
    """Return the array of a part and the meaning of its values."""
    if isinstance(part, Joint):
        return part.rule.array(part, fold.pe)
    rule = rule_of(part.layer)
    assert isinstance(rule, StageRule)
    return rule.described(part, fold, multiplier)


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
    samples, reader = net.samples.alphabet, net.readers[0]
    first = net.layers[reader[0]]
    if isinstance(first, ir.InputTable) and len(reader) == 1:
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
            node=first.name,
            op="Input",
            hint="samples of fewer bits, or a quantiser of fewer levels.",
        )
    return spec.InputSpec(lanes, bits, table, group, int(np.prod(net.shape)))


def describe_stage(
    part: Part, fold: Fold, multiplier: ProductForm | None = None, *, last: bool, steps: bool
) -> spec.StageSpec:
    """Build the specification of a part at a folding; its depths are still to be chosen.

    Parameters
    ----------
    part : Reduction or Joint
        Part of a network.
    fold : Fold
        Its folding.
    multiplier : ProductForm, optional
        What multiplies weights and codes of several bits; without one, planes are summed.
    last : bool
        Whether it is the last one, which sends the scores.
    steps : bool
        Whether a unit behind the last one computes them.

    Without a multiplier, weights and codes of several bits are computed by planes.

    Raises
    ------
    UnsupportedModel
        If there is no hardware for the part at any folding.
    """
    array, meaning = _array(part, fold, multiplier)
    # Depths depend on the neighbouring engines, so a later pass chooses them.
    front = _windows(part, fold) if isinstance(part, Reduction) else part.rule.front(part, fold.pe)
    tails, _, _ = _tails(part, fold, array, meaning, last=last, steps=steps)
    return spec.StageSpec(plain(part.name), front, array, tails, part.out_channels, queue_depth=2)


def _windows(reduction: Reduction, fold: Fold) -> spec.BufferSpec:
    """Return the buffer of a reduction, which delivers its windows."""
    layer, inp = reduction.layer, reduction.inp
    w = layer.window
    if not geometry.minimum_depth(inp.height, inp.width, 1, w.kernel, w.stride, w.dilation, w.pads):
        raise UnsupportedModel(
            "its windows hold nothing but padding, so its output is constant",
            node=layer.name,
            op=type(layer).__name__,
            hint="less padding or a smaller stride.",
        )
    words, repeat = ceil(inp.channels / fold.simd), reduction.repeat(fold)
    a, pad_code = inp.alphabet, reduction.pad_code()

    def pad_word(used: int) -> int:
        return sum((pad_code or 0) << (a.bits * lane) for lane in range(used))

    return spec.BufferSpec(
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


def _tails(
    part: Part, fold: Fold, array: spec.ArraySpec, meaning: Affine, *, last: bool, steps: bool
) -> tuple[tuple[spec.TailSpec, ...], Affine, Span]:
    """Return the tails of a stage, what the values that it sends mean, and which can occur."""
    tails: list[spec.TailSpec] = []
    bits, span = array.out_bits, _span(part, array, meaning)
    lanes = Lanes(array.lanes_out)
    if isinstance(part, Reduction):
        lanes = Lanes(array.lanes_out, part.borders(fold.pixels).classes)

    def send_codes(tail: spec.OffsetSpec, a: ir.Alphabet) -> None:
        nonlocal bits, meaning, span
        tails.append(tail)
        bits, meaning = tail.out_bits, Affine(a.step, 1, np.full_like(meaning.offset, a.lo))
        span = Span.of_codes(a.levels, meaning)

    if isinstance(part.layer, ir.Multiply) and _needs_codes(part, meaning):
        send_codes(code_tail(meaning, part.out, array.lanes_out), part.out.alphabet)
    for layer, inp, out in part.tails:
        if isinstance(layer, ir.Scores) and layer.steps:
            # A unit behind the last gearbox computes these. It has one row of constants for all
            # windows, and takes codes of what several outputs send.
            a = inp.alphabet
            known = (meaning.numerator, meaning.denominator) == (a.step, 1)
            if len(meaning.offset) > 1 or not (last or (known and (meaning.offset == a.lo).all())):
                send_codes(offset_tail(meaning.plus(-a.lo), lanes, a.bits), a)
            return tuple(tails), meaning, span
        given = Incoming(meaning, lanes, bits, inp, out, span, joined=not last)
        tail, after = tail_rule_of(layer).tail(layer, given)
        tails.append(tail)
        bits = tail.out_bits
        if after is not None:
            meaning, span = after, Span.of_codes(out.alphabet.levels, after)
    if part.weighted and not tails:
        # The next stage expects codes, which start at 0, so the lowest sum is subtracted.
        sums = part.out.alphabet
        send_codes(offset_tail(meaning.plus(-sums.lo), lanes, sums.bits), sums)
    if isinstance(part.layer, ir.AllScores) and not steps:
        tails.append(offset_tail(meaning, lanes, signed_bits(part.out.alphabet)))
    return tuple(tails), meaning, span


def _needs_codes(part: Part, meaning: Affine) -> bool:
    """Return whether the products of a joint have to be turned into codes."""
    a, first = part.out.alphabet, part.tails[0][0] if part.tails else None
    read_as_codes = first is None or (isinstance(first, ir.Scores) and bool(first.steps))
    return a.lo < 0 or (read_as_codes and (a.lo, a.step) != (0, meaning.numerator))


def _span(part: Part, array: spec.ArraySpec, meaning: Affine) -> Span:
    """Return the values of an array that can occur."""
    if isinstance(part, Reduction) and isinstance(part.layer, ir.Conv | ir.Gather):
        low, high = part.layer.bounds(part.inp.alphabet)
        return Span.of_values(low, high, meaning, array.out_bits)
    if isinstance(part.layer, ir.Multiply):
        return Span.of_codes(part.out.alphabet.hi // meaning.numerator + 1, meaning)
    return Span.of_codes(part.out.alphabet.levels, meaning)
