"""Map pools to arrays of maxima and of sums."""

from __future__ import annotations

import numpy as np

from xnorflow import ir
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.tail_constants import Affine
from xnorflow.plan.weight_words import per_lane
from xnorflow_hw import spec


def max_array(reduction: Reduction, fold: Fold) -> tuple[spec.MaxSpec, Affine]:
    """Return the array that computes maxima or minima, and the meaning of its codes."""
    layer, a = reduction.layer, reduction.inp.alphabet
    assert isinstance(layer, ir.MaxPool)
    minimum = per_lane(layer.minimum, fold.simd).astype(bool)
    array = spec.MaxSpec(fold.simd, a.bits, minimum)
    return array, Affine(a.step, 1, np.full((1, reduction.inp.channels), a.lo, np.int64))


def sum_array(reduction: Reduction, fold: Fold) -> tuple[spec.SumSpec, Affine]:
    """Return the array that sums codes, and the meaning of its sums."""
    w, a = reduction.layer.window, reduction.inp.alphabet
    taps = w.kernel[0] * w.kernel[1]
    array = spec.SumSpec(fold.simd, a.bits, max(1, (taps * (a.levels - 1)).bit_length()))
    return array, Affine(a.step, 1, np.full((1, reduction.inp.channels), a.lo * taps, np.int64))
