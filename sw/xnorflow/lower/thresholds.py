"""Staircases to integer thresholds."""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow.lower.common_scale import Grid
from xnorflow.lower.evaluate import Reach, Steps


def mirrored(steps: Steps, reach: Reach, mirror: Ints) -> tuple[Steps, Reach]:
    """Turn falling channels into rising ones: value v becomes ``mirror - v`` in them."""
    falling = steps.direction < 0
    f = falling[steps.channel]
    # The last integer before a fall is the first one after the rise that it becomes.
    at = np.where(f, mirror[steps.channel] - steps.at + reach.step, steps.at)
    before = np.where(f, steps.after, steps.before)
    after = np.where(f, steps.before, steps.after)
    first = steps.first.copy()
    # The last change of a falling channel leads to the value it now starts with.
    first[steps.channel[f]] = steps.after[f]
    order = np.lexsort((at, steps.channel))
    low, high = mirror - reach.hi, mirror - reach.lo
    return (
        Steps(first, steps.channel[order], at[order], before[order], after[order]),
        Reach(np.where(falling, low, reach.lo), np.where(falling, high, reach.hi), reach.step),
    )


def thresholds(steps: Steps, reach: Reach, grid: Grid) -> Ints:
    """Return ascending thresholds for rising channels, int64 [channels, levels - 1].

    A code that every value reaches has the channel's least integer as its threshold, one that none
    reaches has one more than the greatest.
    """
    levels = np.arange(grid.alphabet.levels - 1)
    out = np.where(
        levels < grid.codes(steps.first)[:, None], reach.lo[:, None], reach.hi[:, None] + 1
    )
    low, high = grid.codes(steps.before), grid.codes(steps.after)
    count = high - low
    row = np.repeat(steps.channel, count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    out[row, np.repeat(low, count) + within] = np.repeat(steps.at, count)
    return out


def intervals_and_codes(steps: Steps, reach: Reach, grid: Grid) -> tuple[Ints, Ints]:
    """Number the intervals of a staircase, and give the code of each.

    Returns
    -------
    thresholds : int64 array [channels, most - 1]
        The first integer of each interval but the first, ascending; one more than the channel's
        greatest where it has fewer intervals than another channel.
    codes : int64 array [channels, most]
        0 where there is no interval.
    """
    channels = len(steps.first)
    count = np.bincount(steps.channel, minlength=channels)
    most = int(count.max(initial=0))
    number = np.arange(len(steps.channel)) - np.repeat(np.cumsum(count) - count, count)
    out = np.repeat(reach.hi[:, None] + 1, most, 1)
    out[steps.channel, number] = steps.at
    codes = np.zeros((channels, most + 1), np.int64)
    codes[:, 0] = grid.codes(steps.first)
    codes[steps.channel, number + 1] = grid.codes(steps.after)
    return out, codes
