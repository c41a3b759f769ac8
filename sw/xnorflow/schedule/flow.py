"""Predicts every transfer of an accelerator to the cycle, without simulating it.

Each component obeys rules of the form "event i not before event j plus a constant"
(``docs/hardware.md``, section 4). With a source that always offers and a sink that always takes,
the earliest times that satisfy all rules are what the hardware does. They are the least fixed point
of monotone maps over (max, +), found here by sweeping from source to sink until nothing moves; a
rule ``t[i] >= t[i-1] + 1`` over a whole array is one running maximum.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints
from xnorflow_hw.spec import AcceleratorSpec, BufferSpec, GearboxSpec, StageSpec, geometry
from xnorflow_hw.stage.stage import stage_latency

MAX_SWEEPS = 20_000
NEVER = np.iinfo(np.int64).min // 4


@dataclass(frozen=True)
class Timing:
    """Predicted times, in cycles.

    Parameters
    ----------
    ii : int
        Initiation interval: cycles between the last output beats of two frames in steady state.
    bound : int
        Lower bound of the interval: beats of the busiest stage, or of the input or output stream.
    latency : int
        From a frame's first input beat to its last output beat, pipeline empty before.
    last_out : tuple of int
        Cycle of each frame's last output beat, counted from the first input beat.
    busiest : str
        What sets the bound.
    """

    ii: int
    bound: int
    latency: int
    last_out: tuple[int, ...]
    busiest: str


def _in_order(earliest: Ints, ramp: Ints | None = None) -> Ints:
    """Give the earliest times at which events in order can happen.

    Two of them are at least so many cycles apart as their entries in `ramp`; by default one.
    """
    if ramp is None:
        ramp = np.arange(len(earliest))
    return np.maximum.accumulate(earliest - ramp) + ramp


def bound(spec: AcceleratorSpec) -> tuple[int, str]:
    """Give the lower bound of the initiation interval and what sets it."""
    candidates = [(spec.input.beats, "input"), (spec.output_beats, "output")]
    candidates += [(s.buffer.cycles, s.name) for s in spec.stages]
    names = [*(f"{s.name} input" for s in spec.stages), "output"]
    for name, box, elements in zip(names, spec.gearboxes, elements_per_frame(spec), strict=True):
        candidates.append((gearbox_cycles(box, elements), name))
    return max(candidates, key=lambda c: c[0])


def elements_per_frame(spec: AcceleratorSpec) -> list[int]:
    """Give how many elements of a frame pass each gearbox."""
    passed = [s.buffer.height * s.buffer.width * g.group_out
              for s, g in zip(spec.stages, spec.gearboxes, strict=False)]
    return [*passed, spec.classes]


def gearbox_cycles(box: GearboxSpec, elements: int) -> int:
    """Give the fewest cycles in which a frame can pass a gearbox.

    It takes an input beat per cycle at most, and none before it has given all output beats but one
    of those that the last one made possible.
    """
    possible, _ = gearbox_counts(box, elements)
    if not box.needed:
        return len(possible)
    return int(np.maximum(1, np.diff(possible, prepend=0)).sum())


class Gearbox:
    """Accepts and emits of a gearbox.

    Written in the order A0, the emits that A0 makes possible, A1, ... every rule binds an event to
    its predecessor: an emit comes one cycle after it, an accept one cycle after an accept and no
    earlier than an emit. So one running maximum solves them all.
    """

    def __init__(self, box: GearboxSpec, elements: int) -> None:
        possible, first_for = gearbox_counts(box, elements)
        before = np.concatenate([[0], possible[:-1]])
        self.accept_at = np.arange(len(possible)) + before
        self.emit_at = np.arange(len(first_for)) + first_for + 1
        after_previous = np.ones(len(possible) + len(first_for), np.int64)
        after_previous[self.accept_at[1:][np.diff(before) > 0]] = 0
        self.ramp = np.cumsum(after_previous)

    def solve(self, offered: NDArray[Any], blocked: Ints | None) -> tuple[Any, Any]:
        """Give accept and emit times.

        `offered` is when each input beat is offered; `blocked` the earliest time at which the
        consumer takes each output beat, None if it always does.
        """
        earliest = np.full(len(self.ramp), NEVER, offered.dtype)
        earliest[self.accept_at] = offered
        if blocked is not None:
            earliest[self.emit_at] = blocked
        times = np.maximum.accumulate(earliest - self.ramp) + self.ramp
        return times[self.accept_at], times[self.emit_at]


def gearbox_counts(box: GearboxSpec, elements: int) -> tuple[Ints, Ints]:
    """Give per input beat how many output beats are possible after it, and the inverse.

    `elements` is the number of real elements in all frames together.
    """
    per_in = ceil(box.group_in / box.lanes_in)
    per_out = ceil(box.group_out / box.lanes_out)
    groups_in, groups_out = elements // box.group_in, elements // box.group_out
    in_ends = np.minimum(np.arange(1, per_in + 1) * box.lanes_in, box.group_in)
    out_ends = np.minimum(np.arange(1, per_out + 1) * box.lanes_out, box.group_out)
    have = (np.arange(groups_in)[:, None] * box.group_in + in_ends).ravel()
    need = (np.arange(groups_out)[:, None] * box.group_out + out_ends).ravel()
    return np.searchsorted(need, have, side="right"), np.searchsorted(have, need, side="left")


class _Stage:
    """Issues of a stage, of which only those matter that anything can hold back.

    These are the first to wait for each word and the last of each reduction; between two of them
    there is one issue per cycle.
    """

    def __init__(self, spec: StageSpec, frames: int) -> None:
        self.spec, b = spec, spec.buffer
        self.latency = stage_latency(b, spec.array, spec.tails)
        per_frame = np.arange(frames)[:, None]
        first = first_reads(b)
        read = np.flatnonzero(first >= 0)
        self.word = (read + per_frame * b.frame_words).ravel()
        reads = (first[read] + per_frame * b.cycles).ravel()
        lasts = np.arange(b.beats_per_reduction - 1, frames * b.cycles, b.beats_per_reduction)
        self.beats = np.union1d(reads, lasts)
        self.read, self.last = (np.searchsorted(self.beats, x) for x in (reads, lasts))
        reduction, freeing = result_order(b)
        self.reduction = (reduction + per_frame * b.reductions).ravel()
        self.freeing = (freeing + per_frame * b.results).ravel()
        row_end, freed = row_ends(b)
        ends = np.searchsorted(self.beats, (row_end + per_frame * b.cycles).ravel())
        freed = (freed + per_frame * b.height * b.row_places).ravel()
        # A word in place p needs the row end after which more than p - capacity places are freed.
        place = places(b, np.arange(frames * b.frame_words))
        capacity = b.depth // b.place_words
        row = np.searchsorted(freed, place - capacity, side="right")
        self.blocker = np.where(place < capacity, -1, ends[np.minimum(row, len(ends) - 1)])

    def space(self, issues: Ints | None) -> Ints:
        """Give the earliest time at which the buffer takes each word."""
        if issues is None:
            return np.full(len(self.blocker), NEVER)
        return np.where(self.blocker < 0, NEVER, issues[self.blocker] + 1)

    def issues(self, writes: Ints, pops: Ints | None) -> Ints:
        """Give the times of these issues, from the words' writes and the results' pops."""
        earliest = np.full(len(self.beats), NEVER)
        earliest[self.read] = writes[self.word] + 1
        earliest[0] = max(earliest[0], self.beats[0])
        if pops is not None:
            gated = self.last[self.spec.queue_depth :]
            freed = pops[self.freeing[: len(gated)]]
            earliest[gated] = np.maximum(earliest[gated], freed + 1)
        return _in_order(earliest, self.beats)

    def offered(self, issues: Ints) -> Ints:
        """Give when each result can be offered at the queue's end, were it alone there."""
        return issues[self.last[self.reduction]] + self.latency + 1


