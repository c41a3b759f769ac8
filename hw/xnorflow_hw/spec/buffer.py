"""Spec of a feature buffer: the geometry of its windows and its capacity."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks
from xnorflow_hw.spec.borders import Borders, ConstantSets, borders_of, without_classes


@dataclass(frozen=True)
class BufferSpec:
    """Spec of a feature buffer, which keeps a part of the frame and delivers its windows.

    A place is the unit in which the buffer counts its space: a word with one pixel at once, and a
    pixel in each of the banks with several.

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
    pad_word_last : int
        What it delivers as the last word of a pixel: the same, but 0 in the lanes past the last
        channel.
    repeat : int
        How often each window is delivered, wholly or in part: once per PE output channels.
    groups : int
        Number of equal groups of a pixel's words, of which each repeat delivers one; each group is
        delivered in as many repeats.
    classes : bool
        Whether the row number of a result tells its border class, too.
    depth : int
        Capacity in words; that of each bank if `pixels` is more than 1.
    pixels : int
        Number of neighbouring windows of a row that are read at once, from as many banks.
    ram : str
        What the memory is built of: "auto", "block" or "distributed".
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
    groups: int
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
        """Number of beats of a reduction, from its `first` to its `last`."""
        return self.kernel[0] * self.kernel[1] * (self.words // self.groups)

    @property
    def banks(self) -> Banks:
        """How the columns of the frame and of the windows are spread over banks."""
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
    def borders(self) -> Borders:
        """Border classes of the windows: a single one unless there are `classes`."""
        if not self.classes:
            return without_classes(self.output[0], self.banks.groups, self.pixels)
        return borders_of(
            (self.height, self.width),
            self.kernel,
            self.stride,
            self.dilation,
            self.pads,
            self.pixels,
        )

    @property
    def sets(self) -> ConstantSets:
        """Which constants of a word belong to each window of a group: one set for each kind."""
        kinds = self.borders.kinds
        begins = (self.banks.window(lane, 0) for lane in range(self.pixels))
        return ConstantSets(kinds, tuple(kinds[window] for window in begins))

    @property
    def rows(self) -> int:
        """Number of values of the row that tells which constants a result needs."""
        return len(self.borders.classes) * self.repeat

    @property
    def reductions(self) -> int:
        """Number of reductions per frame; those of `pixels` windows at once count as one."""
        return self.output[0] * ceil(self.output[1] / self.pixels) * self.repeat

    @property
    def results(self) -> int:
        """Number of output beats of the stage per frame: one per window and repeat."""
        return self.output[0] * self.output[1] * self.repeat

    @property
    def cycles(self) -> int:
        """Number of beats issued per frame: a lower bound on the stage's initiation interval."""
        return self.reductions * self.beats_per_reduction

    @property
    def frame_words(self) -> int:
        """Number of words of one frame."""
        return self.height * self.width * self.words

    @property
    def minimum_depth(self) -> int:
        """The smallest `depth` with which the buffer cannot deadlock."""
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
        """Number of words of a place."""
        return 1 if self.pixels == 1 else self.words

    @property
    def row_places(self) -> int:
        """Number of places of a row of the frame."""
        return self.width * self.words if self.pixels == 1 else self.banks.slots
