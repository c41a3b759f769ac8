"""Feature buffer: keeps the part of the frame that is in use and delivers the windows in it.

Words are numbered through all frames, so that a word keeps one number, and every decision is the
sign of a difference of numbers. A tap's word has been written if its number is not above that of
the newest word; a new word fits if it is close enough to the oldest one that is kept. A tap outside
the frame gets the number that the same arithmetic yields; the tap is padded, and the word of that
number is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for
from numpy.typing import NDArray

from xnorflow_hw.base.loop import Loop, Nest
from xnorflow_hw.base.pipeline import index_shape
from xnorflow_hw.spec import geometry
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

REP = 3
"""Index of the innermost loop around the window in its nest; those of columns and rows of windows
come last."""


class FeatureBuffer(wiring.Component):
    """Keeps the words of a frame that its windows still need, and issues them window by window.

    Order of issue, outermost loop first: frame, output row, output column, group of words, rep (the
    number of the repeat) of that group, kernel row, kernel column, word of the group.

    Parameters
    ----------
    word_bits : int
        Width of a word in bits; a word is one beat of the input stream.
    words : int
        Words per pixel.
    height, width : int
        Frame in pixels.
    kernel, stride, dilation : tuple of int
        Vertical and horizontal value of each, in pixels.
    pads : tuple of int
        Padding in pixels at the top, left, bottom and right.
    pad_word : int
        What a padded tap delivers.
    repeat : int
        How often each window is delivered, or one group of its words.
    groups : int
        Number of equal groups of a pixel's words, each delivered in ``repeat // groups`` repeats.
        It divides `words` and `repeat`.
    classes : bool
        Whether `o_row` tells the border class.
    depth : int
        Capacity in words, at least `minimum_depth`.
    ram : {"auto", "block", "distributed"}
        What the memory is built of. With "auto" the synthesis tool chooses. Yosys refuses
        "distributed" for devices without LUT RAM, such as iCE40.
    pad_word_last : int, optional
        What a padded tap delivers as a pixel's last word, if that word has unused lanes.

    Members
    -------
    i : In(stream.Signature(word_bits))
        Words of frames: row by row, pixel by pixel.
    permit : In(1)
        Whether the last beat of a reduction may be issued in this cycle.
    o_valid : Out(1)
        A beat, `latency` cycles after its issue.
    o_data : Out(word_bits)
        The word, or `pad_word`.
    o_pad : Out(1)
        Whether the beat is a padded tap.
    o_first, o_last : Out(1)
        Whether the beat is the first or the last one of a reduction.
    o_row : Out(range(rows)), at least one bit
        Border class times `repeat`, plus the number of the repeat.
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
        classes: bool,
        depth: int,
        ram: str = "auto",
        pad_word_last: int | None = None,
    ) -> None:
        """Check the parameters, number the border classes, and declare the ports."""
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
        pad_word_last = pad_word if pad_word_last is None else pad_word_last
        self.word_bits, self.words, self.height, self.width = word_bits, words, height, width
        self.kernel, self.stride, self.dilation, self.pads = kernel, stride, dilation, pads
        self.pad_word, self.pad_word_last = pad_word, pad_word_last
        self.repeat, self.groups, self.classes = repeat, groups, classes
        self._passes = pass_loops(words, repeat, groups)
        self.depth, self.ram = depth, ram
        axes = tuple(zip((height, width), kernel, stride, dilation, pads[:2], strict=True))
        self.output = tuple(
            geometry.output_size(*axis, after) for axis, after in zip(axes, pads[2:], strict=True)
        )
        needed = self.minimum_depth(height, width, words, kernel, stride, dilation, pads)
        if depth < needed:
            raise ValueError(
                f"depth is {depth}; it has to be at least {needed}, as the windows need {needed}"
                " words at once"
            )
        borders = [
            geometry.border_classes(*axis, out) for axis, out in zip(axes, self.output, strict=True)
        ]
        self.padded = any(any(pattern) for _, patterns in borders for pattern in patterns)
        # o_row is (row class * column classes + column class) * repeat + rep.
        counts = [len(patterns) for _, patterns in borders] if classes else [1, 1]
        weights = (counts[1] * repeat, repeat)
        self.row_offsets, self.col_offsets = (
            tuple(c * weight if classes else 0 for c in numbers)
            for (numbers, _), weight in zip(borders, weights, strict=True)
        )
        self.rows = counts[0] * counts[1] * repeat
        super().__init__(
            {
                "i": In(stream.Signature(word_bits)),
                "permit": In(1),
                "o_valid": Out(1),
                "o_data": Out(word_bits),
                "o_pad": Out(1),
                "o_first": Out(1),
                "o_last": Out(1),
                "o_row": Out(index_shape(self.rows)),
                "o_issued": Out(1),
            }
        )

    minimum_depth = staticmethod(geometry.minimum_depth)
    border_classes = staticmethod(geometry.border_classes)

    def model(self, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the beats of whole frames, in order of issue.

        Parameters
        ----------
        frames : array [frames, height, width, words]
            Words; of dtype object where they are wider than 64 bits.

        Returns
        -------
        dict of arrays [beats]
            The keys are data, pad, first, last and row.
        """
        inner = self.words // self.groups
        counts = (*self.output, self.repeat, *self.kernel, inner)
        oy, ox, rep, ky, kx, word = np.ogrid[tuple(slice(count) for count in counts)]
        iy = oy * self.stride[0] + ky * self.dilation[0] - self.pads[0]
        ix = ox * self.stride[1] + kx * self.dilation[1] - self.pads[1]
        word = rep // (self.repeat // self.groups) * inner + word
        pad = (iy < 0) | (iy >= self.height) | (ix < 0) | (ix >= self.width)
        taps = frames[:, iy.clip(0, self.height - 1), ix.clip(0, self.width - 1), word]
        fill = np.array([self.pad_word] * (self.words - 1) + [self.pad_word_last], frames.dtype)
        row = np.array(self.row_offsets)[oy] + np.array(self.col_offsets)[ox] + rep
        inside = np.arange(int(np.prod(counts))) % int(np.prod(counts[3:]))
        beats = len(frames) * len(inside)
        every = (len(frames), *counts)
        return {
            "data": np.broadcast_to(np.where(pad, fill[word], taps), every).reshape(beats),
            "pad": np.broadcast_to(pad, every).reshape(beats),
            "first": np.tile(inside == 0, len(frames)),
            "last": np.tile(inside == inside.max(), len(frames)),
            "row": np.broadcast_to(row, every).reshape(beats),
        }

    def _strides(self) -> dict[str, tuple[int, ...]]:
        """Return what each loop adds to the tap's word number, row and column.

        Loops come innermost first; the last entry is for the step to the next frame.
        """
        (sy, sx), (dy, dx), line = self.stride, self.dilation, self.width * self.words
        still = [0] * len(self._passes)
        return {
            "word": (
                1,
                dx * self.words,
                dy * line,
                *(skipped for _, _, skipped in self._passes),
                sx * self.words,
                sy * line,
                self.height * line,
            ),
            "row": (0, 0, dy, *still, 0, sy, 0),
            "col": (0, dx, 0, *still, sx, 0, 0),
        }

    def elaborate(self, platform: Any) -> Module:
        """Build the counters, the memory and the output registers.

        A nest of counters walks through the order of issue. `_space` accepts words while there is
        space, `_ahead` compares the tap's word with the newest one, and a beat is issued once its
        word is there or if its tap is padded. `_memory` reads the word, and `_output` delays the
        flags of the beat as long as that takes and replaces padded taps.
        """
        m = Module()
        names, repeats, _ = zip(*self._passes, strict=True)
        counts = (self.words // self.groups, *self.kernel[::-1], *repeats, *self.output[::-1])
        nest = Nest(counts, ("word", "kx", "ky", *names, "ox", "oy"))
        steps = {name: geometry.loop_steps(s, counts) for name, s in self._strides().items()}
        issue, write = Signal(), Signal()
        m.d.comb += write.eq(self.i.valid & self.i.ready)
        self._space(m, nest, issue, write)
        ahead = self._ahead(m, nest, steps["word"], issue, write)
        pad: Value = Const(0, 1)
        if self.padded:
            pad = outside(m, nest, steps["row"], self.height, self.pads[0], issue, "row")
            pad |= outside(m, nest, steps["col"], self.width, self.pads[1], issue, "col")
        last, first = Signal(), Signal(init=1)
        m.d.comb += last.eq(nest.last(REP))
        m.d.comb += issue.eq((pad | ~ahead[-1]) & (~last | self.permit))
        m.d.comb += self.o_issued.eq(issue & last)

        word = self._memory(m, nest, steps["word"], issue, write)
        beat = {"valid": issue, "pad": pad, "first": first, "last": last}
        self._output(m, nest, beat, word)
        with m.If(issue):
            m.d.sync += first.eq(last)
            nest.advance(m)
        return m

    @property
    def _start(self) -> int:
        """Number of the word of a frame's first tap, where that of the frame's first word is 0."""
        return -(self.pads[0] * self.width + self.pads[1]) * self.words

    def _space(self, m: Module, nest: Nest, issue: Value, write: Value) -> None:
        """Accept words while there is space, by counting the words held.

        The register `overfull` holds the words held minus the depth, so its sign tells whether
        there is space. The end of an output row frees words, some of them perhaps before they are
        written.
        """
        frame = self.height * self.width * self.words
        span = bits_for(self.depth + 2 * frame) + 1
        kept = (
            0,
            *geometry.rows_kept_from(self.height, self.stride[0], self.pads[0], self.output[0]),
        )
        freed = [(a - b) * self.width * self.words for a, b in pairwise(kept)]
        freeing = nest.loops[-1].follow(freed, span, "freeing")
        overfull, row_end = Signal(span, init=-self.depth % (1 << span)), Signal()
        m.d.comb += row_end.eq(issue & nest.last(-1))
        m.d.sync += overfull.eq(add(overfull, Mux(row_end, freeing, 0), write))
        m.d.comb += self.i.ready.eq(overfull[-1])

    def _ahead(
        self, m: Module, nest: Nest, steps: Sequence[int], issue: Value, write: Value
    ) -> Signal:
        """Return the number of the newest word minus that of the tap's word, negative if missing.

        The newest word is at most `depth` words, plus the padding before a frame, ahead of the tap.
        Every frame has a tap inside it, which has to wait for its word, so in the other direction
        the tap is at most a frame, plus its own position in the frame, ahead of the newest word.
        These bounds set the width of the register.
        """
        frame = self.height * self.width * self.words
        furthest = frame + self._start - steps[-1]
        span = bits_for(self.depth - self._start + frame + furthest) + 1
        ahead = Signal(span, init=(-1 - self._start) % (1 << span))
        back = nest.step(m, [-step for step in steps], span, "back")
        m.d.sync += ahead.eq(add(ahead, Mux(issue, back, 0), write))
        return ahead

    def _memory(
        self, m: Module, nest: Nest, steps: Sequence[int], issue: Value, write: Value
    ) -> Value:
        """Build the memory and its two addresses; return the word of the tap, a cycle late."""
        m.submodules.memory = memory = word_memory(self.word_bits, self.depth, self.ram)
        writer, reader = memory.write_port(), memory.read_port()
        # An address needs at least one bit, even if only one word is ever used.
        address = Loop(self.depth, "write_address")
        m.d.comb += [
            writer.addr.eq(address.index),
            writer.data.eq(self.i.payload),
            writer.en.eq(write),
        ]
        with m.If(write):
            address.advance(m)

        width = bits_for(self.depth - 1)
        read = Signal(width, init=self._start % self.depth, name="read_address")
        m.d.comb += reader.addr.eq(read)
        around = [step % self.depth for step in steps]
        further, wrapped = Signal(width + 1), Signal(width + 1)
        m.d.comb += further.eq(read + nest.step(m, around, width, "read_step"))
        below = [step - self.depth for step in around]
        m.d.comb += wrapped.eq(read + nest.step(m, below, width + 1, "read_wrap"))
        with m.If(issue):
            # The address is modulo the depth: exactly one of the two sums is in its range.
            m.d.sync += read.eq(Mux(wrapped[-1], further, wrapped))
        return reader.data

    def _output(self, m: Module, nest: Nest, beat: dict[str, Value], word: Value) -> None:
        """Build the registers that delay a beat's flags, and the output registers."""
        width = len(self.o_row)
        by_row = nest.loops[-1].follow(self.row_offsets, width, "row_class")
        by_col = nest.loops[-2].follow(self.col_offsets, width, "col_class")
        rep = number_of_pass(nest, REP, self._passes, width)
        late = {name: Signal(name=f"{name}_1") for name in (*beat, "end")}
        class_1, rep_1 = Signal(width, name="class_1"), Signal(width, name="rep_1")
        m.d.sync += [late[name].eq(value) for name, value in beat.items()]
        m.d.sync += late["end"].eq(pixel_end(nest, REP, self._passes))
        m.d.sync += [class_1.eq(by_row + by_col), rep_1.eq(rep)]
        m.d.sync += [
            self.o_valid.eq(late["valid"]),
            self.o_pad.eq(late["pad"]),
            self.o_first.eq(late["first"]),
            self.o_last.eq(late["last"]),
            self.o_row.eq(class_1 + rep_1),
        ]
        # A register without reset can be merged with the one that some block RAMs end in.
        data = Signal(self.word_bits, reset_less=True)
        m.d.sync += data.eq(word)
        m.d.comb += self.o_data.eq(data)
        with m.If(late["pad"]):
            m.d.sync += data.eq(self.pad_word)
            if self.pad_word_last != self.pad_word:
                with m.If(late["end"]):
                    m.d.sync += data.eq(self.pad_word_last)
