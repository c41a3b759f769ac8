"""Choose for each layer of thresholds whether hardware searches for codes or computes them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from xnorflow.devices.tables import Family, Fpga, fpgas
from xnorflow.storage.blocks import StorageChoice, rom_luts
from xnorflow_hw.spec import (
    AcceleratorSpec,
    AffineSpec,
    ArraySpec,
    MacSpec,
    ScoreSpec,
    StageSpec,
    TailSpec,
    ThresholdSpec,
)
from xnorflow_hw.spec.kinds import Fabric
from xnorflow_hw.spec.latency import ceil_log2, multiplier_latency
from xnorflow_hw.spec.score_unit import SIGNIFICANT
from xnorflow_hw.spec.stage_latency import compares

GENERIC = "ulx3s-85f"
"""Board whose family decides where no board is given, as for memories."""
DSP_OPERANDS: dict[Fabric, tuple[int, int]] = {"ecp5": (18, 18), "xilinx7": (24, 17)}
"""Widest unsigned operands of a DSP block, for fabrics whose open tools map products to them."""


def dsp_blocks(widths: tuple[int, int], operands: tuple[int, int]) -> int:
    """Return the DSP blocks of a product of operands of such widths."""
    return min(ceil(a / operands[0]) * ceil(b / operands[1]) for a, b in (widths, widths[::-1]))


def tail_dsps(widths: tuple[int, int] | None, family: Family) -> int:
    """Return the DSP blocks of a tail's product; 0 where products become none."""
    operands = DSP_OPERANDS.get(family.fabric)
    return 0 if widths is None or operands is None else dsp_blocks(widths, operands)


def free_dsps(device: Fpga | None) -> int:
    """Return the DSP blocks that an accelerator may take; 0 where products become no DSP blocks."""
    if device is None or device.family.fabric not in DSP_OPERANDS or not device.dsps.usable:
        return 0
    return int(device.dsps.use())


def array_dsps(array: ArraySpec, family: Family) -> int:
    """Return the DSP blocks of an array's products."""
    if not isinstance(array, MacSpec) or array.multiplier != "dsp" or family.dsp is None:
        return 0
    return ceil(array.products * family.dsp.blocks(array.bits, array.weight_bits))


def search_luts(tail: ThresholdSpec, bits: int, at_once: int, memories: StorageChoice) -> float:
    """Estimate the LUTs of a search tail for `at_once` values of `bits` bits.

    Block RAM has its price.
    """
    rows, lanes, levels = tail.thresholds.shape
    steps = ceil_log2(levels + 1)
    compared = steps * at_once * bits
    of_blocks = of_luts = 0.0
    for step in range(steps):
        width = lanes * bits << step
        rom = memories.rom(rows, width)
        luts, blocks = memories.takes(rows, width, rom)
        of_blocks += luts + blocks * memories.price + (at_once * bits << step) * (1 - 0.5**step)
        of_luts += at_once * bits * rom_luts(rows << step, 1, memories.family.lut_inputs)
    return float(compared + min(of_blocks, of_luts))


def affine_luts(tail: AffineSpec, at_once: int, memories: StorageChoice) -> float:
    """Estimate the LUTs of an affine tail for `at_once` values.

    Block RAM has its price, DSP blocks have none.
    """
    rom = memories.rom(tail.rows, tail.word_bits)
    luts, blocks = memories.takes(tail.rows, tail.word_bits, rom)
    found = luts + blocks * memories.price + at_once * affine_logic(tail)
    if tail.late is not None:
        depth = tail.rows << tail.out_bits
        luts, blocks = memories.takes(depth, 1, memories.rom(depth, 1))
        found += at_once * (luts + blocks * memories.price)
    return float(found)


def affine_logic(tail: AffineSpec) -> float:
    """Estimate the LUTs of one lane of an affine tail, without memories."""
    narrow, wide = sorted((tail.acc_bits, tail.factor_bits))
    product = 0.0 if tail.multiplier == "dsp" else narrow + 2 * (narrow - 1) * (wide + 1)
    if tail.rows == 1 and product:
        # Factors are constants: there is no logic to mask copies, and none for a bit that is 0.
        copies = np.bitwise_count(tail.multiply).mean() if wide == tail.acc_bits else narrow
        product = max(0.0, float(copies) - 1) * (wide + 1)
    added = max(narrow + wide, tail.offset_bits)
    corrected = tail.out_bits + tail.shift / 3 if tail.ties.any() else 0
    if tail.late is not None:
        corrected = tail.out_bits + tail.shift
    return product + added + 2 * tail.out_bits + corrected


