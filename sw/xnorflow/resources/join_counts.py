"""Count the LUTs and flip-flops of joins and of the streams of a network that branches.

The counts follow the structure of `StreamJoin`, `JoinedArray`, `StreamQueue` and `Fork`: a LUT for
each bit of an adder, a comparison or a choice, and a flip-flop for each bit of a register. They are
not fitted: after Yosys, components of a small network with every kind of join took as much within a
few LUTs on ECP5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from xnorflow.resources.engine import JoinSummary, StreamSummary
from xnorflow_hw.spec import (
    AcceleratorSpec,
    BufferSpec,
    JoinedSpec,
    JoinSpec,
    PortSpec,
    StageSpec,
    StreamSpec,
    StretchSpec,
)
from xnorflow_hw.spec.latency import BUFFER_LATENCY

READY_LUTS = 2
"""LUTs that make the ready signal of a port or of a queue."""
FORK_LUTS = 3
"""LUTs of a fork for each of its sinks."""
COUNTER_LUTS = 2
"""LUTs per bit of a counter: one to count, one to compare with its end and start again."""


def counter_bits(count: int) -> int:
    """Return the bits of a counter of `count` values."""
    return (count - 1).bit_length()


def value_bits(low: int, high: int) -> int:
    """Return the bits that hold all integers from `low` to `high`, in two's complement if needed.

    Examples
    --------
    >>> value_bits(0, 8), value_bits(-8, 7)
    (4, 4)
    """
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), max(0, high).bit_length())


def digits(factor: int) -> int:
    """Return the number of non-zero digits, +1 or -1, that a product with `factor` adds up.

    Examples
    --------
    >>> [digits(n) for n in (0, 1, 7, -6, 11)]
    [0, 1, 2, 2, 3]
    """
    return (abs(factor) ^ 3 * abs(factor)).bit_count()


def join_summary(stage: StageSpec) -> JoinSummary | None:
    """Return the summary of a stage's joined array and its front; None if it has another array."""
    array, front = stage.array, stage.buffer
    if not isinstance(array, JoinedSpec):
        return None
    luts, ffs = array_counts(array)
    memories: list[tuple[int, int]] = []
    front_luts = front_ffs = 0
    match front:
        case JoinSpec():
            along = _along(front.words, len(front.turns))
            (front_luts, front_ffs), memories = _front_counts(front)
            front_ffs += BUFFER_LATENCY * along
        case StretchSpec():
            along = _along(front.out_words, 0)
        case BufferSpec():
            raise TypeError("a joined array is fed by a join or a stretched map, not by windows")
        case _:
            assert_never(front)
    roms = [constant_words(values) for values in (array.factors, array.offsets)]
    return JoinSummary(
        front_luts=front_luts,
        front_ffs=front_ffs,
        array_luts=luts,
        array_ffs=ffs + array.latency() * along,
        memories=tuple(memories),
        roms=tuple(words for words in roms if words is not None),
    )


def _along(words: int, turns: int) -> int:
    """Return the bits that go along with a beat: that it is one, its number, and its port."""
    return 1 + counter_bits(words) + counter_bits(max(1, turns))


