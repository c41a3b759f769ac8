"""Specs of what stands in front of a stage that combines streams or changes the size of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hold = Literal["none", "pixel", "frame"]
"""How long a port's beats are kept: not at all, for all beats of a pixel, or for all pixels of a
frame."""
Fill = Literal["repeat", "zeros", "blocks"]
"""What the pixels of a cell hold: copies, a value at the top left alone, or blocks of channels."""


@dataclass(frozen=True)
class PortSpec:
    """Spec of one input of a join.

    Parameters
    ----------
    bits : int
        Width of a code in bits.
    lanes : int
        Codes per beat.
    words : int
        Beats per pixel of the port's own map.
    hold : Hold
        "none" for a map of the join's size. "pixel" for a map of one channel: its one code is taken
        once a pixel and goes to all lanes. "frame" for a map of one pixel: its `words` beats are
        taken once a frame and repeat for every pixel.
    """

    bits: int
    lanes: int
    words: int
    hold: Hold = "none"

    @property
    def word_bits(self) -> int:
        """Width of a beat in bits."""
        return self.bits * self.lanes


@dataclass(frozen=True)
class JoinSpec:
    """Spec of the front of a stage that joins several streams.

    A join either takes beats together, one from every port, or in turn: ``turns[0]`` beats from
    port 0, then ``turns[1]`` beats from port 1 and so on, over and over. In turn, no port is held.
    A beat is issued in the very cycle in which the ports' beats that it is the first to need are
    taken. Every beat that is issued is a reduction by itself.

    Parameters
    ----------
    ports : tuple of PortSpec
        Inputs, in order.
    height, width : int
        Size of the output map in pixels.
    words : int
        Beats per pixel of the output.
    turns : tuple of int
        Beats that each port gives in a turn; empty if all ports give theirs together.
    """

    ports: tuple[PortSpec, ...]
    height: int
    width: int
    words: int
    turns: tuple[int, ...] = ()

    @property
    def pixels(self) -> int:
        """Pixels that are computed at once."""
        return 1

    @property
    def word_bits(self) -> int:
        """Width in bits of what enters the array: the beats of all ports, port 0 lowest.

        In turn, it is the widest beat.
        """
        widths = [port.word_bits for port in self.ports]
        return max(widths) if self.turns else sum(widths)

    @property
    def cycles(self) -> int:
        """Beats per frame: a lower bound on the stage's initiation interval."""
        return self.height * self.width * self.words

    results = reductions = cycles
    beats_per_reduction = 1

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return self.height, self.width

    @property
    def rows(self) -> int:
        """Number of values of the front's row number, which is the beat within a pixel."""
        return self.words

    def port_beats(self, port: int) -> int:
        """Return how many beats a port takes per frame."""
        return len(self.takes(port))

    def takes(self, port: int) -> Ints:
        """Return with which of the beats issued per frame a port's beats are taken.

        A port's beat is taken in the cycle of the issue that is the first to need it.

        Parameters
        ----------
        port : int
            Number of the port.

        Returns
        -------
        int64 array [port_beats]
            Number of the issue for each of the port's beats, ascending.
        """
        issues = np.arange(self.cycles)
        if self.turns:
            before = sum(self.turns[:port])
            place = issues % sum(self.turns)
            return issues[(place >= before) & (place < before + self.turns[port])]
        p = self.ports[port]
        match p.hold:
            case "none":
                return issues
            case "pixel":
                return issues[:: self.words]
            case "frame":
                return issues[: p.words]
            case _:
                raise ValueError(f"a port cannot be held for {p.hold!r}")


