"""Conversion of step functions (`xnorflow.lower.evaluate.Steps`) to integer thresholds."""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow.lower.common_scale import Grid
from xnorflow.lower.evaluate import Reach, Steps


def mirrored(steps: Steps, reach: Reach, mirror: Ints) -> tuple[Steps, Reach]:
    """Return steps and reach in which falling channels rise: v becomes ``mirror - v`` there.

    Parameters
    ----------
    steps : Steps
        Monotone steps.
    reach : Reach
        Integers that can occur.
    mirror : int64 array [channels]
        Mirrors of the falling channels, from `xnorflow.lower.negate.negate`.
    """
    falling = steps.direction < 0
    f = falling[steps.channel]
    # The last integer before a fall becomes the first integer after a rise.
    at = np.where(f, mirror[steps.channel] - steps.at + reach.step, steps.at)
    before = np.where(f, steps.after, steps.before)
    after = np.where(f, steps.before, steps.after)
    first = steps.first.copy()
    # The value after a falling channel's last step is now the first.
    first[steps.channel[f]] = steps.after[f]
    order = np.lexsort((at, steps.channel))
    low, high = mirror - reach.hi, mirror - reach.lo
    return (
        Steps(first, steps.channel[order], at[order], before[order], after[order]),
        Reach(np.where(falling, low, reach.lo), np.where(falling, high, reach.hi), reach.step),
    )


def thresholds(steps: Steps, reach: Reach, grid: Grid) -> Ints:
    """Return ascending thresholds for rising channels, int64 [channels, levels - 1].

    The threshold of a code that every value reaches is the channel's least integer; that of a code
    that no value reaches is one more than the greatest integer.

    Parameters
    ----------
    steps : Steps
        Steps that rise in all channels.
    reach : Reach
        Integers that can occur.
    grid : Grid
        The grid of the steps' values.
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
    """Return thresholds that number the intervals between steps, and the code of each interval.

    Parameters
    ----------
    steps : Steps
        Steps of any direction.
    reach : Reach
        Integers that can occur.
    grid : Grid
        The grid of the steps' values.

    Returns
    -------
    thresholds : int64 array [channels, most - 1]
        First integer of each interval but the first, ascending. A channel with fewer than `most`
        intervals has one more than its greatest integer in the remaining places.
    codes : int64 array [channels, most]
        Code of each interval; 0 in the remaining places.
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
