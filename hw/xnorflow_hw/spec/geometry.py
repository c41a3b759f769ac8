"""Arithmetic of sliding windows and of streams, shared by the hardware and the compiler.

Functions work on one axis, in pixels, unless they say otherwise. A tap is the position that a
window reads at one position of its kernel; it is padded where it lies outside ``range(size)``.
"""

from __future__ import annotations

from collections.abc import Sequence


def ceil_div(a: int, b: int) -> int:
    """Return `a` / `b`, rounded up."""
    return -(-a // b)


def output_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Return the number of windows along an axis; at most 0 where not even one fits."""
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def border_classes(
    size: int, kernel: int, stride: int, dilation: int, pad: int, out: int
) -> tuple[tuple[int, ...], tuple[tuple[bool, ...], ...]]:
    """Return the distinct patterns of padded taps along an axis, and which window has which.

    Windows with the same padded taps are of one border class. Classes are numbered in the order in
    which they first appear.

    Parameters
    ----------
    size : int
        Length of the axis.
    kernel : int
        Taps of a window.
    stride : int
        Pixels from one window to the next.
    dilation : int
        Pixels from one tap to the next.
    pad : int
        Pixels of padding before the first pixel.
    out : int
        Number of windows along the axis.

    Returns
    -------
    classes : tuple of int, length `out`
        Class of each window.
    patterns : tuple of tuple of bool, one of length `kernel` per class
        Which taps are padded.

    Examples
    --------
    >>> border_classes(4, 3, 1, 1, 1, 4)
    ((0, 1, 1, 2), ((True, False, False), (False, False, False), (False, False, True)))
    """
    numbers: dict[tuple[bool, ...], int] = {}
    classes = []
    for o in range(out):
        taps = (o * stride + k * dilation - pad for k in range(kernel))
        pattern = tuple(not 0 <= tap < size for tap in taps)
        classes.append(numbers.setdefault(pattern, len(numbers)))
    return tuple(classes), tuple(numbers)


def rows_kept_from(size: int, stride: int, pad: int, out: int) -> tuple[int, ...]:
    """Return, for each output row, the first input row that is still needed once that row is done.

    For the last output row that is `size`: nothing of the frame is needed any more.
    """
    kept = [min(size, max(0, (o + 1) * stride - pad)) for o in range(out)]
    return (*kept[:-1], size)


def minimum_depth(
    height: int,
    width: int,
    words: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
) -> int:
    """Return the smallest capacity, in words, with which a feature buffer cannot deadlock.

    While the windows of an output row are read, the buffer keeps everything from the first input
    row that they need; the last word that they read has to fit beside that.

    Parameters
    ----------
    height, width : int
        Frame in pixels.
    words : int
        Words per pixel.
    kernel, stride, dilation : tuple of int
        Vertical and horizontal value of each, in pixels.
    pads : tuple of int
        Padding in pixels at the top, left, bottom and right.

    Returns
    -------
    int
        Words; 0 where every tap of every window is padded.
    """
    top, left, bottom, right = pads
    rows = output_size(height, kernel[0], stride[0], dilation[0], top, bottom)
    cols = output_size(width, kernel[1], stride[1], dilation[1], left, right)
    taps = (o * stride[1] + k * dilation[1] - left for o in range(cols) for k in range(kernel[1]))
    last_col = max((ix for ix in taps if 0 <= ix < width), default=None)
    if last_col is None:
        return 0
    kept = (0, *rows_kept_from(height, stride[0], top, rows))
    depth = 0
    for oy in range(rows):
        read = (oy * stride[0] + k * dilation[0] - top for k in range(kernel[0]))
        last_row = max((iy for iy in read if 0 <= iy < height), default=None)
        if last_row is not None:
            pixels = last_row * width + last_col + 1 - kept[oy] * width
            depth = max(depth, pixels * words)
    return depth


def passes(words: int, repeat: int, groups: int) -> tuple[tuple[int, int], ...]:
    """Return the loops around a window's taps, innermost first: passes, and words that one skips.

    The words of a pixel form equal groups, which are read one after the other, each in equally many
    of the `repeat` passes over the window.

    Parameters
    ----------
    words : int
        Words per pixel.
    repeat : int
        Passes over a window.
    groups : int
        Groups of words; a divisor of both.

    Returns
    -------
    tuple of (int, int)
        The loop over the passes of a group and that over the groups; a single one where all passes
        read the same words, or each other ones.

    Examples
    --------
    >>> passes(6, 4, 1), passes(6, 2, 2), passes(6, 4, 2)
    (((4, 0),), ((2, 3),), ((2, 0), (2, 3)))
    """
    if groups == 1:
        return ((repeat, 0),)
    outer = (groups, words // groups)
    return (outer,) if repeat == groups else ((repeat // groups, 0), outer)


def loop_steps(strides: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
    """Return the steps of one running index that stands for a nest of loops, innermost first.

    The index is the sum of every loop's counter times its stride. When a loop advances, those
    inside it start again. Entry k is what to add to the index when loop k advances.

    Parameters
    ----------
    strides : sequence of int
        What each loop's counter is multiplied with.
    counts : sequence of int
        Passes of each loop but the outermost, which needs none.

    Returns
    -------
    tuple of int
        One step per loop.

    Examples
    --------
    >>> loop_steps((1, 10), (3,))  # 0 1 2 10 11 12 20 ...
    (1, 8)
    """
    steps, inside = [], 0
    for i, stride in enumerate(strides):
        steps.append(stride - inside)
        if i < len(counts):
            inside += stride * (counts[i] - 1)
    return tuple(steps)