@dataclass(frozen=True)
class StretchSpec:
    """Spec of the front of a stage that makes a map of larger or cropped size.

    Words of a pixel that no beat of the output reads are dropped: they can be taken in any cycle.
    All others are kept, and numbered through all frames in the order in which they arrive. Kept
    word n can be taken in cycle t if n - depth is below the number of every word that is read by a
    beat issued in a cycle >= t, in this frame or a later one. So a word is freed with the issue
    that is the last to read it, if all words before it are free. A beat is issued if it reads no
    word, or one taken in a cycle < t. Every beat that is issued is a reduction by itself.

    Parameters
    ----------
    word_bits : int
        Width of a beat in bits.
    words : int
        Beats per pixel of the input; with "blocks", those of all blocks.
    height, width : int
        Size of the input map in pixels.
    factors : tuple of int
        Rows and columns of a cell, which one pixel of the input becomes.
    fill : Fill
        What the pixels of a cell hold.
    crop : tuple of int
        Rows and columns of the output that are left out: top, left, bottom, right. With "blocks"
        some words of a pixel at the border may be kept that no beat reads.
    zero_word : int
        What the pixels without a value deliver, with "zeros".
    zero_word_last : int
        The same for the last word of a pixel, 0 in the lanes past the last channel.
    depth : int
        Capacity in words, at least `minimum_depth`.
    ram : str
        What the memory is built of: "auto", "block" or "distributed".
    """

    word_bits: int
    words: int
    height: int
    width: int
    factors: tuple[int, int]
    fill: Fill
    crop: tuple[int, int, int, int]
    zero_word: int
    zero_word_last: int
    depth: int
    ram: str = "auto"

    @property
    def pixels(self) -> int:
        """Pixels that are computed at once."""
        return 1

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        (fy, fx), (top, left, bottom, right) = self.factors, self.crop
        return self.height * fy - top - bottom, self.width * fx - left - right

    @property
    def out_words(self) -> int:
        """Beats per pixel of the output."""
        return self.words // (self.factors[0] * self.factors[1] if self.fill == "blocks" else 1)

    @property
    def cycles(self) -> int:
        """Beats per frame of the output: a lower bound on the stage's initiation interval."""
        return self.output[0] * self.output[1] * self.out_words

    results = reductions = cycles
    beats_per_reduction = place_words = 1

    @property
    def frame_words(self) -> int:
        """Number of words of one frame of the input."""
        return self.height * self.width * self.words

    @property
    def rows(self) -> int:
        """Number of values of the front's row number, which is the beat within a pixel."""
        return self.out_words

    @property
    def used(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First used row and number of used rows of the input, and the same of columns."""
        zeros = self.fill == "zeros"
        spans = []
        for size, factor, before in zip(self.output, self.factors, self.crop[:2], strict=True):
            # The value of a cell stands in its first row and column.
            first = -(-before // factor) if zeros else before // factor
            spans.append((first, (before + size - 1) // factor - first + 1))
        return spans[0], spans[1]

    def kept(self) -> NDArray[np.bool_]:
        """Return which words of a frame of the input are kept: bool array [frame_words]."""
        inside = [
            (np.arange(size) >= first) & (np.arange(size) < first + count)
            for size, (first, count) in zip((self.height, self.width), self.used, strict=True)
        ]
        return np.repeat(np.outer(*inside).ravel(), self.words)

    def reads(self) -> Ints:
        """Return which kept word each beat reads: int64 array [cycles], -1 where it reads none."""
        (top, left), (fy, fx) = self.crop[:2], self.factors
        oy, ox, word = np.ogrid[: self.output[0], : self.output[1], : self.out_words]
        (y, i), (x, j) = divmod(oy + top, fy), divmod(ox + left, fx)
        (first_row, _), (first_column, columns) = self.used
        if self.fill == "blocks":
            word = (i * fx + j) * self.out_words + word
        read = ((y - first_row) * columns + x - first_column) * self.words + word
        if self.fill == "zeros":
            read = np.where((i == 0) & (j == 0), read, -1)
        found: Ints = np.broadcast_to(read, (*self.output, self.out_words)).ravel()
        return found

    @property
    def minimum_depth(self) -> int:
        """The smallest `depth` with which the buffer cannot deadlock.

        That is the longest way from the oldest word that a later beat needs to the word of a beat.
        """
        reads = self.reads()
        words = reads[reads >= 0]
        oldest = np.minimum.accumulate(words[::-1])[::-1]
        return int((words - oldest).max()) + 1
