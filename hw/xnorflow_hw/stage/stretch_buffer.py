"""Front of a stage that makes a map of larger or cropped size.

Words of pixels that no beat reads are dropped where they arrive. The others are numbered through
all frames, so that every decision is the sign of a difference of numbers, as in a feature buffer.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop, Nest
from xnorflow_hw.base.pipeline import delay, index_shape
from xnorflow_hw.spec import StretchSpec
from xnorflow_hw.spec.joining import Fill
from xnorflow_hw.spec.latency import BUFFER_LATENCY
from xnorflow_hw.stage.window_checks import RAM_KINDS, add, word_memory

Move = tuple[Value, int]
"""A condition, and a number of words."""


class StretchBuffer(wiring.Component):
    """Keeps the words of a map that larger cells still need, and issues these cells' pixels.

    Order of issue, outermost loop first: frame, output row, output column, word. A word is freed
    when the last beat that reads it has been issued and all words before it are free.

    Parameters
    ----------
    spec : StretchSpec
        Sizes, what a cell holds, and the capacity.

    Members
    -------
    i : In(stream.Signature(word_bits))
        Words of frames: row by row, pixel by pixel.
    permit : In(1)
        Whether a beat may be issued in this cycle.
    o_valid : Out(1)
        A beat, `latency` cycles after its issue.
    o_data : Out(word_bits)
        The word, or `zero_word`.
    o_first, o_last : Out(1)
        Always 1: every beat is a reduction.
    o_row : Out(range(rows)), at least one bit
        Number of the beat within its pixel.
    o_issued : Out(1)
        Whether a beat is issued in this very cycle.

    Attributes
    ----------
    latency : int
        2 clock cycles: the memory and the output register.
    rows : int
        Number of values of `o_row`.

    Raises
    ------
    ValueError
        If a number is out of its range, nothing is left of the map, or `depth` is too small.
    """

    latency = BUFFER_LATENCY

    def __init__(self, spec: StretchSpec) -> None:
        """Check the parameters and declare the ports."""
        check_stretch(spec)
        self.spec, self.rows = spec, spec.rows
        super().__init__(
            {
                "i": In(stream.Signature(spec.word_bits)),
                "permit": In(1),
                "o_valid": Out(1),
                "o_data": Out(spec.word_bits),
                "o_first": Out(1),
                "o_last": Out(1),
                "o_row": Out(index_shape(self.rows)),
                "o_issued": Out(1),
            }
        )

    def model(self, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the beats of whole frames, in order of issue.

        Parameters
        ----------
        frames : array [frames, frame_words]
            Words; of dtype object where they are wider than 64 bits.

        Returns
        -------
        dict of arrays [beats]
            The keys are data and row.
        """
        spec, reads = self.spec, self.spec.reads()
        row = np.arange(spec.cycles) % spec.out_words
        fill = np.array([spec.zero_word] * (spec.out_words - 1) + [spec.zero_word_last], object)
        kept = np.asarray(frames).astype(object)[:, spec.kept()]
        data = np.where(reads < 0, fill[row], kept[:, reads])
        return {"data": data.ravel(), "row": np.tile(row, len(kept))}

    def elaborate(self, platform: Any) -> Module:
        """Build the counters, the memory and the output registers.

        Counters walk through the output; two more tell where in its cell a pixel lies. `_write`
        accepts words while there is space, `_ahead` compares the newest word with the one to be
        read, and a beat is issued once its word is there, or if it reads none.
        """
        m = Module()
        spec = self.spec
        issue, write = Signal(), Signal()
        nest = Nest((spec.out_words, *spec.output[::-1]), ("word", "column", "row"))
        word, column, row = nest.loops
        (fy, fx), (top, left) = spec.factors, spec.crop[:2]
        column_first, column_last = _cell(m, fx, left, issue & word.last, column, "column")
        row_first, row_last = _cell(m, fy, top, issue & nest.last(2), row, "row")
        reads: Value = row_first & column_first if spec.fill == "zeros" else Const(1, 1)
        step, freed = self._moves(m, nest, issue, reads, column_last, row_last)

        self._accept(m, issue, freed, write)
        # The number of the newest word minus that of the beat's word, negative if it is missing.
        span = bits_for(max(spec.depth, 2 * spec.words) + 1) + 1
        ahead = Signal(span, init=(-1 - self._start) % (1 << span))
        back = _move(m, [(when, -words) for when, words in step], span, "back")
        m.d.sync += ahead.eq(add(ahead, Mux(issue, back, 0), write))
        m.d.comb += issue.eq(self.permit & (~reads | ~ahead[-1]))
        m.d.comb += self.o_issued.eq(issue)

        found = self._memory(m, issue, step, write)
        data = Signal(spec.word_bits, reset_less=True)
        m.d.sync += data.eq(found)
        if spec.fill == "zeros":
            late_reads = delay(m, reads, 1, name="reads")
            pixel_end = delay(m, word.last, 1, name="pixel_end")
            with m.If(~late_reads):
                m.d.sync += data.eq(spec.zero_word)
                with m.If(pixel_end):
                    m.d.sync += data.eq(spec.zero_word_last)
        m.d.comb += [
            self.o_valid.eq(delay(m, issue, 2, name="valid", reset=True)),
            self.o_data.eq(data),
            self.o_first.eq(1),
            self.o_last.eq(1),
            self.o_row.eq(delay(m, word.index, 2, name="row_number")),
        ]
        with m.If(issue):
            nest.advance(m)
        return m

    def _moves(
        self,
        m: Module,
        nest: Nest,
        issue: Value,
        reads: Value,
        column_last: Value,
        row_last: Value,
    ) -> tuple[list[Move], list[Move]]:
        """Return by how many words the word to be read, and the oldest one kept, move on."""
        spec = self.spec
        word, column, _ = nest.loops
        (_, _), (_, columns) = spec.used
        always = Const(1, 1)
        row_end = nest.last(2)
        match spec.fill:
            case "zeros":
                return [(always, 0), (reads, 1)], [(always, 0), (reads, 1)]
            case "repeat":
                step: list[Move] = [
                    (always, 1),
                    (word.last & ~column_last, 1 - spec.words),
                    (row_end & ~row_last, 1 - columns * spec.words),
                ]
                return step, [(always, 0), (row_last & column_last, 1)]
            case "blocks":
                return self._blocks(m, nest, issue, column_last, row_last)
            case _:
                raise ValueError(f"a cell cannot be filled with {spec.fill!r}")

    def _blocks(
        self, m: Module, nest: Nest, issue: Value, column_last: Value, row_last: Value
    ) -> tuple[list[Move], list[Move]]:
        """Return the moves of a map whose pixels are blocks.

        A pixel consists of parts, one for each row of its cell. An output row reads one part of all
        pixels, and of the first and the last pixel perhaps only some columns of that part. While it
        is the last one of its cells, all earlier parts have been read.
        """
        spec, words = self.spec, self.spec.out_words
        word, column, _ = nest.loops
        _, (_, columns) = spec.used
        (fy, fx), (top, left, _, _) = spec.factors, spec.crop
        part = fx * words
        begin, end = left % fx * words, ((left + spec.output[1] - 1) % fx + 1) * words
        last_part = (top + spec.output[0] - 1) % fy
        pixel_end, row_end, frame_end = word.last & column_last, nest.last(2), nest.last(3)
        to_next_pixel = spec.words - part + 1
        to_next_row = part + begin - end + 1
        new_row: list[Move] = [
            (row_end & row_last, to_next_row),
            (frame_end, spec.words - last_part * part - end + 1 + self._start),
        ]
        step = [
            (Const(1, 1), 1),
            (pixel_end, to_next_pixel),
            (row_end & ~row_last, to_next_row - (columns - 1) * spec.words),
            *new_row,
        ]
        first_pixel = Signal(init=1)
        with m.If(issue & pixel_end):
            m.d.sync += first_pixel.eq(column.last)
        first_end = part if columns > 1 else end
        freed = [
            (Const(1, 1), 0),
            (first_pixel | row_last, 1),
            (first_pixel & pixel_end & ~row_last, part + begin - first_end + 1),
            (row_last & pixel_end & ~column.last, to_next_pixel),
            *new_row,
        ]
        return step, freed

    @property
    def _start(self) -> int:
        """Number of the first kept word of a frame that is read."""
        spec = self.spec
        if spec.fill != "blocks":
            return 0
        (fy, fx), (top, left) = spec.factors, spec.crop[:2]
        return (top % fy * fx + left % fx) * spec.out_words

    def _accept(self, m: Module, issue: Value, freed: list[Move], write: Signal) -> None:
        """Accept words while there is space, and those that are dropped at any time.

        The register `overfull` holds the words held minus the depth, so its sign tells whether
        there is space. Some words of blocks are freed before they are there.
        """
        spec = self.spec
        span = bits_for(spec.depth + (2 * spec.words if spec.fill == "blocks" else 0)) + 1
        overfull = Signal(span, init=(-spec.depth - self._start) % (1 << span))
        less = _move(m, [(when, -words) for when, words in freed], span, "freed")
        m.d.sync += overfull.eq(add(overfull, Mux(issue, less, 0), write))
        keep: Value = Const(1, 1)
        if not spec.kept().all():
            nest = Nest((spec.words, spec.width, spec.height), ("i_word", "i_column", "i_row"))
            inside = [
                loop.follow([first <= k < first + count for k in range(size)], 1, name)
                for loop, size, (first, count), name in zip(
                    nest.loops[:0:-1],
                    (spec.height, spec.width),
                    spec.used,
                    ("i_row_used", "i_column_used"),
                    strict=True,
                )
            ]
            keep = Cat(inside).all()
            with m.If(self.i.valid & self.i.ready):
                nest.advance(m)
        m.d.comb += self.i.ready.eq(overfull[-1] | ~keep)
        m.d.comb += write.eq(self.i.valid & overfull[-1] & keep)

    def _memory(self, m: Module, issue: Value, step: list[Move], write: Value) -> Value:
        """Build the memory and its two addresses; return the word of the beat, a cycle late."""
        depth = self.spec.depth
        m.submodules.memory = memory = word_memory(self.spec.word_bits, depth, self.spec.ram)
        writer, reader = memory.write_port(), memory.read_port()
        address = Loop(depth, "write_address")
        m.d.comb += [
            writer.addr.eq(address.index),
            writer.data.eq(self.i.payload),
            writer.en.eq(write),
        ]
        with m.If(write):
            address.advance(m)

        width = bits_for(depth - 1)
        read = Signal(width, init=self._start % depth, name="read_address")
        m.d.comb += reader.addr.eq(read)
        around = [(when, words % depth) for when, words in step]
        further, wrapped = Signal(width + 1), Signal(width + 1)
        m.d.comb += further.eq(read + _move(m, around, width, "read_step"))
        below = [(when, words - depth) for when, words in around]
        m.d.comb += wrapped.eq(read + _move(m, below, width + 1, "read_wrap"))
        with m.If(issue):
            # The address is modulo the depth: exactly one of the two sums is in its range.
            m.d.sync += read.eq(Mux(wrapped[-1], further, wrapped))
        return reader.data


