"""When a gearbox accepts and emits."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow.ir import Ints
from xnorflow_hw.spec import GearboxSpec


def gearbox_cycles(box: GearboxSpec, elements: int) -> int:
    """Give the fewest cycles in which a frame can pass a gearbox.

    It takes an input beat per cycle at most, and none before it has given all output beats but one
    of those that the last one made possible.
    """
    possible, _ = gearbox_counts(box, elements)
    if not box.needed:
        return len(possible)
    return int(np.maximum(1, np.diff(possible, prepend=0)).sum())


NEVER = np.iinfo(np.int64).min // 4
"""A time before all others, for what nothing holds back."""


class GearboxTimes:
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
