"""Compute the order in which a feature buffer reads words, frees them and releases results.

The order follows from the geometry alone, never from the data.
"""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow_hw.spec import BufferSpec, geometry


def _first_windows(
    size: int, out: int, kernel: int, stride: int, dilation: int, before: int
) -> tuple[Ints, Ints]:
    """Return, for each position along an axis, the first window that reads it, and by which tap.

    A position that no window reads has the window -1.
    """
    window, tap = np.full(size, -1), np.zeros(size, np.int64)
    for k in range(kernel):
        at = np.arange(out) * stride + k * dilation - before
        o = np.flatnonzero((at >= 0) & (at < size))
        better = (window[at[o]] < 0) | (o < window[at[o]])
        window[at[o[better]]], tap[at[o[better]]] = o[better], k
    return window, tap


def first_reads(b: BufferSpec) -> Ints:
    """Compute, for each word of a frame, the first issue that has to wait for it.

    With one pixel at once that is the first issue that reads the word.

    Returns
    -------
    int64 array [words]
        Index of the issue within its frame; -1 where no issue waits for the word.
    """
    rows, cols = b.output
    oy, ky = _first_windows(b.height, rows, b.kernel[0], b.stride[0], b.dilation[0], b.pads[0])
    word = np.arange(b.words)
    if b.pixels == 1:
        ox, kx = _first_windows(b.width, cols, b.kernel[1], b.stride[1], b.dilation[1], b.pads[1])
        inner, per_ky, per_kx = 1 if b.depthwise else b.words, b.kernel[1], 1
    else:
        # A group waits only for the last column that it needs: the others have come before it.
        cols = b.banks.groups
        ox, kx = np.full(b.width, -1), np.zeros(b.width, np.int64)
        ox[list(reversed(b.banks.furthest))] = np.arange(cols)[::-1]
        inner, per_ky, per_kx = b.words, 1, b.kernel[0]
    oy, ky, ox, kx = oy[:, None, None], ky[:, None, None], ox[:, None], kx[:, None]
    rep, at = (word, 0) if b.depthwise else (0, word)
    reduction = (oy * cols + ox) * b.repeat + rep
    issue = reduction * b.beats_per_reduction + (ky * per_ky + kx * per_kx) * inner + at
    return np.where((oy < 0) | (ox < 0), -1, issue).ravel()


def row_ends(b: BufferSpec) -> tuple[Ints, Ints]:
    """Return the last issue of each output row, and how many places of the frame it has freed."""
    rows = b.output[0]
    kept_from = geometry.rows_kept_from(b.height, b.stride[0], b.pads[0], rows)
    ends = (np.arange(rows) + 1) * (b.cycles // rows) - 1
    return ends, np.array(kept_from) * b.row_places


def places(b: BufferSpec, words: Ints) -> Ints:
    """Return the place of each word; words and places are counted across rows and frames."""
    if b.pixels == 1:
        return words
    pixel = words // b.words
    return pixel // b.width * b.row_places + pixel % b.width // b.pixels


def result_order(b: BufferSpec) -> tuple[Ints, Ints]:
    """Compute the order in which the results of a frame leave their queue.

    A reduction here is one pass over a window, or over a group of windows that are computed at
    once; each yields one result per window.

    Parameters
    ----------
    b : BufferSpec
        Buffer of the stage.

    Returns
    -------
    reduction : int64 array [results]
        Index of the reduction that each result comes from.
    freeing : int64 array [reductions]
        Index of the result of each reduction that leaves last and so frees its place.
    """
    rows, cols = b.output
    row, rep = np.arange(rows)[:, None, None], np.arange(b.repeat)
    groups = b.banks.groups
    group = np.arange(cols)[:, None] // b.pixels
    last = np.minimum((np.arange(groups)[:, None] + 1) * b.pixels, cols) - 1
    reduction = (row * groups + group) * b.repeat + rep
    return reduction.ravel(), ((row * cols + last) * b.repeat + rep).ravel()
