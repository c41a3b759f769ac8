"""Specs of what stands in front of a stage that combines streams or changes the size of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

    A join either takes beats together, one from every port, or in turn: the first `turns` beats
    from port 0, then those of port 1 and so on, over and over.

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

    def port_beats(self, port: int) -> int:
        """Return how many beats a port takes per frame."""
        if self.turns:
            return self.cycles // sum(self.turns) * self.turns[port]
        p = self.ports[port]
        match p.hold:
            case "none":
                return self.cycles
            case "pixel":
                return self.height * self.width
            case "frame":
                return p.words
            case _:
                raise ValueError(f"a port cannot be held for {p.hold!r}")


@dataclass(frozen=True)
class StretchSpec:
    """Spec of the front of a stage that makes a map of larger or cropped size.

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
        Rows and columns that are left out: top, left, bottom, right.
    zero_word : int
        What the pixels without a value deliver, with "zeros".
    zero_word_last : int
        The same for the last word of a pixel, 0 in the lanes past the last channel.
    depth : int
        Capacity in words.
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

    @property
    def frame_words(self) -> int:
        """Number of words of one frame of the input."""
        return self.height * self.width * self.words
