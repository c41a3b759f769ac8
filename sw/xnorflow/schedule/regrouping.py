"""Compute when a gearbox accepts input beats and emits output beats."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints
from xnorflow_hw.spec import GearboxSpec


def gearbox_cycles(box: GearboxSpec, elements: int) -> int:
    """Compute the fewest cycles in which a frame can pass a gearbox.

    A gearbox accepts at most one input beat per cycle. After an input beat that completes several
    output beats, it accepts the next one only with the last of them.

    Parameters
    ----------
    box : GearboxSpec
        Gearbox that the frame passes.
    elements : int
        Elements per frame.
    """
    if not box.needed:
        return elements // box.group_in * ceil(box.group_in / box.lanes_in)
    possible, _ = gearbox_counts(box, elements)
    return int(np.maximum(1, np.diff(possible, prepend=0)).sum())


NEVER = np.iinfo(np.int64).min // 4
"""A time before all others, for events that nothing holds back."""
ALWAYS = -NEVER
"""A time after all others, for events that nothing waits for."""


class GearboxTimes:
    """Times at which a gearbox accepts and emits.

    Put the events in the order: first accept, the emits that it makes possible, second accept, and
    so on. Then every rule binds an event to the one before it: an emit comes at least one cycle
    later; an accept comes at least one cycle after an accept, and no earlier than an emit. So one
    running maximum solves all rules.

    Parameters
    ----------
    box : GearboxSpec
        Gearbox whose events are timed.
    elements : int
        Elements in all frames together.
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
        """Compute the times of all accepts and all emits.

        Parameters
        ----------
        offered : array [input beats]
            Time in cycles at which each input beat is offered.
        blocked : int64 array [output beats], optional
            Earliest time in cycles at which the consumer takes each output beat; without it the
            consumer is always ready.

        Returns
        -------
        accepts, emits : arrays [input beats] and [output beats]
            Times in cycles, of the type of `offered`.
        """
        earliest = np.full(len(self.ramp), NEVER, offered.dtype)
        earliest[self.accept_at] = offered
        if blocked is not None:
            earliest[self.emit_at] = blocked
        times = np.maximum.accumulate(earliest - self.ramp) + self.ramp
        return times[self.accept_at], times[self.emit_at]

    def latest(self, accepts: Ints, emits: Ints) -> tuple[Ints, Ints]:
        """Compute the latest times of all accepts and all emits, given bounds on each.

        Parameters
        ----------
        accepts, emits : int64 arrays [input beats] and [output beats]
            Times, in cycles, after which each event must not happen for reasons of its own.
        """
        bounds = np.empty(len(self.ramp), np.int64)
        bounds[self.accept_at], bounds[self.emit_at] = accepts, emits
        times = np.minimum.accumulate((bounds - self.ramp)[::-1])[::-1] + self.ramp
        return times[self.accept_at], times[self.emit_at]


def gearbox_counts(box: GearboxSpec, elements: int) -> tuple[Ints, Ints]:
    """Count how input and output beats of a gearbox depend on each other.

    Parameters
    ----------
    box : GearboxSpec
        Gearbox that regroups the elements.
    elements : int
        Elements in all frames together, without padding.

    Returns
    -------
    possible : int64 array [input beats]
        Output beats that are complete after each input beat.
    first_for : int64 array [output beats]
        Index of the input beat that completes each output beat.
    """
    per_in = ceil(box.group_in / box.lanes_in)
    per_out = ceil(box.group_out / box.lanes_out)
    groups_in, groups_out = elements // box.group_in, elements // box.group_out
    in_ends = np.minimum(np.arange(1, per_in + 1) * box.lanes_in, box.group_in)
    out_ends = np.minimum(np.arange(1, per_out + 1) * box.lanes_out, box.group_out)
    have = (np.arange(groups_in)[:, None] * box.group_in + in_ends).ravel()
    need = (np.arange(groups_out)[:, None] * box.group_out + out_ends).ravel()
    return np.searchsorted(need, have, side="right"), np.searchsorted(have, need, side="left")
