"""Compute the order in which a stretch buffer reads and frees words.

Beats are issued row by row, pixel by pixel, word by word of the output.
"""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow_hw.spec import StretchSpec


def _axes(b: StretchSpec) -> list[tuple[Ints, Ints]]:
    """Return, for each output row and column, the input pixel it lies in, and where in its cell."""
    before = b.crop[:2]
    return [
        (at // factor, at % factor)
        for factor, at in (
            (b.factors[axis], np.arange(b.output[axis]) + before[axis]) for axis in (0, 1)
        )
    ]


def words_read(b: StretchSpec) -> Ints:
    """Compute the word of the frame that each issue reads, -1 where it needs none.

    Returns
    -------
    int64 array [issues]
        Words of an input frame.
    """
    (row, i), (col, j) = _axes(b)
    i, j, word = i[:, None, None], j[:, None], np.arange(b.out_words)
    pixel = row[:, None, None] * b.width + col[:, None]
    match b.fill:
        case "repeat":
            read = pixel * b.words + word
        case "zeros":
            read = np.where((i == 0) & (j == 0), pixel * b.words + word, -1)
        case "blocks":
            read = pixel * b.words + (i * b.factors[1] + j) * b.out_words + word
        case other:
            raise ValueError(f"a cell cannot be filled with {other!r}")
    return np.asarray(np.broadcast_to(read, (*b.output, b.out_words)).ravel())


def first_reads(b: StretchSpec) -> Ints:
    """Compute, for each word of a frame, the first issue that reads it; -1 where none does."""
    read = words_read(b)
    at = np.flatnonzero(read >= 0)[::-1]
    first = np.full(b.frame_words, -1)
    first[read[at]] = at
    return first


def row_ends(b: StretchSpec) -> tuple[Ints, Ints]:
    """Return the last issue of each output row, and how many words of the frame it has freed.

    The words of an input row are freed when the last output row that lies in it ends, and so are
    those of cropped rows before the next that is read; the last output row frees the whole frame.
    """
    (row, _), _ = _axes(b)
    rows = b.output[0]
    ends = (np.arange(rows) + 1) * (b.cycles // rows) - 1
    kept_from = np.append(row[1:], b.height)
    return ends, kept_from * b.width * b.words
