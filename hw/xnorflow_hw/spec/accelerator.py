"""Specs of a whole accelerator: its input, its stages and the streams between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from numpy.typing import NDArray

from xnorflow_hw.spec.arrays import ArraySpec, JoinedSpec
from xnorflow_hw.spec.buffer import BufferSpec
from xnorflow_hw.spec.edges import EdgeSpec
from xnorflow_hw.spec.gearbox import GearboxSpec
from xnorflow_hw.spec.joining import JoinSpec, StretchSpec
from xnorflow_hw.spec.score_unit import ScoreSpec
from xnorflow_hw.spec.tails import OffsetSpec, TailSpec


@dataclass(frozen=True, eq=False)
class InputSpec:
    """Spec of the input stage, which turns raw samples into activation codes.

    Parameters
    ----------
    lanes : int
        Samples per beat.
    bits : int
        Width of a code in bits.
    table : int array [1 or channels, 2 ** bits of a sample]
        Code of every sample value, for all channels or for each of them; samples have at least 8
        bits and at most 16.
    group : int
        Samples per group: the channels of one pixel, or a whole flattened frame.
    frame : int
        Samples per frame.
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
        """Number of input beats per frame."""
        return self.frame // self.group * ceil(self.group / self.lanes)


FrontSpec = BufferSpec | JoinSpec | StretchSpec
"""All that can stand in front of an array."""


@dataclass(frozen=True, eq=False)
class StageSpec:
    """Spec of a stage: one reduction layer and the layers behind it that work on its results.

    Parameters
    ----------
    name : str
        Identifier, after the network's layer.
    buffer : BufferSpec or JoinSpec or StretchSpec
        What delivers the beats of the array: windows of a map, several streams together or in turn,
        or a map of another size.
    array : ArraySpec
        The array that reduces them.
    tails : tuple of TailSpec
        What is applied to the array's results, in order.
    channels : int
        Channels of an output pixel, which are one group of the output stream.
    queue_depth : int
        Number of results that may be in the pipeline or wait in the queue.
    """

    name: str
    buffer: FrontSpec
    array: ArraySpec
    tails: tuple[TailSpec, ...]
    channels: int
    queue_depth: int

    @property
    def lanes_out(self) -> int:
        """Number of features per output beat."""
        return self.array.lanes_out

    @property
    def edges(self) -> int:
        """Number of edges that its weights are sums of; 1 if they are no such sums."""
        return self.array.edges if isinstance(self.array, EdgeSpec) else 1

    @property
    def unused_lanes_hold_0(self) -> bool:
        """Whether the lanes past the last channel are 0; those of sums are not."""
        ragged = self.channels % self.lanes_out != 0
        offset = bool(self.tails) and isinstance(self.tails[-1], OffsetSpec)
        # Joined arrays add constants to their lanes, also to unused ones.
        any_value = self.array.weight_words > 0 or isinstance(self.array, JoinedSpec)
        return not (ragged and (offset or (not self.tails and any_value)))

    @property
    def out_bits(self) -> int:
        """Width of an output feature in bits."""
        return self.tails[-1].out_bits if self.tails else self.array.out_bits


@dataclass(frozen=True, eq=False)
class StreamSpec:
    """Spec of a stream from one part of the accelerator to another.

    Parameters
    ----------
    source : int
        The part that sends it: 0 is the input stage, and k + 1 is stage k. Where several streams
        have the same source, each carries all of its beats.
    sink : int
        The stage that reads it, or the number of stages for the output.
    box : GearboxSpec
        The gearbox on its way; one that is not `needed` is wires.
    port : int
        Input of the sink, from 0.
    queue : int
        Beats that a queue behind the gearbox can hold, 0 without one.
    ram : str
        What the queue is built of: "auto", "block" or "distributed".
    """

    source: int
    sink: int
    box: GearboxSpec
    port: int = 0
    queue: int = 0
    ram: str = "auto"


@dataclass(frozen=True, eq=False)
class AcceleratorSpec:
    """Spec of the whole accelerator, from the stream of samples to the stream of scores.

    Parameters
    ----------
    name : str
        Identifier of the top module.
    input : InputSpec
        The input stage.
    stages : tuple of StageSpec
        The stages, in order of execution.
    streams : tuple of StreamSpec
        The streams between the parts, ordered by sink and port. In a chain there is one into each
        stage and one to the output.
    classes : int
        Number of scores per frame.
    out_lanes : int
        Number of scores per beat of m_axis.
    score_bits : int
        Width of a score on m_axis: a multiple of 8 bits up to 64.
    score_signed : bool
        Whether the last values are sign-extended to that width, or zero-extended.
    scores : ScoreSpec, optional
        Unit behind the last gearbox that computes scores, if the last stage does not.
    """

    name: str
    input: InputSpec
    stages: tuple[StageSpec, ...]
    streams: tuple[StreamSpec, ...]
    classes: int
    out_lanes: int
    score_bits: int
    score_signed: bool
    scores: ScoreSpec | None = None

    @property
    def gearboxes(self) -> tuple[GearboxSpec, ...]:
        """The gearboxes of all streams, in order."""
        return tuple(stream.box for stream in self.streams)

    @property
    def edges(self) -> int:
        """Most edges of a stage; with several, the accelerator has a port to enable them."""
        return max(stage.edges for stage in self.stages)

    def frames_before(self, k: int) -> int:
        """Return a bound of the frames that have begun at the input and not ended in stage k.

        What is between the input and the stage is in one order, and each part holds a range of it.
        A range of n elements begins at most ``ceil(n / elements of a frame)`` frames.
        """
        found = 2
        for s in self.streams:
            if s.sink <= k:
                box = s.box
                pixels = self._sent(s.source) // box.group_in
                beats = box.group_in * pixels // box.group_out * ceil(box.group_out / box.lanes_out)
                stored = ceil((box.lanes_in + box.lanes_out) / (box.group_in * pixels))
                found += stored + ceil(s.queue / beats)
        for stage in self.stages[: k + 1]:
            front = stage.buffer
            if not isinstance(front, JoinSpec):
                words = front.depth * front.pixels
                found += ceil(words / front.frame_words)
            found += ceil(stage.queue_depth / front.results)
        return found

    def _sent(self, part: int) -> int:
        """Return the features of a frame that a part sends."""
        if not part:
            return self.input.frame
        stage = self.stages[part - 1]
        height, width = stage.buffer.output
        return height * width * stage.channels

    @property
    def output_beats(self) -> int:
        """Number of beats per frame on m_axis."""
        return ceil(self.classes / self.out_lanes)
