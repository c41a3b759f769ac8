"""In which order the parts of an accelerator take, keep and send beats, as docs/hardware.md has it.

Nothing here is computed by the schedule, which tests compare with it. Orders are those of several
frames, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow_hw.spec import BufferSpec, FrontSpec, InputSpec, JoinSpec, StageSpec, StretchSpec

Ints = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max // 4
"""A number, or a time, that nothing reaches."""


@dataclass(frozen=True, eq=False)
class Order:
    """What the front of a stage does, issue by issue and word by word.

    Parameters
    ----------
    waits : int64 array [issues + 1]
        Words that have to be there before each issue; NEVER behind the last.
    ends : bool array [issues + 1]
        Whether an issue is the last of its reduction.
    gone : int64 array [issues + 1]
        Places that are free for good after so many issues.
    place : int64 array [words + 1]
        The place of each word.
    reduction : int64 array [results + 1]
        Which reduction each result comes from; one that never comes behind the last.
    frees : bool array [results + 1]
        Whether a place in the stage's queue is free when the result has left.
    """

    waits: Ints
    ends: NDArray[Any]
    gone: Ints
    place: Ints
    reduction: Ints
    frees: NDArray[Any]


def order_of(front: FrontSpec, frames: int) -> Order:
    """Return the order of a stage's front; depths have no part in it."""
    match front:
        case BufferSpec():
            return _windows(front, frames)
        case StretchSpec():
            return _stretched(front, frames)
        case JoinSpec():
            issues = frames * front.height * front.width * front.words
            zeros = np.zeros(issues, np.int64)
            return _plain(zeros, zeros, np.full(1, NEVER))
        case other:
            raise TypeError(f"no order for a front of type {type(other).__name__}")


def _plain(waits: Ints, gone: Ints, place: Ints) -> Order:
    """Return an order in which every issue is a result."""
    n = len(waits)
    return Order(
        np.append(waits, NEVER),
        np.ones(n + 1, bool),
        np.append(gone, NEVER),
        place,
        np.arange(n + 1),
        np.ones(n + 1, bool),
    )