def affine_registers(tail: AffineSpec) -> float:
    """Estimate the flip-flops of one lane of an affine tail, without memories."""
    narrow, wide = sorted((tail.acc_bits, tail.factor_bits))
    product = narrow + wide if tail.multiplier == "dsp" else (narrow - 1) * (wide + 2)
    taken = multiplier_latency(bits=narrow, multiplier=tail.multiplier)
    waits = taken * tail.offset_bits if tail.rows > 1 else 0
    corrected = 2 * tail.out_bits if tail.ties.any() else 0
    if tail.late is not None:
        corrected = 2 * tail.out_bits + (taken + 1) * tail.factor_bits * (tail.rows > 1)
    total = max(narrow + wide, tail.offset_bits) + 1
    return tail.acc_bits + product + waits + total + tail.out_bits + corrected


def with_tails(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    """Choose between search and product for each layer of thresholds, by estimated cost.

    Products take DSP blocks as long as the device has some that the arrays leave.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose thresholds know their affine form, if they have one.
    device : Fpga or None
        FPGA to build for; without one the hardware takes no DSP blocks.
    """
    family = (device or fpgas()[GENERIC]).family
    left, stages = free_dsps(device), []
    if left:
        left -= sum(array_dsps(stage.array, family) for stage in spec.stages)
    for stage in spec.stages:
        changed, taken = _stage(stage, family, left)
        stages.append(changed)
        left -= taken
    return replace(spec, stages=tuple(stages), scores=_scores(spec.scores, family, left))


def _scores(unit: ScoreSpec | None, family: Family, left: int) -> ScoreSpec | None:
    """Return the unit of scores, if there is one, with its multipliers chosen."""
    if unit is None or not left:
        return unit
    steps = []
    for step in unit.steps:
        widths = (step.value_bits, step.factor_bits + 1)
        needed = unit.lanes * dsp_blocks(widths, DSP_OPERANDS[family.fabric])
        if step.places is None and needed <= left:
            left -= needed
            step = replace(step, multiplier="dsp")
        steps.append(step)
    return replace(unit, steps=tuple(steps))


def score_luts(unit: ScoreSpec) -> float:
    """Estimate the LUTs of the unit of scores, without memories."""
    found = 0.0
    for step in unit.steps:
        if step.places is None and step.multiplier == "logic":
            narrow, wide = sorted((step.value_bits, step.factor_bits))
            found += step.value_bits + narrow + 2 * (narrow - 1) * (wide + 1) + step.total_bits
        found += step.total_bits * step.adds
        if step.rounds:
            # The place is found by a chain of ORs; it sets two masks of as many bits.
            found += step.total_bits + 5 * (step.total_bits - 1 - SIGNIFICANT)
    return unit.lanes * found + 2 * unit.beats.bit_length()


def score_registers(unit: ScoreSpec) -> float:
    """Estimate the flip-flops of the unit of scores, without memories."""
    found = float(unit.in_bits)
    for step in unit.steps:
        if step.places is None:
            narrow, wide = sorted((step.value_bits, step.factor_bits))
            logic = step.multiplier == "logic"
            found += step.value_bits + (narrow - 1) * (wide + 2) if logic else narrow + wide
        found += step.total_bits * step.adds
        if step.rounds:
            found += 2 * step.total_bits + 2 * (step.total_bits - 1 - SIGNIFICANT)
    return unit.lanes * found + unit.latency


def _stage(stage: StageSpec, family: Family, left: int) -> tuple[StageSpec, int]:
    """Return a stage with its tails chosen, and the DSP blocks that they take."""
    memories = StorageChoice(family)
    at_once, bits = stage.lanes_out * stage.buffer.pixels, stage.array.out_bits
    tails: list[TailSpec] = []
    taken = 0
    for index, tail in enumerate(stage.tails):
        fused = index == 0 and compares(stage.array, stage.tails)
        if isinstance(tail, ThresholdSpec) and tail.affine is not None and not fused:
            affine, needed = tail.affine, 0
            if left:
                each = dsp_blocks(
                    (affine.acc_bits, affine.factor_bits), DSP_OPERANDS[family.fabric]
                )
                needed = each * at_once
            if 0 < needed <= left - taken:
                affine = replace(affine, multiplier="dsp")
            else:
                needed = 0
            computed = affine_luts(affine, at_once, memories)
            if computed < search_luts(tail, bits, at_once, memories):
                tails.append(affine)
                taken += needed
                bits = tail.out_bits
                continue
        if isinstance(tail, AffineSpec) and left:
            widths = (tail.acc_bits, tail.factor_bits)
            needed = dsp_blocks(widths, DSP_OPERANDS[family.fabric]) * at_once
            if needed <= left - taken:
                tail = replace(tail, multiplier="dsp")
                taken += needed
        tails.append(replace(tail, affine=None) if isinstance(tail, ThresholdSpec) else tail)
        bits = tail.out_bits
    return replace(stage, tails=tuple(tails)), taken
