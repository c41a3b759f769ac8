"""Feature buffer for several windows of a row at once, over as many banks.

Every feature is stored once, in the bank of its column (see `spec.banks`). All banks have the same
layout: the pixels of a row in slots, the rows behind each other, and addresses that wrap at the
power of two that a bank holds. So one running read address serves all banks, and each bank adds an
offset that depends only on the kernel column.

A beat waits for the last word that any window of its group needs from its row. So what a beat waits
for does not depend on the kernel column, and columns can be read in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop, Nest
from xnorflow_hw.base.pipeline import index_shape
from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.spec.borders import borders_of, without_classes
from xnorflow_hw.spec.latency import BUFFER_LATENCY
from xnorflow_hw.stage.window_checks import (
    add,
    check_window,
    number_of_pass,
    outside,
    pass_loops,
    pixel_end,
    word_memory,
)

KX, REP, GROUP, OY = 2, 3, -2, -1
"""Indices of loops in their nest; REP is that of the innermost one around the window."""


class BankedBuffer(wiring.Component):
    """Keeps the words of a frame that its windows still need, and issues them group by group.

    Order of issue, outermost loop first: frame, output row, group of output columns, group of
    words, rep (the number of the repeat) of that group, kernel column, kernel row, word of it.

    Parameters
    ----------
    word_bits, words, height, width, kernel, stride, dilation, pads
        As those of a `FeatureBuffer`.
    pad_word, pad_word_last, repeat, groups, ram
        As those of a `FeatureBuffer`.
    classes : bool
        Whether `o_row` tells the border classes of a group's windows; see `Borders`.
    pixels : int
        Number of windows at once, and of banks, 2 or more. It has no factor in common with the
        horizontal stride.
    depth : int
        Capacity of a bank in words. Only whole pixels are used, of which there have to be enough.

    Members
    -------
    i : In(stream.Signature(word_bits))
        Words of frames: row by row, pixel by pixel.
    permit : In(1)
        Whether the last beat of a reduction may be issued in this cycle.
    o_valid : Out(1)
        A beat, `latency` cycles after its issue.
    o_data : Out(pixels * word_bits)
        What each bank delivers, bank 0 lowest: a word or `pad_word`. The value is arbitrary where
        it would belong to a window past the end of the row.
    o_first, o_last : Out(1)
        Whether the beat is the first or the last one of a reduction.
    o_turn : Out(1)
        Whether it is the first beat of a kernel column other than the first.
    o_row : Out(range(rows)), at least one bit
        Class of the row and of the group, times `repeat`, plus the number of the repeat.
    o_issued : Out(1)
        Whether the last beat of a reduction is issued in this very cycle.

    Attributes
    ----------
    latency : int
        2 clock cycles: the memory and the output register.
    rows : int
        Number of values of `o_row`.
    output : tuple of int
        Rows and columns of windows.
    banks : Banks
        Which window reads which bank.
    borders : Borders
        Which windows have the same constants.

    Raises
    ------
    ValueError
        If a parameter is out of its range, no window fits, or `depth` is too small; see
        `check_window`.
    """

    latency = BUFFER_LATENCY

    def __init__(
        self,
        *,
        word_bits: int,
        words: int,
        height: int,
        width: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        pads: tuple[int, int, int, int],
        pad_word: int,
        repeat: int,
        groups: int,
        depth: int,
        pixels: int,
        classes: bool = False,
        ram: str = "auto",
        pad_word_last: int | None = None,
    ) -> None:
        """Check the parameters and declare the ports."""
        check_window(
            word_bits=word_bits,
            words=words,
            height=height,
            width=width,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=pads,
            repeat=repeat,
            groups=groups,
            ram=ram,
            pad_words=(pad_word, pad_word_last),
        )
        if pixels < 2:
            raise ValueError(
                f"pixels is {pixels}; it has to be 2 or more (a FeatureBuffer reads one pixel)"
            )
        self.banks = Banks(pixels, width, kernel[1], stride[1], dilation[1], pads[1], pads[3])
        needed = words * self.banks.minimum_slots(
            height, kernel[0], stride[0], dilation[0], pads[0], pads[2]
        )
        if depth < needed:
            raise ValueError(
                f"depth is {depth}; it has to be at least {needed}, as the windows need {needed}"
                " words of a bank at once"
            )
        self.word_bits, self.words, self.height, self.width = word_bits, words, height, width
        self.kernel, self.stride, self.dilation, self.pads = kernel, stride, dilation, pads
        self.pad_word = pad_word
        self.pad_word_last = pad_word if pad_word_last is None else pad_word_last
        self.repeat, self.classes = repeat, classes
        self.groups, self._passes = groups, pass_loops(words, repeat, groups)
        self.pixels, self.depth, self.ram = pixels, depth, ram
        self.output = (
            geometry.output_size(height, kernel[0], stride[0], dilation[0], pads[0], pads[2]),
            self.banks.columns,
        )
        self.borders = (
            borders_of((height, width), kernel, stride, dilation, pads, pixels)
            if classes
            else without_classes(self.output[0], self.banks.groups, pixels)
        )
        self.rows = len(self.borders.classes) * repeat
        self._address_bits = max(1, ceil_log2(depth))
        super().__init__(
            {
                "i": In(stream.Signature(word_bits)),
                "permit": In(1),
                "o_valid": Out(1),
                "o_data": Out(pixels * word_bits),
                "o_first": Out(1),
                "o_last": Out(1),
                "o_turn": Out(1),
                "o_row": Out(index_shape(self.rows)),
                "o_issued": Out(1),
            }
        )

    def model(self, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the beats of whole frames, in order of issue.

        Parameters
        ----------
        frames : array [frames, height, width, words]
            Words; of dtype object where they are wider than 64 bits.

        Returns
        -------
        dict of arrays [beats]
            The keys are data [beats, pixels], first, last, turn, row, and real [beats, pixels],
            which tells whether a bank's word belongs to a window inside the row.
        """
        b = self.banks
        inner = self.words // self.groups
        counts = (self.output[0], b.groups, self.repeat, *self.kernel[::-1], inner)
        oy, group, rep, kx, ky, word, bank = np.ogrid[
            tuple(slice(count) for count in (*counts, self.pixels))
        ]
        windows = np.array(
            [[b.window(n, k) for n in range(self.pixels)] for k in range(self.kernel[1])]
        )
        word = rep // (self.repeat // self.groups) * inner + word
        ox = group * self.pixels + windows[kx, bank]
        iy = oy * self.stride[0] + ky * self.dilation[0] - self.pads[0]
        ix = ox * self.stride[1] + kx * self.dilation[1] - self.pads[1]
        pad = (iy < 0) | (iy >= self.height) | (ix < 0) | (ix >= self.width)
        taps = frames[:, iy.clip(0, self.height - 1), ix.clip(0, self.width - 1), word]
        fill = np.array([self.pad_word] * (self.words - 1) + [self.pad_word_last], frames.dtype)
        every = (len(frames), *counts)
        at = np.arange(int(np.prod(counts)))
        inside = np.tile(at % int(np.prod(counts[3:])), len(frames))
        column = int(np.prod(counts[4:]))
        rep = at // int(np.prod(counts[3:])) % self.repeat
        by_row, by_group = (np.array(offsets) for offsets in self._row_offsets)
        beats_of_row, beats_of_group = int(np.prod(counts[1:])), int(np.prod(counts[2:]))
        border = by_row[at // beats_of_row] + by_group[at // beats_of_group % b.groups]
        return {
            "data": np.broadcast_to(np.where(pad, fill[word], taps), (*every, self.pixels)).reshape(
                -1, self.pixels
            ),
            "real": np.broadcast_to(ox < b.columns, (*every, self.pixels)).reshape(-1, self.pixels),
            "first": inside == 0,
            "last": inside == inside.max(),
            "turn": (inside % column == 0) & (inside > 0),
            "row": np.tile(border + rep, len(frames)),
        }

    def elaborate(self, platform: Any) -> Module:
        """Build the counters, the banks and the output registers.

        A nest of counters walks through the order of issue. `_write_side` places incoming words in
        the banks, and `_space` accepts them while there is space. `_missing` compares the awaited
        word with the newest one, and a beat is issued once its word is there. `_read` addresses the
        banks, and `_output` delays the flags of the beat as long as the memory takes and replaces
        padded taps.
        """
        m = Module()
        names, repeats, skipped = zip(*self._passes, strict=True)
        inner = self.words // self.groups
        counts = (inner, *self.kernel, *repeats, self.banks.groups, self.output[0])
        nest = Nest(counts, ("word", "ky", "kx", *names, "group", "oy"))
        issue, write, slot_end = Signal(), Signal(), Signal()
        m.d.comb += write.eq(self.i.valid & self.i.ready)
        writers = self._write_side(m, write, slot_end)
        self._space(m, nest, issue, slot_end)
        still = [0] * len(skipped)
        row = geometry.loop_steps((0, self.dilation[0], 0, *still, 0, self.stride[0], 0), counts)
        outer = Const(0, 1)
        if self.pads[0] or self.pads[2]:
            outer = outside(m, nest, row, self.height, self.pads[0], issue, "row")
        missing = self._missing(m, nest, counts, issue, write)
        last = Signal()
        m.d.comb += [
            last.eq(nest.last(REP)),
            self.o_issued.eq(issue & last),
            issue.eq((outer | ~missing) & (~last | self.permit)),
        ]
        words = self._read(m, nest, counts, issue, writers)
        self._output(m, nest, issue, last, outer, words)
        with m.If(issue):
            nest.advance(m)
        return m

    @property
    def _row_offsets(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the class of each output row, and that of each group, adds to `o_row`."""
        b = self.borders
        return (
            tuple(row * b.group_classes * self.repeat for row in b.rows),
            tuple(group * self.repeat for group in b.groups),
        )

    @property
    def _line(self) -> int:
        """Number of addresses of a row in a bank."""
        return self.banks.slots * self.words

    def _write_side(self, m: Module, write: Value, slot_end: Signal) -> list[tuple[Value, Value]]:
        """Count words, banks and columns; return the address and enable of each bank's write port.

        `slot_end` becomes 1 with the word that ends its slot in all banks.
        """
        word, bank = Loop(self.words, "write_word"), Loop(self.pixels, "write_bank")
        column = Loop(self.width, "write_column")
        # Where all banks are equally full, a row ends with its last bank anyway.
        row_end = column.last if self.width % self.pixels else Const(0, 1)
        m.d.comb += slot_end.eq(write & word.last & (bank.last | row_end))
        address = Signal(self._address_bits, name="write_address")
        with m.If(write):
            word.advance(m)
            # The same slot of the next bank has the same addresses.
            again = word.last & ~slot_end
            m.d.sync += address.eq(address + Mux(again, 1 - self.words, 1))
            with m.If(word.last):
                bank.advance(m)
                if self.width % self.pixels:
                    column.advance(m)
                    with m.If(row_end):
                        bank.restart(m)
        return [(address, write & (bank.index == b)) for b in range(self.pixels)]

    def _space(self, m: Module, nest: Nest, issue: Value, slot_end: Value) -> None:
        """Accept words while there is space, by counting the slots held.

        A slot counts from its last word on. The register `overfull` holds the slots held minus the
        capacity, so its sign tells whether there is space. The end of an output row frees slots,
        some of them perhaps before they are written.
        """
        capacity, slots = self.depth // self.words, self.banks.slots
        span = bits_for(capacity + 2 * self.height * slots) + 1
        kept = (
            0,
            *geometry.rows_kept_from(self.height, self.stride[0], self.pads[0], self.output[0]),
        )
        freed = [(a - b) * slots for a, b in pairwise(kept)]
        freeing = nest.loops[OY].follow(freed, span, "freeing")
        overfull, row_end = Signal(span, init=-capacity % (1 << span)), Signal()
        m.d.comb += row_end.eq(issue & nest.last(OY))
        m.d.sync += overfull.eq(add(overfull, Mux(row_end, freeing, 0), slot_end))
        m.d.comb += self.i.ready.eq(overfull[-1])

    def _missing(
        self, m: Module, nest: Nest, counts: Sequence[int], issue: Value, write: Value
    ) -> Value:
        """Return whether the word that the current beat waits for has not been written yet.

        Words are numbered through all frames, as in `FeatureBuffer`. A register holds the number of
        the newest word minus that of the awaited one.
        """
        line, furthest = self.width * self.words, self.banks.furthest
        skipped = [words for _, _, words in self._passes]
        frame, start = self.height * line, -self.pads[0] * line
        back_to_first = (furthest[-1] - furthest[0]) * self.words
        steps = list(
            geometry.loop_steps(
                (1, self.dilation[0] * line, 0, *skipped, 0, self.stride[0] * line, frame), counts
            )
        )
        last = frame + start - steps[-1] + furthest[-1] * self.words
        # The last two entries are those of the next row and of the next frame.
        steps[-2] -= back_to_first
        steps[-1] -= back_to_first
        span = bits_for(self.pixels * self.depth - start + frame + last) + 1
        # The awaited word moves on by the same number of words from group to group, except at the
        # borders. The entry of the last group is never used.
        further = [(b - a) * self.words for a, b in pairwise(furthest)]
        group = len(steps) - 3
        inside = steps[group]
        by_group = (
            nest.loops[GROUP].follow(
                [-(inside + step) for step in [*further, *further[-1:]]], span, "back_group"
            )
            if further
            else 0
        )
        back = nest.step(
            m, [by_group if k == group else -step for k, step in enumerate(steps)], span, "back"
        )
        ahead = Signal(span, init=(-1 - start - furthest[0] * self.words) % (1 << span))
        m.d.sync += ahead.eq(add(ahead, Mux(issue, back, 0), write))
        return ahead[-1]

    def _read(
        self,
        m: Module,
        nest: Nest,
        counts: Sequence[int],
        issue: Value,
        writers: Sequence[tuple[Value, Value]],
    ) -> list[Value]:
        """Build the banks and their read addresses; return their words, a cycle late."""
        line, size = self._line, 1 << self._address_bits
        steps = geometry.loop_steps(
            (
                1,
                self.dilation[0] * line,
                0,
                *(skipped for _, _, skipped in self._passes),
                self.stride[1] * self.words,
                self.stride[0] * line,
                self.height * line,
            ),
            counts,
        )
        read = Signal(self._address_bits, init=-self.pads[0] * line % size, name="read_address")
        with m.If(issue):
            m.d.sync += read.eq(read + nest.step(m, steps, self._address_bits, "read_step"))
        words = []
        for b, (address, enable) in enumerate(writers):
            memory = word_memory(self.word_bits, size, self.ram)
            m.submodules[f"bank_{b}"] = memory
            writer, reader = memory.write_port(), memory.read_port()
            further = nest.loops[KX].follow(
                [self.banks.slot(b, kx) * self.words for kx in range(self.kernel[1])],
                self._address_bits,
                f"further_{b}",
            )
            m.d.comb += [
                writer.addr.eq(address),
                writer.data.eq(self.i.payload),
                writer.en.eq(enable),
                reader.addr.eq(read + further),
            ]
            words.append(reader.data)
        return words

    def _column_pads(self, m: Module, nest: Nest) -> Value:
        """Return one bit per bank: whether its tap lies left or right of the frame.

        If none ever does, the value has no bits. Groups with the same padded taps are of one kind;
        mostly the first group, the last group and all others are of three kinds.
        """
        columns, banks = range(self.kernel[1]), range(self.pixels)
        kinds: dict[tuple[int, ...], int] = {}
        by_group = []
        for group in range(self.banks.groups):
            masks = tuple(
                sum(self.banks.padded(group, b, kx) << b for b in banks) for kx in columns
            )
            by_group.append(kinds.setdefault(masks, len(kinds)))
        padded = {
            (kind, kx): mask for masks, kind in kinds.items() for kx, mask in enumerate(masks)
        }
        if not any(padded.values()):
            return Const(0, 0)
        column = nest.loops[KX].index
        kind = nest.loops[GROUP].follow(by_group, bits_for(len(kinds) - 1), "group_kind")
        mask = Signal(self.pixels, name="columns_outside")
        *others, (_, most) = sorted(padded.items(), key=lambda item: item[1] == 0)
        with m.Switch(Cat(column, kind)):
            for (at, kx), value in others:
                if value != most:
                    with m.Case(at << len(column) | kx):
                        m.d.comb += mask.eq(value)
            with m.Default():
                m.d.comb += mask.eq(most)
        return mask

    def _border(self, m: Module, nest: Nest) -> Value:
        """Return a register with what the classes of the current row and group add to `o_row`."""
        width, (by_row, by_group) = len(self.o_row), self._row_offsets
        row = nest.loops[OY].follow(by_row, width, "row_class")
        group = nest.loops[GROUP].follow(by_group, width, "group_class")
        border = Signal(width, name="border_1")
        m.d.sync += border.eq(row + group)
        return border

    def _output(
        self, m: Module, nest: Nest, issue: Value, last: Value, outer: Value, words: list[Value]
    ) -> None:
        """Build the registers that delay a beat's flags, and the output registers."""
        first, turn, column_end = Signal(init=1), Signal(), nest.last(KX)
        with m.If(issue):
            m.d.sync += [first.eq(last), turn.eq(column_end & ~last)]
        beat = {
            "valid": issue,
            "first": first,
            "turn": turn,
            "last": last,
            "end": pixel_end(nest, REP, self._passes),
            "row": number_of_pass(nest, REP, self._passes, len(self.o_row)),
        }
        late = {name: Signal(len(value), name=f"{name}_1") for name, value in beat.items()}
        m.d.sync += [late[name].eq(value) for name, value in beat.items()]
        m.d.sync += [
            self.o_valid.eq(late["valid"]),
            self.o_first.eq(late["first"]),
            self.o_turn.eq(late["turn"]),
            self.o_last.eq(late["last"]),
            self.o_row.eq(late["row"] + self._border(m, nest) if self.classes else late["row"]),
        ]
        pad = Signal(self.pixels, name="pad_1")
        m.d.sync += pad.eq(outer.replicate(self.pixels) | self._column_pads(m, nest))
        fill = Mux(late["end"], self.pad_word_last, self.pad_word)
        # A register without reset can be merged with the one that some block RAMs end in.
        data = Signal(len(self.o_data), reset_less=True)
        m.d.sync += data.eq(
            Cat(Mux(pad[b], fill, word)[: self.word_bits] for b, word in enumerate(words))
        )
        m.d.comb += self.o_data.eq(data)