def _windows(b: BufferSpec, frames: int) -> Order:
    """Return the order of a buffer of windows, in one memory or in banks."""
    rows, cols = b.output
    together, inner = b.pixels, b.words // b.groups
    groups = ceil(cols / together)
    # Axes: output row, group of columns, repeat, row and column of the kernel, word.
    oy, g, rep, ky, kx, w = np.ogrid[
        :rows, :groups, : b.repeat, : b.kernel[0], : b.kernel[1], :inner
    ]
    y = oy * b.stride[0] + ky * b.dilation[0] - b.pads[0]
    if together == 1:
        x = g * b.stride[1] + kx * b.dilation[1] - b.pads[1]
        there = (y >= 0) & (y < b.height) & (x >= 0) & (x < b.width)
    else:
        last = np.minimum((g + 1) * together, cols) - 1
        furthest = last * b.stride[1] + (b.kernel[1] - 1) * b.dilation[1] - b.pads[1]
        x = np.clip(furthest, 0, b.width - 1)
        there = (y >= 0) & (y < b.height)
    word = (y * b.width + x) * b.words + rep // (b.repeat // b.groups) * inner + w
    shape = (rows, groups, b.repeat, *b.kernel, inner)
    wanted = np.broadcast_to(np.where(there, word + 1, 0), shape)
    if together > 1:
        wanted = wanted.swapaxes(3, 4)  # Columns of the kernel are the outer loop.
    beats = b.kernel[0] * b.kernel[1] * inner
    per_frame = np.arange(frames)[:, None]
    size = b.height * b.width * b.words
    waits = np.where(wanted.ravel() > 0, wanted.ravel() + per_frame * size, 0).ravel()
    ends = np.tile(np.arange(beats) == beats - 1, len(waits) // beats)

    row_places = b.width * b.words if together == 1 else ceil(b.width / together)
    kept = [min(b.height, max(0, (o + 1) * b.stride[0] - b.pads[0])) for o in range(rows - 1)]
    freed = (np.array([*kept, b.height]) + per_frame * b.height).ravel() * row_places
    # A row's places are free after its last issue.
    gone = np.repeat(np.concatenate([[0], freed]), len(waits) // len(freed))[: len(waits) + 1]
    words = np.arange(frames * size)
    if together > 1:
        pixel = words // b.words
        words = pixel // b.width * row_places + pixel % b.width // together

    # Results leave pixel by pixel, each in all its repeats.
    oy, ox, rep = np.ogrid[: rows * frames, :cols, : b.repeat]
    reduction = ((oy * groups + ox // together) * b.repeat + rep).ravel()
    last_of_group = (ox % together == together - 1) | (ox == cols - 1)
    frees = np.broadcast_to(last_of_group, (rows * frames, cols, b.repeat)).ravel()
    return Order(
        np.append(waits, NEVER),
        np.append(ends, False),
        gone,
        np.append(words, NEVER),
        np.append(reduction, rows * frames * groups * b.repeat),
        np.append(frees, False),
    )


def _stretched(b: StretchSpec, frames: int) -> Order:
    """Return the order of a buffer that makes a larger or cropped map.

    Places are the numbers of kept words; a word that is not kept needs none.
    """
    rows, cols = b.output
    (fy, fx), (top, left) = b.factors, b.crop[:2]
    out_words = b.words // (fy * fx) if b.fill == "blocks" else b.words
    oy, ox, w = np.ogrid[:rows, :cols, :out_words]
    y, x = (oy + top) // fy, (ox + left) // fx
    i, j = (oy + top) % fy, (ox + left) % fx
    if b.fill == "blocks":
        w = (i * fx + j) * out_words + w
    reads = (y * b.width + x) * b.words + w
    if b.fill == "zeros":
        reads = np.where((i == 0) & (j == 0), reads, -1)
    reads = np.broadcast_to(reads, (rows, cols, out_words)).ravel()
    # Pixels of which any word is read are kept.
    kept = np.zeros((b.height, b.width), bool)
    pixel = reads[reads >= 0] // b.words
    used_rows, used_cols = np.unique(pixel // b.width), np.unique(pixel % b.width)
    kept[used_rows[0] : used_rows[-1] + 1, used_cols[0] : used_cols[-1] + 1] = True
    keeps = np.tile(np.repeat(kept.ravel(), b.words), frames)
    number = np.cumsum(keeps) - keeps
    size = b.height * b.width * b.words
    words = (np.where(reads < 0, -1, reads) + np.arange(frames)[:, None] * size).ravel()
    words[np.tile(reads < 0, frames)] = -1
    waits = words + 1
    # The least number that this issue or a later one reads.
    later = np.where(words < 0, NEVER, number[words])
    gone = np.minimum.accumulate(later[::-1])[::-1]
    return _plain(waits, gone, np.append(np.where(keeps, number, -NEVER), NEVER))


def wanted(join: JoinSpec, port: int, frames: int) -> NDArray[Any]:
    """Return with which issues a join takes a beat of a port: bool array [issues + 1]."""
    pixels = join.height * join.width
    takes = np.zeros((pixels, join.words), bool)
    if join.turns:
        whose = np.repeat(np.arange(len(join.turns)), join.turns)
        takes.ravel()[:] = np.resize(whose, takes.size) == port
    else:
        match join.ports[port].hold:
            case "none":
                takes[:] = True
            case "pixel":
                takes[:, 0] = True
            case "frame":
                takes[0, : join.ports[port].words] = True
    return np.append(np.tile(takes.ravel(), frames), False)


def beat_ends(groups: int, group: int, lanes: int) -> Ints:
    """Return how many elements have passed after each number of beats, from 0 on."""
    sizes = [lanes] * (group // lanes) + [group % lanes] * (group % lanes > 0)
    return np.concatenate([[0], np.cumsum(np.tile(sizes, groups))])


def beats_of(source: InputSpec | StageSpec) -> int:
    """Return the number of beats per frame that a part sends."""
    if isinstance(source, InputSpec):
        return source.frame // source.group * ceil(source.group / source.lanes)
    front = source.buffer
    per_pixel = front.repeat if isinstance(front, BufferSpec) else None
    if isinstance(front, JoinSpec):
        per_pixel = front.words
    elif isinstance(front, StretchSpec):
        per_pixel = front.out_words
    assert per_pixel is not None
    return front.output[0] * front.output[1] * per_pixel
