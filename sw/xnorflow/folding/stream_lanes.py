"""Choose how many samples an input beat carries, and how many scores an output beat carries."""

from __future__ import annotations

from math import ceil, prod

from xnorflow import ir
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import input_group
from xnorflow.plan.reductions import Fold

MAX_INPUT_LANES = 8
"""Most samples per input beat, unless the target needs more: with uint8, a 64-bit stream."""


def input_groups(net: ir.IntegerNetwork) -> tuple[int, int]:
    """Return the samples per frame and per group of the input stream.

    A group is a pixel; if only dense layers on a flat frame read it, it is the whole frame.
    """
    return prod(net.shape), input_group(net, reductions(net))


def input_lanes(group: int, frame: int, first: Fold, cycles: int) -> int:
    """Choose the samples per input beat: the first layer's SIMD, but at most 8, if fast enough.

    For a wider SIMD, its largest divisor from 4 to 8 is preferred if that is fast enough: the
    gearbox can then place whole beats side by side, which takes fewer LUTs.

    Parameters
    ----------
    group, frame : int
        Samples per group and per frame.
    first : Fold
        Folding of the first reduction.
    cycles : int
        Most cycles per frame.
    """
    groups = frame // group
    lanes = most = min(first.simd, MAX_INPUT_LANES, group)
    whole = [n for n in range(ceil(most / 2), most + 1) if first.simd % n == 0]
    if whole and groups * ceil(group / whole[-1]) <= cycles:
        lanes = whole[-1]
    while groups * ceil(group / lanes) > cycles and lanes < group:
        lanes += 1
    return lanes


def output_lanes(classes: int, cycles: int) -> int:
    """Choose the scores per output beat: one if that is fast enough, else as few as suffice."""
    return min(classes, ceil(classes / max(1, cycles)))
