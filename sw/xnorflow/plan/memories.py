"""Choose the storage of every memory of an accelerator: block RAM, SPRAM, LUTs or logic.

A block of RAM has a price in LUTs, and every memory gets the storage that is cheapest at that
price. The price starts at what a block is worth on the family. If the board has too few blocks, the
price rises until the memories that profit least from blocks are built of LUTs instead. If the board
has large single-port RAM (SPRAM), weights go there first, but only as many as necessary, because
they have to be loaded before the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, assert_never

from xnorflow.devices.tables import Family, Fpga, fpgas
from xnorflow.storage.blocks import StorageChoice, ram_blocks, spram_number
from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.memory.spram_rom import LOAD_BITS, number
from xnorflow_hw.spec import (
    IN_SPRAM,
    AcceleratorSpec,
    AffineSpec,
    ArraySpec,
    BufferSpec,
    FrontSpec,
    JoinSpec,
    OffsetSpec,
    RomSpec,
    ScoreSpec,
    StageSpec,
    StreamSpec,
    StretchSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
    Weighted,
)
from xnorflow_hw.spec.stage_latency import compares

GENERIC = "ulx3s-85f"
"""Board whose family decides where no board is given: its 18 Kbit blocks are the usual size."""
RESERVED = 4
"""Blocks of RAM left free for what surrounds the accelerator: the host link and its queue."""


def _late_words(tail: AffineSpec) -> tuple[int, int]:
    """Return the words, and the bits per word, of each lane's memory of late codes."""
    return tail.rows << tail.out_bits, 1


def _words(tail: TailSpec, sum_bits: int) -> tuple[int, int]:
    """Return the words, and the bits per word, of a tail's constants.

    Where a tail has several memories, their total size is approximate.
    """
    match tail:
        case ThresholdSpec():
            rows, lanes, levels = tail.thresholds.shape
            return rows, lanes * levels * (sum_bits + 1)
        case AffineSpec():
            return tail.rows, tail.word_bits
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
    """Choice of storage for all memories of a stage.

    Parameters
    ----------
    board : bool
        Whether the hardware is for a known board; otherwise it has to suit any family.
    sprams : frozenset of str
        Names of the stages that keep their weights in SPRAM.
    """

    board: bool = False
    sprams: frozenset[str] = frozenset()

    def rom(self, depth: int, width: int) -> RomSpec:
        """Choose the storage of a ROM; without a board it gets no copies of its address.

        Such copies are primitives of a family.
        """
        found = super().rom(depth, width)
        return found if self.board else replace(found, far=False)

    def tail(self, tail: TailSpec, sum_bits: int, compared: bool) -> TailSpec:
        """Return a tail with the storage of its constants chosen.

        Parameters
        ----------
        tail : TailSpec
            Tail whose storage is chosen.
        sum_bits : int
            Bits of a value that enters the tail.
        compared : bool
            Whether the array does the tail's comparisons.
        """
        chosen = self.rom(*_words(tail, sum_bits))
        if not compared:
            # The tail then has several memories, each of several words even if there is one row.
            chosen = RomSpec("logic" if chosen.storage == "constants" else chosen.storage)
        if isinstance(tail, AffineSpec) and tail.late is not None:
            return replace(tail, rom=chosen, late_rom=self._own(*_late_words(tail)))
        return replace(tail, rom=chosen)

    def _own(self, depth: int, width: int) -> RomSpec:
        """Choose the storage of a memory that each lane has for itself."""
        return RomSpec(self.rom(depth, width).storage)

    def stage(self, s: StageSpec) -> StageSpec:
        """Return a stage with the storage of all its memories chosen."""
        array = s.array
        if isinstance(array, Weighted):
            if array.form == stored.FORM:
                rom = stored.ROM
            elif s.name in self.sprams:
                rom = IN_SPRAM
            else:
                rom = self.rom(array.weight_words, array.word_bits)
            array = replace(array, rom=rom)
        bits, tails = array.out_bits, []
        for index, tail in enumerate(s.tails):
            tails.append(self.tail(tail, bits, index == 0 and compares(array, s.tails)))
            bits = tail.out_bits
        return replace(s, buffer=self._front(s.buffer), array=array, tails=tuple(tails))

    def _front(self, front: FrontSpec) -> FrontSpec:
        """Return what delivers a stage's beats with the storage of its memory chosen."""
        match front:
            case BufferSpec():
                return replace(front, ram=self._fifo(front.depth, front.word_bits))
            case StretchSpec():
                return replace(front, ram=self._fifo(front.depth, front.word_bits))
            case JoinSpec():
                return front
            case other:
                raise TypeError(f"a front of type {type(other).__name__} has no memory")

    def _fifo(self, depth: int, width: int) -> str:
        """Choose the storage of a memory that is written, too."""
        ram = self.ram(depth, width)
        # Not every family has distributed memory.
        return "auto" if ram == "distributed" and not self.board else ram

    def stream(self, stream: StreamSpec) -> StreamSpec:
        """Return a stream with the storage of its queue, if there is one, chosen."""
        if not stream.queue:
            return stream
        return replace(stream, ram=self._fifo(*_queue_words(stream)))

    def scores(self, unit: ScoreSpec | None) -> ScoreSpec | None:
        """Return the unit of scores, if there is one, with the storage of its memories chosen."""
        if unit is None:
            return None
        steps = []
        for step in unit.steps:
            chosen: dict[str, Any] = {name: self._own(*own) for name, own in step.words.items()}
            steps.append(replace(step, **chosen))
        return replace(unit, steps=tuple(steps))


