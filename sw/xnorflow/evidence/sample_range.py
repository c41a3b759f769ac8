"""Find out which samples a network's first layer tells apart, and whether the data lie beyond.

A network that was trained on samples in [0, 1] and gets bytes sees nearly all of them as its
largest input: a forgotten input scale, which no shape or type shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir

BEYOND = 7 / 8
"""Share of the range of the data beyond the last change of the first layer that is suspicious."""


@dataclass(frozen=True)
class SampleRange:
    """Samples that a network's first layer tells apart.

    Parameters
    ----------
    low, high : float
        All samples up to `low` are alike, and all from `high` on.
    """

    low: float
    high: float

    def __str__(self) -> str:
        """Return the range in words."""
        return f"{self.low:g} to {self.high:g}"


def sample_range(net: ir.LayerGraph) -> SampleRange | None:
    """Return which samples the first layer tells apart.

    Parameters
    ----------
    net : LayerGraph
        A network.

    Returns
    -------
    SampleRange or None
        None if its first layer is no quantiser, or one without any threshold: then there is no
        sample from which on all are alike.
    """
    quantiser = net.samples.quantiser
    if quantiser is not None:
        if quantiser.thresholds.size == 0:
            return None
        return SampleRange(float(quantiser.thresholds.min()), float(quantiser.thresholds.max()))
    tables = [x.table for k in net.readers[0] if isinstance(x := net.layers[k], ir.InputTable)]
    if not tables or len(tables) < len(net.readers[0]):
        return None
    changes = np.zeros(net.samples.alphabet.levels - 1, bool)
    for table in tables:
        changes |= (table[:, 1:] != table[:, :-1]).any(axis=0)
    at = np.flatnonzero(changes)
    if not at.size:
        return None
    alphabet = net.samples.alphabet
    low, high = (alphabet.lo + alphabet.step * int(k) for k in (at[0], at[-1] + 1))
    return SampleRange(low, high)


def saturated(net: ir.LayerGraph, x: NDArray[Any]) -> str:
    """Return a warning if nearly all of the range of the data is beyond what is told apart.

    Parameters
    ----------
    net : LayerGraph
        A network.
    x : array
        Samples of any shape, as the user has them.

    Returns
    -------
    str
        Empty if there is nothing to say.
    """
    known, x = sample_range(net), np.asarray(x)
    if known is None or not x.size or not np.isfinite(first := float(x.min())):
        return ""
    last = float(x.max())
    above, below = last - known.high, known.low - first
    if not np.isfinite(last) or max(above, below) < BEYOND * (last - first) or first == last:
        return ""
    share = float(np.mean(x > known.high) if above > below else np.mean(x < known.low))
    cure = f"1/{last:g}" if above > below and last >= 2 else "S"
    return (
        f"the first layer tells apart only samples from {known}, but yours go from {first:g} to"
        f" {last:g}: {100 * share:.0f} % of them lie {'above' if above > below else 'below'} that"
        f" and are all alike. If the model was trained on scaled samples, give --input-scale {cure}"
        " (to 'xnorflow compile', if it is compiled already)"
    )
