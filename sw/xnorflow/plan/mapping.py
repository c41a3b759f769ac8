"""Maps an integer network and its folding to hardware: bits, ROM words, tail constants.

The array accumulates P, a weighted popcount (``docs/hardware.md``, section 2). With activations
``x = lo + step * u`` and weights ``w = sum(c_p * t_p) / den`` over bipolar planes ``t_p``, the
accumulator of the integer network is ``(step * P + offset) / den`` with::

    offset = den * lo * sum(w) - step * (2**A - 1) * sum_p c_p * #{t_p = -1}
             + den * (pad - lo) * sum(w over padded taps)  # where pad is no value of the alphabet

so every threshold on the accumulator is a threshold on P, rounded up.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir.reach import verify_reached
from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.memories import with_memories
from xnorflow.plan.reductions import Fold, Reduction, reductions
from xnorflow.plan.tail_constants import MAX_TABLE_BITS, Affine, _offsets, _tails
from xnorflow.plan.weight_words import _per_lane, _rom, weight_planes
from xnorflow_hw import spec
from xnorflow_hw.base.names import plain
from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks

MAX_STEPS = 64
"""Most steps of a table of wide samples that are comparators; see `InputStage`."""


def _padded_taps(reduction: Reduction) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give which taps each border class pads: bool [classes, kernel] for rows and for columns."""
    w, inp = reduction.layer.window, reduction.inp
    out = (reduction.out.height, reduction.out.width)
    size = (inp.height, inp.width)
    axes = []
    for axis in (0, 1):
        _, patterns = geometry.border_classes(
            size[axis], w.kernel[axis], w.stride[axis], w.dilation[axis], w.pads[axis], out[axis]
        )
        axes.append(np.array(patterns, bool).reshape(-1, w.kernel[axis]))
    return axes[0], axes[1]


