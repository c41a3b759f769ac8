"""The width of fixed point: the one asked for, or the least that keeps the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xnorflow.calibration.calibration_data import Samples
from xnorflow.calibration.distance import Distance, distances
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.graph import execute
from xnorflow.graph.ops import Graph, LookupOp, MultiplyOp, Op
from xnorflow.ir import IntegerNetwork, Ints, labels
from xnorflow.lower import tidy, write
from xnorflow.lower.branches.round_weights import round_all_weights
from xnorflow.lower.branches.segments import branches, host_quantised, quantise_input
from xnorflow.lower.fixed_point import (
    FIXED_POINT,
    LARGEST,
    LEAST_BITS,
    MOST_BITS,
    FixedPoint,
    Range,
)
from xnorflow.lower.host_quantiser import quantise_on_host
from xnorflow.lower.pending import Mark
from xnorflow.lower.scores import cut
from xnorflow_sim import golden

Width = int | Literal["auto"]
MARGIN = 2.0
"""Factor by which ranges seen on drawn samples are widened: real data may go further."""
FEW = 0.01
"""Share of a frame's labels, if it has one for each pixel, that may be others."""
SPARE_BITS = 3
"""Bits that "auto" adds to those that drawn samples need: one for the margin, two for real data."""


def known_width(value: int | str) -> Width:
    """Return a width that a user gave.

    Raises
    ------
    BadInput
        If it is neither "auto" nor a whole number of 2 to 24 bits.
    """
    if value == "auto":
        return "auto"
    try:
        bits = int(value)
        whole = bits == float(value)
    except (TypeError, ValueError, OverflowError):
        bits, whole = 0, False
    if isinstance(value, bool) or not whole or not LEAST_BITS <= bits <= MOST_BITS:
        raise BadInput(
            f"fixed point of {value!r} is not possible; {LEAST_BITS} to {MOST_BITS} bits are, or"
            " auto"
        )
    return bits


@dataclass(frozen=True, eq=False)
class Chosen:
    """A network in fixed point, and how far it is from the file in float64.

    Parameters
    ----------
    graph : Graph
        What it was lowered from: as imported, with a quantiser for float samples where there was
        none.
    fixed : FixedPoint
        Width and ranges.
    net : IntegerNetwork
        Its notes tell the rest.
    distances : tuple of Distance
        By layer, on the calibration data.
    differ, count : int
        Frames with another label than in float64, of so many; of networks that give each pixel a
        label, frames with more than a few others.
    """

    graph: Graph
    fixed: FixedPoint
    net: IntegerNetwork
    distances: tuple[Distance, ...]
    differ: int
    count: int


