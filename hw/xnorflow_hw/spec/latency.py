"""Pipeline depths: the clock cycles that every component takes, as formulas of plain numbers.

Components build as many registers as these formulas say, and the cycle model adds them up, so each
formula is written once. From a leaf to the whole: popcounts and other sums, memories, arrays,
tails; `spec.stage_latency` adds them up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from xnorflow_hw.spec.kinds import Fabric, Multiplier, Storage, SumForm
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec

BUFFER_LATENCY = 2
"""Cycles of a feature buffer: one for the address and one for the memory's output."""
MAX_LATENCY = 2
"""Cycles of a maximum array: one to complement and one to compare."""
SUM_LATENCY = 1
"""Cycles of a sum array: its accumulator."""
JOINED_LATENCY = 3
"""Cycles of a joined array: to read the constants, to scale the codes, and to combine them."""
OFFSET_LATENCY = 2
"""Cycles of an offset tail: one to read the constants and one to add."""
TABLE_LATENCY = 1
"""Cycles of a table tail."""
BAKED_GROUP = 6
"""Number of inputs whose agreement with their weights a baked array counts together."""
ROW_LANES = 8
"""Number of lanes that the dense popcount of AMD 7-series counts in one row of LUTs."""


def ceil_log2(n: int) -> int:
    """Return the number of levels of a binary tree with `n` leaves."""
    return (n - 1).bit_length()


def register_count(levels: int) -> int:
    """Return the registers of a tree of `levels` adder levels: one after every second level."""
    return (levels + 1) // 2


def _compressed(heap: Mapping[int, int]) -> dict[int, int]:
    """Return the heights of the columns behind one level of counters.

    `fabric.compress` builds the same level and has to choose the same counters.

    Parameters
    ----------
    heap : mapping of int to int
        Number of bits in each column.
    """
    left, out = dict(heap), defaultdict[int, int](int)
    near_the_end = max(left.values()) < 7
    for weight in sorted(left):
        while left[weight] >= (5 if near_the_end else 7):
            left[weight] -= min(7, left[weight])
            above = left.get(weight + 2, 0) >= 6
            if above:
                left[weight + 2] -= 6
            for i in range(5 if above else 3):
                out[weight + i] += 1
        while near_the_end and left[weight] >= 3 and left[weight] + out[weight] > 3:
            left[weight] -= 3
            out[weight] += 1
            out[weight + 1] += 1
        out[weight] += left[weight]
    return out


def compressor_latency(heights: Sequence[int], width: int = 24) -> int:
    """Return the number of registered levels of a compressor tree, its last adder included.

    Parameters
    ----------
    heights : sequence of int
        Number of bits in each column, the lowest column first.
    width : int
        Columns of the sum. Carries above them are dropped.

    Examples
    --------
    >>> compressor_latency([7]), compressor_latency([3]), compressor_latency([1])
    (1, 1, 0)
    """
    cycles, heap = 0, {w: h for w, h in enumerate(heights) if w < width}
    while max(heap.values(), default=0) > 3:
        heap = {w: h for w, h in _compressed(heap).items() if w < width}
        cycles += 1
    return cycles + (max(heap.values(), default=0) > 1)


