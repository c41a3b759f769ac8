"""Choose what multiplies codes and weights of several bits: planes of weights, or multipliers.

An array of planes (`DotSpec`) adds codes once for every plane of the weights. An array of
multipliers (`MacSpec`) has products in DSP blocks, as long as the device has some left, or in LUTs.
Where neighbouring input channels share a factor, as in groups of ternary weights, an array may sum
them first and multiply each sum once (`EdgeSpec` of a single edge).
Where codes or weights have a single bit, where weights are ternary, or where no device is known,
planes are always taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeGuard

from xnorflow import ir
from xnorflow.devices.tables import Family, Fpga
from xnorflow.plan.arrays.edge_array import factor_bits, part_number, shared_channels
from xnorflow.plan.fabric import form_on
from xnorflow.plan.layer_rules import Part
from xnorflow.plan.reductions import Fold, ProductForm, Reduction
from xnorflow.plan.weight_words import weight_bits
from xnorflow.storage.blocks import StorageChoice
from xnorflow_hw.fabric import xnor_sum
from xnorflow_hw.fabric.beat import cheapest_form
from xnorflow_hw.spec import ArraySpec, EdgeSpec, MacSpec
from xnorflow_hw.spec.kinds import Multiplier, SumForm
from xnorflow_hw.spec.latency import ceil_log2, register_count, ternary_width

ADDED = {4: 1.4, 6: 0.75}
"""LUTs per bit of the adders that sum codes of a plane, by the inputs of a LUT."""
COUNTED = {4: 1.7, 6: 0.6}
"""LUTs per lane of a popcount."""


def can_multiply(part: Part) -> TypeGuard[Reduction]:
    """Return whether a part's array may multiply: weights and codes both have several bits.

    That of weights which are a sum of edges does not; it has ternary sums times factors.
    """
    layer = part.layer
    return (
        isinstance(layer, ir.Conv)
        and layer.edges is None
        and part.inp.alphabet.bits > 1
        and abs(layer.weights).max(initial=0) > 1
    )


def multiplier_of(array: ArraySpec) -> ProductForm | None:
    """Return what multiplies in an array that also could have planes, None if nothing does."""
    if isinstance(array, EdgeSpec):
        return "factors" if array.edges == 1 else None
    return array.multiplier if isinstance(array, MacSpec) else None


def product_luts(bits: int, weight_bits: int) -> int:
    """Return the LUTs of a product of logic: copies of the wider operand, and their adders."""
    narrow, wide = sorted((bits, weight_bits))
    return narrow * wide + (narrow - 1) * (wide + 1)


def adder_bits(lanes: int, bits: int, weight_bits: int) -> int:
    """Return the bits of all adders that sum the products of a beat for one output channel."""
    width, left, found = bits + weight_bits, lanes, 0
    while left > 1:
        width += 1
        found += left // 2 * width
        left = ceil(left / 2)
    return found


def product_registers(lanes: int, bits: int, weight_bits: int, multiplier: Multiplier) -> int:
    """Return the flip-flops of the products of a beat and their sums for one output channel."""
    narrow, wide = sorted((bits, weight_bits))
    found = lanes * (narrow + wide if multiplier == "dsp" else (narrow - 1) * (wide + 2))
    levels = ceil_log2(lanes)
    stages = register_count(levels)
    for k in range(1, stages + 1):
        level = ceil(k * levels / stages)
        found += ceil(lanes / (1 << level)) * (narrow + wide + level)
    return found


@dataclass(frozen=True)
class ProductChoice:
    """What multiplies in a layer.

    Parameters
    ----------
    multiplier : ProductForm or None
        What products are built of; None if planes are taken.
    dsps : int
        DSP blocks that are taken.
    saved : float
        LUTs that are spared by them, estimated; 0 without DSP blocks.
    """

    multiplier: ProductForm | None = None
    dsps: int = 0
    saved: float = 0.0


PLANES = ProductChoice()
"""The choice of layers that do not multiply."""


def choose(part: Part, fold: Fold, family: Family, left: int) -> ProductChoice:
    """Choose what multiplies in a layer at a folding.

    Parameters
    ----------
    part : Reduction or Joint
        The layer, or a joint, which has no weights.
    fold : Fold
        Its folding.
    family : Family
        FPGA family whose LUTs are estimated.
    left : int
        DSP blocks that the layer may take.
    """
    if not can_multiply(part):
        return PLANES
    assert isinstance(part.layer, ir.Conv)
    bits, width = part.inp.alphabet.bits, weight_bits(part.layer.weights)
    blocks = part.groups_at_once(fold)
    lanes, sums = fold.simd // blocks, fold.pe * fold.pixels
    summed = sums * adder_bits(lanes, bits, width)
    memories = StorageChoice(family)
    words = part.repeat(fold) * part.words(fold)
    words *= part.layer.window.kernel[0] * part.layer.window.kernel[1]

    def stored(word_bits: float) -> float:
        luts, ram = memories.takes(words, ceil(part.lanes(fold) * word_bits), None)
        return luts + ram * memories.price

    planes = _planes_luts(part, fold, family, words) + stored(plane_number(part.layer.weights))
    logic = summed + sums * lanes * product_luts(bits, width) + stored(width)
    takes: dict[ProductForm | None, float] = {None: planes, "logic": logic}
    if shared_channels(part.layer) > 1:
        number = part_number(part, fold)
        factor = factor_bits(part.layer)
        takes["factors"] = sums * _factors_luts(
            number, lanes // number, bits, factor, fold, family, blocks, words
        ) + stored(2 + number * factor / lanes)
    multiplier = min(takes, key=lambda kind: takes[kind])
    number = part.lanes(fold) * fold.pixels
    each = family.dsp.blocks(bits, width) if family.dsp is not None else 0.0
    needed, saved = ceil(number * each), takes[multiplier] - summed - stored(width)
    if 0 < needed <= left and saved > 0:
        return ProductChoice("dsp", needed, saved)
    return ProductChoice(multiplier)


def _factors_luts(
    number: int,
    lanes: int,
    bits: int,
    factor: int,
    fold: Fold,
    family: Family,
    blocks: int,
    words: int,
) -> float:
    """Estimate the LUTs of an output channel's ternary sums of a beat, times their factors.

    There are `number` sums of `lanes` lanes with factors of `factor` bits.
    """
    form = cheapest_form(
        simd=lanes, bits=bits, fabric=family.fabric, sums=2 * fold.pe // blocks, words=words
    )
    width = ternary_width(lanes, bits)
    own = _sum_luts(lanes, bits, 2, form, family)
    return number * (own + product_luts(width, factor)) + adder_bits(number, width, factor)


def plane_number(weights: ir.Ints) -> int:
    """Return the bipolar planes of weights that are no ternary ones; see `weight_planes`."""
    return max(0, int(abs(weights).max()) - 1).bit_length() + 2


def _planes_luts(part: Reduction, fold: Fold, family: Family, words: int) -> float:
    """Estimate the LUTs of the sums of a beat, by planes, of all output channels and pixels."""
    assert isinstance(part.layer, ir.Conv)
    planes, bits = plane_number(part.layer.weights), part.inp.alphabet.bits
    blocks = part.groups_at_once(fold)
    simd = fold.simd // blocks
    form = form_on(
        family.fabric,
        pe=fold.pe,
        simd=fold.simd,
        pixels=fold.pixels,
        bits=bits,
        planes=planes,
        words=words,
        blocks=blocks,
    )
    return fold.pe * fold.pixels * _sum_luts(simd, bits, planes, form, family)


def _sum_luts(simd: int, bits: int, planes: int, form: SumForm, family: Family) -> float:
    """Estimate the LUTs of the sum of a beat, by planes, of one output channel."""
    if form == "add":
        width, terms = xnor_sum.width_for(simd, bits), planes
        own = ADDED[family.lut_inputs] * xnor_sum.adder_bits(simd, bits) + bits * (simd == 1)
    else:
        width, terms = simd.bit_length(), planes * bits
        own = COUNTED[family.lut_inputs] * simd
    return terms * own + (terms - 1) * (width + 1)


def multipliers(
    parts: Sequence[Part], folds: Sequence[Fold], device: Fpga | None
) -> tuple[ProductForm | None, ...]:
    """Choose what multiplies in each layer of a network.

    Layers that save the most LUTs per DSP block take theirs first. Without a device all have
    planes, which suit any.

    Parameters
    ----------
    parts : sequence of Reduction or Joint
        Parts of the network.
    folds : sequence of Fold
        Their folding.
    device : Fpga or None
        FPGA to build for.
    """
    if device is None:
        return (None,) * len(parts)
    family, left = device.family, device.dsp_number
    wishes = [choose(p, f, family, left) for p, f in zip(parts, folds, strict=True)]
    chosen: list[ProductForm | None] = [None] * len(parts)
    for k in sorted(range(len(parts)), key=lambda k: -wishes[k].saved / max(1, wishes[k].dsps)):
        given = wishes[k]
        if given.dsps > left:
            given = choose(parts[k], folds[k], family, left)
        chosen[k] = given.multiplier
        left -= given.dsps
    return tuple(chosen)
