"""What every memory of an accelerator is built of: block RAM, SPRAM, LUTs, or logic.

A block of RAM has a price in LUTs, and every memory takes what is cheapest at that price. It is low
as long as blocks are left, for then they cost nothing; where the board has too few of them it rises
until those that are worth least are built from LUTs instead. Where the board has large single-port
RAM, weights go there first, as many as it takes and no more: they have to be loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import assert_never

from xnorflow.devices.tables import Family, Fpga, fpgas
from xnorflow.storage.blocks import StorageChoice, ram_blocks, spram_number
from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.memory.spram_rom import LOAD_BITS, number
from xnorflow_hw.spec import (
    IN_SPRAM,
    AcceleratorSpec,
    DotSpec,
    OffsetSpec,
    RomSpec,
    StageSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
)
from xnorflow_hw.spec.stage_latency import compares

GENERIC = "ulx3s-85f"
"""Board whose family's blocks are taken without a board: 18 Kbit, as most families have them."""
RESERVED = 4
"""Blocks left for what is around the accelerator: the host link and its queue."""


def _words(tail: TailSpec, sum_bits: int) -> tuple[int, int]:
    """Give words and bits of a tail's constants, about where it has several memories."""
    match tail:
        case ThresholdSpec():
            rows, lanes, levels = tail.thresholds.shape
            return rows, lanes * levels * (sum_bits + 1)
        case OffsetSpec():
            rows, lanes = tail.offset.shape
            return rows, lanes * (int(abs(tail.offset).max()).bit_length() + 1)
        case TableSpec():
            rows, lanes, values = tail.table.shape
            return rows * values, tail.out_bits
        case _:
            assert_never(tail)


@dataclass(frozen=True)
class _Stages(StorageChoice):
    """Chooses for whole stages; for a board, or for any. Some have their weights in SPRAM."""

    board: bool = False
    sprams: frozenset[str] = frozenset()

    def rom(self, depth: int, width: int) -> RomSpec:
        """Choose what a ROM is built of; copies of addresses are primitives of a family."""
        found = super().rom(depth, width)
        return found if self.board else replace(found, far=False)

    def tail(self, tail: TailSpec, sum_bits: int, compared: bool) -> TailSpec:
        """Choose what a tail's constants are built of.

        Parameters
        ----------
        tail : TailSpec
            The tail.
        sum_bits : int
            Bits of the values that it takes.
        compared : bool
            Whether the array compares for it.
        """
        chosen = self.rom(*_words(tail, sum_bits))
        if not compared:
            # Several memories of the tail's own, of several words even with a single row.
            chosen = RomSpec("logic" if chosen.storage == "constants" else chosen.storage)
        return replace(tail, rom=chosen)

    def stage(self, s: StageSpec) -> StageSpec:
        """Choose for a stage."""
        array = s.array
        if isinstance(array, DotSpec):
            if array.form == stored.FORM:
                rom = stored.ROM
            elif s.name in self.sprams:
                rom = IN_SPRAM
            else:
                rom = self.rom(len(array.weights), array.weights[0].size)
            array = replace(array, rom=rom)
        bits, tails = array.out_bits, []
        for index, tail in enumerate(s.tails):
            tails.append(self.tail(tail, bits, index == 0 and compares(array, s.tails)))
            bits = tail.out_bits
        ram = self.ram(s.buffer.depth, s.buffer.word_bits)
        if ram == "distributed" and not self.board:
            ram = "auto"  # Not every family has such memory.
        buffer = replace(s.buffer, ram=ram)
        return replace(s, buffer=buffer, array=array, tails=tuple(tails))


def blocks(spec: AcceleratorSpec, family: Family) -> int:
    """Count the blocks of RAM."""
    choice = StorageChoice(family)
    return sum(_blocks(s, choice) for s in spec.stages)


def fill(spec: AcceleratorSpec, family: Family) -> float:
    """Give the share of the bits of all blocks taken that are used; 1 where none is taken."""
    choice = StorageChoice(family)
    taken = [found for s in spec.stages for found in _memories(s, choice) if found[0]]
    block = max(depth * width for depth, width in family.ram_shapes)
    number = sum(found for found, _ in taken)
    return sum(bits for _, bits in taken) / (number * block) if number else 1.0


def _blocks(s: StageSpec, choice: StorageChoice) -> int:
    return sum(found for found, _ in _memories(s, choice))