def _front_counts(front: JoinSpec) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the LUTs, the flip-flops and the memories of what takes the beats of several ports."""
    number = len(front.ports)
    counters = [front.words]
    if front.turns:
        counters += [count for count in front.turns if number > 1]
        # A beat is chosen, and delayed twice.
        luts, ffs = (number - 1) * front.word_bits, 2 * front.word_bits + (number > 1) * number
    else:
        held = [port for port in front.ports if port.hold == "frame"]
        counters += [front.height * front.width] if held else []
        luts = sum(port.word_bits for port in front.ports if _in_memory(port))
        ffs = 2 * front.word_bits
    bits = sum(map(counter_bits, counters))
    memories = [(port.words, port.word_bits) for port in front.ports if _in_memory(port)]
    return (luts + COUNTER_LUTS * bits + READY_LUTS * number, ffs + bits), memories


def _in_memory(port: PortSpec) -> bool:
    return port.hold == "frame" and port.words > 1


def array_counts(array: JoinedSpec) -> tuple[int, int]:
    """Return the LUTs and the flip-flops of a joined array, without its memories of constants."""
    in_turn = array.op == "copy" and len(array.bits) > 1
    widths = [
        bits * (1 if held else array.lanes)
        for bits, held in zip(array.bits, array.held, strict=True)
    ]
    luts, ffs = 0, max(widths) if in_turn else sum(widths)
    for lane in range(array.lanes):
        values = []
        for port, bits in enumerate(array.bits):
            own, width = _scaling(array.factors[:, port, lane], array.offsets[:, port, lane], bits)
            luts, ffs = luts + own, ffs + width
            values.append(width)
        luts += _combining(array.op, values, array.out_bits)
        ffs += array.out_bits
    for constants in (array.factors, array.offsets):
        if constant_words(constants) is not None:
            bits = counter_bits(len(constants))
            luts, ffs = luts + COUNTER_LUTS * bits, ffs + bits
    return luts, ffs


def _scaling(factors: NDArray[np.int64], offsets: NDArray[np.int64], bits: int) -> tuple[int, int]:
    """Return the LUTs that scale a code of `bits` bits in a lane, and the bits of the result."""
    most = (1 << bits) - 1
    low = int(offsets.min()) + min(0, int(factors.min())) * most
    high = int(offsets.max()) + max(0, int(factors.max())) * most
    width = value_bits(min(low, 0), max(high, 1))
    if (factors != factors[0]).any():
        # Sums of the code times each bit of the factor.
        rows = bits
        number = value_bits(int(factors.min()), int(factors.max()))
        return rows * number + width, width
    factor = int(factors[0])
    adders = max(0, digits(factor) - 1) + (factor < 0) * (digits(factor) > 0)
    shift = (factor & -factor).bit_length() - 1 if factor else 0
    moves = bool(offsets.any())
    if not adders and moves:
        # Low bits below the code, and a constant that fits between them, need no adder.
        single = (offsets == offsets[0]).all() and 0 <= int(offsets[0]) < 1 << shift
        moves = not single
    return (adders + moves) * max(0, width - shift), width


def _combining(op: str, widths: Sequence[int], out_bits: int) -> int:
    """Return the LUTs that combine the values of all ports in a lane."""
    others = len(widths) - 1
    match op:
        case "sum":
            return others * out_bits
        case "product":
            return widths[0] * widths[1]
        case "maximum" | "minimum":
            return sum(2 * max(widths[: k + 2]) for k in range(others))
        case "copy":
            return others * out_bits
        case _:
            raise ValueError(f"no resources are known of joins that compute {op!r}")


def constant_words(values: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return the words and the bits per word of a memory of constants; None if none is needed.

    `values` are [rows, ports, lanes]; those that are equal in all rows take no memory.
    """
    varies = (values != values[0]).any(0)
    if not varies.any():
        return None
    return len(values), int(varies.sum()) * value_bits(int(values.min()), int(values.max()))


def stream_summaries(spec: AcceleratorSpec) -> tuple[tuple[StreamSummary, ...], ...]:
    """Return, for each stage, the summaries of the streams into it, in the order of its ports.

    The last entry is of the stream to the output.
    """
    readers = [0] * (len(spec.stages) + 1)
    for stream in spec.streams:
        readers[stream.source] += 1
    found: list[list[StreamSummary]] = [[] for _ in range(len(spec.stages) + 1)]
    for stream in spec.streams:
        found[stream.sink].append(_stream(stream, forked=readers[stream.source] > 1))
    return tuple(map(tuple, found))


def _stream(stream: StreamSpec, *, forked: bool) -> StreamSummary:
    box = stream.box
    return StreamSummary(
        gearbox=box if box.needed else None,
        queue=stream.queue,
        width=box.bits * box.lanes_out,
        ram=stream.ram,
        forked=forked,
    )


def extra_counts(streams: Iterable[StreamSummary]) -> tuple[int, int]:
    """Return the LUTs and flip-flops of the forks and queues of streams, without the memories."""
    luts = ffs = 0
    for stream in streams:
        if stream.forked:
            luts, ffs = luts + FORK_LUTS, ffs + 1
        if stream.queue:
            places = 2 * counter_bits(stream.queue)
            level = stream.queue.bit_length()
            # The level counts up and down, and it is compared with its ends.
            luts += COUNTER_LUTS * places + 2 * level + ceil(level / 2) + READY_LUTS
            ffs += places + level
            if stream.queue == 1:
                ffs += stream.width
            elif stream.ram != "distributed":
                # A beat that is written as it is needed goes beside the memory.
                luts, ffs = luts + stream.width, ffs + stream.width + 1
    return luts, ffs
