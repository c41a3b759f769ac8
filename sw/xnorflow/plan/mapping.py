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
from dataclasses import dataclass
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.devices.tables import Fpga
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir.reach import verify_reached
from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.memories import with_memories
from xnorflow_hw import spec
from xnorflow_hw.base.names import plain
from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks

Bits = NDArray[np.uint8]

MAX_TABLE_BITS = 1 << 21
"""Largest table of ranks that is put into one design, in bits."""


@dataclass(frozen=True)
class Fold:
    """Folding of one reduction: PE output channels and SIMD inputs at once; pools use SIMD only.

    With `pixels` more than 1 so many neighbouring output pixels are worked on at once: a weight
    word serves them all.
    """

    pe: int
    simd: int
    pixels: int = 1


@dataclass(frozen=True, eq=False)
class Reduction:
    """A Conv, MaxPool or SumPool with the layers that become its tails."""

    layer: ir.Conv | ir.MaxPool | ir.SumPool
    inp: ir.Features
    out: ir.Features
    tails: tuple[tuple[ir.Threshold | ir.Scores, ir.Features, ir.Features], ...]

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def final(self) -> ir.Features:
        """Feature map after the tails."""
        return self.tails[-1][2] if self.tails else self.out

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.out.channels

    def cycles(self, fold: Fold) -> int:
        """Beats per frame at a folding: the bound on the initiation interval."""
        kernel = self.layer.window.kernel
        repeat = ceil(self.out_channels / fold.pe) if isinstance(self.layer, ir.Conv) else 1
        words = ceil(self.inp.channels / fold.simd)
        columns = ceil(self.out.width / fold.pixels)
        return self.out.height * columns * kernel[0] * kernel[1] * repeat * words

    def pad_code(self) -> int | None:
        """Give the code of padded taps; None where the padding is no value of the alphabet."""
        match self.layer:
            case ir.Conv() if any(self.layer.window.pads):
                return self.inp.alphabet.code_of(self.layer.pad_value)
            case ir.SumPool():
                return self.layer.pad_code
        return 0

    def refusal(self, pixels: int) -> str:
        """Say why the layer cannot work on so many pixels at once; nothing if it can."""
        window = self.layer.window
        if pixels == 1:
            return ""
        if not isinstance(self.layer, ir.Conv):
            return "it is a pool, which has no weights to share"
        if self.pad_code() is None:
            return (f"it pads with {self.layer.pad_value}, which is no value of"
                    f" {self.inp.alphabet}, so the thresholds differ along a row")
        if not 1 <= pixels <= self.out.width:
            return f"its rows have {self.out.width}"
        if gcd(pixels, window.stride[1]) > 1:
            return f"{pixels} and its stride {window.stride[1]} have a factor in common"
        return ""


def reductions(net: ir.IntegerNetwork) -> tuple[Reduction, ...]:
    """Split a network into its reductions, in order.

    Raises
    ------
    UnsupportedModel
        If a threshold stands where no reduction precedes it.
    """
    found: list[Reduction] = []
    for layer, inp, out in net:
        if isinstance(layer, ir.Conv | ir.MaxPool | ir.SumPool):
            found.append(Reduction(layer, inp, out, ()))
        elif isinstance(layer, ir.Threshold | ir.Scores):
            if not found or found[-1].final is not inp:
                raise UnsupportedModel(
                    "it acts on values that no convolution, dense layer or pool has made",
                    node=layer.name, op=type(layer).__name__,
                    hint="a network with at least one such layer before it.",
                )
            last = found[-1]
            found[-1] = Reduction(
                last.layer, last.inp, last.out, (*last.tails, (layer, inp, out))
            )
    return tuple(found)


def weight_planes(weights: ir.Ints) -> tuple[Bits, tuple[int, ...], int]:
    """Write integer weights as bipolar planes.

    Parameters
    ----------
    weights : int64 array [...]
        Any integers.

    Returns
    -------
    bits : uint8 array [planes, ...]
        1 where the plane is +1.
    coefficients : tuple of int
        One per plane.
    denominator : int
        ``weights == sum(coefficients * (2 * bits - 1)) / denominator``.
    """
    if np.isin(weights, (-1, 1)).all():
        return (weights > 0).astype(np.uint8)[None], (1,), 1
    exponent = max(0, int(np.abs(weights).max()) - 1).bit_length()
    top = 1 << exponent
    first = (weights > -top).astype(np.int64)
    code = (2 * weights - (2 * first - 1) + 2 * top - 1) // 2
    planes = [first, *((code >> j) & 1 for j in range(exponent + 1))]
    coefficients = (1, *(1 << j for j in range(exponent + 1)))
    return np.stack(planes).astype(np.uint8), coefficients, 2