def _first_windows(
    size: int, out: int, kernel: int, stride: int, dilation: int, before: int
) -> tuple[Ints, Ints]:
    """Give, per position along an axis, the first window that reads it, or -1, and by which tap."""
    window, tap = np.full(size, -1), np.zeros(size, np.int64)
    for k in range(kernel):
        at = np.arange(out) * stride + k * dilation - before
        o = np.flatnonzero((at >= 0) & (at < size))
        better = (window[at[o]] < 0) | (o < window[at[o]])
        window[at[o[better]]], tap[at[o[better]]] = o[better], k
    return window, tap


def first_reads(b: BufferSpec) -> Ints:
    """Give, per word of a frame, the first of the frame's issues that waits for it, or -1.

    With one pixel at once that is the first one to read it.
    """
    rows, cols = b.output
    oy, ky = _first_windows(
        b.height, rows, b.kernel[0], b.stride[0], b.dilation[0], b.pads[0]
    )
    word = np.arange(b.words)
    if b.pixels == 1:
        ox, kx = _first_windows(b.width, cols, b.kernel[1], b.stride[1], b.dilation[1], b.pads[1])
        inner, per_ky, per_kx = 1 if b.depthwise else b.words, b.kernel[1], 1
    else:
        # Groups wait for the last column that they need; what comes before it is there by then.
        cols = b.banks.groups
        ox, kx = np.full(b.width, -1), np.zeros(b.width, np.int64)
        ox[list(reversed(b.banks.furthest))] = np.arange(cols)[::-1]
        inner, per_ky, per_kx = b.words, 1, b.kernel[0]
    oy, ky, ox, kx = oy[:, None, None], ky[:, None, None], ox[:, None], kx[:, None]
    rep, at = (word, 0) if b.depthwise else (0, word)
    reduction = (oy * cols + ox) * b.repeat + rep
    issue = reduction * b.beats_per_reduction + (ky * per_ky + kx * per_kx) * inner + at
    return np.where((oy < 0) | (ox < 0), -1, issue).ravel()


