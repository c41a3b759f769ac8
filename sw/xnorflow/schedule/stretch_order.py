"""Compute the order in which a stretch buffer reads and frees words."""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow_hw.spec import StretchSpec


def first_and_last_reads(b: StretchSpec) -> tuple[Ints, Ints]:
    """Compute the first beat that reads each kept word, and the beat that frees it.

    A word is freed with the last beat that reads it or a word before it. Blocks that are cropped
    have words that no beat reads: their first beat is -1, and at the start of a frame they are
    freed with the last beat of the frame before, which is -1, too.

    Returns
    -------
    first, freed : int64 array [kept words]
        Indices of beats within a frame.
    """
    reads = b.reads()
    at = np.flatnonzero(reads >= 0)
    first, last = (np.full(int(b.kept().sum()), -1) for _ in range(2))
    last[reads[at]] = at
    first[reads[at[::-1]]] = at[::-1]
    return first, np.maximum.accumulate(last)