def _pad_to(a: NDArray[Any], axis: int, size: int, value: int) -> NDArray[Any]:
    widths = [(0, 0)] * a.ndim
    widths[axis] = (0, size - a.shape[axis])
    return np.pad(a, widths, constant_values=value)


def _per_lane(a: NDArray[Any], lanes: int, value: int = 0) -> NDArray[Any]:
    """Reshape [channels, ...] to [ceil(channels / lanes), lanes, ...], padded with `value`."""
    groups = ceil(len(a) / lanes)
    return _pad_to(a, 0, groups * lanes, value).reshape(groups, lanes, *a.shape[1:])


def _rom(bits: Bits, fold: Fold) -> Bits:
    """Order weight bits [planes, out, rows, cols, in] as [repeat * beats, planes, pe, simd].

    The beats of several pixels at once go column by column of the kernel, others row by row.
    Padded lanes get bits of 1, which no activation of code 0 matches; padded PEs are like the last
    real one, so that their sums are no higher.
    """
    planes, _, rows, cols, _ = bits.shape
    repeat, words = ceil(bits.shape[1] / fold.pe), ceil(bits.shape[4] / fold.simd)
    more = repeat * fold.pe - bits.shape[1]
    bits = np.pad(bits, [(0, 0), (0, more), *[(0, 0)] * 3], mode="edge")
    bits = _pad_to(bits, 4, words * fold.simd, 1)
    bits = bits.reshape(planes, repeat, fold.pe, rows, cols, words, fold.simd)
    if fold.pixels > 1:
        bits = bits.swapaxes(3, 4)
    return bits.transpose(1, 3, 4, 5, 0, 2, 6).reshape(-1, planes, fold.pe, fold.simd)


@dataclass(frozen=True, eq=False)
class Affine:
    """``value = (P * numerator + offset[row class, channel]) / denominator``."""

    numerator: int
    denominator: int
    offset: ir.Ints

    def threshold(self, values: ir.Ints) -> ir.Ints:
        """Turn thresholds [channels, n] on the value into [classes, channels, n] on P."""
        scaled = values[None] * self.denominator - self.offset[..., None]
        return -((-scaled) // self.numerator)

    def plus(self, values: ir.Ints | int) -> Affine:
        """Add `values`, one or one per channel, to the value."""
        return Affine(self.numerator, self.denominator, self.offset + self.denominator * values)


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


def _conv(
    reduction: Reduction, fold: Fold, banks: Banks
) -> tuple[spec.DotSpec, Affine]:
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
        pe=fold.pe, simd=fold.simd, bits=a.bits, coefficients=coefficients,
        weights=_rom(bits, fold), acc_bits=max(1, most.bit_length()), pixels=fold.pixels,
        turn=banks.turn, lanes=banks.lanes,
    )
    return array, Affine(a.step, denominator, offset)


def _tails(
    reduction: Reduction, meaning: Affine, lanes: int, acc_bits: int
) -> tuple[spec.TailSpec, ...]:
    tails: list[spec.TailSpec] = []
    bits = acc_bits
    for layer, inp, out in reduction.tails:
        if isinstance(layer, ir.Threshold):
            table = meaning.threshold(layer.thresholds)
            never = (1 << bits) + 1
            if not table.shape[2]:  # A single code: any threshold that is out of reach.
                table = np.full((*table.shape[:2], 1), never)
            rows = [_per_lane(t, lanes, never) for t in np.clip(table, -1, never)]
            bits = layer.alphabet.bits
            tails.append(spec.ThresholdSpec(np.concatenate(rows), bits))
            a = layer.alphabet
            meaning = Affine(a.step, 1, np.full((len(table), inp.channels), a.lo, np.int64))
        elif layer.ranks is not None and layer.rank_lo is not None:
            tails.append(_rank_table(layer, meaning, lanes, bits))
        else:
            tails.append(_offsets(meaning.plus(layer.offsets), lanes, _signed_bits(out.alphabet)))
    return tuple(tails)


