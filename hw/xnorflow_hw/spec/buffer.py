"""Describes a feature buffer: the geometry of its windows and its capacity."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks


@dataclass(frozen=True)
class BufferSpec:
    """Feature buffer: geometry of the sliding window and its memory's capacity in words.

    Padded taps deliver `pad_word`, and `pad_word_last` as a pixel's last word, whose lanes past the
    last channel are zero. With `pixels` more than 1 so many neighbouring windows of a row are read
    at once from as many banks, and `depth` is that of a bank. `ram` is what the memory is built of.
    """

    word_bits: int
    words: int
    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]
    pad_word: int
    pad_word_last: int
    repeat: int
    depthwise: bool
    classes: bool
    depth: int
    pixels: int = 1
    ram: str = "auto"

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        top, left, bottom, right = self.pads
        (ky, kx), (sy, sx), (dy, dx) = self.kernel, self.stride, self.dilation
        return (
            geometry.output_size(self.height, ky, sy, dy, top, bottom),
            geometry.output_size(self.width, kx, sx, dx, left, right),
        )

    @property
    def beats_per_reduction(self) -> int:
        """Beats from a `first` to its `last`."""
        return self.kernel[0] * self.kernel[1] * (1 if self.depthwise else self.words)

    @property
    def banks(self) -> Banks:
        """Which column of windows and of the frame is where."""
        return Banks(
            self.pixels,
            self.width,
            self.kernel[1],
            self.stride[1],
            self.dilation[1],
            self.pads[1],
            self.pads[3],
        )

    @property
    def reductions(self) -> int:
        """Reductions per frame, those of `pixels` windows at once counted once."""
        return self.output[0] * ceil(self.output[1] / self.pixels) * self.repeat

    @property
    def results(self) -> int:
        """Beats per frame of the stage's output: one per window and repeat."""
        return self.output[0] * self.output[1] * self.repeat

    @property
    def cycles(self) -> int:
        """Beats per frame: the stage's bound on the initiation interval."""
        return self.reductions * self.beats_per_reduction

    @property
    def frame_words(self) -> int:
        """Words of one frame."""
        return self.height * self.width * self.words

    @property
    def minimum_depth(self) -> int:
        """Least `depth` with which the buffer cannot deadlock."""
        if self.pixels == 1:
            return geometry.minimum_depth(
                self.height,
                self.width,
                self.words,
                self.kernel,
                self.stride,
                self.dilation,
                self.pads,
            )
        return self.words * self.banks.minimum_slots(
            self.height,
            self.kernel[0],
            self.stride[0],
            self.dilation[0],
            self.pads[0],
            self.pads[2],
        )

    @property
    def place_words(self) -> int:
        """Words of a place, the unit in which space is counted: a pixel in each of several banks.

        With one pixel at once it is a word.
        """
        return 1 if self.pixels == 1 else self.words

    @property
    def row_places(self) -> int:
        """Places of a row of the frame."""
        return self.width * self.words if self.pixels == 1 else self.banks.slots
