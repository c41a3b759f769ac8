"""Arithmetic of windows and regrouped streams, shared by the hardware and those who plan it.

Plain Python, no Amaranth: the compiler imports it. One axis at a time, in pixels, unless said
otherwise; a position is padded where it lies outside ``range(size)``.
"""

from __future__ import annotations

from collections.abc import Sequence


def ceil_div(a: int, b: int) -> int:
    """Divide, rounding up."""
    return -(-a // b)


def output_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Count the windows along an axis with the given padding; at most 0 where none fits."""
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def border_classes(
    size: int, kernel: int, stride: int, dilation: int, pad: int, out: int
) -> tuple[tuple[int, ...], tuple[tuple[bool, ...], ...]]:
    """Number the distinct patterns of padded taps along an axis, in order of first appearance.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Of the axis.
    pad : int
        Padding before the first pixel.
    out : int
        Windows along the axis.

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
    """Give, per output row, the first input row that is still needed once that row is done.

    After the last output row nothing of the frame is: it gives `size`.
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
    """Give the least capacity, in words, of a feature buffer that cannot deadlock.

    While an output row is worked on, the buffer keeps everything from the first input row that it
    needs; the last word that it reads has to fit beside that.

    Parameters
    ----------
    height, width, words : int
        Frame in pixels, and words per pixel.
    kernel, stride, dilation : tuple of int
        Vertical, horizontal.
    pads : tuple of int
        Top, left, bottom, right.

    Returns
    -------
    int
        0 where every tap of every window is padded.
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


def loop_steps(strides: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
    """Turn a nest of loops, innermost first, into the steps of one running index.

    The index is the sum of every loop's counter times its stride. When a loop advances, those
    inside it start again; the outermost loop has no count, so `counts` is one shorter.

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


def elements_after(beats: int, group: int, lanes: int) -> int:
    """Count the elements in the first `beats` beats of a stream of groups."""
    groups, rest = divmod(beats, ceil_div(group, lanes))
    return groups * group + min(rest * lanes, group)


def beats_possible(elements: int, group: int, lanes: int) -> int:
    """Count the beats of a stream of groups that its first `elements` elements complete.

    A group's last beat is complete with the group's last element.
    """
    groups, rest = divmod(elements, group)
    return groups * ceil_div(group, lanes) + rest // lanes


def output_beats(
    beats: int, *, group_in: int, lanes_in: int, group_out: int, lanes_out: int
) -> int:
    """Count the output beats that the first `beats` input beats of a gearbox make possible."""
    return beats_possible(elements_after(beats, group_in, lanes_in), group_out, lanes_out)