def _memories(s: StageSpec, choice: StorageChoice) -> Iterator[tuple[int, int]]:
    """Give the blocks and the bits of a stage's memories."""
    bits = s.array.out_bits
    if isinstance(s.array, DotSpec):
        depth, width = len(s.array.weights), s.array.weights[0].size
        yield choice.takes(depth, width, s.array.rom)[1], depth * width
    for tail in s.tails:
        depth, width = _words(tail, bits)
        yield choice.takes(depth, width, tail.rom)[1], depth * width
        bits = tail.out_bits
    if s.buffer.ram == "block":
        b = s.buffer
        found = b.pixels * ram_blocks(b.depth, b.word_bits, choice.family.ram_shapes)
        yield found, b.pixels * b.depth * b.word_bits


def sprams(spec: AcceleratorSpec) -> int:
    """Count the large single-port RAMs that weights are in."""
    return sum(sprams_of(s.array) for s in spec.stages if isinstance(s.array, DotSpec))


def sprams_of(array: DotSpec) -> int:
    """Count those of an array."""
    inside = array.rom.storage == IN_SPRAM.storage
    return number(len(array.weights), array.weights[0].size) if inside else 0


def load_bits(spec: AcceleratorSpec) -> int:
    """Count the bits of the port that loads them; 0 where there are none."""
    return LOAD_BITS + sprams(spec) if sprams(spec) else 0


def _prices(price: float) -> Iterator[float]:
    while price < 1e6:
        yield price
        price *= 1.25


def with_memories(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    """Choose what every memory is built of.

    Parameters
    ----------
    spec : AcceleratorSpec
        With the depths of its buffers.
    device : Fpga, optional
        Whose blocks have to be enough; if they cannot be, as few are taken as possible. Without
        one there are always enough of 18 Kbit.
    """
    family = (device or fpgas()[GENERIC]).family
    left = inf if device is None else device.ram_blocks.use() - RESERVED
    in_sprams = frozenset() if device is None else _in_sprams(spec, device, left)
    before = None
    for price in _prices(family.block_luts.use()):
        choice = _Stages(family, price, device is not None, in_sprams)
        made = replace(spec, stages=tuple(choice.stage(s) for s in spec.stages))
        if blocks(made, family) <= left:
            break
        before = made
    return made if before is None else _between(before, made, left, StorageChoice(family))


def _in_sprams(spec: AcceleratorSpec, device: Fpga, left: float) -> frozenset[str]:
    """Choose the stages whose weights go to SPRAM: of the fewest that are enough, those that save
    most blocks; where none are enough, those that save most.
    """
    if not device.spram_number:
        return frozenset()
    choice = _Stages(device.family, device.family.block_luts.use(), True)
    usual = [choice.stage(s) for s in spec.stages]
    over = sum(_blocks(s, choice) for s in usual) - left
    if over <= 0:
        return frozenset()
    # What a number of SPRAMs saves at most.
    best: dict[int, tuple[int, frozenset[str]]] = {0: (0, frozenset())}
    for s in usual:
        if not isinstance(s.array, DotSpec) or s.array.rom.storage != "block":
            continue
        depth, width = len(s.array.weights), s.array.weights[0].size
        saves = choice.takes(depth, width, s.array.rom)[1]
        taken = spram_number(depth, width, device.family)
        for before, (saved, names) in sorted(best.items(), reverse=True):
            after, found = before + taken, (saved + saves, names | {s.name})
            if after <= device.spram_number and found[0] > best.get(after, (-1,))[0]:
                best[after] = found
    enough = [n for n, (saved, _) in best.items() if saved >= over]
    chosen = min(enough) if enough else max(best, key=lambda n: (best[n][0], -n))
    return best[chosen][1]


def _between(
    many: AcceleratorSpec, few: AcceleratorSpec, left: float, choice: StorageChoice
) -> AcceleratorSpec:
    """Take only as many stages from the design of few blocks as it needs to keep to what is left.

    At one price step all memories that are worth the same change at once.
    """
    saved = [
        _blocks(a, choice) - _blocks(b, choice)
        for a, b in zip(many.stages, few.stages, strict=True)
    ]
    over = sum(_blocks(s, choice) for s in many.stages) - left
    changed = []
    for k in sorted(range(len(saved)), key=saved.__getitem__):
        if over > 0 and saved[k]:
            over -= saved[k]
            changed.append(k)
    for k in list(changed):
        # The last one may have been enough without those before it.
        if over + saved[k] <= 0:
            over += saved[k]
            changed.remove(k)
    stages = [(few if k in changed else many).stages[k] for k in range(len(saved))]
    return replace(few, stages=tuple(stages))
