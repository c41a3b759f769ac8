"""Describe the unit that computes float32 scores in integers, behind the last gearbox."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import ir
from xnorflow.ir.score_steps import ranges
from xnorflow.plan.tail_constants import Affine, Span
from xnorflow.plan.weight_words import per_lane
from xnorflow_hw import spec


def score_unit(
    layer: ir.Scores, meaning: Affine, span: Span, *, bits: int, lanes: int, pixels: int = 1
) -> spec.ScoreSpec:
    """Return the unit that computes the scores of a chain.

    Its first step turns the array's values into the sums that they stand for.

    Parameters
    ----------
    layer : Scores
        Scores with steps.
    meaning : Affine
        Meaning of the array's values.
    span : Span
        The values that can occur.
    bits : int
        Bits of a value.
    lanes : int
        Scores per beat.
    pixels : int
        Pixels of the map of scores, each of which has a score per class.
    """
    # The mapping has made sure that there is a single border class.
    (offset,), classes = meaning.offset, len(layer.offsets)
    sums = ir.ScoreStep(
        np.full(classes, meaning.numerator), offset, meaning.denominator.bit_length() - 1
    )
    steps = (sums, *layer.steps)
    value_bits, found = bits + 1, []
    for step, reach in zip(steps, ranges(steps, span.low[0], span.high[0]), strict=True):
        multiply, add = np.tile(step.multiply, pixels), np.tile(step.add, pixels)
        same = bool((multiply == multiply[0]).all())
        total_bits, result_bits = _width(reach.total), _width(reach.result)
        found.append(
            spec.ScoreStepSpec(
                _by_beat(multiply, lanes, int(multiply[0]) if same else 0),
                _by_beat(add, lanes, int(add[0]) if same and _alike(add) else 0),
                step.shift,
                value_bits,
                total_bits,
                result_bits,
            )
        )
        value_bits = result_bits
    beats = len(found[0].multiply)
    return spec.ScoreSpec(tuple(found), beats, lanes, bits)


def _alike(constants: ir.Ints) -> bool:
    return bool((constants == constants[0]).all())


def _by_beat(constants: ir.Ints, lanes: int, unused: int) -> NDArray[Any]:
    """Return constants [classes] as Python's integers [beats, lanes]."""
    return per_lane(constants.astype(object), lanes, unused)


def _width(ends: tuple[int, int]) -> int:
    """Return the bits in two's complement of a range of integers."""
    return max((v if v >= 0 else ~v).bit_length() for v in ends) + 1