def choose(
    graph: Graph,
    width: Width,
    samples: Samples,
    progress: Callable[[int], object] | None = None,
) -> Chosen:
    """Lower a network in fixed point.

    Parameters
    ----------
    graph : Graph
        As the frontend read it.
    width : int or "auto"
        Bits of weights and values; "auto" takes the fewest with which every sample has the label
        that it has in float64, and the most where none do.
    samples : Samples
        Calibration data.
    progress : callable, optional
        Is called with each width that is tried.

    Raises
    ------
    xnorflow.errors.UnsupportedModel
        If the network cannot be mapped in fixed point either; it names the node.
    """
    x = samples.values(graph)
    want = execute.scores(graph, x)
    widths = range(LEAST_BITS, MOST_BITS + 1) if width == "auto" else (width,)
    found: _Tried | None = None
    error: UnsupportedModel | None = None
    spare = 0
    # Float samples get a quantiser of the width that is tried; others are the same for all.
    seen = None if graph.takes_floats else _Seen.of(graph, 0, samples, x)
    for bits in widths:
        if progress:
            progress(bits)
        try:
            tried = _Tried.of(seen or _Seen.of(graph, bits, samples, x), bits)
        except UnsupportedModel as e:
            # More bits can be too many for a table; fewer have been tried before.
            error = e
            if found is not None:
                break
            continue
        found = tried
        if not tried.differs(want):
            if width == "auto" and samples.drawn:
                found = _with_spare_bits(graph, found, samples, x)
                spare = found.fixed.bits - bits
            break
    if found is None:
        assert error is not None
        raise error
    differ = int(found.other_labels(want).sum())
    judged = found.seen
    exact, given = judged.plain, judged.x
    if judged.graph is not graph:
        # The host rounds samples that the file reads as they are.
        exact, given = _without_lookup(judged.plain), x
    far = distances(exact, found.net, found.marks, given, judged.codes)
    notes = _notes(found.fixed.bits, width, spare, samples, far, differ)
    net = replace(found.net, notes=(*found.net.notes, *notes))
    return Chosen(judged.graph, found.fixed, net, far, differ, len(x))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A tidy network with the frames that it is judged by, and the ranges of its values on them."""

    graph: Graph
    plain: Graph
    x: NDArray[np.float64]
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    ranges: tuple[Range, ...]

    @classmethod
    def of(cls, graph: Graph, bits: int, samples: Samples, x: NDArray[np.float64]) -> _Seen:
        """Run a network in float64; `x` are the samples as the first operation reads them.

        The width matters to float samples only.
        """
        if graph.takes_floats:
            graph = _quantised(graph, bits, x, samples.drawn)
        *_, (_, plain) = tidy(graph)
        if graph.takes_floats:
            frames = plain.samples.encode(samples.x)
            x = plain.samples.alphabet.values(frames).astype(np.float64)
        else:
            a = plain.samples.alphabet
            frames = ((samples.x - a.lo) // a.step).astype(plain.samples.dtype)
        return cls(graph, plain, x, frames, _ranges(plain, x, MARGIN if samples.drawn else 1.0))


@dataclass(frozen=True, eq=False)
class _Tried:
    """A network at one width."""

    seen: _Seen
    fixed: FixedPoint
    net: IntegerNetwork
    marks: tuple[Mark, ...]

    @classmethod
    def of(cls, seen: _Seen, bits: int) -> _Tried:
        """Lower a network at a width."""
        fixed = FixedPoint(bits, seen.ranges)
        net, marks = write(round_all_weights(seen.plain, bits), fixed)
        return cls(seen, fixed, net, marks)

    def other_labels(
        self, want: NDArray[np.float64], part: slice = slice(None)
    ) -> NDArray[np.bool_]:
        """Return which frames have other labels than in float64.

        A frame has if more than `FEW` of the labels of any output are others; an output has one
        label, or one for each pixel.

        Parameters
        ----------
        want : float64 array [frames, scores]
            Scores of all outputs of all frames.
        part : slice
            Frames to look at.
        """
        found = self.net.labels_of(golden.run_frames(self.net, self.seen.codes[part]))
        frames, ends = len(want[part]), np.cumsum([o.size for o in self.net.named])
        other = np.zeros(frames, np.bool_)
        for o, scores in zip(self.net.named, np.split(want, ends[:-1], axis=1), strict=True):
            of_file = _labels_in_double(
                scores[part].reshape(frames, *o.shape), self.net.class_axis(o), scores
            )
            differ = (found[o.name] != of_file).reshape(frames, -1)
            other |= differ.mean(1) > FEW
        return other

    def differs(self, want: NDArray[np.float64]) -> bool:
        """Return whether any frame has other labels; stops at the first."""
        return any(
            self.other_labels(want, slice(first, first + execute.BATCH)).any()
            for first in range(0, len(want), execute.BATCH)
        )


def _with_spare_bits(
    graph: Graph, least: _Tried, samples: Samples, x: NDArray[np.float64]
) -> _Tried:
    """Lower with `SPARE_BITS` more than the least width, or as many as can be mapped."""
    for more in range(SPARE_BITS, 0, -1):
        if least.fixed.bits + more > MOST_BITS:
            continue
        try:
            bits = least.fixed.bits + more
            seen = _Seen.of(graph, bits, samples, x) if graph.takes_floats else least.seen
            return _Tried.of(seen, bits)
        except UnsupportedModel:
            continue
    return least


def _quantised(graph: Graph, bits: int, x: NDArray[np.float64], drawn: bool) -> Graph:
    """Return the graph with a quantiser of its float samples."""
    try:
        host_quantised(graph) if branches(graph) else quantise_on_host(graph)
    except UnsupportedModel:
        seen = _range(x.min(), x.max(), MARGIN if drawn else 1.0, Op(node=graph.name, op="input"))
        return quantise_input(graph, bits, seen)
    return graph


def _without_lookup(graph: Graph) -> Graph:
    """Return a graph that reads the values that the host rounds, in place of their codes.

    It has as many operations.
    """
    lookup, *rest = graph.ops
    assert isinstance(lookup, LookupOp), lookup
    same = MultiplyOp(
        np.ones((), np.float32),
        node=lookup.node,
        op=lookup.op,
        name=lookup.name,
        inputs=lookup.inputs,
    )
    return replace(graph, ops=(same, *rest))


def _ranges(graph: Graph, x: NDArray[np.float64], margin: float) -> tuple[Range, ...]:
    low = np.full(len(graph.ops) + 1, np.inf)
    high = -low
    for first in range(0, len(x), execute.BATCH):
        for at, values in enumerate(execute.values(graph, x[first : first + execute.BATCH])):
            # Unlike Python's, these keep NaN.
            low[at] = np.minimum(low[at], values.min())
            high[at] = np.maximum(high[at], values.max())
    readers = (*graph.ops, Op(node=graph.name, op="output"))
    if not graph.chain:
        first_readers = {at: op for op, reads in reversed(_reads(graph)) for at in reads}
        readers = tuple(first_readers.get(at - 1, readers[-1]) for at in range(len(readers)))
    return tuple(_range(a, b, margin, op) for a, b, op in zip(low, high, readers, strict=True))


def _reads(graph: Graph) -> list[tuple[Op, tuple[int, ...]]]:
    return list(zip(graph.ops, graph.reads, strict=True))


def _range(low: float, high: float, margin: float, reader: Op) -> Range:
    """Return a range with its margin; UnsupportedModel if float32 does not hold it."""
    found = Range(float(low) * margin, float(high) * margin)
    if not max(-found.lo, found.hi) <= LARGEST:
        raise UnsupportedModel(
            f"what it reads goes from {low:g} to {high:g} on the calibration data.",
            node=reader.node,
            op=reader.op,
            hint="calibration data for which all values stay within float32.",
        )
    return found


def _labels_in_double(
    scores: NDArray[np.float64], axis: int | None, every: NDArray[np.float64]
) -> Ints:
    """Return labels as `xnorflow.ir.network.labels` does; a single score's cut is that of all."""
    if axis is None or scores.shape[axis] == 1:
        return labels(scores - np.float64(cut(every.astype(np.float32))), axis)
    return labels(scores, axis)


def _notes(
    bits: int,
    width: Width,
    spare: int,
    samples: Samples,
    far: tuple[Distance, ...],
    differ: int,
) -> tuple[str, ...]:
    how = f" (auto, {spare} of them to spare)" if spare else " (auto)" if width == "auto" else ""
    what = "drawn samples (give your own with --calibrate)" if samples.drawn else "samples"
    first = (
        f"{FIXED_POINT} {bits} bits{how}: on"
        f" {len(samples.x)} {what}, {differ} have another label than the file has in float64."
    )
    return (first, *(f"Fixed point, {d}." for d in far))