def _signed_bits(alphabet: ir.Alphabet) -> int:
    """Bits of a two's complement integer that holds every value."""
    return max(int(alphabet.hi).bit_length(), int(~min(alphabet.lo, 0)).bit_length()) + 1


def _offsets(meaning: Affine, lanes: int, bits: int) -> spec.OffsetSpec:
    rows = np.concatenate([_per_lane(o, lanes) for o in meaning.offset])
    return spec.OffsetSpec(meaning.numerator, rows, meaning.denominator.bit_length() - 1, bits)


def _rank_table(
    layer: ir.Scores, meaning: Affine, lanes: int, bits: int
) -> spec.TableSpec:
    assert layer.ranks is not None and layer.rank_lo is not None
    ranks, lo = layer.ranks, layer.rank_lo
    out_bits = max(1, int(ranks.max()).bit_length())
    size = len(meaning.offset) * ceil(len(ranks) / lanes) * lanes * (out_bits << bits)
    if size > MAX_TABLE_BITS:
        raise UnsupportedModel(
            f"its scores are no affine function of the accumulators, and a table of them would"
            f" take {size} bits", node=layer.name, op="Scores",
            hint="one scale for all classes after the last layer, or a narrower last layer.",
        )
    p = np.arange(1 << bits)
    rows = []
    for offset in meaning.offset:
        value = (p * meaning.numerator + offset[:, None]) // meaning.denominator
        index = np.clip(value - lo[:, None], 0, ranks.shape[1] - 1)
        rows.append(_per_lane(np.maximum(np.take_along_axis(ranks, index, 1), 0), lanes))
    return spec.TableSpec(np.concatenate(rows), out_bits)


def _stage(reduction: Reduction, fold: Fold) -> spec.StageSpec:
    layer, inp = reduction.layer, reduction.inp
    w = layer.window
    if not geometry.minimum_depth(
        inp.height, inp.width, 1, w.kernel, w.stride, w.dilation, w.pads
    ):
        raise UnsupportedModel(
            "its windows hold nothing but padding, so its output is constant", node=layer.name,
            op=type(layer).__name__, hint="less padding or a smaller stride.",
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
        word_bits=lanes * a.bits, words=words, height=inp.height, width=inp.width,
        kernel=w.kernel, stride=w.stride, dilation=w.dilation, pads=w.pads,
        pad_word=pad_word(lanes), pad_word_last=pad_word(inp.channels - (words - 1) * lanes),
        repeat=repeat, depthwise=not isinstance(layer, ir.Conv), classes=pad_code is None, depth=1,
        pixels=fold.pixels,
    )
    return spec.StageSpec(
        plain(layer.name), buffer, array, tails, reduction.out_channels, queue_depth=2
    )


def _input(net: ir.IntegerNetwork, group: int, lanes: int) -> spec.InputSpec:
    first = net.layers[0]
    if isinstance(first, ir.InputTable):
        table, bits = first.table, first.alphabet.bits
    else:
        table, bits = np.arange(256, dtype=np.int64)[None], 8
    return spec.InputSpec(lanes, bits, table, group, int(np.prod(net.shape)))


def accelerator(
    net: ir.IntegerNetwork, folds: Sequence[Fold], *, in_lanes: int, out_lanes: int = 1,
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
    source = _input(net, group, in_lanes)
    for part, fold in zip(parts, folds, strict=True):
        bits = part.inp.alphabet.bits
        gearboxes.append(spec.GearboxSpec(bits, group, lanes, part.inp.channels, fold.simd))
        stages.append(_stage(part, fold))
        group, lanes = part.out_channels, stages[-1].lanes_out
    verify_reached(net)
    last = stages[-1]
    gearboxes.append(spec.GearboxSpec(last.out_bits, group, lanes, group, out_lanes))
    alphabet = net.features[-1].alphabet
    signed = isinstance(last.tails[-1], spec.OffsetSpec)
    width = last.out_bits if signed else alphabet.bits
    described = shrunk(with_depths(with_fabric(spec.AcceleratorSpec(
        plain(net.name), source, tuple(stages), tuple(gearboxes), classes, out_lanes,
        score_bits=8 * ceil((width + (not signed)) / 8), score_signed=signed,
    ), device)))
    # What is read through fewer registers needs less.
    return shrunk(with_depths(with_memories(described, device)))
