"""Compute when stages issue the beats of their arrays: windows, joined streams, or larger maps.

Each front has its own order of beats; credit and results are the same for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from typing import Self

import numpy as np

from xnorflow.ir import Ints
from xnorflow.schedule.buffer_order import first_reads, places, result_order, row_ends
from xnorflow.schedule.regrouping import ALWAYS, NEVER
from xnorflow.schedule.stretch_order import first_and_last_reads
from xnorflow_hw.spec import BufferSpec, JoinSpec, StageSpec, StretchSpec
from xnorflow_hw.spec.stage_latency import stage_latency


@lru_cache(maxsize=64)
def _steps(count: int) -> Ints:
    """Return the integers below `count`."""
    found = np.arange(count)
    found.flags.writeable = False
    return found


def in_order(earliest: Ints, ramp: Ints | None = None) -> Ints:
    """Compute the earliest times at which events can happen one after the other.

    Parameters
    ----------
    earliest : int64 array [events]
        Cycle before which each event cannot happen.
    ramp : int64 array [events], optional
        Any two events are at least as many cycles apart as their entries here; by default
        consecutive events are one cycle apart.
    """
    if ramp is None:
        ramp = _steps(len(earliest))
    times = earliest - ramp
    np.maximum.accumulate(times, out=times)
    times += ramp
    return times


def in_order_before(latest: Ints, ramp: Ints | None = None) -> Ints:
    """Compute the latest times at which events can happen one after the other.

    Parameters
    ----------
    latest : int64 array [events]
        Cycle after which each event must not happen.
    ramp : int64 array [events], optional
        As that of `in_order`.
    """
    if ramp is None:
        ramp = _steps(len(latest))
    times = latest - ramp
    np.minimum.accumulate(times[::-1], out=times[::-1])
    times += ramp
    return times


Places = Ints | slice
"""Indices into an array of times, as a slice where they are evenly spaced: that is sooner read."""


def _places(indices: Ints) -> Places:
    """Return ascending indices as a slice if they are evenly spaced, or as they are."""
    if len(indices) < 2:
        return indices
    steps = np.diff(indices)
    if steps[0] > 0 and (steps == steps[0]).all():
        return slice(int(indices[0]), int(indices[-1]) + 1, int(steps[0]))
    return indices


def _lower(times: Ints, places: Places, most: Ints) -> None:
    """Lower those of the `times` at `places`, some of them perhaps repeated, to `most`."""
    if isinstance(places, slice):
        times[places] = np.minimum(times[places], most)
    else:
        np.minimum.at(times, places, most)


class StageTimes(ABC):
    """Issues of a stage that anything can hold back.

    Between two of them there is one issue per cycle, so the others need not be computed.

    Parameters
    ----------
    spec : StageSpec
        Stage whose issues are computed.
    beats : int64 array [issues]
        Numbers of the issues that are computed, counted across frames.
    last : int64 array [reductions]
        Index in `beats` of the last issue of each reduction.
    reduction : int64 array [results]
        Reduction that each result comes from, in the order in which results leave.
    freeing : int64 array [reductions]
        Result of each reduction that frees its place in the queue.
    """

    def __init__(
        self, spec: StageSpec, beats: Ints, last: Ints, reduction: Ints, freeing: Ints
    ) -> None:
        self.spec, self.beats, self.last = spec, beats, last
        self.reduction, self.freeing = reduction, freeing
        self.latency = stage_latency(spec.array, spec.tails)
        own = np.arange(len(last))
        self._in_step = np.array_equal(reduction, own) and np.array_equal(freeing, own)
        """Whether each reduction has one result, which frees its place."""
        self._result = _places(last[reduction])
        """Issue that each result comes from."""
        self._turns = self._takes_turns()
        self._gate()

    @abstractmethod
    def space(self, port: int, issues: Ints | None) -> Ints:
        """Return the earliest time, in cycles, at which each beat of a port can be taken."""

    @abstractmethod
    def wanted(self, port: int, issues: Ints) -> Ints:
        """Return the latest time, in cycles, at which each beat of a port has to be taken.

        Parameters
        ----------
        port : int
            Number of the port.
        issues : int64 array [issues]
            Latest times of the issues.
        """

    @abstractmethod
    def freed(self, issues: Ints, port: int, taken: Ints) -> None:
        """Lower the latest times of `issues` to those at which they free space for a port's beats.

        Parameters
        ----------
        issues : int64 array [issues]
            Changed in place.
        port : int
            Number of the port.
        taken : int64 array [beats]
            Latest times at which the beats are taken.
        """

    def with_space(self, spec: StageSpec) -> Self:
        """Return the issues of a stage that differs from this one in its depths alone."""
        other = copy(self)
        other.spec = spec
        other._turns = other._takes_turns()
        other._gate()
        return other

    def _gate(self) -> None:
        """Find the issues that wait for a place in the queue, and the results that free it."""
        gated = self.last[self.spec.queue_depth :]
        self._gated, self._freed_by = _places(gated), _places(self.freeing[: len(gated)])

    @abstractmethod
    def needed(self, earliest: Ints, writes: Sequence[Ints]) -> None:
        """Raise the `earliest` times of issues to those at which the beats of all ports are there.

        Parameters
        ----------
        earliest : int64 array [issues]
            Changed in place.
        writes : sequence of int64 array
            Times at which the beats of each port are taken.
        """

    def issues(self, writes: Sequence[Ints], pops: Ints | None) -> Ints:
        """Compute the times of the issues from those of beats taken and results popped."""
        earliest = np.full(len(self.beats), NEVER)
        self.needed(earliest, writes)
        earliest[0] = max(earliest[0], self.beats[0])
        if pops is not None:
            freed = pops[self._freed_by]
            earliest[self._gated] = np.maximum(earliest[self._gated], freed + 1)
        issues = in_order(earliest, self.beats)
        return in_order(self._turned(issues, 1), self.beats) if self._turns else issues

    def ordered_before(self, latest: Ints) -> Ints:
        """Compute the latest times at which issues can happen, given those of each by itself."""
        issues = in_order_before(latest, self.beats)
        return in_order_before(self._turned(issues, -1), self.beats) if self._turns else issues

    def _takes_turns(self) -> bool:
        """Whether a place of the queue is taken for longer than issues alone hold the next one."""
        depth, last = self.spec.queue_depth, self.beats[self.last]
        if not self._in_step or len(last) <= depth:
            return False
        return bool((last[depth:] - last[:-depth]).min() < self.latency + 2)

    def _turned(self, issues: Ints, step: int) -> Ints:
        """Let each reduction wait until the one before it in its place can have left.

        Popped results say so, too, but each sweep only for as many as there are places. With a
        `step` of -1, latest times are lowered to that end, and with 1 earliest ones are raised.
        """
        depth, count = self.spec.queue_depth, len(self.last)
        turns = -(-count // depth)
        ramp = (self.latency + 2) * np.arange(turns)[:, None]
        # Seen from the end, with the opposite sign, a latest time is an earliest one.
        ends = np.full(turns * depth, NEVER)
        ends[:count] = step * issues[self.last][::step]
        waited = np.maximum.accumulate(ends.reshape(turns, depth) - ramp, axis=0) + ramp
        issues = issues.copy()
        issues[self.last] = step * waited.ravel()[:count][::step]
        return issues

    def latest(self, offered: Sequence[Ints]) -> Ints:
        """Return the latest times of the issues, in cycles, for the sake of results alone.

        Parameters
        ----------
        offered : sequence of int64 array [results]
            For each reader, the latest times at which the results have to be offered.
        """
        issues = np.full(len(self.beats), ALWAYS)
        for times in offered:
            _lower(issues, self._result, times - self.latency - 1)
        return issues

    def popped(self, issues: Ints) -> Ints:
        """Return the latest times at which results leave so that issues find a place."""
        latest = np.full(len(self.reduction), ALWAYS)
        latest[self._freed_by] = issues[self._gated] - 1
        return latest

    def offered(self, issues: Ints) -> Ints:
        """Return when each result would reach the end of the queue if no other were before it."""
        times: Ints = issues[self._result] + self.latency + 1
        return times


class StoredTimes(StageTimes):
    """Issues that read words from a memory, in which space is freed row by row."""

    word: Ints
    """Words that some issue waits for, across frames."""
    read: Ints
    """Index in `beats` of the issue that waits for each of them."""
    place: Ints
    """Number of places that are filled before each word, across frames; -1 if it needs none."""
    ends: Ints
    """Indices in `beats` of the issues that free places, ascending; -1 for before the first."""
    after: Ints
    """How many places are free for good after each of them."""
    blocker: Ints
    """Index in `beats` of the issue that frees the place of each word, -1 where it is free."""

    def with_space(self, spec: StageSpec) -> Self:
        """Return the issues of a stage that differs from this one in its depths alone."""
        other = super().with_space(spec)
        assert not isinstance(spec.buffer, JoinSpec)
        other._block(spec.buffer.depth // spec.buffer.place_words)
        return other

    def _block(self, capacity: int) -> None:
        """Compute `blocker`, given the places of the memory."""
        # A word can go to place p once an issue has freed more than p - capacity places.
        end = np.searchsorted(self.after, self.place - capacity, side="right")
        free = self.place < capacity
        self.blocker = np.where(free, -1, self.ends[np.minimum(end, len(self.ends) - 1)])

    def room(self, entered: Ints, issues: Ints) -> int:
        """Return the places with which there is space for each word when it enters.

        Parameters
        ----------
        entered : int64 array [words]
            Cycles in which the words enter.
        issues : int64 array [issues]
            Cycles of the issues, which free their places from the next cycle on.
        """
        times = np.where(self.ends < 0, NEVER, issues[self.ends])
        ended = np.searchsorted(times, entered, side="left")
        free = np.concatenate([[0], self.after])[ended]
        return int((self.place + 1 - free).max())

    def wanted(self, port: int, issues: Ints) -> Ints:
        """Return when the issue that reads each word first wants it to be there."""
        latest = np.full(len(self.place), ALWAYS)
        latest[self.word] = issues[self.read] - 1
        return latest

    def freed(self, issues: Ints, port: int, taken: Ints) -> None:
        """Let each issue end in time for the words that need its space."""
        blocked = self.blocker >= 0
        np.minimum.at(issues, self.blocker[blocked], taken[blocked] - 1)

    def space(self, port: int, issues: Ints | None) -> Ints:
        """Return the earliest time at which the memory has space for each word, in cycles."""
        if issues is None:
            return np.full(len(self.blocker), NEVER)
        return np.where(self.blocker < 0, NEVER, issues[self.blocker] + 1)

    def needed(self, earliest: Ints, writes: Sequence[Ints]) -> None:
        """Let each issue wait for the word that it reads first."""
        earliest[self.read] = writes[0][self.word] + 1


class WindowTimes(StoredTimes):
    """Issues of a stage of windows: the first that waits for each word, and the last of each
    reduction.
    """

    def __init__(self, spec: StageSpec, b: BufferSpec, frames: int) -> None:
        per_frame = np.arange(frames)[:, None]
        first = first_reads(b)
        read = np.flatnonzero(first >= 0)
        lasts = np.arange(b.beats_per_reduction - 1, b.cycles, b.beats_per_reduction)
        # The same beats in every frame.
        beats = np.union1d(first[read], lasts)
        reduction, freeing = result_order(b)
        super().__init__(
            spec,
            (beats + per_frame * b.cycles).ravel(),
            (np.searchsorted(beats, lasts) + per_frame * len(beats)).ravel(),
            (reduction + per_frame * b.reductions).ravel(),
            (freeing + per_frame * b.results).ravel(),
        )
        self.word = (read + per_frame * b.frame_words).ravel()
        self.read = (np.searchsorted(beats, first[read]) + per_frame * len(beats)).ravel()
        row_end, freed = row_ends(b)
        self.ends = np.searchsorted(self.beats, (row_end + per_frame * b.cycles).ravel())
        self.after = (freed + per_frame * b.height * b.row_places).ravel()
        self.place = places(b, np.arange(frames * b.frame_words))
        self._block(b.depth // b.place_words)


class StretchTimes(StoredTimes):
    """Issues of a stage that makes a map of another size: every one is a result."""

    def __init__(self, spec: StageSpec, b: StretchSpec, frames: int) -> None:
        beats = np.arange(frames * b.cycles)
        super().__init__(spec, beats, beats, beats, beats)
        per_frame = np.arange(frames)[:, None]
        first, freed = first_and_last_reads(b)
        kept, read = np.flatnonzero(b.kept()), first >= 0
        words = (kept + per_frame * b.frame_words).ravel()
        self.word = (kept[read] + per_frame * b.frame_words).ravel()
        self.read = (first[read] + per_frame * b.cycles).ravel()
        # Words that are not kept need no space.
        self.place = np.full(frames * b.frame_words, -1)
        self.place[words] = np.arange(len(words))
        self.ends = (freed + per_frame * b.cycles).ravel()
        self.after = np.arange(len(words)) + 1
        self._block(b.depth)


class JoinTimes(StageTimes):
    """Issues of a stage that joins streams: each takes beats in the very cycle of the issue."""

    def __init__(self, spec: StageSpec, join: JoinSpec, frames: int) -> None:
        beats = np.arange(frames * join.cycles)
        super().__init__(spec, beats, beats, beats, beats)
        per_frame = np.arange(frames)[:, None] * join.cycles
        taken = [(join.takes(port) + per_frame).ravel() for port in range(len(join.ports))]
        self._lengths = [len(issues) for issues in taken]
        self.taken = [_places(issues) for issues in taken]

    def space(self, port: int, issues: Ints | None) -> Ints:
        """Return the issue that takes each beat of a port."""
        if issues is None:
            return np.full(self._lengths[port], NEVER)
        taken: Ints = issues[self.taken[port]]
        return taken

    def wanted(self, port: int, issues: Ints) -> Ints:
        """Return the issue that takes each beat of a port."""
        latest: Ints = issues[self.taken[port]]
        return latest

    def freed(self, issues: Ints, port: int, taken: Ints) -> None:
        """Let each issue come no later than the beats of the port that it takes."""
        at = self.taken[port]
        issues[at] = np.minimum(issues[at], taken)

    def needed(self, earliest: Ints, writes: Sequence[Ints]) -> None:
        """Let each issue wait for a beat of every port that it takes one from."""
        for taken, times in zip(self.taken, writes, strict=True):
            earliest[taken] = np.maximum(earliest[taken], times)


def stage_times(spec: StageSpec, frames: int) -> StageTimes:
    """Return what computes the issues of a stage."""
    match spec.buffer:
        case BufferSpec() as b:
            return WindowTimes(spec, b, frames)
        case JoinSpec() as join:
            return JoinTimes(spec, join, frames)
        case StretchSpec() as b:
            return StretchTimes(spec, b, frames)
        case other:
            raise TypeError(f"no schedule for a front of type {type(other).__name__}")
