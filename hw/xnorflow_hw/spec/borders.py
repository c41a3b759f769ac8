"""Border classes of windows that are read several at once, and which constants they share.

Windows with the same padded taps are of one border class (`geometry.border_classes`), and their
constants differ by class where padding is no value of the alphabet. With M windows at once a group
of M meets its constants together, as one word. Where the windows of a group are always of one
class, whichever group it is, one set of constants in the word serves all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from xnorflow_hw.spec.geometry import border_classes, output_size


@dataclass(frozen=True)
class Borders:
    """Border classes of all windows of a frame, by row and by group of columns.

    Parameters
    ----------
    rows : tuple of int
        Class of each output row.
    groups : tuple of int
        Class of each group of output columns: that of all groups with the same border classes.
    kinds : tuple of int, one per window of a group
        Windows of one kind are of the same border class as each other in every group.
    classes : tuple of tuple of int, [row classes * group classes][kinds]
        Border class of the windows of each kind, for each class of rows and, within it, of groups.
        A border class is that of the row times the number of those of columns, plus the column's.
    """

    rows: tuple[int, ...]
    groups: tuple[int, ...]
    kinds: tuple[int, ...]
    classes: tuple[tuple[int, ...], ...]

    @property
    def group_classes(self) -> int:
        """Number of classes of groups."""
        return max(self.groups) + 1


@dataclass(frozen=True)
class ConstantSets:
    """Which set of a word of constants belongs to each window of a group.

    Parameters
    ----------
    windows : tuple of int
        Set of each window.
    lanes : tuple of int
        Set of the window whose sum begins in each lane of an array.
    """

    windows: tuple[int, ...]
    lanes: tuple[int, ...]

    @property
    def number(self) -> int:
        """Number of sets in a word."""
        return max(self.windows) + 1


ONE_SET = ConstantSets((0,), (0,))
"""The constants of a single window."""


@lru_cache(1024)
def without_classes(rows: int, groups: int, pixels: int) -> Borders:
    """Return the borders of windows that all have the same constants."""
    return Borders((0,) * rows, (0,) * groups, (0,) * pixels, ((0,),))


@lru_cache(1024)
def borders_of(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    pixels: int,
) -> Borders:
    """Return the borders of a frame's windows, `pixels` of a row at once.

    Parameters
    ----------
    size : tuple of int
        Height and width of the frame in pixels.
    kernel, stride, dilation : tuple of int
        Vertical and horizontal value of each, in pixels.
    pads : tuple of int
        Padding in pixels at the top, left, bottom and right.
    pixels : int
        Number of neighbouring windows of a row that are read at once.
    """
    axes = tuple(zip(size, kernel, stride, dilation, pads[:2], strict=True))
    found = [
        border_classes(*axis, output_size(*axis, after))
        for axis, after in zip(axes, pads[2:], strict=True)
    ]
    (rows, row_patterns), (columns, column_patterns) = found
    groups, kinds, by_group = grouped(columns, pixels)
    number = len(column_patterns)
    classes = tuple(
        tuple(row * number + column for column in group)
        for row in range(len(row_patterns))
        for group in by_group
    )
    return Borders(rows, groups, kinds, classes)


def grouped(
    columns: Sequence[int], pixels: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Return classes of the groups of a row, kinds of the windows in a group, and their classes.

    Windows past the end of the row may have any constants, so they join the first kind that fits.

    Parameters
    ----------
    columns : sequence of int
        Border class of each window of a row, along that axis.
    pixels : int
        Windows of a group.

    Returns
    -------
    groups : tuple of int
        Class of each group, numbered in the order in which they first appear.
    kinds : tuple of int, length `pixels`
        Kind of each window of a group, numbered likewise.
    classes : tuple of tuple of int, [group classes][kinds]
        Border class along the axis.

    Examples
    --------
    >>> grouped((0, 1, 1, 1, 1, 1, 1, 2), 4)
    ((0, 1), (0, 1, 1, 2), ((0, 1, 1), (1, 1, 2)))
    >>> grouped((0, 1, 1, 1, 1, 1, 1, 2), 3)
    ((0, 1, 2), (0, 1, 1), ((0, 1), (1, 1), (1, 2)))
    """
    patterns: list[tuple[int | None, ...]] = []
    groups = []
    for start in range(0, len(columns), pixels):
        own = tuple(columns[start : start + pixels])
        pattern = own + (None,) * (pixels - len(own))
        at = next((k for k, known in enumerate(patterns) if _agree(known, pattern)), len(patterns))
        if at == len(patterns):
            patterns.append(pattern)
        groups.append(at)
    kinds: list[tuple[int | None, ...]] = []
    kind_of = []
    for window in zip(*patterns, strict=True):
        at = next((k for k, known in enumerate(kinds) if _agree(known, window)), len(kinds))
        if at == len(kinds):
            kinds.append(window)
        else:
            kinds[at] = tuple(a if b is None else b for a, b in zip(kinds[at], window, strict=True))
        kind_of.append(at)
    classes = tuple(
        tuple(0 if c is None else c for c in group) for group in zip(*kinds, strict=True)
    )
    return tuple(groups), tuple(kind_of), classes


def _agree(first: Sequence[int | None], second: Sequence[int | None]) -> bool:
    """Return whether two patterns are equal wherever both are known."""
    return all(a is None or b is None or a == b for a, b in zip(first, second, strict=True))