def row_ends(b: BufferSpec) -> tuple[Ints, Ints]:
    """Give the last issue of each output row, and how many places of the frame are free by then."""
    rows = b.output[0]
    kept_from = geometry.rows_kept_from(b.height, b.stride[0], b.pads[0], rows)
    ends = (np.arange(rows) + 1) * (b.cycles // rows) - 1
    return ends, np.array(kept_from) * b.row_places


def places(b: BufferSpec, words: Ints) -> Ints:
    """Give the place of each word, all of them counted through rows and frames."""
    if b.pixels == 1:
        return words
    pixel = words // b.words
    return pixel // b.width * b.row_places + pixel % b.width // b.pixels


def result_order(b: BufferSpec) -> tuple[Ints, Ints]:
    """Give the order in which a frame's results leave their queue.

    Returns
    -------
    reduction : int64 array [results]
        The reduction of which each is one, or the only one.
    freeing : int64 array [reductions]
        The result that is the last of each reduction to leave.
    """
    rows, cols = b.output
    row, rep = np.arange(rows)[:, None, None], np.arange(b.repeat)
    groups = b.banks.groups
    group = np.arange(cols)[:, None] // b.pixels
    last = np.minimum((np.arange(groups)[:, None] + 1) * b.pixels, cols) - 1
    reduction = (row * groups + group) * b.repeat + rep
    return reduction.ravel(), ((row * cols + last) * b.repeat + rep).ravel()


class Flow:
    """All transfers of some frames, sent back to back at full speed.

    Only what depends on something that has moved is worked out again.

    Parameters
    ----------
    spec : AcceleratorSpec
        Whose.
    frames : int
        How many.

    Attributes
    ----------
    accepts, sent : int64 array [beats]
        Times of the transfers on s_axis and m_axis; cycle 0 is that of the first one's first beat.
    """

    def __init__(self, spec: AcceleratorSpec, frames: int) -> None:
        self.spec, self.frames = spec, frames
        self._stages = [_Stage(s, frames) for s in spec.stages]
        self._boxes = [
            Gearbox(g, elements * frames) if g.needed else None
            for g, elements in zip(spec.gearboxes, elements_per_frame(spec), strict=True)
        ]
        links, stages = len(self._boxes), len(self._stages)
        # Transfers into each gearbox (or, without one, into what follows) and out of it.
        self._into: list[Ints | None] = [None] * links
        self._out: list[Ints | None] = [None] * links
        self._issues: list[Ints | None] = [None] * stages
        # From which arrays they were last worked out.
        self._linked: list[tuple[Ints | None, ...]] = [()] * links
        self._issued: list[tuple[Ints | None, ...]] = [()] * stages

    @property
    def sent(self) -> Ints:
        """Times of the transfers on m_axis."""
        last = self._out[-1]
        assert last is not None
        return last

    def with_stage(self, k: int, spec: StageSpec) -> Flow:
        """Give the flow with a stage that has no more space than the one in its place.

        Nothing of it is earlier, so it begins with the times that are known.
        """
        other = copy(self)
        stages = (*self.spec.stages[:k], spec, *self.spec.stages[k + 1 :])
        other.spec = replace(self.spec, stages=stages)
        for name in ("_stages", "_into", "_out", "_issues", "_linked", "_issued"):
            setattr(other, name, list(getattr(self, name)))
        other._stages[k] = _Stage(spec, self.frames)
        other._linked[k] = other._issued[k] = ()
        return other

    def settle(self, latest: Ints | None = None) -> bool:
        """Find all times; give up, and tell so, if what is sent comes later than `latest`."""
        for _ in range(MAX_SWEEPS):
            moved = [self._link(k) | self._stage(k) for k in range(len(self._boxes))]
            if not any(moved):
                return True
            if latest is not None and (self.sent > latest).any():
                return False
        raise RuntimeError(
            f"the schedule of {self.spec.name} did not settle in {MAX_SWEEPS} sweeps"
        )

    def _link(self, k: int) -> bool:
        """Work out the transfers around gearbox k; tell whether they moved."""
        given = self._issues[k - 1] if k else self._into[0]
        taken = self._issues[k] if k < len(self._stages) else None
        if _same(self._linked[k], (given, taken)):
            return False
        self._linked[k] = given, taken
        if k:
            assert given is not None
            offered = self._stages[k - 1].offered(given)
        else:
            offered = self._accept(given)
        if k < len(self._stages):
            blocked = self._stages[k].space(taken)
        else:
            blocked = np.full(self.spec.output_beats * self.frames, NEVER)
        box = self._boxes[k]
        if box is None:
            accepts = emits = _in_order(np.maximum(offered, blocked))
        else:
            accepts, emits = box.solve(offered, blocked)
        return _update(self._into, k, accepts) | _update(self._out, k, emits)

    def _accept(self, after: Ints | None) -> Ints:
        """Work out the transfers on s_axis; give when, a register later, each is offered.

        `after` are the transfers so far known behind the register.
        """
        earliest = np.zeros(self.spec.input.beats * self.frames, np.int64)
        if after is not None:
            earliest[1:] = np.maximum(earliest[1:], after[:-1])
        self.accepts = _in_order(earliest)
        return self.accepts + 1

    def _stage(self, k: int) -> bool:
        """Work out the issues of stage k, if there is one; tell whether they moved."""
        if k == len(self._stages):
            return False
        writes, pops = self._out[k], self._into[k + 1]
        if _same(self._issued[k], (writes, pops)):
            return False
        self._issued[k] = writes, pops
        assert writes is not None
        return _update(self._issues, k, self._stages[k].issues(writes, pops))


def _same(before: tuple[Ints | None, ...], now: tuple[Ints | None, ...]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def _update(times: list[Ints | None], k: int, new: Ints) -> bool:
    """Replace an array unless it is the same; tell whether."""
    old = times[k]
    if old is not None and np.array_equal(old, new):
        return False
    times[k] = new
    return True


def latency(spec: AcceleratorSpec) -> int:
    """Predict the cycles from a frame's first input beat to its last output beat, alone."""
    return _last_minus_first(Flow(spec, 1))


def _last_minus_first(flow: Flow) -> int:
    flow.settle()
    return int(flow.sent[-1] - flow.accepts[0])


def predict(spec: AcceleratorSpec, frames: int = 5) -> Timing:
    """Predict interval and latency, from `frames` frames back to back at full speed."""
    limit, busiest = bound(spec)
    flow = Flow(spec, frames)
    flow.settle()
    ends = flow.sent[spec.output_beats - 1 :: spec.output_beats]
    return Timing(
        ii=int(ends[-1] - ends[-2]), bound=limit, latency=latency(spec),
        last_out=tuple(int(e) for e in ends), busiest=busiest,
    )


def latency_bound(spec: AcceleratorSpec) -> tuple[int, int]:
    """Give what a frame's latency is made of, in cycles: its data, and pipelines.

    The first is when the last score could be there if every engine answered at once and had all
    the space that it wants: the chain of the last input that each output needs. The second is the
    depth of all pipelines; a chain passes each of them at most once, so the sum bounds the latency
    of a design in which nothing waits for space.
    """
    ample = tuple(
        replace(
            s, buffer=replace(s.buffer, depth=2 * s.buffer.height * s.buffer.row_places
                              * s.buffer.place_words), queue_depth=s.buffer.results,
        ) for s in spec.stages
    )
    flow = Flow(replace(spec, stages=ample), 1)
    pipelines = sum(stage.latency for stage in flow._stages)
    for stage in flow._stages:
        stage.latency = 0
    return _last_minus_first(flow), pipelines