def _cell(
    m: Module, factor: int, before: int, advance: Value, loop: Loop, name: str
) -> tuple[Value, Value]:
    """Follow a pixel's place in its cell along one axis; return whether it is first or last.

    The last pixel of the output is the last one of its cell, too.

    Parameters
    ----------
    m : Module
        The module that gets the logic.
    factor : int
        Pixels of a cell.
    before : int
        Pixels that are left out before the first one.
    advance : Value
        Whether `loop` advances in this cycle.
    loop : Loop
        The pixels of the output.
    name : str
        Name of the axis.
    """
    if factor == 1:
        return Const(1, 1), Const(1, 1)
    place = Signal(range(factor), init=before % factor, name=f"{name}_place")
    with m.If(advance):
        m.d.sync += place.eq(Mux(place == factor - 1, 0, place + 1))
        with m.If(loop.last):
            m.d.sync += place.eq(before % factor)
    return place == 0, (place == factor - 1) | loop.last


def _move(m: Module, moves: list[Move], width: int, name: str) -> Signal:
    """Return a signal with the number of words of the last move whose condition holds."""
    signal = Signal(width, name=name)
    for when, words in moves:
        with m.If(when):
            m.d.comb += signal.eq(words % (1 << width))
    return signal


def check_stretch(spec: StretchSpec) -> None:
    """Check the sizes of a map that is stretched, and the capacity.

    Raises
    ------
    ValueError
        If a number is out of its range, nothing is left of the map, or `depth` is too small.
    """
    for name in ("word_bits", "words", "height", "width"):
        if getattr(spec, name) < 1:
            raise ValueError(f"{name} is {getattr(spec, name)}; it has to be 1 or more")
    if min(spec.factors) < 1 or min(spec.crop) < 0:
        raise ValueError(
            f"factors are {spec.factors}, which have to be 1 or more, and crop is {spec.crop},"
            " which has to be 0 or more"
        )
    if spec.fill not in get_args(Fill):
        raise ValueError(f"fill is {spec.fill!r}; known are {', '.join(get_args(Fill))}")
    if spec.ram not in RAM_KINDS:
        raise ValueError(f"ram is {spec.ram!r}; known are {', '.join(RAM_KINDS)}")
    if spec.fill == "blocks" and spec.words % (spec.factors[0] * spec.factors[1]):
        raise ValueError(
            f"words is {spec.words}; it has to be a multiple of the blocks, {spec.factors[0]} x"
            f" {spec.factors[1]}"
        )
    for word in (spec.zero_word, spec.zero_word_last):
        if word < 0 or word.bit_length() > spec.word_bits:
            raise ValueError(
                f"zero_word is {word:#x}, which does not fit a word of {spec.word_bits} bits"
            )
    if min(spec.output) < 1 or min(count for _, count in spec.used) < 1:
        raise ValueError(f"crop {spec.crop} leaves no value of {spec.height} x {spec.width} pixels")
    if spec.depth < spec.minimum_depth:
        raise ValueError(
            f"depth is {spec.depth}; it has to be at least {spec.minimum_depth}, as the cells need"
            f" {spec.minimum_depth} words at once"
        )
