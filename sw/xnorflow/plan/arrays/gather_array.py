"""Map product-quantised layers to arrays that look entries of tables up."""

from __future__ import annotations

import numpy as np

from xnorflow import ir
from xnorflow.plan.arrays.padding import at_padding
from xnorflow.plan.reductions import Fold, Reduction
from xnorflow.plan.tail_constants import Affine
from xnorflow.plan.weight_words import rom_words
from xnorflow_hw import spec


def gather_array(reduction: Reduction, fold: Fold) -> tuple[spec.GatherSpec, Affine]:
    """Return the array that looks up entries of tables, and the meaning of its sums.

    With the codes ``u`` that n indices choose, its P is ``sum(u)``, or for a negative output
    ``lanes * (2**A - 1) - sum(u)``, where `lanes` counts unused ones, whose codes are 0, too.
    """
    layer, a = reduction.layer, reduction.inp.alphabet
    assert isinstance(layer, ir.Gather)
    tables = fold.simd // layer.words
    by_table = Fold(fold.pe, tables)
    negative = None
    ones, number = (1 << a.bits) - 1, layer.lookups
    most = number * (a.levels - 1)
    lanes = number // layer.tables * tables * reduction.words(fold)
    if layer.negative.any():
        marks = np.broadcast_to(layer.negative[:, None, None, None], layer.indices.shape)
        negative = rom_words(marks[None].astype(np.int64), by_table)[:, 0, :, 0].astype(bool)
        most = max(most, lanes * ones)
    array = spec.GatherSpec(
        pe=fold.pe,
        simd=fold.simd,
        words=layer.words,
        bits=a.bits,
        weights=rom_words(layer.indices[None], by_table)[:, 0],
        acc_bits=max(1, most.bit_length()),
        negative=negative,
    )
    base = np.where(layer.negative, -a.lo * number - a.step * lanes * ones, a.lo * number)
    return array, Affine(a.step, 1, base + at_padding(reduction))