def _conv(reduction: Reduction, fold: Fold, banks: Banks) -> tuple[spec.DotSpec, Affine]:
    """Give the array and the meaning of P, with a row per border class."""
    conv, inp = reduction.layer, reduction.inp
    assert isinstance(conv, ir.Conv)
    bits, coefficients, denominator = weight_planes(conv.weights)
    a = inp.alphabet
    flat = conv.weights.reshape(len(conv.weights), -1)
    minus = (1 - bits.astype(np.int64)).reshape(len(bits), len(flat), -1).sum(2)
    sum_minus = (np.array(coefficients)[:, None] * minus).sum(0)
    base = denominator * a.lo * flat.sum(1) - a.step * ((1 << a.bits) - 1) * sum_minus
    highest = a.lo * flat.sum(1) + a.step * (a.levels - 1) * np.maximum(flat, 0).sum(1)
    most = int(((highest * denominator - base) // a.step).max())
    offset = base[None]
    if reduction.pad_code() is None:
        rows, cols = _padded_taps(reduction)
        padded = rows[:, None, :, None] | cols[None, :, None, :]
        padded = padded.reshape(-1, *conv.window.kernel)
        taps = conv.weights.sum(3)
        at_pad = np.einsum("kyx,oyx->ko", padded.astype(np.int64), taps)
        offset = base[None] + denominator * (conv.pad_value - a.lo) * at_pad
    array = spec.DotSpec(
        pe=fold.pe,
        simd=fold.simd,
        bits=a.bits,
        coefficients=coefficients,
        weights=_rom(bits, fold),
        acc_bits=max(1, most.bit_length()),
        pixels=fold.pixels,
        turn=banks.turn,
        lanes=banks.lanes,
    )
    return array, Affine(a.step, denominator, offset)


def describe_stage(reduction: Reduction, fold: Fold) -> spec.StageSpec:
    """Describe the hardware of a reduction at a folding, but for its depths.

    Raises
    ------
    UnsupportedModel
        If it has none, at any folding.
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
    a = inp.alphabet
    lanes = fold.simd
    words = ceil(inp.channels / lanes)
    array: spec.ArraySpec
    repeat, pad_code = words, reduction.pad_code()
    banks = Banks(
        fold.pixels, inp.width, w.kernel[1], w.stride[1], w.dilation[1], w.pads[1], w.pads[3]
    )
    match layer:
        case ir.Conv():
            array, meaning = _conv(reduction, fold, banks)
            repeat = ceil(reduction.out_channels / fold.pe)
        case ir.MaxPool():
            array = spec.MaxSpec(lanes, a.bits, _per_lane(layer.minimum, lanes).astype(bool))
            meaning = Affine(a.step, 1, np.full((1, inp.channels), a.lo, np.int64))
        case ir.SumPool():
            taps = layer.window.kernel[0] * layer.window.kernel[1]
            array = spec.SumSpec(lanes, a.bits, max(1, (taps * (a.levels - 1)).bit_length()))
            meaning = Affine(a.step, 1, np.full((1, inp.channels), a.lo * taps, np.int64))
    tails = _tails(reduction, meaning, array.lanes_out, array.out_bits)
    if isinstance(layer, ir.Conv) and not tails:
        codes = meaning.plus(-reduction.out.alphabet.lo)
        tails = (_offsets(codes, array.lanes_out, reduction.out.alphabet.bits),)

    def pad_word(used: int) -> int:
        return sum((pad_code or 0) << (a.bits * lane) for lane in range(used))

    # The depths follow when all engines are there.
    buffer = spec.BufferSpec(
        word_bits=lanes * a.bits,
        words=words,
        height=inp.height,
        width=inp.width,
        kernel=w.kernel,
        stride=w.stride,
        dilation=w.dilation,
        pads=w.pads,
        pad_word=pad_word(lanes),
        pad_word_last=pad_word(inp.channels - (words - 1) * lanes),
        repeat=repeat,
        depthwise=not isinstance(layer, ir.Conv),
        classes=pad_code is None,
        depth=1,
        pixels=fold.pixels,
    )
    return spec.StageSpec(
        plain(layer.name), buffer, array, tails, reduction.out_channels, queue_depth=2
    )


def describe_input(net: ir.IntegerNetwork, group: int, lanes: int) -> spec.InputSpec:
    """Describe the input stage for groups of so many samples.

    Raises
    ------
    UnsupportedModel
        If its table would be too large.
    """
    first, samples = net.layers[0], net.samples.alphabet
    if isinstance(first, ir.InputTable):
        table, bits = first.table, first.alphabet.bits
    else:
        table, bits = np.arange(samples.levels, dtype=np.int64)[None], samples.bits
    size = 1 << max(8, samples.bits)
    if table.shape[1] < size:  # Codes that no sample has.
        plain = np.array_equal(table[0], np.arange(table.shape[1])) and len(table) == 1
        spare = np.arange(table.shape[1], size) & ((1 << bits) - 1)
        rest = spare[None] if plain else np.repeat(table[:, -1:], size - table.shape[1], axis=1)
        table = np.concatenate([table, rest], axis=1)
    steps = int((np.diff(table, axis=1) != 0).sum(1).max())
    wires = len(table) == 1 and steps == size - 1
    if size > 256 and not wires and steps > MAX_STEPS and table.size * bits > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"its table of {len(table)} x {size} codes is too large.",
            node=net.layers[0].name,
            op="Input",
            hint="samples of fewer bits, or a quantiser of fewer levels.",
        )
    return spec.InputSpec(lanes, bits, table, group, int(np.prod(net.shape)))


def accelerator(
    net: ir.IntegerNetwork,
    folds: Sequence[Fold],
    *,
    in_lanes: int,
    out_lanes: int = 1,
    device: Fpga | None = None,
) -> spec.AcceleratorSpec:
    """Describe the hardware of a network at a folding.

    Parameters
    ----------
    net : IntegerNetwork
        What to compute.
    folds : sequence of Fold
        One per reduction of the network, in order.
    in_lanes, out_lanes : int
        Samples per input beat, scores per output beat.
    device : Fpga, optional
        For which memories are laid out and arithmetic is placed.

    Raises
    ------
    BadInput
        If the folding does not fit the network.
    UnsupportedModel
        If a layer has no hardware.
    """
    parts = reductions(net)
    if len(folds) != len(parts):
        raise BadInput(f"a folding of {len(folds)} layers for the {len(parts)} of {net.name}")
    for part, fold in zip(parts, folds, strict=True):
        if not (1 <= fold.pe <= part.out_channels and 1 <= fold.simd <= part.inp.channels):
            raise BadInput(
                f"layer {part.name!r} cannot have PE {fold.pe} and SIMD {fold.simd}: PE goes from 1"
                f" to its {part.out_channels} output channels, SIMD from 1 to its"
                f" {part.inp.channels} input channels"
            )
        if fold.pe != fold.simd and not isinstance(part.layer, ir.Conv):
            raise BadInput(f"layer {part.name!r} is a pool; its PE and SIMD have to be equal")
        if reason := part.refusal(fold.pixels):
            raise BadInput(
                f"layer {part.name!r} cannot work on {fold.pixels} pixels at once: {reason}"
            )
    frame, classes = int(np.prod(net.shape)), len(net.scores.offsets)
    if not (1 <= in_lanes <= frame and 1 <= out_lanes <= classes):
        raise BadInput(
            f"{in_lanes} samples and {out_lanes} scores per beat are not possible: a frame has"
            f" {frame} samples and {classes} scores"
        )
    flat = parts[0].inp.shape == (1, 1, frame)
    stages, gearboxes = [], []
    group, lanes = (frame if flat else net.shape[2]), in_lanes
    source = describe_input(net, group, in_lanes)
    for part, fold in zip(parts, folds, strict=True):
        bits = part.inp.alphabet.bits
        gearboxes.append(spec.GearboxSpec(bits, group, lanes, part.inp.channels, fold.simd))
        stages.append(describe_stage(part, fold))
        group, lanes = part.out_channels, stages[-1].lanes_out
    verify_reached(net)
    last = stages[-1]
    gearboxes.append(spec.GearboxSpec(last.out_bits, group, lanes, group, out_lanes))
    alphabet = net.features[-1].alphabet
    signed = isinstance(last.tails[-1], spec.OffsetSpec)
    width = last.out_bits if signed else alphabet.bits
    described = shrunk(
        with_depths(
            with_fabric(
                spec.AcceleratorSpec(
                    plain(net.name),
                    source,
                    tuple(stages),
                    tuple(gearboxes),
                    classes,
                    out_lanes,
                    score_bits=8 * ceil((width + (not signed)) / 8),
                    score_signed=signed,
                ),
                device,
            )
        )
    )
    # What is read through fewer registers needs less.
    return shrunk(with_depths(with_memories(described, device)))
