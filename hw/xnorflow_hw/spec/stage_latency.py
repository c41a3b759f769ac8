"""How many cycles a stage takes from the issue of a beat to its result."""

from __future__ import annotations

from collections.abc import Sequence

from xnorflow_hw.spec.arrays import ArraySpec, DotSpec
from xnorflow_hw.spec.latency import BUFFER_LATENCY
from xnorflow_hw.spec.tails import TailSpec, ThresholdSpec


def compares(array: ArraySpec, tails: Sequence[TailSpec]) -> bool:
    """Return whether the array itself compares its sums with the thresholds of the first tail.

    That tail is then not built.
    """
    if not tails or not isinstance(array, DotSpec) or not isinstance(tails[0], ThresholdSpec):
        return False
    rows, _, steps = tails[0].thresholds.shape
    if steps != 1 or tails[0].out_bits != 1:
        return False
    # Thresholds of several rows are read from a memory while the array reads its weights, which
    # takes a cycle that an array without a memory of weights does not have.
    return rows == 1 or (array.form != "baked" and array.latency() > 1)


def engine_latency(array: ArraySpec, tails: Sequence[TailSpec]) -> int:
    """Return the cycles from a reduction's last beat to the result of the last tail."""
    compared = compares(array, tails)
    built = tails[1:] if compared else tails
    return array.latency(compares=compared) + sum(tail.latency for tail in built)


def stage_latency(array: ArraySpec, tails: Sequence[TailSpec]) -> int:
    """Return the cycles from the issue of a reduction's last beat to its result's queue."""
    return BUFFER_LATENCY + engine_latency(array, tails)