def blocks(spec: AcceleratorSpec, family: Family) -> int:
    """Return how many blocks of RAM an accelerator takes on a family."""
    choice = StorageChoice(family)
    queues = sum(queue_blocks(stream, family) for stream in spec.streams)
    return sum(_blocks(s, choice) for s in spec.stages) + queues + score_blocks(spec.scores, family)


def _queue_words(stream: StreamSpec) -> tuple[int, int]:
    """Return the words, and the bits per word, of a stream's queue."""
    return stream.queue, stream.box.lanes_out * stream.box.bits


def queue_blocks(stream: StreamSpec, family: Family) -> int:
    """Return how many blocks of RAM the queue of a stream takes on a family."""
    return ram_blocks(*_queue_words(stream), family.ram_shapes) if stream.ram == "block" else 0


def score_blocks(unit: ScoreSpec | None, family: Family) -> int:
    """Return how many blocks of RAM the unit of scores takes on a family."""
    choice = StorageChoice(family)
    return sum(
        choice.takes(*words, getattr(step, name))[1]
        for step in (unit.steps if unit else ())
        for name, words in step.words.items()
    )


def fill(spec: AcceleratorSpec, family: Family) -> float:
    """Return the share, 0 to 1, of the bits in all occupied blocks that are used.

    Without any occupied block it is 1.
    """
    choice = StorageChoice(family)
    taken = [found for s in spec.stages for found in _memories(s, choice) if found[0]]
    block = max(depth * width for depth, width in family.ram_shapes)
    number = sum(found for found, _ in taken)
    return sum(bits for _, bits in taken) / (number * block) if number else 1.0


def _blocks(s: StageSpec, choice: StorageChoice) -> int:
    return sum(found for found, _ in _memories(s, choice))


def _memories(s: StageSpec, choice: StorageChoice) -> Iterator[tuple[int, int]]:
    """Yield the number of blocks and the number of bits of each memory of a stage."""
    bits = s.array.out_bits
    if isinstance(s.array, Weighted):
        depth, width = s.array.weight_words, s.array.word_bits
        yield choice.takes(depth, width, s.array.rom)[1], depth * width
    for tail in s.tails:
        depth, width = _words(tail, bits)
        yield choice.takes(depth, width, tail.rom)[1], depth * width
        if isinstance(tail, AffineSpec) and tail.late is not None:
            depth, width = _late_words(tail)
            at_once = s.lanes_out * s.buffer.pixels
            yield (
                at_once * choice.takes(depth, width, tail.late_rom)[1],
                at_once * depth * width,
            )
        bits = tail.out_bits
    b = s.buffer
    if not isinstance(b, JoinSpec) and b.ram == "block":
        found = b.pixels * ram_blocks(b.depth, b.word_bits, choice.family.ram_shapes)
        yield found, b.pixels * b.depth * b.word_bits


def sprams(spec: AcceleratorSpec) -> int:
    """Return how many SPRAMs hold the weights of an accelerator."""
    return sum(sprams_of(s.array) for s in spec.stages)


