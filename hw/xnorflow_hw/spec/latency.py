"""Pipeline depths: the clock cycles that every component takes, as formulas of plain numbers.

Components build as many registers as these formulas say, and the cycle model adds them up, so each
formula is written once. From a leaf to the whole: popcounts and other sums, memories, arrays,
tails, stages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import assert_never

from xnorflow_hw.spec.arrays import ArraySpec, DotSpec, MaxSpec, SumSpec
from xnorflow_hw.spec.kinds import Fabric, Storage, SumForm
from xnorflow_hw.spec.rom import IN_BLOCKS, RomSpec
from xnorflow_hw.spec.tails import OffsetSpec, TableSpec, TailSpec, ThresholdSpec

BUFFER_LATENCY = 2
"""Cycles of a feature buffer: the address, and the memory's output."""
MAX_LATENCY = 2
"""Cycles of a maximum array: complement, compare."""
SUM_LATENCY = 1
"""Cycles of a sum array: its accumulator."""
OFFSET_LATENCY = 2
"""Cycles of an offset tail: the constants, the sum."""
TABLE_LATENCY = 1
"""Cycles of a table tail."""
BAKED_GROUP = 6
"""Inputs that a baked array counts with one LUT per pattern of weights."""
ROW_LANES = 8
"""Lanes that the dense popcount of AMD 7-series counts in one row of LUTs."""


def ceil_log2(n: int) -> int:
    """Return the levels of a binary tree of `n` leaves."""
    return (n - 1).bit_length()


def register_count(levels: int) -> int:
    """Return the registers of a tree of so many adder levels: one after every second level."""
    return (levels + 1) // 2


def _compressed(heap: Mapping[int, int]) -> dict[int, int]:
    """Return the heights of columns after a level of counters; see `fabric.compress`."""
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
    """Return the registered levels of a compressor tree, its last adder included.

    Parameters
    ----------
    heights : sequence of int
        Bits in each column, the lowest first.
    width : int
        Columns of the sum; what lies above them is dropped.

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
    Gowin; the others have one after every level.

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
    """Return the cycles of a sum of codes: a register after every second level of adders."""
    return register_count(ceil_log2(simd))


def spared_lanes(*, simd: int, bits: int, coefficients: Sequence[int], form: SumForm) -> int:
    """Return the lanes, 0 or 1, left to the accumulator: a full popcount has ``2 ** k - 1``."""
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
    """Return the cycles of the sum of a beat's weighted products; see `fabric.beat.BeatSum`."""
    planes = len(coefficients)
    if form == "add":
        return xnor_sum_latency(simd) + register_count(ceil_log2(planes))
    spared = spared_lanes(simd=simd, bits=bits, coefficients=coefficients, form=form)
    counted = popcount_latency(simd - spared, form=form, fabric=fabric)
    return counted + register_count(ceil_log2(bits * planes))


def stored_latency(simd: int) -> int:
    """Return the cycles of sums whose weights are stored in the LUTs that compare."""
    return 1 + compressor_latency([simd])


def baked_width(simd: int, *, threshold: bool) -> int:
    """Return the bits of a baked array's sum; one more for the carry that answers a threshold."""
    groups = -(-simd // BAKED_GROUP)
    return (7 * groups).bit_length() + 1 if threshold else simd.bit_length()


def baked_heights(simd: int, *, threshold: bool) -> list[int]:
    """Return the bits per column of a baked array: its groups' counts, and a constant."""
    groups, counted = -(-simd // BAKED_GROUP), BAKED_GROUP.bit_length()
    width = baked_width(simd, threshold=threshold)
    return [groups + 1 if w < counted else 1 for w in range(width)]


def baked_latency(simd: int, *, threshold: bool) -> int:
    """Return the cycles of a baked array of `simd` inputs.

    Parameters
    ----------
    simd : int
        Inputs.
    threshold : bool
        Whether a result is one bit, or the count.
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
    """Return the cycles from address to data: 0 for a constant, 1 for LUTs, else 1 to 3.

    To the 3 of a memory with `registers` come the `extra` ones of a `RomSpec`.
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
        As of a `DotSpec`.
    depth : int
        Words of the weights' memory.
    rom_register : bool
        Whether a register follows that memory.
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


def array_latency(array: ArraySpec, *, compares: bool = False) -> int:
    """Return the cycles from a reduction's last beat to its result, a code if it compares."""
    match array:
        case DotSpec(form="baked"):
            return baked_latency(array.simd, threshold=compares)
        case DotSpec():
            return dot_latency(
                simd=array.simd,
                bits=array.bits,
                coefficients=array.coefficients,
                depth=len(array.weights),
                form=array.form,
                fabric=array.fabric,
                rom=array.rom,
            )
        case MaxSpec():
            return MAX_LATENCY
        case SumSpec():
            return SUM_LATENCY
        case _:
            assert_never(array)


def threshold_latency(*, bits: int) -> int:
    """Return the cycles of a threshold tail whose codes have so many bits: two per search step."""
    return 2 * bits


def tail_latency(tail: TailSpec) -> int:
    """Return the cycles of a tail."""
    match tail:
        case ThresholdSpec():
            return threshold_latency(bits=tail.out_bits)
        case OffsetSpec():
            return OFFSET_LATENCY
        case TableSpec():
            return TABLE_LATENCY
        case _:
            assert_never(tail)


def compares(array: ArraySpec, tails: Sequence[TailSpec]) -> bool:
    """Return whether the array itself computes the first tail's codes; that is not built then."""
    if not tails or not isinstance(array, DotSpec) or not isinstance(tails[0], ThresholdSpec):
        return False
    rows, _, steps = tails[0].thresholds.shape
    if steps != 1 or tails[0].out_bits != 1:
        return False
    # The memory of several rows takes a cycle; without weights' memory there is none at all.
    return rows == 1 or (array.form != "baked" and array_latency(array) > 1)


def engine_latency(array: ArraySpec, tails: Sequence[TailSpec]) -> int:
    """Return the cycles from a reduction's last beat to the last tail's result."""
    compared = compares(array, tails)
    built = tails[1:] if compared else tails
    return array_latency(array, compares=compared) + sum(tail_latency(t) for t in built)


def stage_latency(array: ArraySpec, tails: Sequence[TailSpec]) -> int:
    """Return the cycles from the issue of a reduction's last beat to its result's queue."""
    return BUFFER_LATENCY + engine_latency(array, tails)