def popcount_latency(simd: int, *, form: SumForm = "tree", fabric: Fabric = "generic") -> int:
    """Return the cycles of a popcount of `simd` lanes.

    A tree has a register after every second level, and so have the placed forms for iCE40 and
    Gowin. The other placed forms have one after every level.

    Parameters
    ----------
    simd : int
        Number of lanes.
    form : {"tree", "dense", "recoded"}
        How the popcount is built.
    fabric : Fabric
        The logic cells it is built of.

    Raises
    ------
    ValueError
        If the fabric has no popcount of this form.

    Examples
    --------
    >>> [popcount_latency(simd) for simd in (1, 3, 7, 8, 64, 128)]
    [0, 1, 1, 2, 3, 4]
    """
    levels = simd.bit_length() - 1
    match form, fabric:
        case ("tree", _) | ("dense" | "recoded", "ice40" | "gowin"):
            return register_count(levels)
        case "dense", "ecp5":
            return levels
        case "dense", "xilinx7":
            rows = [min(ROW_LANES, simd - low) for low in range(0, simd, ROW_LANES)]
            carries = sum((lanes + 1) // 2 - (lanes == 1) for lanes in rows)
            return 1 + compressor_latency([len(rows), carries], simd.bit_length())
    raise ValueError(f"the fabric {fabric!r} has no popcount of form {form!r}")


def xnor_sum_latency(simd: int) -> int:
    """Return the cycles of a sum of `simd` codes: one for every second level of adders."""
    return register_count(ceil_log2(simd))


def spared_lanes(*, simd: int, bits: int, coefficients: Sequence[int], form: SumForm) -> int:
    """Return the number of lanes, 0 or 1, that the popcount leaves to the accumulator.

    A popcount tree is full with ``2 ** k - 1`` lanes; of ``2 ** k`` lanes the last one would cost
    another level.
    """
    single = bits == 1 and tuple(coefficients) == (1,) and form != "add"
    return int(single and simd > 1 and simd & (simd - 1) == 0)


def beat_latency(
    *,
    simd: int,
    bits: int,
    coefficients: Sequence[int],
    form: SumForm = "tree",
    fabric: Fabric = "generic",
) -> int:
    """Return the cycles of the sum of a beat's weighted products; see `fabric.beat.BeatSum`.

    Parameters
    ----------
    simd, bits, coefficients, form, fabric
        As those of a `DotSpec`.
    """
    planes = len(coefficients)
    if form == "add":
        return xnor_sum_latency(simd) + register_count(ceil_log2(planes))
    spared = spared_lanes(simd=simd, bits=bits, coefficients=coefficients, form=form)
    counted = popcount_latency(simd - spared, form=form, fabric=fabric)
    return counted + register_count(ceil_log2(bits * planes))


def stored_latency(simd: int) -> int:
    """Return the cycles of sums of `simd` lanes in the form "stored"."""
    return 1 + compressor_latency([simd])


def baked_width(simd: int, *, threshold: bool) -> int:
    """Return the bits of a baked array's sum.

    With a threshold that is one bit more: the carry, which tells whether the threshold is reached.
    """
    groups = -(-simd // BAKED_GROUP)
    return (7 * groups).bit_length() + 1 if threshold else simd.bit_length()


def baked_heights(simd: int, *, threshold: bool) -> list[int]:
    """Return the number of bits that a baked array adds in each column.

    These are one bit per group, in the columns of the groups' counts, and a constant.
    """
    groups, counted = -(-simd // BAKED_GROUP), BAKED_GROUP.bit_length()
    width = baked_width(simd, threshold=threshold)
    return [groups + 1 if w < counted else 1 for w in range(width)]


def baked_latency(simd: int, *, threshold: bool) -> int:
    """Return the cycles of a baked array.

    Parameters
    ----------
    simd : int
        Number of inputs.
    threshold : bool
        Whether a result is the bit that compares the count with a threshold, or the count itself.
    """
    return 1 + compressor_latency(baked_heights(simd, threshold=threshold))


def rom_latency(
    depth: int,
    *,
    storage: Storage = "auto",
    register: bool = True,
    registers: bool = False,
    extra: int = 0,
) -> int:
    """Return the cycles from address to data: 0 for a constant, 1 for LUTs, else 1 or more.

    Parameters
    ----------
    depth : int
        Number of words.
    storage : Storage
        What the memory is built of.
    register : bool
        Whether block RAM or SPRAM is followed by an output register.
    registers : bool
        Whether every tile has a register of its own before that one.
    extra : int
        Additional cycles of far tiles; see `RomSpec`. They count only with both registers.
    """
    if depth == 1:
        return 0
    in_luts = storage in ("distributed", "logic")
    return 1 if in_luts else 1 + register * (1 + registers * (1 + extra))


def dot_latency(
    *,
    simd: int,
    bits: int,
    coefficients: Sequence[int],
    depth: int,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
    rom: RomSpec = IN_BLOCKS,
    rom_register: bool = True,
) -> int:
    """Return the cycles of a `DotArray` from the last beat to the result.

    Parameters
    ----------
    simd, bits, coefficients, form, fabric, rom
        As those of a `DotSpec`.
    depth : int
        Number of words of the memory of the weights.
    rom_register : bool
        Whether that memory has an output register.
    """
    if form == "stored":
        return 1 + stored_latency(simd)
    read = rom_latency(
        depth, storage=rom.storage, register=rom_register, registers=rom.registers, extra=rom.extra
    )
    return (
        1
        + read
        + beat_latency(simd=simd, bits=bits, coefficients=coefficients, form=form, fabric=fabric)
    )


def mac_latency(
    *,
    lanes: int,
    bits: int,
    weight_bits: int,
    multiplier: Multiplier,
    depth: int,
    rom: RomSpec = IN_BLOCKS,
) -> int:
    """Return the cycles of a `MacArray` from the last beat to the result.

    Parameters
    ----------
    lanes : int
        Products that each sum of a beat has.
    bits, weight_bits, multiplier, rom
        As those of a `MacSpec`.
    depth : int
        Number of words of the memory of the weights.
    """
    read = rom_latency(depth, storage=rom.storage, registers=rom.registers, extra=rom.extra)
    taken = multiplier_latency(bits=min(bits, weight_bits), multiplier=multiplier)
    return 1 + read + taken + register_count(ceil_log2(lanes))


def gather_latency(*, tables: int, words: int, depth: int, rom: RomSpec = IN_BLOCKS) -> int:
    """Return the cycles of a `GatherArray` from the last beat to the result.

    Parameters
    ----------
    tables : int
        Tables per beat, whose entries are added.
    words : int
        Entries of a table, which a tree of multiplexers selects from, one bit per level.
    depth : int
        Number of words of the memory of the indices.
    rom : RomSpec
        What that memory is built of.
    """
    read = rom_latency(depth, storage=rom.storage, registers=rom.registers, extra=rom.extra)
    selected = register_count(max(1, ceil_log2(words)))
    return 1 + read + selected + register_count(ceil_log2(tables))


def edge_latency(
    *,
    lanes: int,
    bits: int,
    factor_bits: int,
    terms: int,
    depth: int,
    form: SumForm = "tree",
    fabric: Fabric = "generic",
    rom: RomSpec = IN_BLOCKS,
) -> int:
    """Return the cycles of an `EdgeArray` from the last beat to the result.

    Parameters
    ----------
    lanes : int
        Lanes that share a factor.
    bits, factor_bits, form, fabric, rom
        As those of an `EdgeSpec`.
    terms : int
        Products that each sum of a beat has.
    depth : int
        Number of words of the memory of the weights.
    """
    read = rom_latency(depth, storage=rom.storage, registers=rom.registers, extra=rom.extra)
    summed = beat_latency(simd=lanes, bits=bits, coefficients=(1, 1), form=form, fabric=fabric)
    width = ternary_width(lanes, bits)
    taken = multiplier_latency(bits=min(factor_bits, width), multiplier="logic")
    return 1 + read + summed + taken + register_count(ceil_log2(terms))


def ternary_width(lanes: int, bits: int) -> int:
    """Return the bits of a sum of `lanes` codes times ternary weights, by two planes."""
    return (2 * lanes * ((1 << bits) - 1)).bit_length()


def threshold_latency(*, bits: int) -> int:
    """Return the cycles of a threshold tail with codes of `bits` bits, two per search step."""
    return 2 * bits


def multiplier_latency(*, bits: int, multiplier: Multiplier) -> int:
    """Return the cycles of a product; one of logic has a register after every level of its tree.

    Parameters
    ----------
    bits : int
        Bits of the narrower operand, one partial product each.
    multiplier : {"dsp", "logic"}
        What the product is built of.
    """
    return 1 if multiplier == "dsp" else max(1, ceil_log2(bits))


def affine_latency(*, bits: int, multiplier: Multiplier, ties: bool, late: bool) -> int:
    """Return the cycles of an affine tail: constants, product, sum, code, and its corrections.

    Parameters
    ----------
    bits, multiplier
        As for `multiplier_latency`.
    ties : bool
        Whether some ties are broken, for which there is one cycle more.
    late : bool
        Whether some codes begin late, for which there are two: one to read and one to subtract.
    """
    product = multiplier_latency(bits=bits, multiplier=multiplier)
    return 1 + product + 1 + 1 + ties + 2 * late


def score_step_latency(
    *, product: bool, bits: int, multiplier: Multiplier, adds: bool, rounds: bool
) -> int:
    """Return the cycles of a step of the unit that computes scores.

    Parameters
    ----------
    product : bool
        Whether there is a product; one of logic takes a cycle for magnitudes before it and one to
        give it its sign, in which it is also added.
    bits, multiplier
        As for `multiplier_latency`.
    adds, rounds : bool
        Whether there is a sum, and whether it is rounded: one cycle to find the place, one to add.
    """
    cycles = int(adds) + 2 * rounds
    if product:
        cycles += multiplier_latency(bits=bits, multiplier=multiplier)
        cycles += (1 + (not adds)) * (multiplier == "logic")
    return cycles
