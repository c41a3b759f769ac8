"""Arithmetic of several windows at once: which column lies in which bank, read in which lane.

With M pixels at once the windows of a row go in groups of M, the last of which may hold fewer real
ones; group g has those in columns M * g + j. Input column c lies in bank c mod M, at slot c div M
of its row. Every beat reads each bank once, and lane b of the array always gets the word of bank b:
at kernel column kx it works on that window j of the group whose tap lies in bank b. With the next
kernel column a window's tap goes `turn` banks further, and so does its sum.

Plain Python, no Amaranth: the compiler imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

from xnorflow_hw.spec.geometry import ceil_div, output_size, rows_kept_from


@dataclass(frozen=True)
class Banks:
    """Columns of windows over banks.

    Parameters
    ----------
    pixels : int
        Windows at once, and banks. It has no factor in common with the stride, so that the taps of
        a group lie in different banks.
    width : int
        Columns of the frame.
    kernel, stride, dilation : int
        Horizontal.
    left, right : int
        Padding.

    Raises
    ------
    ValueError
        If two windows of a group would need the same bank.
    """

    pixels: int
    width: int
    kernel: int
    stride: int
    dilation: int
    left: int
    right: int

    def __post_init__(self) -> None:
        """Check that the taps of a group lie in different banks."""
        if self.pixels < 1:
            raise ValueError(f"pixels is {self.pixels}; it has to be positive")
        if gcd(self.stride, self.pixels) > 1:
            raise ValueError(
                f"pixels is {self.pixels}; it may have no factor in common with the"
                f" stride {self.stride}"
            )

    @cached_property
    def columns(self) -> int:
        """Windows in a row."""
        return output_size(
            self.width, self.kernel, self.stride, self.dilation, self.left, self.right
        )

    @property
    def groups(self) -> int:
        """Groups of windows in a row."""
        return ceil_div(self.columns, self.pixels)

    @property
    def slots(self) -> int:
        """Columns of a row in the fullest bank."""
        return ceil_div(self.width, self.pixels)

    @property
    def last_group(self) -> int:
        """Real windows of a row's last group."""
        return self.columns - (self.groups - 1) * self.pixels

    @property
    def turn(self) -> int:
        """How many lanes further a window's tap lies at the next kernel column."""
        return self.dilation % self.pixels

    @property
    def lanes(self) -> tuple[int, ...]:
        """Give the lane in which each window of a group ends."""
        return tuple(self.tap(j, self.kernel - 1) % self.pixels for j in range(self.pixels))

    def tap(self, pixel: int, kx: int) -> int:
        """Give a window's column at a kernel column, for group 0."""
        return self.stride * pixel + kx * self.dilation - self.left

    def window(self, bank: int, kx: int) -> int:
        """Give the window whose tap lies in a bank."""
        return next(j for j in range(self.pixels) if (self.tap(j, kx) - bank) % self.pixels == 0)

    def slot(self, bank: int, kx: int) -> int:
        """Give the slot that a bank reads for group 0; the next group's is `stride` further."""
        return self.tap(self.window(bank, kx), kx) // self.pixels

    def padded(self, group: int, bank: int, kx: int) -> bool:
        """Tell whether the tap of a real window lies beside the frame."""
        pixel = self.window(bank, kx)
        column = group * self.pixels * self.stride + self.tap(pixel, kx)
        return group * self.pixels + pixel < self.columns and not 0 <= column < self.width

    @cached_property
    def furthest(self) -> tuple[int, ...]:
        """Give the last column that each group needs; one in the frame where it needs none."""
        lasts = (min(self.pixels * (g + 1), self.columns) - 1 for g in range(self.groups))
        taps = (self.tap(last, self.kernel - 1) for last in lasts)
        return tuple(min(max(tap, 0), self.width - 1) for tap in taps)

    def minimum_slots(
        self, height: int, kernel: int, stride: int, dilation: int, top: int, bottom: int
    ) -> int:
        """Give the least capacity of a bank, in pixels, with which a buffer cannot deadlock.

        The parameters are those of the vertical axis. See `geometry.minimum_depth`.
        """
        rows = output_size(height, kernel, stride, dilation, top, bottom)
        kept = (0, *rows_kept_from(height, stride, top, rows))
        least = 0
        for oy in range(rows):
            read = (oy * stride + k * dilation - top for k in range(kernel))
            last = max((iy for iy in read if 0 <= iy < height), default=None)
            if last is not None:
                in_row = self.furthest[-1] // self.pixels + 1
                least = max(least, (last - kept[oy]) * self.slots + in_row)
        return least
