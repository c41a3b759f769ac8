"""Describes a whole accelerator: its input, its stages and the chain that they form."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.arrays import ArraySpec
from xnorflow_hw.spec.buffer import BufferSpec
from xnorflow_hw.spec.gearbox import GearboxSpec
from xnorflow_hw.spec.tails import OffsetSpec, TailSpec


@dataclass(frozen=True, eq=False)
class InputSpec:
    """Input stage: raw samples to codes.

    Parameters
    ----------
    lanes : int
        Samples per beat.
    bits : int
        Bits of a code.
    table : int array [1 or channels, 2 ** bits of a sample]
        Codes; samples have at least 8 bits and at most 16.
    group, frame : int
        Samples per group and per frame.
    """

    lanes: int
    bits: int
    table: NDArray[Any]
    group: int
    frame: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample on the stream."""
        return 1 if self.table.shape[1] <= 256 else 2

    @property
    def beats(self) -> int:
        """Beats per frame."""
        return self.frame // self.group * ceil(self.group / self.lanes)


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