def sprams_of(array: ArraySpec) -> int:
    """Return how many SPRAMs hold the weights of an array."""
    inside = array.rom is not None and array.rom.storage == IN_SPRAM.storage
    return number(array.weight_words, array.word_bits) if inside else 0


def load_bits(spec: AcceleratorSpec) -> int:
    """Return the width in bits of the port that loads the SPRAMs, 0 if there are none."""
    return LOAD_BITS + sprams(spec) if sprams(spec) else 0


def _prices(price: float) -> Iterator[float]:
    while price < 1e6:
        yield price
        price *= 1.25


def with_memories(spec: AcceleratorSpec, device: Fpga | None) -> AcceleratorSpec:
    """Choose the storage of every memory.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose buffers have their depths.
    device : Fpga or None
        FPGA whose blocks of RAM have to suffice; if they cannot, as few as possible are taken.
        Without one, any number of 18 Kbit blocks is assumed to be there.

    Returns
    -------
    AcceleratorSpec
        The same hardware with the storage of every memory.
    """
    family = (device or fpgas()[GENERIC]).family
    left = inf if device is None else device.ram_blocks.use() - RESERVED
    in_sprams = frozenset() if device is None else _in_sprams(spec, device, left)
    before = None
    for price in _prices(family.block_luts.use()):
        choice = _Stages(family, price, device is not None, in_sprams)
        stages = tuple(choice.stage(s) for s in spec.stages)
        streams = tuple(choice.stream(s) for s in spec.streams)
        made = replace(spec, stages=stages, streams=streams, scores=choice.scores(spec.scores))
        if blocks(made, family) <= left:
            break
        before = made
    return made if before is None else _between(before, made, left, StorageChoice(family))


def _in_sprams(spec: AcceleratorSpec, device: Fpga, left: float) -> frozenset[str]:
    """Choose the stages that keep their weights in SPRAM.

    If SPRAMs can save enough blocks, the fewest SPRAMs that do are taken, and for that number the
    stages that save most blocks. Otherwise the stages that save most blocks are taken.

    Parameters
    ----------
    spec : AcceleratorSpec
        Hardware whose buffers have their depths.
    device : Fpga
        FPGA that may have SPRAM.
    left : float
        Blocks of RAM that the accelerator may take.

    Returns
    -------
    frozenset of str
        Names of the stages; empty if there are blocks enough, or no SPRAM.
    """
    if not device.spram_number:
        return frozenset()
    choice = _Stages(device.family, device.family.block_luts.use(), True)
    usual = [choice.stage(s) for s in spec.stages]
    queues = sum(queue_blocks(choice.stream(s), device.family) for s in spec.streams)
    over = sum(_blocks(s, choice) for s in usual) + queues - left
    if over <= 0:
        return frozenset()
    # For each number of SPRAMs, the most blocks that it can save, and the stages that do so.
    best: dict[int, tuple[int, frozenset[str]]] = {0: (0, frozenset())}
    for s in usual:
        if s.array.rom is None or s.array.rom.storage != "block":
            continue
        depth, width = s.array.weight_words, s.array.word_bits
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
    """Combine two designs so that no more stages give up blocks than necessary.

    All memories that are worth the same change their storage at the same price, so one step of the
    price may save more blocks than are missing.

    Parameters
    ----------
    many, few : AcceleratorSpec
        The designs before and after the step: too many blocks, and few enough.
    left : float
        Blocks of RAM that the accelerator may take.
    choice : StorageChoice
        Counts the blocks of a memory.
    """
    saved = [
        _blocks(a, choice) - _blocks(b, choice)
        for a, b in zip(many.stages, few.stages, strict=True)
    ]
    over = blocks(many, choice.family) - left
    changed = []
    for k in sorted(range(len(saved)), key=saved.__getitem__):
        if over > 0 and saved[k]:
            over -= saved[k]
            changed.append(k)
    for k in list(changed):
        # The last stage may save so much that earlier ones can keep their blocks.
        if over + saved[k] <= 0:
            over += saved[k]
            changed.remove(k)
    stages = [(few if k in changed else many).stages[k] for k in range(len(saved))]
    return replace(few, stages=tuple(stages))
