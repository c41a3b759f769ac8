"""Plain descriptions of an accelerator: what the compiler decides and the hardware is built from.

Nothing here imports Amaranth, so that the cycle model can read the same objects. Arrays are NumPy
integers; `docs/hardware.md` gives the meaning of every term.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec import geometry
from xnorflow_hw.spec.banks import Banks


@dataclass(frozen=True, eq=False)
class InputSpec:
    """Input stage: raw samples to codes.

    Parameters
    ----------
    lanes : int
        Samples per beat.
    bits : int
        Bits of a code.
    table : int array [1 or channels, 256]
        Codes.
    group, frame : int
        Samples per group and per frame.
    """

    lanes: int
    bits: int
    table: NDArray[Any]
    group: int
    frame: int

    @property
    def beats(self) -> int:
        """Beats per frame."""
        return self.frame // self.group * ceil(self.group / self.lanes)


@dataclass(frozen=True)
class GearboxSpec:
    """Regroups a stream's elements; see ``docs/hardware.md``."""

    bits: int
    group_in: int
    lanes_in: int
    group_out: int
    lanes_out: int

    @property
    def needed(self) -> bool:
        """Whether anything has to be regrouped."""
        if self.lanes_in != self.lanes_out:
            return True
        shorter = min(self.group_in, self.group_out)
        return self.group_in != self.group_out and shorter % self.lanes_in != 0

    @property
    def kind(self) -> str:
        """How it is built: "wires", "up", "down" or "barrel"."""
        if not self.needed:
            return "wires"
        # Groups without unused lanes may as well be longer ones.
        longest = max(self.group_in, self.group_out)
        aligned = all(
            group == longest or group % lanes == 0
            for group, lanes in ((self.group_in, self.lanes_in), (self.group_out, self.lanes_out))
        )
        if aligned and self.lanes_out % self.lanes_in == 0:
            return "up"
        if aligned and self.lanes_in % self.lanes_out == 0:
            return "down"
        return "barrel"


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
        rows = (self.kernel[0] - 1) * self.dilation[0] + 1
        cols = (self.kernel[1] - 1) * self.dilation[1] + 1
        return (
            (self.height + top + bottom - rows) // self.stride[0] + 1,
            (self.width + left + right - cols) // self.stride[1] + 1,
        )

    @property
    def beats_per_reduction(self) -> int:
        """Beats from a `first` to its `last`."""
        return self.kernel[0] * self.kernel[1] * (1 if self.depthwise else self.words)

    @property
    def banks(self) -> Banks:
        """Which column of windows and of the frame is where."""
        return Banks(
            self.pixels, self.width, self.kernel[1], self.stride[1], self.dilation[1],
            self.pads[1], self.pads[3],
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
                self.height, self.width, self.words, self.kernel, self.stride, self.dilation,
                self.pads,
            )
        return self.words * self.banks.minimum_slots(
            self.height, self.kernel[0], self.stride[0], self.dilation[0], self.pads[0],
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


@dataclass(frozen=True)
class Tile:
    """Part of a memory: from word `first` on `depth` words, of these `width` bits from `low` on."""

    first: int
    depth: int
    low: int
    width: int


def segments(tiles: Sequence[Tile]) -> list[tuple[int, int, list[int]]]:
    """Cut a memory's bits where tiles begin or end.

    Returns
    -------
    list of (first bit, bit past the last, indices of the tiles there)
    """
    cuts = sorted({t.low for t in tiles} | {t.low + t.width for t in tiles})
    found: list[list[int]] = [[] for _ in cuts]
    for index, t in enumerate(tiles):
        for k in range(bisect_left(cuts, t.low), bisect_left(cuts, t.low + t.width)):
            found[k].append(index)
    return [(low, end, found[k]) for k, (low, end) in enumerate(pairwise(cuts))]


@dataclass(frozen=True)
class RomSpec:
    """What a read-only memory is built of.

    Parameters
    ----------
    kind : str
        "block", "constants", "distributed" or "logic"; see `rom.Rom`. Weights also "spram"; see
        `spram.SpramRom`.
    tiles : tuple of Tile
        How block RAM is cut; one tile if empty.
    registers : bool
        Whether every tile ends in a register of its own, if there is one at all.
    far : bool
        Whether tiles with registers are too many to lie beside each other; see `rom.Rom`.
    """

    kind: str = "block"
    tiles: tuple[Tile, ...] = ()
    registers: bool = False
    far: bool = False

    @property
    def extra(self) -> int:
        """Clock cycles more that far tiles take: one of the address and one of the words."""
        return FAR_CYCLES * (self.far and self.registers and len(self.tiles) > 1)

    @property
    def cycles(self) -> int:
        """Clock cycles of the registers between the blocks and the last register, if there is."""
        return self.registers + self.extra


NEAR = 8
"""Tiles that lie beside each other and share a copy of the address; twice as many reach far."""
FAR_CYCLES = 2
"""Clock cycles that wires to and from far tiles take."""
IN_BLOCKS = RomSpec()
"""Block RAM, cut by the synthesis tool."""


@dataclass(frozen=True, eq=False)
class DotSpec:
    """XNOR-popcount PE x SIMD array.

    Parameters
    ----------
    pe, simd, bits : int
        Output channels at once, inputs at once, planes of an activation.
    coefficients : tuple of int
        One per weight plane.
    weights : uint8 array [repeat * beats, planes, pe, simd]
        Weight bits in ROM order.
    acc_bits : int
        Width of the accumulated P.
    pixels : int
        Windows at once, each in a lane of its own that reads one bank of the buffer; all of them
        see the same weights.
    turn : int
        How many lanes further, modulo `pixels`, a window's sum goes with each kernel column.
    lanes : tuple of int, length `pixels`
        The lane in which each window's sum ends.
    form, fabric : str
        How a beat's products are summed, and of what; see `beat.BeatSum`.
    rom : RomSpec
        What the weights are stored in.
    """

    pe: int
    simd: int
    bits: int
    coefficients: tuple[int, ...]
    weights: NDArray[Any]
    acc_bits: int
    pixels: int = 1
    turn: int = 0
    lanes: tuple[int, ...] = (0,)
    form: str = "tree"
    fabric: str = "generic"
    rom: RomSpec = IN_BLOCKS

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.pe

    @property
    def out_bits(self) -> int:
        """Bits of a value."""
        return self.acc_bits


@dataclass(frozen=True, eq=False)
class MaxSpec:
    """Maximum array; `minimum` is bool [repeat, lanes]."""

    lanes: int
    bits: int
    minimum: NDArray[Any]

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.lanes

    @property
    def out_bits(self) -> int:
        """Bits of a value."""
        return self.bits


@dataclass(frozen=True)
class SumSpec:
    """Sum array."""

    lanes: int
    bits: int
    out_bits: int

    @property
    def lanes_out(self) -> int:
        """Values per pulse."""
        return self.lanes


@dataclass(frozen=True, eq=False)
class ThresholdSpec:
    """Threshold tail: int array [rows, lanes, levels - 1], ascending, and the codes' width."""

    thresholds: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS


@dataclass(frozen=True, eq=False)
class OffsetSpec:
    """Offset tail: ``(P * multiply + offset[row, lane]) >> shift``."""

    multiply: int
    offset: NDArray[Any]
    shift: int
    out_bits: int
    rom: RomSpec = IN_BLOCKS


@dataclass(frozen=True, eq=False)
class TableSpec:
    """Table tail: ``table[row, lane, P]``, int array."""

    table: NDArray[Any]
    out_bits: int
    rom: RomSpec = IN_BLOCKS


ArraySpec = DotSpec | MaxSpec | SumSpec
TailSpec = ThresholdSpec | OffsetSpec | TableSpec


@dataclass(frozen=True, eq=False)
class StageSpec:
    """One reduction of the network with what follows it on the same values.

    Parameters
    ----------
    name : str
        Identifier, after the network's layer.
    channels : int
        Channels of an output pixel: the group of the output stream.
    tails : tuple of TailSpec
        Applied in order.
    queue_depth : int
        Results that may be on their way or waiting.
    """

    name: str
    buffer: BufferSpec
    array: ArraySpec
    tails: tuple[TailSpec, ...]
    channels: int
    queue_depth: int

    @property
    def lanes_out(self) -> int:
        """Features per output beat."""
        return self.array.lanes_out

    @property
    def unused_lanes_hold_0(self) -> bool:
        """Whether the lanes past the last channel are 0; an offset tail has sums there."""
        ragged = self.channels % self.lanes_out != 0
        return not (ragged and self.tails and isinstance(self.tails[-1], OffsetSpec))

    @property
    def out_bits(self) -> int:
        """Bits of an output feature."""
        return self.tails[-1].out_bits if self.tails else self.array.out_bits


@dataclass(frozen=True, eq=False)
class AcceleratorSpec:
    """The whole chain.

    Parameters
    ----------
    gearboxes : tuple of GearboxSpec
        One before each stage and one before the output; those not `needed` are wires.
    score_bits : int
        Width of a score on m_axis: 8, 16, 24 or 32.
    score_signed : bool
        Whether the last stage's values are sign-extended to that width.
    """

    name: str
    input: InputSpec
    stages: tuple[StageSpec, ...]
    gearboxes: tuple[GearboxSpec, ...]
    classes: int
    out_lanes: int
    score_bits: int
    score_signed: bool

    @property
    def output_beats(self) -> int:
        """Beats per frame on m_axis."""
        return ceil(self.classes / self.out_lanes)
